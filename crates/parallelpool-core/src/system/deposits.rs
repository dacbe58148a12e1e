//! Deposit requests from the deposit contract's logs (EIP-6110).

use alloy_primitives::b256;

use crate::block::Receipt;
use crate::primitives::{Address, B256, U256};

/// `DepositEvent(bytes,bytes,bytes,bytes,bytes)`.
const DEPOSIT_EVENT: B256 = b256!("649bbc62d0e31342afea4e5cd82d4049e7e1ee912fc0889aa790803be39038c5");

/// The event's data: five dynamic byte strings, each word-aligned.
const EVENT_LENGTH: usize = 576;

/// Offset of the string's length word, and the string's length: public key, withdrawal
/// credentials, amount, signature, index.
const FIELDS: [(usize, usize); 5] = [(160, 48), (256, 32), (320, 8), (384, 96), (512, 8)];

const WORD: usize = 32;

/// All deposits of the block, one after another, 192 bytes each. Fails on an event whose layout
/// is not the contract's.
pub(super) fn collect(receipts: &[Receipt], contract: &Address) -> Result<Vec<u8>, String> {
    let mut deposits = Vec::new();
    let logs = receipts.iter().flat_map(|receipt| &receipt.logs);
    for log in logs.filter(|log| log.address == *contract && log.topics().first() == Some(&DEPOSIT_EVENT)) {
        append(&mut deposits, &log.data.data)?;
    }
    Ok(deposits)
}

fn append(deposits: &mut Vec<u8>, event: &[u8]) -> Result<(), String> {
    if event.len() != EVENT_LENGTH {
        return Err(format!("deposit wrong length: want {EVENT_LENGTH}, have {}", event.len()));
    }
    for (index, (offset, length)) in FIELDS.into_iter().enumerate() {
        if word(event, index * WORD) != U256::from(offset) || word(event, offset) != U256::from(length) {
            return Err("deposit event has an unknown layout".into());
        }
        deposits.extend_from_slice(&event[offset + WORD..offset + WORD + length]);
    }
    Ok(())
}

fn word(bytes: &[u8], at: usize) -> U256 {
    U256::from_be_slice(&bytes[at..at + WORD])
}
