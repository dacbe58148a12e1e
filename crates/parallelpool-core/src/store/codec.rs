//! How values lie in the tables: short, self-delimiting, and refused when damaged.
//!
//! Accounts and slot values drop their zeros; the empty value in a history table means "absent
//! before". Receipts keep what cannot be derived, in RLP, so that one receipt can be reached
//! without decoding those before it.

use alloy_rlp::{Decodable, Encodable, Header};

use super::Signed;
use crate::block::{LogsBloom, Receipt};
use crate::primitives::{Address, B256, KECCAK_EMPTY, Log, U256};
use crate::state::Account;

/// What a damaged table reports; only the disk or another program can have done it.
pub(super) const DAMAGED: &str = "a stored value is damaged";

/// `value` without its leading zeros; at most 32 bytes, none for zero.
pub(super) fn encode_slot_value(value: &U256) -> Vec<u8> {
    value.to_be_bytes_trimmed_vec()
}

/// Inverse of [`encode_slot_value`].
pub(super) fn decode_slot_value(bytes: &[u8]) -> Option<U256> {
    (bytes.len() <= 32).then(|| U256::from_be_slice(bytes))
}

/// An account, or the empty string for none. Lengths of nonce and balance, their digits, and
/// the code hash where there is code.
pub(super) fn encode_account(account: Option<&Account>) -> Vec<u8> {
    let Some(account) = account else { return Vec::new() };
    let nonce = account.nonce.to_be_bytes();
    let nonce = &nonce[account.nonce.leading_zeros() as usize / 8..];
    let balance = account.balance.to_be_bytes_trimmed_vec();
    let mut bytes = Vec::with_capacity(2 + nonce.len() + balance.len() + 32);
    bytes.push(nonce.len() as u8);
    bytes.push(balance.len() as u8);
    bytes.extend_from_slice(nonce);
    bytes.extend_from_slice(&balance);
    if account.code_hash != KECCAK_EMPTY {
        bytes.extend_from_slice(account.code_hash.as_slice());
    }
    bytes
}

/// Inverse of [`encode_account`]; the outer `None` means damaged.
pub(super) fn decode_account(bytes: &[u8]) -> Option<Option<Account>> {
    let [nonce_length, balance_length, rest @ ..] = bytes else {
        return bytes.is_empty().then_some(None);
    };
    let (nonce, rest) = rest.split_at_checked(usize::from(*nonce_length))?;
    let (balance, code_hash) = rest.split_at_checked(usize::from(*balance_length))?;
    if nonce.len() > 8 || balance.len() > 32 {
        return None;
    }
    let code_hash = match code_hash.len() {
        0 => KECCAK_EMPTY,
        32 => B256::from_slice(code_hash),
        _ => return None,
    };
    let nonce = nonce.iter().fold(0u64, |value, byte| value << 8 | u64::from(*byte));
    Some(Some(Account { nonce, balance: U256::from_be_slice(balance), code_hash }))
}

/// The keys of one account that a block changed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct ChangedAccount {
    pub(super) address: Address,
    /// Nonce, balance, code or existence differ.
    pub(super) account: bool,
    /// Slots whose value differs.
    pub(super) slots: Vec<U256>,
}

/// Appends one changed account to a block's record.
pub(super) fn encode_changed_account(changed: &ChangedAccount, record: &mut Vec<u8>) {
    record.extend_from_slice(changed.address.as_slice());
    record.push(u8::from(changed.account));
    record.extend_from_slice(&(changed.slots.len() as u32).to_be_bytes());
    for slot in &changed.slots {
        record.extend_from_slice(&slot.to_be_bytes::<32>());
    }
}

/// All changed accounts of a block's record.
pub(super) fn decode_changed_accounts(mut record: &[u8]) -> Option<Vec<ChangedAccount>> {
    let mut accounts = Vec::new();
    while !record.is_empty() {
        let (head, rest) = record.split_at_checked(25)?;
        let count = u32::from_be_bytes(head[21..].try_into().ok()?) as usize;
        let (slots, rest) = rest.split_at_checked(count.checked_mul(32)?)?;
        accounts.push(ChangedAccount {
            address: Address::from_slice(&head[..20]),
            account: head[20] != 0,
            slots: slots.chunks_exact(32).map(U256::from_be_slice).collect(),
        });
        record = rest;
    }
    Some(accounts)
}

/// Hashes and senders of a block's transactions.
pub(super) fn encode_signed(signed: &[Signed]) -> Vec<u8> {
    signed
        .iter()
        .flat_map(|signed| [signed.hash.as_slice(), signed.sender.as_slice()])
        .flatten()
        .copied()
        .collect()
}

/// Inverse of [`encode_signed`].
pub(super) fn decode_signed(bytes: &[u8]) -> Option<Vec<Signed>> {
    let (entries, rest) = bytes.as_chunks::<52>();
    let signed = |entry: &[u8; 52]| Signed {
        hash: B256::from_slice(&entry[..32]),
        sender: Address::from_slice(&entry[32..]),
    };
    rest.is_empty().then(|| entries.iter().map(signed).collect())
}

/// The receipts of a block: one RLP list of lists.
pub(super) fn encode_receipts(receipts: &[Receipt]) -> Vec<u8> {
    let items: Vec<Vec<u8>> = receipts.iter().map(encode_receipt).collect();
    let mut bytes = Vec::new();
    list_header(items.iter().map(Vec::len).sum()).encode(&mut bytes);
    items.iter().for_each(|item| bytes.extend_from_slice(item));
    bytes
}

/// The receipts of a block, and for each the number of logs before it.
pub(super) fn decode_receipts(mut bytes: &[u8]) -> alloy_rlp::Result<Vec<(Receipt, usize)>> {
    let mut items = Header::decode_bytes(&mut bytes, true)?;
    let mut receipts = Vec::new();
    let mut logs_before = 0;
    let mut gas_before = 0;
    while !items.is_empty() {
        let receipt = decode_receipt(&mut items, gas_before)?;
        gas_before = receipt.cumulative_gas_used;
        let logs = receipt.logs.len();
        receipts.push((receipt, logs_before));
        logs_before += logs;
    }
    Ok(receipts)
}

fn encode_receipt(receipt: &Receipt) -> Vec<u8> {
    let mut fields = Vec::with_capacity(64);
    receipt.tx_type.encode(&mut fields);
    receipt.success.encode(&mut fields);
    optional(receipt.state_root.as_ref().map(|root| root.as_slice())).encode(&mut fields);
    receipt.cumulative_gas_used.encode(&mut fields);
    optional(receipt.contract_address.as_ref().map(|address| address.as_slice())).encode(&mut fields);
    receipt.effective_gas_price.encode(&mut fields);
    receipt.blob_gas_used.encode(&mut fields);
    receipt.logs.encode(&mut fields);
    let mut bytes = Vec::with_capacity(fields.len() + 4);
    list_header(fields.len()).encode(&mut bytes);
    bytes.extend_from_slice(&fields);
    bytes
}

fn decode_receipt(bytes: &mut &[u8], gas_before: u64) -> alloy_rlp::Result<Receipt> {
    let mut fields = Header::decode_bytes(bytes, true)?;
    let fields = &mut fields;
    let tx_type = u8::decode(fields)?;
    let success = bool::decode(fields)?;
    let state_root = decode_optional(fields, B256::try_from)?;
    let cumulative_gas_used = u64::decode(fields)?;
    let contract_address = decode_optional(fields, Address::try_from)?;
    let effective_gas_price = u128::decode(fields)?;
    let blob_gas_used = u64::decode(fields)?;
    let logs = Vec::<Log>::decode(fields)?;
    let gas_used = cumulative_gas_used
        .checked_sub(gas_before)
        .ok_or(alloy_rlp::Error::Custom("cumulative gas used decreases"))?;
    Ok(Receipt {
        tx_type,
        success,
        state_root,
        cumulative_gas_used,
        gas_used,
        bloom: LogsBloom::of(&logs),
        logs,
        contract_address,
        effective_gas_price,
        blob_gas_used,
    })
}

fn list_header(payload_length: usize) -> Header {
    Header { list: true, payload_length }
}

fn optional(value: Option<&[u8]>) -> &[u8] {
    value.unwrap_or_default()
}

fn decode_optional<'a, T, E>(
    bytes: &mut &'a [u8],
    decode: impl FnOnce(&'a [u8]) -> Result<T, E>,
) -> alloy_rlp::Result<Option<T>> {
    let value = Header::decode_bytes(bytes, false)?;
    if value.is_empty() {
        return Ok(None);
    }
    decode(value).map(Some).map_err(|_| alloy_rlp::Error::UnexpectedLength)
}

#[cfg(test)]
mod tests {
    use alloy_primitives::LogData;

    use super::*;
    use crate::primitives::Bytes;

    #[test]
    fn accounts_of_every_width_survive() {
        let hash = B256::repeat_byte(0xab);
        for nonce in [0, 1, 255, 256, u64::MAX] {
            for balance in [U256::ZERO, U256::from(1), U256::from(1) << 128, U256::MAX] {
                for code_hash in [KECCAK_EMPTY, hash] {
                    let account = Account { nonce, balance, code_hash };
                    assert_eq!(decode_account(&encode_account(Some(&account))), Some(Some(account)));
                }
            }
        }
        assert_eq!(decode_account(&encode_account(None)), Some(None));
    }

    #[test]
    fn damaged_accounts_are_refused() {
        let whole = encode_account(Some(&Account {
            nonce: 300,
            balance: U256::from(5),
            code_hash: B256::repeat_byte(1),
        }));
        for cut in 1..whole.len() {
            let decoded = decode_account(&whole[..cut]);
            // Cutting off exactly the code hash leaves a shorter, valid account.
            assert_eq!(decoded.is_some(), cut == whole.len() - 32, "cut at {cut}");
        }
        assert_eq!(decode_account(&[9, 0, 1, 1, 1, 1, 1, 1, 1, 1, 1]), None);
    }

    #[test]
    fn receipts_survive_with_gas_bloom_and_log_positions() {
        let log = |topics| Log {
            address: Address::repeat_byte(7),
            data: LogData::new_unchecked(topics, Bytes::from_static(b"data")),
        };
        let first_logs = vec![log(vec![]), log(vec![B256::repeat_byte(3); 4])];
        let second_logs = vec![log(vec![B256::ZERO])];
        let first = Receipt {
            tx_type: 0,
            success: true,
            state_root: Some(B256::repeat_byte(9)),
            cumulative_gas_used: 21_000,
            gas_used: 21_000,
            bloom: LogsBloom::of(&first_logs),
            logs: first_logs,
            contract_address: None,
            effective_gas_price: u128::MAX,
            blob_gas_used: 0,
        };
        let second = Receipt {
            tx_type: 3,
            success: false,
            state_root: None,
            cumulative_gas_used: 51_000,
            gas_used: 30_000,
            bloom: LogsBloom::of(&second_logs),
            logs: second_logs,
            contract_address: Some(Address::repeat_byte(1)),
            effective_gas_price: 0,
            blob_gas_used: 131_072,
        };

        let bytes = encode_receipts(&[first.clone(), second.clone()]);
        assert_eq!(decode_receipts(&bytes), Ok(vec![(first, 0), (second, 2)]));
        assert_eq!(decode_receipts(&encode_receipts(&[])), Ok(vec![]));
        assert!(decode_receipts(&bytes[..bytes.len() - 1]).is_err());
    }

    #[test]
    fn changed_keys_survive_and_damage_is_refused() {
        let accounts = vec![
            ChangedAccount { address: Address::repeat_byte(1), account: true, slots: vec![] },
            ChangedAccount {
                address: Address::repeat_byte(2),
                account: false,
                slots: vec![U256::ZERO, U256::MAX],
            },
        ];
        let mut record = Vec::new();
        accounts.iter().for_each(|changed| encode_changed_account(changed, &mut record));

        assert_eq!(decode_changed_accounts(&record), Some(accounts));
        assert_eq!(decode_changed_accounts(&record[..record.len() - 1]), None);
    }
}
