//! JSON objects whose problems are collected under the path of their field, and geth's ways of
//! writing numbers, bytes, hashes and addresses.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::primitives::{Address, B256, Bytes, U256};

/// Problems found so far, each `path: what is wrong`.
#[derive(Debug, Default)]
pub(super) struct Problems(Vec<String>);

impl Problems {
    /// Texts beyond this many tell nobody anything new.
    const MOST: usize = 100;

    pub(super) fn add(&mut self, path: &str, what: &str) {
        if self.0.len() < Self::MOST {
            self.0.push(format!("{path}: {what}"));
        } else if self.0.len() == Self::MOST {
            self.0.push("further problems are not listed".into());
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn into_texts(self) -> Vec<String> {
        self.0
    }
}

/// A JSON object whose fields are taken one by one.
#[derive(Debug)]
pub(super) struct Object<'a> {
    path: String,
    fields: Vec<(String, &'a RawValue)>,
}

impl<'a> Object<'a> {
    /// The whole document, whose fields have no path in front.
    pub(super) fn of_document(json: &'a str, problems: &mut Problems) -> Option<Self> {
        match serde_json::from_str::<&RawValue>(json) {
            Ok(raw) => Self::new("", raw, problems),
            Err(error) => {
                problems.add("genesis", &format!("not JSON: {error}"));
                None
            }
        }
    }

    pub(super) fn new(path: &str, raw: &'a RawValue, problems: &mut Problems) -> Option<Self> {
        let name = if path.is_empty() { "genesis" } else { path };
        match serde_json::from_str::<Fields<'a>>(raw.get()) {
            Ok(fields) => Some(Self { path: path.into(), fields: fields.0 }),
            Err(_) => {
                problems.add(name, "must be an object");
                None
            }
        }
    }

    /// The path of one of its fields.
    pub(super) fn path_of(&self, key: &str) -> String {
        match self.path.is_empty() {
            true => key.into(),
            false => format!("{}.{key}", self.path),
        }
    }

    /// Takes a field out; `None` where it is absent or null. Case does not matter, as in Go.
    pub(super) fn take(&mut self, key: &str) -> Option<&'a RawValue> {
        let at = self
            .fields
            .iter()
            .position(|(name, _)| name == key)
            .or_else(|| self.fields.iter().position(|(name, _)| name.eq_ignore_ascii_case(key)))?;
        let (_, raw) = self.fields.remove(at);
        (raw.get() != "null").then_some(raw)
    }

    /// Takes and reads a field that may be absent.
    pub(super) fn optional<T>(
        &mut self,
        problems: &mut Problems,
        key: &str,
        read: impl FnOnce(&RawValue) -> Result<T, String>,
    ) -> Option<T> {
        let raw = self.take(key)?;
        read(raw).map_err(|what| problems.add(&self.path_of(key), &what)).ok()
    }

    /// Takes and reads a field that must be there.
    pub(super) fn required<T>(
        &mut self,
        problems: &mut Problems,
        key: &str,
        read: impl FnOnce(&RawValue) -> Result<T, String>,
    ) -> Option<T> {
        match self.take(key) {
            None => {
                problems.add(&self.path_of(key), "missing");
                None
            }
            Some(raw) => read(raw).map_err(|what| problems.add(&self.path_of(key), &what)).ok(),
        }
    }

    /// The fields that nobody took.
    pub(super) fn into_rest(self) -> Vec<(String, &'a RawValue)> {
        self.fields
    }
}

/// Every field in order, duplicates too.
struct Fields<'a>(Vec<(String, &'a RawValue)>);

impl<'de> Deserialize<'de> for Fields<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;
        impl<'de> Visitor<'de> for InOrder {
            type Value = Fields<'de>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut fields = Vec::new();
                while let Some(field) = map.next_entry()? {
                    fields.push(field);
                }
                Ok(Fields(fields))
            }
        }
        deserializer.deserialize_map(InOrder)
    }
}

/// A number up to 2^256: decimal or `0x` hex, bare or quoted, leading zeros allowed; the empty
/// text is zero.
pub(super) fn quantity(raw: &RawValue) -> Result<U256, String> {
    let text = scalar(raw);
    let bad = || format!("{} is not a decimal or hex number", shown(&text));
    let number = match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some("") => return Err(bad()),
        Some(hex) if hex.bytes().all(|digit| digit.is_ascii_hexdigit()) => U256::from_str_radix(hex, 16),
        None if text.bytes().all(|digit| digit.is_ascii_digit()) => U256::from_str_radix(&text, 10),
        _ => return Err(bad()),
    };
    number.map_err(|_| format!("{} is above 2^256 - 1", shown(&text)))
}

/// A number up to 2^64, as [`quantity`].
pub(super) fn number(raw: &RawValue) -> Result<u64, String> {
    let number = quantity(raw)?;
    u64::try_from(number).map_err(|_| format!("{} is above 2^64 - 1", shown(&scalar(raw))))
}

/// A JSON boolean.
pub(super) fn boolean(raw: &RawValue) -> Result<bool, String> {
    serde_json::from_str(raw.get()).map_err(|_| format!("{} is not true or false", shown(&scalar(raw))))
}

/// Bytes: `0x` and an even number of hex digits, or an empty text.
pub(super) fn bytes(raw: &RawValue) -> Result<Bytes, String> {
    let text = text(raw)?;
    match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        None if text.is_empty() => Ok(Bytes::new()),
        None => Err(format!("{} lacks 0x", shown(&text))),
        Some(digits) => decode_hex(digits, &text).map(Bytes::from),
    }
}

/// 32 bytes with `0x`.
pub(super) fn hash(raw: &RawValue) -> Result<B256, String> {
    let bytes = bytes(raw)?;
    B256::try_from(bytes.as_ref()).map_err(|_| format!("{} bytes instead of 32", bytes.len()))
}

/// 20 bytes with `0x`.
pub(super) fn address(raw: &RawValue) -> Result<Address, String> {
    let bytes = bytes(raw)?;
    Address::try_from(bytes.as_ref()).map_err(|_| format!("{} bytes instead of 20", bytes.len()))
}

/// A key of `alloc`: 20 bytes, `0x` or not.
pub(super) fn address_key(key: &str) -> Result<Address, String> {
    let digits = key.strip_prefix("0x").or_else(|| key.strip_prefix("0X")).unwrap_or(key);
    let bytes = decode_hex(digits, key)?;
    Address::try_from(bytes.as_slice()).map_err(|_| format!("{} bytes instead of 20", bytes.len()))
}

/// A storage key or value: up to 32 bytes, `0x` or not, padded on the left.
pub(super) fn word(text: &str) -> Result<U256, String> {
    let bytes = decode_hex(text.strip_prefix("0x").unwrap_or(text), text)?;
    U256::try_from_be_slice(&bytes)
        .filter(|_| bytes.len() <= 32)
        .ok_or_else(|| format!("{} bytes instead of at most 32", bytes.len()))
}

/// A JSON string.
pub(super) fn text(raw: &RawValue) -> Result<String, String> {
    serde_json::from_str(raw.get()).map_err(|_| format!("{} is not a text", shown(&scalar(raw))))
}

/// A text without its quotes, anything else as it stands.
fn scalar(raw: &RawValue) -> String {
    serde_json::from_str(raw.get()).unwrap_or_else(|_| raw.get().into())
}

fn decode_hex(digits: &str, whole: &str) -> Result<Vec<u8>, String> {
    hex::decode(digits).map_err(|_| match digits.len() % 2 {
        0 => format!("{} is not hex", shown(whole)),
        _ => format!("{} has an odd number of hex digits", shown(whole)),
    })
}

/// A value as it may stand in a message: not too long.
fn shown(text: &str) -> String {
    const MOST: usize = 80;
    match text.char_indices().nth(MOST) {
        None => text.into(),
        Some((end, _)) => format!("{}…", &text[..end]),
    }
}
