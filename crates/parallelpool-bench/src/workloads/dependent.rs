//! Blocks in which every transaction needs the one before: what no executor can speed up.

use parallelpool_core::error::CoreError;
use parallelpool_core::primitives::{Address, Bytes, U256, address};
use parallelpool_core::state::Account;
use parallelpool_core::state::memory::MemoryState;

use super::transfers::{TRANSFER_GAS, ether};
use super::{BASE_FEE, GIGAGAS_TRANSFERS, Making, TIP, draft};
use crate::workload::BenchBlock;

const COUNTER: Address = address!("0xc0de000000000000000000000000000000000001");

/// `sstore(0, sload(0) + 1)`:
/// PUSH1 1, PUSH0, SLOAD, ADD, PUSH0, SSTORE, STOP.
const COUNTER_CODE: [u8; 8] = [0x60, 0x01, 0x5f, 0x54, 0x01, 0x5f, 0x55, 0x00];

/// The first increment costs 21,000 + 22,100 and a little, the others 21,000 + 5,000.
const INCREMENT_GAS: u64 = 50_000;

/// Increments that make about one gigagas at 26,114 gas each.
const GIGAGAS_INCREMENTS: usize = 38_294;

/// Account k pays to account k + 1 what it has just received, less the fee. None but the first
/// owns anything before, so no transaction is valid until the one before it has been executed.
pub(super) fn transfers(making: &Making<'_>) -> Result<Vec<BenchBlock>, CoreError> {
    let count = making.count(GIGAGAS_TRANSFERS);
    let accounts = making.accounts("link", count + 1);
    // The fee cap is what must be owned, the price is what is paid: the difference stays behind.
    let reserved = U256::from(TRANSFER_GAS) * U256::from(2 * BASE_FEE + TIP);
    let first = ether() + reserved * U256::from(count);
    let mut state = MemoryState::new();
    making.fund(&mut state, &accounts[..1], first);
    let drafts = (1u64..)
        .zip(accounts.windows(2))
        .map(|(links, pair)| {
            let value = first - reserved * U256::from(links);
            draft(&pair[0], 0, Some(pair[1].address), value, Bytes::new(), TRANSFER_GAS)
        })
        .collect();
    making.block(state, drafts)
}

/// Distinct accounts call one contract that counts its calls in one slot.
pub(super) fn counter(making: &Making<'_>) -> Result<Vec<BenchBlock>, CoreError> {
    let senders = making.accounts("sender", making.count(GIGAGAS_INCREMENTS));
    let mut state = MemoryState::new();
    making.fund(&mut state, &senders, ether());
    state.insert_account(COUNTER, Account { nonce: 1, ..Account::default() }, Some(COUNTER_CODE.into()));
    let drafts = senders
        .iter()
        .map(|sender| draft(sender, 0, Some(COUNTER), U256::ZERO, Bytes::new(), INCREMENT_GAS))
        .collect();
    making.block(state, drafts)
}
