//! Bytes to a transaction.
//!
//! In: the canonical encoding of one transaction, or a blob transaction's network form. Out: a
//! [`Transaction`] whose `raw` is the canonical encoding, byte for byte what its fields encode to;
//! or a [`DecodeError`] with a stable class and geth's text. Allocation stays within a few times
//! the size of the input. Whether the signature, the fees and the fork are right is not asked here.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use alloy_primitives::Keccak256;

use super::rlp::{Fault, Fields, Misfit, Reader, Reading, put_header};
use super::sidecar::{self, Form};
use super::{AccessListItem, Authorization, Transaction};
use crate::primitives::{Address, B256, Bytes, U256, keccak256};

/// Type byte of an EIP-2930 transaction.
pub const ACCESS_LIST_TX_TYPE: u8 = 1;
/// Type byte of an EIP-1559 transaction.
pub const DYNAMIC_FEE_TX_TYPE: u8 = 2;
/// Type byte of an EIP-4844 transaction.
pub const BLOB_TX_TYPE: u8 = 3;
/// Type byte of an EIP-7702 transaction.
pub const SET_CODE_TX_TYPE: u8 = 4;

/// What is wrong with bytes that are no transaction. The names are stable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DecodeErrorKind {
    /// Nothing, or nothing after the type byte.
    TooShort,
    /// A type byte that nobody here knows.
    TypeNotSupported,
    /// A size that runs past the end of the input or of its list.
    Truncated,
    /// Bytes after the transaction.
    TrailingBytes,
    /// A size, or a single byte, that has a shorter encoding.
    NonCanonicalSize,
    /// An integer with leading zeros.
    NonCanonicalInteger,
    /// A list for a string or a string for a list.
    WrongKind,
    /// Too few elements in a list.
    TooFewElements,
    /// Too many elements in a list.
    TooManyElements,
    /// An address, hash or blob of the wrong length.
    WrongLength,
    /// An integer beyond the width of its field.
    IntegerTooWide,
    /// A fee cap beyond 256 bits.
    FeeCapTooWide,
    /// A tip cap beyond 256 bits.
    TipCapTooWide,
    /// A chain id beyond 64 bits: never this chain's.
    ChainIdTooWide,
    /// Signature values beyond their width.
    InvalidSignature,
    /// A value beyond 256 bits: nobody has that much.
    ValueTooWide,
    /// A blob sidecar of a version that is not 0 or 1.
    SidecarVersion,
}

impl DecodeErrorKind {
    /// The stable name.
    pub fn name(self) -> &'static str {
        match self {
            Self::TooShort => "too_short",
            Self::TypeNotSupported => "type_not_supported",
            Self::Truncated => "truncated",
            Self::TrailingBytes => "trailing_bytes",
            Self::NonCanonicalSize => "non_canonical_size",
            Self::NonCanonicalInteger => "non_canonical_integer",
            Self::WrongKind => "wrong_kind",
            Self::TooFewElements => "too_few_elements",
            Self::TooManyElements => "too_many_elements",
            Self::WrongLength => "wrong_length",
            Self::IntegerTooWide => "integer_too_wide",
            Self::FeeCapTooWide => "fee_cap_too_wide",
            Self::TipCapTooWide => "tip_cap_too_wide",
            Self::ChainIdTooWide => "chain_id_too_wide",
            Self::InvalidSignature => "invalid_signature",
            Self::ValueTooWide => "value_too_wide",
            Self::SidecarVersion => "sidecar_version",
        }
    }

    fn of(fault: Fault) -> Self {
        match fault {
            Fault::EndOfList | Fault::TooFewElements => Self::TooFewElements,
            Fault::ValueTooLarge | Fault::ElementTooLarge => Self::Truncated,
            Fault::MoreThanOneValue => Self::TrailingBytes,
            Fault::CanonicalInteger => Self::NonCanonicalInteger,
            Fault::CanonicalSize => Self::NonCanonicalSize,
            Fault::ExpectedString | Fault::ExpectedList | Fault::EmptyList => Self::WrongKind,
            Fault::TooManyElements => Self::TooManyElements,
            Fault::StringTooLong | Fault::StringTooShort => Self::WrongLength,
            Fault::IntegerTooLong | Fault::IntegerOver256Bits => Self::IntegerTooWide,
        }
    }
}

/// Bytes that are no transaction. Displays geth's text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DecodeError {
    /// Stable class.
    pub kind: DecodeErrorKind,
    message: Cow<'static, str>,
}

impl fmt::Display for DecodeError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.message)
    }
}

impl std::error::Error for DecodeError {}

impl DecodeError {
    pub(super) fn new(kind: DecodeErrorKind, message: impl Into<Cow<'static, str>>) -> Self {
        Self { kind, message: message.into() }
    }

    pub(super) fn of_fault(fault: Fault) -> Self {
        Self::new(DecodeErrorKind::of(fault), fault.words())
    }

    pub(super) fn of_misfit(misfit: &Misfit, root: &'static str) -> Self {
        Self::new(DecodeErrorKind::of(misfit.fault), misfit.text(root))
    }

    /// Names the chain that the transaction was offered to, which geth's text for a foreign chain
    /// id ends with. Other texts stay as they are.
    #[must_use]
    pub fn for_chain(mut self, chain_id: u64) -> Self {
        if self.kind == DecodeErrorKind::ChainIdTooWide {
            self.message = Cow::Owned(format!("{} want {chain_id}", self.message));
        }
        self
    }
}

/// Decodes one transaction; `parallel_tx_type` is the chain's parallel type byte, if it has one.
pub fn decode(raw: &[u8], parallel_tx_type: Option<u8>) -> Result<Transaction, DecodeError> {
    match raw {
        [0x80..=0xff, ..] => decode_whole(Bytes::copy_from_slice(raw), Layout::Legacy),
        [] | [_] => Err(DecodeError::new(DecodeErrorKind::TooShort, "typed transaction too short")),
        [BLOB_TX_TYPE, payload @ ..] => match sidecar::form_of(payload)? {
            Form::Canonical => decode_whole(Bytes::copy_from_slice(raw), Layout::Blob),
            form => {
                let (canonical_payload, sidecar) = sidecar::decode_network_form(payload, form)?;
                let mut canonical = Vec::with_capacity(canonical_payload.len() + 1);
                canonical.push(BLOB_TX_TYPE);
                canonical.extend_from_slice(canonical_payload);
                let mut transaction = decode_whole(Bytes::from(canonical), Layout::Blob)?;
                transaction.sidecar = Some(Arc::new(sidecar));
                Ok(transaction)
            }
        },
        [tx_type, ..] => {
            let layout = match *tx_type {
                ACCESS_LIST_TX_TYPE => Layout::AccessList,
                DYNAMIC_FEE_TX_TYPE => Layout::DynamicFee,
                SET_CODE_TX_TYPE => Layout::SetCode,
                other if Some(other) == parallel_tx_type => Layout::Parallel,
                _ => {
                    let words = "transaction type not supported";
                    return Err(DecodeError::new(DecodeErrorKind::TypeNotSupported, words));
                }
            };
            decode_whole(Bytes::copy_from_slice(raw), layout)
        }
    }
}

/// Which fields a transaction has, and in which order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Layout {
    Legacy,
    AccessList,
    DynamicFee,
    Blob,
    SetCode,
    Parallel,
}

impl Layout {
    /// Go's name of the type.
    pub(super) fn go_type(self) -> &'static str {
        match self {
            Self::Legacy => "types.LegacyTx",
            Self::AccessList => "types.AccessListTx",
            Self::DynamicFee => "types.DynamicFeeTx",
            Self::Blob => "types.BlobTx",
            Self::SetCode => "types.SetCodeTx",
            Self::Parallel => "types.ParallelTx",
        }
    }

    /// Blob and set-code transactions cannot create contracts, and hold all integers in 256 bits.
    fn is_narrow(self) -> bool {
        matches!(self, Self::Blob | Self::SetCode)
    }
}

/// Checks the structure of a blob transaction inside a network form.
pub(super) fn check_blob_fields(reader: &mut Reader<'_>) -> Reading<()> {
    let empty = Bytes::new();
    let mut oversize = Oversize::default();
    read_fields(reader, Layout::Blob, &Source { raw: &empty }, &mut oversize).map(drop)
}

fn decode_whole(raw: Bytes, layout: Layout) -> Result<Transaction, DecodeError> {
    let payload = if layout == Layout::Legacy { &raw[..] } else { &raw[1..] };
    let mut reader = Reader::new(payload);
    let mut oversize = Oversize::default();
    let (mut transaction, unsigned) = read_fields(&mut reader, layout, &Source { raw: &raw }, &mut oversize)
        .map_err(|misfit| DecodeError::of_misfit(&misfit, layout.go_type()))?;
    if !reader.rest().is_empty() {
        return Err(DecodeError::of_fault(Fault::MoreThanOneValue));
    }
    oversize.refuse()?;
    if layout != Layout::Legacy {
        transaction.tx_type = raw[0];
    }
    transaction.hash = keccak256(&raw);
    transaction.signing_hash = signing_hash(&transaction, unsigned);
    transaction.raw = raw;
    Ok(transaction)
}

/// The hash over the fields in front of the signature, with what EIP-155 and EIP-2718 add.
fn signing_hash(transaction: &Transaction, unsigned: &[u8]) -> B256 {
    let mut tail = Vec::new();
    if transaction.tx_type == 0
        && let Some(chain_id) = transaction.chain_id
    {
        alloy_rlp::Encodable::encode(&chain_id, &mut tail);
        tail.extend_from_slice(&[0x80, 0x80]);
    }
    let mut head = Vec::with_capacity(10);
    if transaction.tx_type != 0 {
        head.push(transaction.tx_type);
    }
    put_header(&mut head, true, unsigned.len() + tail.len());
    let mut hasher = Keccak256::new();
    hasher.update(&head);
    hasher.update(unsigned);
    hasher.update(&tail);
    hasher.finalize()
}

/// Where the fields come from, so that long ones are shared with the whole and not copied.
struct Source<'a> {
    raw: &'a Bytes,
}

impl Source<'_> {
    fn share(&self, part: &[u8]) -> Bytes {
        if part.is_empty() || self.raw.is_empty() { Bytes::new() } else { self.raw.slice_ref(part) }
    }
}

/// Numbers that geth can hold, and refuses a little later, while 256 bits (or 64) cannot.
#[derive(Debug, Default)]
struct Oversize {
    fee_cap: bool,
    tip_cap: bool,
    value: bool,
    signature: bool,
    /// In decimal, or how wide it is.
    chain_id: Option<String>,
}

impl Oversize {
    /// In the order of geth's checks.
    fn refuse(self) -> Result<(), DecodeError> {
        use DecodeErrorKind as Kind;
        let (kind, message) = if self.fee_cap {
            (Kind::FeeCapTooWide, "max fee per gas higher than 2^256-1".into())
        } else if self.tip_cap {
            (Kind::TipCapTooWide, "max priority fee per gas higher than 2^256-1".into())
        } else if let Some(have) = self.chain_id {
            let text = format!("invalid sender: invalid chain id for signer: have {have}");
            (Kind::ChainIdTooWide, Cow::Owned(text))
        } else if self.signature {
            (Kind::InvalidSignature, "invalid sender: invalid transaction v, r, s values".into())
        } else if self.value {
            (Kind::ValueTooWide, "insufficient funds for gas * price + value".into())
        } else {
            return Ok(());
        };
        Err(DecodeError::new(kind, message))
    }

    /// The chain id; one that does not fit in 64 bits is noted.
    fn chain_id(&mut self, bytes: &[u8]) -> u64 {
        let wide = narrow(bytes, &mut false);
        if bytes.len() > 32 {
            // Printing it would take quadratic time in the length of hostile input.
            self.chain_id = Some(format!("a number of {} bytes", bytes.len()));
        } else if bytes.len() > 8 {
            self.chain_id = Some(wide.to_string());
        }
        wide.wrapping_to()
    }

    /// EIP-155: chain id and v of a legacy transaction.
    fn legacy_v(&mut self, bytes: &[u8]) -> (Option<u64>, u64) {
        let wide = narrow(bytes, &mut false);
        if bytes.len() > 32 {
            self.chain_id = Some(format!("a number of {} bytes", bytes.len()));
        } else if bytes.len() > 8 {
            self.chain_id = Some(((wide - U256::from(35)) >> 1usize).to_string());
        }
        let v: u64 = wide.wrapping_to();
        match v {
            0 | 1 | 27 | 28 => (None, v),
            _ => (Some(v.wrapping_sub(35) / 2), v),
        }
    }
}

fn narrow(bytes: &[u8], oversize: &mut bool) -> U256 {
    U256::try_from_be_slice(bytes).unwrap_or_else(|| {
        *oversize = true;
        U256::MAX
    })
}

const UINT64: &str = "uint64";
const BYTES: &str = "[]uint8";
const ADDRESS: &str = "common.Address";
const HASH: &str = "common.Hash";

/// Reads all fields of a layout. Also gives the encoding of those in front of the signature.
fn read_fields<'a>(
    reader: &mut Reader<'a>,
    layout: Layout,
    source: &Source<'_>,
    oversize: &mut Oversize,
) -> Reading<(Transaction, &'a [u8])> {
    let mut fields = Fields::of(reader, layout.go_type())?;
    let integer = if layout.is_narrow() {
        |reader: &mut Reader<'a>| reader.integer_of_256_bits("*uint256.Int")
    } else {
        |reader: &mut Reader<'a>| reader.integer("*big.Int")
    };
    let mut tx = Transaction::default();
    if layout != Layout::Legacy {
        tx.chain_id = Some(oversize.chain_id(fields.field(".ChainID", integer)?));
    }
    tx.nonce = fields.field(".Nonce", |reader| reader.unsigned(UINT64, 8))?;
    if matches!(layout, Layout::Legacy | Layout::AccessList) {
        tx.max_fee_per_gas = narrow(fields.field(".GasPrice", integer)?, &mut oversize.fee_cap);
        tx.max_priority_fee_per_gas = tx.max_fee_per_gas;
    } else {
        tx.max_priority_fee_per_gas = narrow(fields.field(".GasTipCap", integer)?, &mut oversize.tip_cap);
        tx.max_fee_per_gas = narrow(fields.field(".GasFeeCap", integer)?, &mut oversize.fee_cap);
    }
    tx.gas_limit = fields.field(".Gas", |reader| reader.unsigned(UINT64, 8))?;
    tx.to = fields.field(".To", |reader| {
        let bytes = if layout.is_narrow() {
            reader.array(ADDRESS).map(Some)
        } else {
            reader.optional_array(ADDRESS, "*common.Address")
        };
        bytes.map(|bytes| bytes.map(Address::from))
    })?;
    tx.value = narrow(fields.field(".Value", integer)?, &mut oversize.value);
    tx.data = source.share(fields.field(".Data", |reader| reader.string(BYTES))?);
    if layout != Layout::Legacy {
        tx.access_list = fields.field(".AccessList", read_access_list)?;
    }
    if layout == Layout::Blob {
        tx.max_fee_per_blob_gas = narrow(fields.field(".BlobFeeCap", integer)?, &mut false);
        tx.blob_versioned_hashes = fields.field(".BlobHashes", read_hashes)?;
    }
    if layout == Layout::SetCode {
        tx.authorization_list = fields.field(".AuthList", read_authorizations)?;
    }
    let unsigned = fields.read_so_far();
    let v = fields.field(".V", integer)?;
    tx.r = narrow(fields.field(".R", integer)?, &mut oversize.signature);
    tx.s = narrow(fields.field(".S", integer)?, &mut oversize.signature);
    if layout == Layout::Legacy {
        (tx.chain_id, tx.v) = oversize.legacy_v(v);
    } else {
        oversize.signature |= v.len() > 8;
        tx.v = narrow(v, &mut false).wrapping_to();
    }
    tx.is_parallel = layout == Layout::Parallel;
    fields.end()?;
    Ok((tx, unsigned))
}

fn read_access_list(reader: &mut Reader<'_>) -> Reading<Vec<AccessListItem>> {
    const LEAST_SIZE: usize = 23;
    reader.sequence("types.AccessList", LEAST_SIZE, |reader| {
        let mut fields = Fields::of(reader, "types.AccessTuple")?;
        let address = fields.field(".Address", |reader| reader.array(ADDRESS))?.into();
        let storage_keys = fields.field(".StorageKeys", read_hashes)?;
        fields.end()?;
        Ok(AccessListItem { address, storage_keys })
    })
}

fn read_hashes(reader: &mut Reader<'_>) -> Reading<Vec<B256>> {
    const SIZE: usize = 33;
    reader.sequence("[]common.Hash", SIZE, |reader| reader.array(HASH).map(B256::from))
}

fn read_authorizations(reader: &mut Reader<'_>) -> Reading<Vec<Authorization>> {
    const LEAST_SIZE: usize = 27;
    reader.sequence("[]types.SetCodeAuthorization", LEAST_SIZE, |reader| {
        let mut fields = Fields::of(reader, "types.SetCodeAuthorization")?;
        let integer = |reader: &mut Reader<'_>| {
            // At most 32 bytes, so nothing can be cut off.
            reader.integer_of_256_bits("*uint256.Int").map(U256::from_be_slice)
        };
        let authorization = Authorization {
            chain_id: fields.field(".ChainID", integer)?,
            address: fields.field(".Address", |reader| reader.array(ADDRESS))?.into(),
            nonce: fields.field(".Nonce", |reader| reader.unsigned(UINT64, 8))?,
            y_parity: fields.field(".V", |reader| reader.unsigned("uint8", 1))? as u8,
            r: fields.field(".R", integer)?,
            s: fields.field(".S", integer)?,
        };
        fields.end()?;
        Ok(authorization)
    })
}
