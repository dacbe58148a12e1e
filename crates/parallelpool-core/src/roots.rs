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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::primitives::{Address, LogData};
    use alloy_consensus::{Eip658Value, Receipt as PlainReceipt, ReceiptEnvelope, ReceiptWithBloom};
    use alloy_eips::eip2718::Encodable2718;

    fn receipt(tx_type: u8, state_root: Option<B256>) -> Receipt {
        let data = LogData::new_unchecked(vec![B256::repeat_byte(9)], Bytes::from_static(b"data"));
        let logs = vec![Log { address: Address::repeat_byte(7), data }];
        Receipt {
            tx_type,
            success: true,
            state_root,
            cumulative_gas_used: 70_000,
            gas_used: 49_000,
            bloom: logs_bloom(&logs).into(),
            logs,
            contract_address: None,
            effective_gas_price: 1,
            blob_gas_used: 0,
        }
    }

    fn reference(receipt: &Receipt) -> Vec<u8> {
        let status = match receipt.state_root {
            Some(root) => Eip658Value::PostState(root),
            None => Eip658Value::Eip658(receipt.success),
        };
        let plain = PlainReceipt {
            status,
            cumulative_gas_used: receipt.cumulative_gas_used,
            logs: receipt.logs.clone(),
        };
        let with_bloom = ReceiptWithBloom::new(plain, *receipt.bloom);
        match receipt.tx_type {
            0 => ReceiptEnvelope::Legacy(with_bloom),
            1 => ReceiptEnvelope::Eip2930(with_bloom),
            2 => ReceiptEnvelope::Eip1559(with_bloom),
            3 => ReceiptEnvelope::Eip4844(with_bloom),
            _ => ReceiptEnvelope::Eip7702(with_bloom),
        }
        .encoded_2718()
    }

    #[test]
    fn receipts_encode_as_alloy_encodes_them() {
        for tx_type in 0..=4 {
            let plain = receipt(tx_type, None);
            assert_eq!(encode_receipt(&plain), reference(&plain), "type {tx_type}");
            let failed = Receipt { success: false, logs: Vec::new(), bloom: Default::default(), ..plain };
            assert_eq!(encode_receipt(&failed), reference(&failed), "type {tx_type}, failed");
        }
        let old = receipt(0, Some(B256::repeat_byte(3)));
        assert_eq!(encode_receipt(&old), reference(&old));
    }

    #[test]
    fn a_parallel_receipt_differs_from_a_dynamic_fee_one_in_its_type_byte_only() {
        let (parallel, dynamic) = (encode_receipt(&receipt(5, None)), encode_receipt(&receipt(2, None)));
        assert_eq!((parallel[0], &parallel[1..]), (5, &dynamic[1..]));
        assert_ne!(receipts_root(&[receipt(5, None)]), receipts_root(&[receipt(2, None)]));
    }

    #[test]
    fn empty_lists_have_their_known_roots() {
        let sha256_of_nothing = "0xe3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(transactions_root::<&[u8]>(&[]), alloy_trie::EMPTY_ROOT_HASH);
        assert_eq!(receipts_root(&[]), alloy_trie::EMPTY_ROOT_HASH);
        assert_eq!(withdrawals_root(&[]), alloy_trie::EMPTY_ROOT_HASH);
        assert_eq!(ommers_hash(&[]), alloy_consensus::EMPTY_OMMER_ROOT_HASH);
        assert_eq!(requests_hash::<&[u8]>(&[]).to_string(), sha256_of_nothing);
        assert_eq!(requests_hash(&[[0u8], [1], [2]]).to_string(), sha256_of_nothing, "types alone");
    }

    #[test]
    fn requests_are_hashed_one_by_one_and_then_together() {
        let (deposits, exits) = ([0u8, 0xaa], [1u8, 0xbb]);
        let together = [Sha256::digest(deposits), Sha256::digest(exits)].concat();
        let expected = B256::new(Sha256::digest(together).into());
        assert_eq!(requests_hash(&[&deposits[..], &[2], &exits[..]]), expected);
    }

    #[test]
    fn withdrawals_have_the_root_that_alloy_computes() {
        let withdrawals: Vec<_> = (0..200u64)
            .map(|index| Withdrawal {
                index,
                validator_index: index * 1_000_003,
                address: Address::repeat_byte(index as u8),
                amount: index.pow(5),
            })
            .collect();
        let theirs: Vec<_> = withdrawals
            .iter()
            .map(|one| alloy_eips::eip4895::Withdrawal {
                index: one.index,
                validator_index: one.validator_index,
                address: one.address,
                amount: one.amount,
            })
            .collect();
        assert_eq!(
            withdrawals_root(&withdrawals),
            alloy_consensus::proofs::calculate_withdrawals_root(&theirs)
        );
    }
}
