//! Plain transfers: one gigagas of transactions that call no code.

use parallelpool_core::error::CoreError;
use parallelpool_core::primitives::{Bytes, U256};
use parallelpool_core::state::memory::MemoryState;

use super::{GIGAGAS_TRANSFERS, Making, draft};
use crate::workload::BenchBlock;

/// Gas of a transfer without data.
pub(super) const TRANSFER_GAS: u64 = 21_000;

/// One ether: enough for fees and value.
pub(super) fn ether() -> U256 {
    U256::from(1_000_000_000_000_000_000u64)
}

/// Each account sends to itself.
pub(super) fn to_self(making: &Making<'_>) -> Result<Vec<BenchBlock>, CoreError> {
    let senders = making.accounts("sender", making.count(GIGAGAS_TRANSFERS));
    let mut state = MemoryState::new();
    making.fund(&mut state, &senders, ether());
    let drafts = senders
        .iter()
        .map(|sender| draft(sender, 0, Some(sender.address), U256::ONE, Bytes::new(), TRANSFER_GAS))
        .collect();
    making.block(state, drafts)
}

/// Each account sends to one of its own that exists.
pub(super) fn distinct(making: &Making<'_>) -> Result<Vec<BenchBlock>, CoreError> {
    let count = making.count(GIGAGAS_TRANSFERS);
    let (senders, recipients) = (making.accounts("sender", count), making.accounts("recipient", count));
    let mut state = MemoryState::new();
    making.fund(&mut state, senders.iter().chain(&recipients), ether());
    let drafts = senders
        .iter()
        .zip(&recipients)
        .map(|(sender, recipient)| {
            draft(sender, 0, Some(recipient.address), U256::ONE, Bytes::new(), TRANSFER_GAS)
        })
        .collect();
    making.block(state, drafts)
}

/// All accounts send to the same one.
pub(super) fn hot_recipient(making: &Making<'_>) -> Result<Vec<BenchBlock>, CoreError> {
    let senders = making.accounts("sender", making.count(GIGAGAS_TRANSFERS));
    let recipient = making.accounts("recipient", 1)[0];
    let mut state = MemoryState::new();
    making.fund(&mut state, senders.iter().chain([&recipient]), ether());
    let drafts = senders
        .iter()
        .map(|sender| draft(sender, 0, Some(recipient.address), U256::ONE, Bytes::new(), TRANSFER_GAS))
        .collect();
    making.block(state, drafts)
}

/// One account sends to many.
pub(super) fn one_sender(making: &Making<'_>) -> Result<Vec<BenchBlock>, CoreError> {
    let recipients = making.accounts("recipient", making.count(GIGAGAS_TRANSFERS));
    let sender = making.accounts("sender", 1)[0];
    let mut state = MemoryState::new();
    making.fund(&mut state, &recipients, ether());
    making.fund(&mut state, [&sender], ether() * U256::from(recipients.len()));
    let drafts = (0..)
        .zip(&recipients)
        .map(|(nonce, recipient)| {
            draft(&sender, nonce, Some(recipient.address), U256::ONE, Bytes::new(), TRANSFER_GAS)
        })
        .collect();
    making.block(state, drafts)
}
