//! Real blocks, executed again and held against their headers.
//!
//! In: a block as a node reports it, with all state that it touches ([`parse`]). Out: a verdict
//! on gas used, logs bloom and (from Byzantium on) the receipts root. The state is partial, so
//! there is no state root to check, and nothing but the transactions is executed: no rewards, no
//! withdrawals, no system calls.

mod fixture;

use std::collections::BTreeSet;
use std::fmt::Debug;

pub use self::fixture::parse;
use crate::block::{BlockContext, BlockOutcome, ExecuteOptions};
use crate::chainspec::{Fork, Rules};
use crate::error::CoreError;
use crate::executor::{ExecuteError, Executor};
use crate::primitives::{B256, Bloom};
use crate::roots::receipts_root;
use crate::state::StateChanges;
use crate::state::memory::MemoryState;
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
    let (rules, transactions) = (&block.rules, &block.transactions);
    let executed = executor.execute_transactions(rules, &block.block, transactions, &block.state, options);
    match executed {
        Ok(outcome) => Ok((judge(block, &outcome), Some(outcome))),
        Err(ExecuteError::Core(error)) => Err(error),
        Err(refused @ (ExecuteError::Transaction { .. } | ExecuteError::AccessList(_))) => {
            let mut verdict = judge(block, &BlockOutcome::default());
            verdict.differences = vec![refused.to_string()];
            Ok((verdict, None))
        }
    }
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
    let addresses: BTreeSet<_> = one.accounts.keys().chain(other.accounts.keys()).collect();
    for address in addresses {
        let (Some(one), Some(other)) = (one.accounts.get(address), other.accounts.get(address)) else {
            let side = if one.accounts.contains_key(address) { "first" } else { "second" };
            differences.push(format!("account {address}: changed in the {side} only"));
            continue;
        };
        if one.after != other.after {
            differences.push(format!("account {address}: {:?} against {:?}", one.after, other.after));
        }
        if one.storage_cleared != other.storage_cleared {
            differences.push(format!("account {address}: storage cleared in one only"));
        }
        let slots: BTreeSet<_> = one.storage.keys().chain(other.storage.keys()).collect();
        for slot in slots {
            let (one, other) = (one.storage.get(slot), other.storage.get(slot));
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
