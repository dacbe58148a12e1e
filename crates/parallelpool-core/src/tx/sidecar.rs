//! The network form of a blob transaction: the transaction wrapped together with its blobs.
//!
//! In: what follows the type byte. Out: where the canonical transaction lies, and the sidecar.
//! Version 0 is `[tx, blobs, commitments, proofs]` (EIP-4844), version 1 puts its number behind
//! the transaction and carries cell proofs (EIP-7594). Proofs are not verified here.

use super::decode::{DecodeError, DecodeErrorKind, check_blob_fields};
use super::rlp::{Fault, Fields, Reader, Reading, put_header};
use super::{BlobSidecar, Transaction};
use crate::primitives::Bytes;

const BLOB_SIZE: usize = 131_072;
/// A compressed curve point: commitment or proof.
const POINT_SIZE: usize = 48;

/// How the first element of the payload's list tells the forms apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// The transaction's own fields.
    Canonical,
    /// A transaction, then lists.
    Version0,
    /// A transaction, a version, then lists.
    Versioned,
}

/// Which form the payload has, as far as its first bytes tell.
pub(super) fn form_of(payload: &[u8]) -> Result<Form, DecodeError> {
    let (outer, content, _) = split(payload)?;
    if outer != Kind::List {
        return Err(DecodeError::of_fault(Fault::ExpectedList));
    }
    let (first, _, behind_first) = split(content)?;
    if first != Kind::List {
        return Ok(Form::Canonical);
    }
    let (second, _, _) = split(behind_first)?;
    Ok(if second == Kind::List { Form::Version0 } else { Form::Versioned })
}

/// The encoded transaction inside a network form, and the sidecar.
pub(super) fn decode_network_form(payload: &[u8], form: Form) -> Result<(&[u8], BlobSidecar), DecodeError> {
    let root = if form == Form::Versioned { "types.blobTxWithBlobsV1" } else { "types.blobTxWithBlobsV0" };
    let mut reader = Reader::new(payload);
    let (transaction, version, mut sidecar) =
        read_wrapper(&mut reader, root, form).map_err(|misfit| DecodeError::of_misfit(&misfit, root))?;
    if !reader.rest().is_empty() {
        return Err(DecodeError::of_fault(Fault::MoreThanOneValue));
    }
    sidecar.version = match (form, version) {
        (Form::Versioned, 1) => 1,
        (Form::Versioned, other) => {
            let words = format!("unsupported blob tx version {other}");
            return Err(DecodeError::new(DecodeErrorKind::SidecarVersion, words));
        }
        _ => 0,
    };
    Ok((transaction, sidecar))
}

fn read_wrapper<'a>(
    reader: &mut Reader<'a>,
    root: &'static str,
    form: Form,
) -> Reading<(&'a [u8], u64, BlobSidecar)> {
    let mut fields = Fields::of(reader, root)?;
    fields.field(".BlobTx", check_blob_fields)?;
    let transaction = fields.read_so_far();
    let version = match form {
        Form::Versioned => fields.field(".Version", |reader| reader.unsigned("uint8", 1))?,
        _ => 0,
    };
    let blobs = fields
        .field(".Blobs", |reader| read_arrays::<BLOB_SIZE>(reader, "[]kzg4844.Blob", "kzg4844.Blob"))?;
    let commitments = fields.field(".Commitments", |reader| {
        read_arrays::<POINT_SIZE>(reader, "[]kzg4844.Commitment", "kzg4844.Commitment")
    })?;
    let proofs = fields
        .field(".Proofs", |reader| read_arrays::<POINT_SIZE>(reader, "[]kzg4844.Proof", "kzg4844.Proof"))?;
    fields.end()?;
    Ok((transaction, version, BlobSidecar { version: 0, blobs, commitments, proofs }))
}

fn read_arrays<const N: usize>(
    reader: &mut Reader<'_>,
    list_type: &'static str,
    item_type: &'static str,
) -> Reading<Vec<Bytes>> {
    reader.sequence(list_type, N + 1, |reader| {
        reader.array::<N>(item_type).map(|item| Bytes::copy_from_slice(item))
    })
}

impl Transaction {
    /// The network form: the canonical encoding wrapped with the sidecar. Without a sidecar the
    /// canonical encoding itself.
    pub fn encode_network(&self) -> Vec<u8> {
        let Some(sidecar) = &self.sidecar else { return self.raw.to_vec() };
        let lists = [&sidecar.blobs, &sidecar.commitments, &sidecar.proofs];
        let mut wrapped = self.raw[1..].to_vec();
        if sidecar.version != 0 {
            wrapped.push(sidecar.version);
        }
        for list in lists {
            let mut content = Vec::with_capacity(list.iter().map(|item| item.len() + 4).sum());
            for item in list {
                put_header(&mut content, false, item.len());
                content.extend_from_slice(item);
            }
            put_header(&mut wrapped, true, content.len());
            wrapped.append(&mut content);
        }
        let mut out = Vec::with_capacity(wrapped.len() + 6);
        out.push(self.tx_type);
        put_header(&mut out, true, wrapped.len());
        out.append(&mut wrapped);
        out
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Byte,
    String,
    List,
}

/// Cuts the first value off `input`: its kind, its content, and what follows. Here geth uses
/// another reader than for the fields, with other words for the same faults.
fn split(input: &[u8]) -> Result<(Kind, &[u8], &[u8]), DecodeError> {
    let ended = || DecodeError::new(DecodeErrorKind::Truncated, "unexpected EOF");
    let (&first, rest) = input.split_first().ok_or_else(ended)?;
    let (kind, size_length, short_size) = match first {
        0..0x80 => return Ok((Kind::Byte, &input[..1], rest)),
        0x81 if matches!(rest, [0..0x80, ..]) => return Err(DecodeError::of_fault(Fault::CanonicalSize)),
        0x80..0xb8 => (Kind::String, 0, first - 0x80),
        0xb8..0xc0 => (Kind::String, first - 0xb7, 0),
        0xc0..0xf8 => (Kind::List, 0, first - 0xc0),
        0xf8.. => (Kind::List, first - 0xf7, 0),
    };
    let (size_bytes, rest) = rest.split_at_checked(usize::from(size_length)).ok_or_else(ended)?;
    let mut size = u64::from(short_size);
    if let Some(most_significant) = size_bytes.first() {
        size = size_bytes.iter().fold(0, |size, byte| size << 8 | u64::from(*byte));
        if *most_significant == 0 || size < 56 {
            return Err(DecodeError::of_fault(Fault::CanonicalSize));
        }
    }
    let (content, rest) = usize::try_from(size)
        .ok()
        .and_then(|size| rest.split_at_checked(size))
        .ok_or_else(|| DecodeError::of_fault(Fault::ValueTooLarge))?;
    Ok((kind, content, rest))
}
