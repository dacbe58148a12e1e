//! What a block is expected to take, by the looks of it: whether it is done sooner here than in order, and
//! which calls should begin before their turn.
//!
//! In: transactions and threads. Out: guesses that cost some nanoseconds per transaction and decide
//! nothing but time. The figures were measured on cores of about 3 GHz.

use std::cmp::Reverse;

use super::edges::{self, Edges};
use super::lookalikes;
use crate::serial::Job;
use crate::state::StateView;
use crate::transfers::TransferRules;
use crate::tx::{RecoveredTransaction, SharedTransaction};

/// A plain transfer by the EVM.
const TRANSFER_SERIAL_NS: u64 = 1_500;
/// A plain transfer without it, on one thread.
const TRANSFER_NS: u64 = 800;
/// A call before its first instruction.
const CALL_NS: u64 = 3_000;
/// Gas in a nanosecond of contract code. Half of the gas limit is taken to be used; above a point limits say little.
const GAS_PER_NS: u64 = 5;
const TELLING_GAS: u64 = 1_000_000;
/// Speculation on top of an execution, in per cent of it: logs, publication, comparison.
const SPECULATION_PERCENT: u64 = 15;
/// Making and taking apart what the workers share.
const SETTING_UP_NS: u64 = 15_000;
/// Waking the helpers, and their first steps.
const WAKING_NS: u64 = 25_000;

/// Applying a record and comparing what it read.
const RECORD_NS: u64 = 1_500;

/// What the transactions of a block look like before any of them runs.
#[derive(Debug)]
pub(crate) struct Forecast {
    /// It looks like a plain transfer.
    pub(super) is_transfer: Vec<bool>,
    pub(super) edges: Vec<Edges>,
}

impl Forecast {
    pub(crate) fn of(job: &Job<'_>, state: &dyn StateView) -> Self {
        let Job { transactions, options, .. } = job;
        let is_transfer =
            if options.techniques.transfers && TransferRules::new(job.rules, job.block).is_some() {
                lookalikes::transfers(transactions, state)
            } else {
                vec![false; transactions.len()]
            };
        let edges = edges::predict(transactions, &options.dependencies, &is_transfer);
        Self { is_transfer, edges }
    }
}

/// Whether `threads` threads are expected to beat serial execution.
pub(crate) fn is_worth_it(job: &Job<'_>, forecast: &Forecast, threads: usize) -> bool {
    let Job { transactions, options, .. } = job;
    let Forecast { is_transfer, edges } = forecast;
    let mut serial = 0;
    let mut work = Work::default();
    for (index, tx) in transactions.iter().enumerate() {
        if is_transfer[index] {
            serial += TRANSFER_SERIAL_NS;
            work.transfers_ns += TRANSFER_NS;
            work.ends.push(0);
            continue;
        }
        let own = expected_ns(tx);
        serial += own;
        let is_recorded = options.techniques.reuse && matches!(options.records.get(index), Some(Some(_)));
        // What waits for others does not find what its record rests on.
        if is_recorded && edges[index].is_empty() {
            work.add_call(RECORD_NS, &[]);
        } else {
            work.add_call(own + own * SPECULATION_PERCENT / 100, &edges[index]);
        }
    }
    work.expected_ns(threads) < serial
}

/// What is to be done, and what of it follows each other.
#[derive(Default)]
struct Work {
    transfers_ns: u64,
    calls_ns: u64,
    /// When each transaction ends, if it waits for nothing but its edges.
    ends: Vec<u64>,
}

impl Work {
    fn add_call(&mut self, own: u64, edges: &[u32]) {
        let begins = edges.iter().map(|edge| self.ends[*edge as usize]).max().unwrap_or(0);
        self.calls_ns += own;
        self.ends.push(begins + own);
    }

    fn expected_ns(&self, threads: usize) -> u64 {
        let share = |work: u64| work / threads.max(1) as u64;
        let critical_path = self.ends.iter().copied().max().unwrap_or(0);
        let waking = if threads > 1 { WAKING_NS } else { 0 };
        share(self.calls_ns).max(critical_path) + share(self.transfers_ns) + SETTING_UP_NS + waking
    }
}

/// Gas limits above this say nothing more about how long a call takes.
const MOST_GAS: u64 = 10_000_000;
/// A transfer that takes the short cut, in gas of code that takes as long.
const TRANSFER_GAS: u64 = 3_000;
/// A call may take so many times as long as its gas limit says beside others: precompiles do.
const UNDERSTATED: u64 = 16;
/// An early call is at least this part of the block.
const LEAST_PART: u64 = 100;

/// The calls that should begin before their turn, the longest first.
///
/// A long call near the block's end would be run by one worker while the others have nothing left to
/// do. It is one if it may take longer than all that follows it takes the other workers. Whatever
/// begins early reads what is outdated at its turn more often than others, so there are few: a
/// hundred at most, each twice the average at least.
pub(super) fn early(transactions: &[SharedTransaction], is_transfer: &[bool], threads: usize) -> Vec<u32> {
    let others = threads.saturating_sub(1) as u64;
    if others == 0 {
        return Vec::new();
    }
    let weight = |index: usize| match is_transfer[index] {
        true => TRANSFER_GAS,
        false => transactions[index].tx.gas_limit.min(MOST_GAS),
    };
    let total: u64 = (0..transactions.len()).map(weight).sum();
    let mut left = 0;
    let mut early = Vec::new();
    for index in (0..transactions.len()).rev() {
        let own = weight(index);
        let is_long = own * LEAST_PART >= total && own * transactions.len() as u64 >= 2 * total;
        if is_long && !is_transfer[index] && own * UNDERSTATED * others > left {
            early.push((own, index as u32));
        }
        left += own;
    }
    early.sort_unstable_by_key(|(own, index)| (Reverse(*own), *index));
    early.into_iter().map(|(_, index)| index).collect()
}

fn expected_ns(tx: &RecoveredTransaction) -> u64 {
    CALL_NS + tx.tx.gas_limit.min(TELLING_GAS) / 2 / GAS_PER_NS
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::execution::ExecuteOptions;
    use crate::parallel::tests::{COUNTER, account, block, job, rules, state, transaction};
    use crate::record::pre_execute;

    fn calls(gas_limits: &[u64]) -> Vec<SharedTransaction> {
        let call = |gas_limit: &u64| {
            let tx = transaction(account(1), 0, account(2), 0);
            let mut tx = Arc::unwrap_or_clone(tx);
            tx.tx.gas_limit = *gas_limit;
            Arc::new(tx)
        };
        gas_limits.iter().map(call).collect()
    }

    fn early_of(gas_limits: &[u64], threads: usize) -> Vec<u32> {
        early(&calls(gas_limits), &vec![false; gas_limits.len()], threads)
    }

    #[test]
    fn long_calls_begin_early_where_little_follows_them() {
        let mut limits = vec![100_000; 200];
        (limits[0], limits[150], limits[190]) = (400_000, 500_000, 600_000);

        assert_eq!(early_of(&limits, 2), [190, 150]);
    }

    #[test]
    fn equal_calls_begin_in_order() {
        assert_eq!(early_of(&[100_000; 50], 2), [0; 0]);
    }

    #[test]
    fn one_worker_has_no_other_order() {
        assert_eq!(early_of(&[21_000, 21_000, 5_000_000], 1), [0; 0]);
        assert_eq!(early_of(&[21_000, 21_000, 5_000_000], 2), [2]);
    }

    #[test]
    fn transfers_do_not_count_as_long() {
        let calls = calls(&[21_000, 9_000_000, 21_000]);

        assert_eq!(early(&calls, &[true, true, true], 2), [0; 0]);
        assert_eq!(early(&calls, &[true, false, true], 2), [1]);
    }

    /// Calls of the counter, each by another sender.
    fn counts(count: u64) -> Vec<SharedTransaction> {
        (0..count).map(|index| transaction(account(index), 0, COUNTER, 0)).collect()
    }

    /// Whether so many threads are worth it, for calls: in blocks without short cuts all are.
    fn pays(transactions: &[SharedTransaction], options: ExecuteOptions, threads: usize) -> bool {
        let (rules, block) = (rules(), block());
        let mut options = options;
        options.techniques.transfers = false;
        let job = job(&rules, &block, transactions, &options);
        is_worth_it(&job, &Forecast::of(&job, &state()), threads)
    }

    #[test]
    fn a_single_transaction_goes_in_order_whatever_it_is() {
        let calls = calls(&[21_000, 30_000_000]);

        assert!(!pays(&calls[..1], ExecuteOptions::default(), 2));
        assert!(!pays(&calls[1..], ExecuteOptions::default(), 8));
        assert!(!pays(&[], ExecuteOptions::default(), 8));
    }

    #[test]
    fn a_block_that_is_one_chain_by_its_hints_goes_in_order() {
        let calls = counts(100);
        let hinted = |dependencies| ExecuteOptions { dependencies, ..ExecuteOptions::default() };
        let chain: Vec<Vec<u32>> =
            (0..100_u32).map(|index| index.checked_sub(1).into_iter().collect()).collect();
        let pairs: Vec<Vec<u32>> =
            (0..100_u32).map(|index| if index % 2 == 1 { vec![index - 1] } else { Vec::new() }).collect();

        assert!(pays(&calls, hinted(Vec::new()), 2));
        assert!(pays(&calls, hinted(pairs), 2));
        assert!(!pays(&calls, hinted(chain.clone()), 2));
        assert!(!pays(&calls, hinted(chain), 32));
    }

    #[test]
    fn records_make_it_worth_it_for_few_calls_and_one_thread() {
        let (rules, block, state, calls) = (rules(), block(), state(), counts(8));
        let record = |tx| pre_execute(tx, &state, &rules, &block).expect("memory never fails").map(Arc::new);
        let records = ExecuteOptions {
            records: calls.iter().map(|tx| record(tx)).collect(),
            ..ExecuteOptions::default()
        };
        let mut unused = records.clone();
        unused.techniques.reuse = false;

        assert!(pays(&calls, records, 1));
        assert!(!pays(&calls, unused, 1));
    }
}
