//! Transfers of one ERC-20 token: about one gigagas of calls to one contract.

use parallelpool_core::error::CoreError;
use parallelpool_core::primitives::{Address, Bytes, U256};
use parallelpool_core::state::memory::MemoryState;

use super::transfers::ether;
use super::{Making, Signer, draft};
use crate::contracts::{Stage, abi, creation_code, units};
use crate::workload::BenchBlock;

/// Transfers that make one gigagas, by what one costs where nothing is created or emptied.
const GIGAGAS_SELF: usize = 37_522;
/// The same between holders.
pub(super) const GIGAGAS_DISTINCT: usize = 29_197;
/// All but the first find the recipient's slot as the one before left it.
const GIGAGAS_HOT: usize = 29_197;
/// A link fills an empty slot and empties its own, for which there is a refund.
const GIGAGAS_DEPENDENT: usize = 21_483;

/// Enough for the dearest transfer.
pub(super) const TOKEN_TRANSFER_GAS: u64 = 70_000;

/// What each holder owns before, in the token's smallest units.
fn holding() -> U256 {
    units(18)
}

/// Each holder pays itself.
pub(super) fn to_self(making: &Making<'_>) -> Result<Vec<BenchBlock>, CoreError> {
    let holders = making.accounts("sender", making.count(GIGAGAS_SELF));
    let (state, token) = token_of(making, &holders, holding())?;
    let pay = |holder: &Signer| transfer(holder.address, units(15));
    block_of_calls(making, state, token, holders.iter().map(|holder| (holder, pay(holder))))
}

/// Each holder pays another that takes part in no other transaction.
pub(super) fn distinct(making: &Making<'_>) -> Result<Vec<BenchBlock>, CoreError> {
    let count = making.count(GIGAGAS_DISTINCT);
    let holders = making.accounts("sender", 2 * count);
    let (state, token) = token_of(making, &holders, holding())?;
    let (senders, recipients) = holders.split_at(count);
    let pairs = senders.iter().zip(recipients);
    let calls = pairs.map(|(sender, recipient)| (sender, transfer(recipient.address, units(15))));
    block_of_calls(making, state, token, calls)
}

/// All holders pay the same one.
pub(super) fn hot_recipient(making: &Making<'_>) -> Result<Vec<BenchBlock>, CoreError> {
    let holders = making.accounts("sender", making.count(GIGAGAS_HOT) + 1);
    let (state, token) = token_of(making, &holders, holding())?;
    let (recipient, senders) = holders.split_first().expect("one more than the count");
    let calls = senders.iter().map(|sender| (sender, transfer(recipient.address, units(15))));
    block_of_calls(making, state, token, calls)
}

/// Account k pays to account k + 1 exactly what it has just received. None but the first owns
/// anything before: out of order, all of them fail.
pub(super) fn dependent(making: &Making<'_>) -> Result<Vec<BenchBlock>, CoreError> {
    let accounts = making.accounts("link", making.count(GIGAGAS_DEPENDENT) + 1);
    let (mut state, token) = token_of(making, &accounts[..1], holding())?;
    making.fund(&mut state, &accounts[1..], ether());
    let links = accounts.windows(2);
    let calls = links.map(|pair| (&pair[0], transfer(pair[1].address, holding())));
    block_of_calls(making, state, token, calls)
}

/// Calldata of a transfer.
pub(super) fn transfer(to: Address, amount: U256) -> Bytes {
    abi::call("transfer(address,uint256)", &[to.into(), amount.into()])
}

/// A state in which each of `holders` owns an ether and `amount` of a token, and the token.
fn token_of(
    making: &Making<'_>,
    holders: &[Signer],
    amount: U256,
) -> Result<(MemoryState, Address), CoreError> {
    let creator = making.accounts("creator", 1)[0].address;
    let mut state = MemoryState::new();
    making.fund(&mut state, holders, ether());
    let mut stage = Stage::new(state)?;
    let supply = amount * U256::from(holders.len());
    let token = stage.create(creator, creation_code("DemoToken", &[supply.into()]))?;
    for holder in holders {
        stage.call(creator, token, transfer(holder.address, amount))?;
    }
    Ok((stage.finish()?, token))
}

fn block_of_calls<'s>(
    making: &Making<'_>,
    state: MemoryState,
    token: Address,
    calls: impl Iterator<Item = (&'s Signer, Bytes)>,
) -> Result<Vec<BenchBlock>, CoreError> {
    let drafts =
        calls.map(|(sender, data)| draft(sender, 0, Some(token), U256::ZERO, data, TOKEN_TRANSFER_GAS));
    making.block(state, drafts.collect())
}
