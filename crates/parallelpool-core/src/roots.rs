//! What a header commits to apart from the state: roots and hashes of lists, and the blooms.
//!
//! Lists come in block order; encodings are the canonical (EIP-2718) ones.

use alloy_rlp::{BufMut, Encodable, Header as RlpHeader};
use alloy_trie::root::{ordered_trie_root_encoded, ordered_trie_root_with_encoder};
use sha2::{Digest, Sha256};

use crate::block::{Receipt, Withdrawal};
use crate::primitives::{B256, Bloom, Bytes, Log, keccak256};

/// Root of transactions, each given as its canonical encoding.
pub fn transactions_root<T: AsRef<[u8]>>(encoded: &[T]) -> B256 {
    ordered_trie_root_encoded(encoded)
}

/// Root of receipts.
pub fn receipts_root(receipts: &[Receipt]) -> B256 {
    ordered_trie_root_with_encoder(receipts, put_receipt)
}

/// Root of withdrawals (EIP-4895).
pub fn withdrawals_root(withdrawals: &[Withdrawal]) -> B256 {
    ordered_trie_root_with_encoder(withdrawals, |withdrawal, out| put_withdrawal(withdrawal, out))
}

/// Keccak of the list of ommer headers.
pub fn ommers_hash(ommers: &[alloy_consensus::Header]) -> B256 {
    let mut out = Vec::new();
    alloy_rlp::encode_list(ommers, &mut out);
    keccak256(out)
}

/// EIP-7685 commitment to the requests; entries without data after their type byte do not count.
pub fn requests_hash<T: AsRef<[u8]>>(requests: &[T]) -> B256 {
    let mut all = Sha256::new();
    for request in requests.iter().map(AsRef::as_ref).filter(|request| request.len() > 1) {
        all.update(Sha256::digest(request));
    }
    B256::new(all.finalize().into())
}

/// Bloom over addresses and topics of logs.
pub fn logs_bloom<'a>(logs: impl IntoIterator<Item = &'a Log>) -> Bloom {
    let mut bloom = Bloom::ZERO;
    for log in logs {
        bloom.accrue_log(log);
    }
    bloom
}

/// A receipt as consensus encodes it and as `debug_getRawReceipts` shows it:
/// `rlp([status or state root, cumulative gas, bloom, logs])`, behind the type byte unless legacy.
pub fn encode_receipt(receipt: &Receipt) -> Bytes {
    let mut out = Vec::new();
    put_receipt(receipt, &mut out);
    out.into()
}

fn put_receipt(receipt: &Receipt, out: &mut Vec<u8>) {
    if receipt.tx_type != 0 {
        out.put_u8(receipt.tx_type);
    }
    let outcome: &dyn Encodable = match &receipt.state_root {
        Some(root) => root,
        None => &receipt.success,
    };
    let payload_length = outcome.length()
        + receipt.cumulative_gas_used.length()
        + receipt.bloom.length()
        + receipt.logs.length();
    RlpHeader { list: true, payload_length }.encode(out);
    outcome.encode(out);
    receipt.cumulative_gas_used.encode(out);
    receipt.bloom.encode(out);
    receipt.logs.encode(out);
}

/// RLP of one withdrawal.
pub(crate) fn put_withdrawal(withdrawal: &Withdrawal, out: &mut dyn BufMut) {
    let Withdrawal { index, validator_index, address, amount } = withdrawal;
    let payload_length = index.length() + validator_index.length() + address.length() + amount.length();
    RlpHeader { list: true, payload_length }.encode(out);
    index.encode(out);
    validator_index.encode(out);
    address.encode(out);
    amount.encode(out);
}
