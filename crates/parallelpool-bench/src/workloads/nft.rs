//! Mints of one ERC-721 collection: every transaction increments the same counter.

use parallelpool_core::error::CoreError;
use parallelpool_core::primitives::{Bytes, U256};
use parallelpool_core::state::memory::MemoryState;

use super::transfers::ether;
use super::{Making, draft};
use crate::contracts::{Stage, abi, creation_code};
use crate::workload::BenchBlock;

/// Mints that make one gigagas: each fills two empty slots.
const GIGAGAS_MINTS: usize = 13_756;

/// Enough for the first mint, which finds the counter at zero.
pub(super) const MINT_GAS: u64 = 120_000;

/// Distinct accounts mint one token each.
pub(super) fn mint(making: &Making<'_>) -> Result<Vec<BenchBlock>, CoreError> {
    let minters = making.accounts("sender", making.count(GIGAGAS_MINTS));
    let creator = making.accounts("creator", 1)[0].address;
    let mut state = MemoryState::new();
    making.fund(&mut state, &minters, ether());
    let mut stage = Stage::new(state)?;
    let collection = stage.create(creator, creation_code("Nft", &[]))?;
    let state = stage.finish()?;
    let drafts =
        minters.iter().map(|minter| draft(minter, 0, Some(collection), U256::ZERO, mint_call(), MINT_GAS));
    making.block(state, drafts.collect())
}

/// Calldata of a mint.
pub(super) fn mint_call() -> Bytes {
    abi::call("mint()", &[])
}
