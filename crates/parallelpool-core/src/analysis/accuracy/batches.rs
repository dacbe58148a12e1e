//! Batches of predicted access sets, executed one after another: what they promised and what came.

use std::collections::BTreeSet;

use super::tally::conflicts;
use super::{Answers, Within, step};
use crate::access::{Access, AccessSet, AccessSource, Field, Location};
use crate::batching::{Batch, BatchKind, Candidate, PlanOptions, plan};
use crate::error::{CoreError, StateError};
use crate::evm::Limit;
use crate::execution::{ExecuteError, ExecuteOptions, Mode};
use crate::executor::Executor;
use crate::preexecute::PreExecution;
use crate::primitives::U256;
use crate::replay::{ReplayBlock, compare};
use crate::state::StateView;
use crate::state::overlay::Overlay;
use crate::tx::{SharedTransaction, Tag};

/// What batches of the predictions came to when they were executed one after another.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct BatchTally {
    /// Parallel batches in which no member reads what an earlier batch has written.
    pub untouched: u64,
    /// Transactions in those.
    pub untouched_transactions: u64,
    /// Those of them that conflict with another member.
    pub untouched_conflicts: u64,
    /// The other parallel batches.
    pub later: u64,
    /// Transactions in those.
    pub later_transactions: u64,
    /// Those of them that conflict with an earlier member.
    pub later_conflicts: u64,
    /// Transactions of sequential batches.
    pub sequential: u64,
    /// Blocks whose batches were executed in parallel with the serial result.
    pub equal: u64,
    /// Blocks where the results differ: must be none.
    pub unequal: u64,
    /// Transactions that are not valid at their place in the order of the batches, above all for want
    /// of money that comes later there.
    pub left_out: u64,
}

/// Plans batches from the best answers and executes them.
pub(super) fn take(
    executor: &Executor,
    block: &ReplayBlock,
    answers: Vec<Answers>,
) -> Result<BatchTally, CoreError> {
    let sets: Vec<AccessSet> = answers.into_iter().zip(&block.transactions).map(best).collect();
    let rows = block.transactions.iter().zip(&sets);
    let candidates: Vec<Candidate<'_>> = rows
        .map(|(tx, access)| Candidate {
            hash: tx.tx.hash,
            sender: tx.sender,
            gas_limit: tx.tx.gas_limit,
            asks_sequential: tx.tx.tag() == Some(Tag::Sequential),
            access,
        })
        .collect();
    let options = PlanOptions { batch_size: 64, min_batch_size: 2, beneficiary: block.block.beneficiary };
    let balance = |address: &_| {
        let account = block.state.account(address)?;
        Ok::<U256, StateError>(account.map_or(U256::ZERO, |account| account.balance))
    };
    let plan = plan(&candidates, options, balance)?;
    let mut tally = BatchTally::default();
    let mut within = Overlay::new(&block.state);
    let (mut written, mut order) = (BTreeSet::new(), Vec::new());
    for batch in &plan.batches {
        order.extend(take_batch(block, batch, &mut within, &mut written, &mut tally)?);
    }
    tally.left_out += leave_out(executor, block, &mut order)?;
    if executes_alike(executor, block, &order)? {
        tally.equal += 1;
    } else {
        tally.unequal += 1;
    }
    Ok(tally)
}

/// The answer that the daemon goes by.
fn best((mut answers, tx): (Answers, &SharedTransaction)) -> AccessSet {
    let sources = [AccessSource::Transfer, AccessSource::Trace, AccessSource::Template];
    let found = sources.into_iter().find_map(|source| answers.remove(&source));
    found.map_or_else(|| AccessSet::unknown(tx.tx.hash, tx.tx.gas_limit), |(set, _)| set)
}

/// Runs each member alone on the state before the batch, looks for conflicts between them, and brings
/// the state behind the batch. Returns those that are valid there.
fn take_batch(
    replayed: &ReplayBlock,
    batch: &Batch,
    within: &mut Within<'_>,
    written: &mut BTreeSet<Location>,
    tally: &mut BatchTally,
) -> Result<Vec<SharedTransaction>, CoreError> {
    let ReplayBlock { rules, block, transactions, .. } = replayed;
    let is_parallel = batch.kind == BatchKind::Parallel;
    let mut before = Vec::with_capacity(batch.members.len());
    for index in batch.members.iter().filter(|_| is_parallel) {
        let at = PreExecution { rules, block, view: within, gas_limit: u64::MAX };
        before.push(at.trace(&transactions[*index as usize], Limit::default())?.set);
    }
    let members = batch.members.len() as u64;
    let conflicting = conflicts(&before).iter().filter(|earlier| !earlier.is_empty()).count() as u64;
    let reads_written = before.iter().any(|set| reads(set).any(|location| written.contains(location)));
    match (is_parallel, reads_written) {
        (false, _) => tally.sequential += members,
        (true, false) => {
            tally.untouched += 1;
            tally.untouched_transactions += members;
            tally.untouched_conflicts += conflicting;
        }
        (true, true) => {
            tally.later += 1;
            tally.later_transactions += members;
            tally.later_conflicts += conflicting;
        }
    }
    let mut valid = Vec::with_capacity(batch.members.len());
    for index in &batch.members {
        let tx = &transactions[*index as usize];
        let (set, is_valid) = step(replayed, within, tx)?;
        if !is_valid {
            tally.left_out += 1;
            continue;
        }
        valid.push(SharedTransaction::clone(tx));
        let changed = set.accesses.iter().filter(|(_, access)| **access != Access::READ);
        written.extend(changed.map(|(location, _)| *location));
    }
    Ok(valid)
}

fn reads(set: &AccessSet) -> impl Iterator<Item = &Location> {
    let is_read = |(location, access): &(&Location, &Access)| {
        access.has(Access::READ) || matches!(location.field, Field::Storage(_))
    };
    set.accesses.iter().filter(is_read).map(|(location, _)| location)
}

/// Takes out what the block has no room for in this order, in which others use more gas than they did.
fn leave_out(
    executor: &Executor,
    replayed: &ReplayBlock,
    order: &mut Vec<SharedTransaction>,
) -> Result<u64, CoreError> {
    let ReplayBlock { rules, block, state, .. } = replayed;
    let options = ExecuteOptions { mode: Mode::Serial, ..ExecuteOptions::default() };
    let before = order.len();
    loop {
        match executor.execute_transactions(rules, block, order, state, &options) {
            Ok(_) => return Ok((before - order.len()) as u64),
            Err(ExecuteError::Transaction { index, .. }) => drop(order.remove(index)),
            Err(ExecuteError::Core(error)) => return Err(error),
            Err(ExecuteError::AccessList(_)) => unreachable!("no list is given"),
        }
    }
}

/// Whether parallel and serial execution in this order agree.
fn executes_alike(
    executor: &Executor,
    replayed: &ReplayBlock,
    order: &[SharedTransaction],
) -> Result<bool, CoreError> {
    let run = |mode| {
        let options = ExecuteOptions { mode, ..ExecuteOptions::default() };
        let ReplayBlock { rules, block, state, .. } = replayed;
        match executor.execute_transactions(rules, block, order, state, &options) {
            Ok(outcome) => Ok(outcome),
            Err(ExecuteError::Core(error)) => Err(error),
            Err(refused) => Err(CoreError::InvalidArgument(refused.to_string())),
        }
    };
    Ok(compare(&run(Mode::Serial)?, &run(Mode::Parallel)?).is_empty())
}
