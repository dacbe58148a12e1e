//! The one kind of request that is read here: a single `eth_sendRawTransaction` in its usual spelling.
//!
//! In: a body. Out: the id as it was written and the transaction's bytes; nothing for any other body, which is for
//! a reader of all of JSON. Whatever is taken here has one meaning, and its id is given back as it came.

use serde::Deserialize;
use serde_json::value::RawValue;

const METHOD: &str = "eth_sendRawTransaction";

/// Bytes of an id with its quotes.
const LONGEST_ID: usize = 64;

/// Digits of an integer that every reader of JSON has exactly.
const MOST_DIGITS: usize = 15;

/// Borrowed text has no escapes; unknown and repeated names are errors.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Call<'a> {
    jsonrpc: &'a str,
    #[serde(borrow)]
    id: &'a RawValue,
    method: &'a str,
    #[serde(borrow)]
    params: [&'a str; 1],
}

/// Id and transaction of a body that is a plain submission.
pub(crate) fn submission(body: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    // A list would do for the fields of a struct.
    if body.first() != Some(&b'{') {
        return None;
    }
    let call: Call<'_> = serde_json::from_slice(body).ok()?;
    let id = call.id.get();
    if call.jsonrpc != "2.0" || call.method != METHOD || !is_plain_id(id) {
        return None;
    }
    let [data] = call.params;
    let digits = data.strip_prefix("0x").filter(|digits| !digits.is_empty())?;
    Some((id.as_bytes().to_vec(), hex::decode(digits).ok()?))
}

/// A whole number or a short word.
fn is_plain_id(id: &str) -> bool {
    match id.as_bytes() {
        b"0" => true,
        [b'1'..=b'9', rest @ ..] => rest.len() < MOST_DIGITS && rest.iter().all(u8::is_ascii_digit),
        [b'"', word @ .., b'"'] => {
            word.len() + 2 <= LONGEST_ID
                && word
                    .iter()
                    .all(|octet| octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'_' | b'.'))
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::submission;

    fn taken(body: &str) -> Option<(String, Vec<u8>)> {
        submission(body.as_bytes()).map(|(id, raw)| (String::from_utf8(id).expect("it was text"), raw))
    }

    #[test]
    fn the_usual_spellings_are_taken() {
        for (body, id) in [
            (r#"{"jsonrpc":"2.0","id":1,"method":"eth_sendRawTransaction","params":["0x02fF"]}"#, "1"),
            (
                r#"{ "method": "eth_sendRawTransaction", "params": ["0x02ff"], "id": 0, "jsonrpc": "2.0" } "#,
                "0",
            ),
            (
                r#"{"jsonrpc":"2.0","method":"eth_sendRawTransaction","params":["0x02FF"],"id":"6f-a_b.C"}"#,
                "\"6f-a_b.C\"",
            ),
            (
                r#"{"jsonrpc":"2.0","id":999999999999999,"method":"eth_sendRawTransaction","params":["0x02ff"]}"#,
                "999999999999999",
            ),
        ] {
            assert_eq!(taken(body), Some((id.to_owned(), vec![0x02, 0xff])), "{body}");
        }
    }

    #[test]
    fn everything_else_is_for_somebody_else() {
        let plain = r#"{"jsonrpc":"2.0","id":1,"method":"eth_sendRawTransaction","params":["0x02"]}"#;
        assert!(taken(plain).is_some());
        for (part, other) in [
            ("\"id\":1,", ""),
            ("\"id\":1", "\"id\":null"),
            ("\"id\":1", "\"id\":1.0"),
            ("\"id\":1", "\"id\":-1"),
            ("\"id\":1", "\"id\":1000000000000000"),
            ("\"id\":1", "\"id\":\"<\""),
            ("\"id\":1", "\"id\":\"\\u0041\""),
            ("\"id\":1", "\"id\":[]"),
            ("\"id\":1", "\"id\":1,\"id\":2"),
            ("\"id\":1", "\"id\":1,\"extra\":2"),
            ("\"2.0\"", "\"1.0\""),
            ("\"jsonrpc\":\"2.0\",", ""),
            ("eth_sendRawTransaction", "eth_sendRawTransactionSync"),
            ("eth_send", "eth\\u005fsend"),
            ("[\"0x02\"]", "[]"),
            ("[\"0x02\"]", "[\"0x02\",\"0x\"]"),
            ("[\"0x02\"]", "\"0x02\""),
            ("0x02", "0x"),
            ("0x02", "0x2"),
            ("0x02", "0X02"),
            ("0x02", "02"),
            ("0x02", "0xzz"),
            ("}", "}{"),
            ("}", ""),
        ] {
            let body = plain.replace(part, other);
            assert_ne!(body, plain);
            assert_eq!(taken(&body), None, "{body}");
        }
        for body in [
            format!("[{plain}]"),
            format!(" {plain}"),
            r#"["2.0",1,"eth_sendRawTransaction",["0x02"]]"#.into(),
        ] {
            assert_eq!(taken(&body), None, "{body}");
        }
        assert_eq!(submission(b"\xff"), None);
    }
}
