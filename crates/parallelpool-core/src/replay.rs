//! Real blocks, executed again and held against their headers.
//!
//! In: a block as a node reports it, with all state that it touches, or one of our own chain
//! ([`parse`] reads both). Out: a verdict on gas used, logs bloom and (from Byzantium on) the
//! receipts root. The state is partial, so there is no state root to check. Of a node's block
//! nothing but the transactions is executed: no rewards, no withdrawals, no system calls. A block of
//! ours is executed as a whole, and built anew where its candidates are known.

mod fixture;
mod reproducer;

use std::collections::BTreeMap;
use std::fmt::Debug;

pub use self::reproducer::{Reproducer, parse};
use crate::block::BlockContext;
use crate::chainspec::{ChainSpec, Fork, Rules};
use crate::error::CoreError;
use crate::execution::{BlockOutcome, BuildLimits, ExecuteError, ExecuteOptions};
use crate::executor::Executor;
use crate::primitives::{B256, Bloom};
use crate::roots::receipts_root;
use crate::state::memory::MemoryState;
use crate::state::{ChangeSet, StateChanges};
use crate::tx::SharedTransaction;

/// A block ready to be executed.
#[derive(Debug, Clone)]
pub struct ReplayBlock {
    /// Mainnet's rules at this block.
    pub rules: Rules,
    /// The block around the transactions.
    pub block: BlockContext,
    /// Its transactions, their senders recovered from the signatures.
    pub transactions: Vec<SharedTransaction>,
    /// What they touch, as it was before.
    pub state: MemoryState,
    /// What the header says came out.
    pub expected: Expected,
    /// For a block of our own.
    pub frame: Option<Frame>,
}

/// What surrounds the transactions of a block whose state is known beyond them.
#[derive(Debug, Clone)]
pub struct Frame {
    /// The chain's constitution.
    pub spec: ChainSpec,
    /// What the block was made from, and within which limits.
    pub candidates: Option<(Vec<SharedTransaction>, BuildLimits)>,
}

/// The header's commitments that can be checked without the whole state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Expected {
    /// Gas of all transactions.
    pub gas_used: u64,
    /// Union of the receipts' blooms.
    pub logs_bloom: Bloom,
    /// Root of the receipts. Before Byzantium receipts hold state roots, and it cannot be checked.
    pub receipts_root: B256,
}

/// How one replay went.
#[derive(Debug, Clone, PartialEq)]
pub struct ReplayVerdict {
    /// The block.
    pub number: u64,
    /// Its transactions.
    pub transactions: usize,
    /// Gas they used.
    pub gas: u64,
    /// Wall time of the execution, in nanoseconds.
    pub elapsed_ns: u64,
    /// Runs of the EVM, at least one a transaction.
    pub executions: u64,
    /// Executions thrown away.
    pub conflicts: u64,
    /// Whether the speculative path ran.
    pub parallel: bool,
    /// What differs from the header, in words. Empty: all is as it should be.
    pub differences: Vec<String>,
}

/// Executes the block and judges the outcome. A block that cannot be executed is a verdict too;
/// the outcome is then absent.
pub fn replay(
    executor: &Executor,
    block: &ReplayBlock,
    options: &ExecuteOptions,
) -> Result<(ReplayVerdict, Option<BlockOutcome>), CoreError> {
    match execute(executor, block, options) {
        Ok((outcome, included)) => {
            let mut verdict = judge(block, &outcome);
            verdict.differences.extend(judge_choice(block, included));
            Ok((verdict, Some(outcome)))
        }
        Err(ExecuteError::Core(error)) => Err(error),
        Err(refused @ (ExecuteError::Transaction { .. } | ExecuteError::AccessList(_))) => {
            let mut verdict = judge(block, &BlockOutcome::default());
            verdict.differences = vec![refused.to_string()];
            Ok((verdict, None))
        }
    }
}

/// The outcome and, where the block was built, the candidates that are in it.
fn execute(
    executor: &Executor,
    replayed: &ReplayBlock,
    options: &ExecuteOptions,
) -> Result<(BlockOutcome, Option<Vec<usize>>), ExecuteError> {
    let ReplayBlock { rules, block, transactions, state, frame, .. } = replayed;
    match frame {
        None => {
            let outcome = executor.execute_transactions(rules, block, transactions, state, options)?;
            Ok((outcome, None))
        }
        Some(Frame { spec, candidates: None }) => {
            Ok((executor.execute(spec, block, transactions, state, options)?, None))
        }
        Some(Frame { spec, candidates: Some((candidates, limits)) }) => {
            let built = executor.build(spec, block, limits, candidates, state, options)?;
            Ok((built.outcome, Some(built.included)))
        }
    }
}

/// Whether the candidates taken in are the block's transactions.
fn judge_choice(block: &ReplayBlock, included: Option<Vec<usize>>) -> Option<String> {
    let Some(Frame { candidates: Some((candidates, _)), .. }) = &block.frame else { return None };
    let taken: Vec<B256> = included?.into_iter().map(|index| candidates[index].tx.hash).collect();
    let wanted: Vec<B256> = block.transactions.iter().map(|tx| tx.tx.hash).collect();
    let place = (0..taken.len().max(wanted.len())).find(|&place| taken.get(place) != wanted.get(place))?;
    let name = |hash: Option<&B256>| hash.map_or("none".to_owned(), B256::to_string);
    let (have, want) = (name(taken.get(place)), name(wanted.get(place)));
    Some(format!("transaction {place} is {have}, in the block it is {want}"))
}

fn judge(block: &ReplayBlock, outcome: &BlockOutcome) -> ReplayVerdict {
    let expected = &block.expected;
    let mut differences = Vec::new();
    let mut check = |what: &str, have: &dyn ToString, want: &dyn ToString| {
        let (have, want) = (have.to_string(), want.to_string());
        if have != want {
            differences.push(format!("{what} {have}, the header says {want}"));
        }
    };
    check("gas used", &outcome.gas_used, &expected.gas_used);
    check("logs bloom", &outcome.bloom, &expected.logs_bloom);
    if block.rules.fork >= Fork::Byzantium {
        check("receipts root", &receipts_root(&outcome.receipts), &expected.receipts_root);
    }
    let statistics = &outcome.statistics;
    ReplayVerdict {
        number: block.block.number,
        transactions: block.transactions.len(),
        gas: outcome.gas_used,
        elapsed_ns: statistics.elapsed_ns,
        executions: statistics.executions,
        conflicts: statistics.conflicts,
        parallel: statistics.parallel,
        differences,
    }
}

/// Where two executions of the same block differ: every receipt, every return value, every changed
/// account and slot. Figures of the execution are not compared.
pub fn compare(one: &BlockOutcome, other: &BlockOutcome) -> Vec<String> {
    let mut differences = Vec::new();
    let mut check = |what: &dyn Fn() -> String, one: &dyn Debug, other: &dyn Debug, equal: bool| {
        if !equal {
            differences.push(format!("{}: {one:?} against {other:?}", what()));
        }
    };
    check(&|| "gas used".into(), &one.gas_used, &other.gas_used, one.gas_used == other.gas_used);
    let blob_gas = (one.blob_gas_used, other.blob_gas_used);
    check(&|| "blob gas used".into(), &blob_gas.0, &blob_gas.1, blob_gas.0 == blob_gas.1);
    check(&|| "bloom".into(), &one.bloom, &other.bloom, one.bloom == other.bloom);
    check(&|| "requests".into(), &one.requests, &other.requests, one.requests == other.requests);
    for index in 0..one.receipts.len().max(other.receipts.len()) {
        let pair = (one.receipts.get(index), other.receipts.get(index));
        check(&|| format!("receipt {index}"), &pair.0, &pair.1, pair.0 == pair.1);
        let pair = (one.outputs.get(index), other.outputs.get(index));
        check(&|| format!("output {index}"), &pair.0, &pair.1, pair.0 == pair.1);
        let pair = (one.transaction_changes.get(index), other.transaction_changes.get(index));
        check(&|| format!("changes of transaction {index}"), &pair.0, &pair.1, pair.0 == pair.1);
    }
    differences.extend(compare_changes(&one.changes, &other.changes));
    differences
}

/// Where two sets of changes differ.
pub fn compare_changes(one: &StateChanges, other: &StateChanges) -> Vec<String> {
    let mut differences = Vec::new();
    for (address, pair) in side_by_side(&one.accounts, &other.accounts) {
        let (Some(one), Some(other)) = pair else {
            let side = if pair.0.is_some() { "first" } else { "second" };
            differences.push(format!("account {address}: changed in the {side} only"));
            continue;
        };
        if one.after != other.after {
            differences.push(format!("account {address}: {:?} against {:?}", one.after, other.after));
        }
        if one.storage_cleared != other.storage_cleared {
            differences.push(format!("account {address}: storage cleared in one only"));
        }
        for (slot, (one, other)) in side_by_side(&one.storage, &other.storage) {
            if one != other {
                differences.push(format!("account {address} slot {slot:#x}: {one:?} against {other:?}"));
            }
        }
    }
    if one.codes != other.codes {
        differences.push("the codes that came into being".into());
    }
    differences
}

/// All keys of two sets in order, each with its value in either.
fn side_by_side<'a, K: Ord, V>(
    one: &'a ChangeSet<K, V>,
    other: &'a ChangeSet<K, V>,
) -> BTreeMap<&'a K, (Option<&'a V>, Option<&'a V>)> {
    let mut pairs: BTreeMap<_, _> = one.iter().map(|(key, value)| (key, (Some(value), None))).collect();
    for (key, value) in other {
        pairs.entry(key).or_default().1 = Some(value);
    }
    pairs
}
