//! What a block is expected to take, by the looks of it: whether it is done sooner here than in order, and
//! which calls should begin before their turn.
//!
//! In: transactions and threads. Out: guesses that cost some nanoseconds per transaction and decide
//! nothing but time. The figures were measured on cores of about 3 GHz, see `docs/benchmarks.md`.

use std::cmp::Reverse;

use super::edges::{Callers, Edges};
use super::lookalikes::Lookalikes;
use super::schedule::Kind;
use crate::serial::Job;
use crate::state::StateView;
use crate::transfers::TransferRules;
use crate::tx::SharedTransaction;

/// A plain transfer in order; it takes no EVM there either.
const TRANSFER_SERIAL_NS: u64 = 900;
/// A plain transfer by the parallel executor, on one thread.
const TRANSFER_NS: u64 = 550;
/// A call before its first instruction.
const CALL_NS: u64 = 1_500;
/// Gas in a nanosecond of contract code. Half of the gas limit is taken to be used; above a point limits say little.
const GAS_PER_NS: u64 = 5;
const TELLING_GAS: u64 = 1_000_000;
/// Speculation on top of an execution, in per cent of it: logs, publication, comparison.
const SPECULATION_PERCENT: u64 = 15;
/// Making and taking apart what the workers share.
const SETTING_UP_NS: u64 = 5_000;
/// Waking the helpers, their first steps with empty caches, and waiting for them in the end.
const WAKING_NS: u64 = 60_000;

/// Applying a record and comparing what it read.
const RECORD_NS: u64 = 1_500;

/// What it takes in any case to share a block among so many threads.
fn overhead_ns(threads: usize) -> u64 {
    SETTING_UP_NS + if threads > 1 { WAKING_NS } else { 0 }
}

/// What the transactions of a block look like before any of them runs. They lie far apart in memory, so
/// all that is asked of them is asked in one walk.
#[derive(Debug)]
pub(crate) struct Forecast {
    /// One for each transaction; of those that have run there is nothing to say.
    looks: Vec<Look>,
    /// So many have run.
    first: usize,
}

/// What one transaction looks like.
#[derive(Debug, Default)]
pub(super) struct Look {
    /// Earlier ones that should have run.
    edges: Edges,
    /// Gas that it may use, saturated.
    gas_limit: u32,
    /// It looks like a plain transfer.
    is_transfer: bool,
}

impl Forecast {
    /// Looks at the transactions from `first` on; those before have run.
    pub(crate) fn of(first: usize, job: &Job<'_>, state: &dyn StateView) -> Self {
        let Job { transactions, options, .. } = job;
        let has_transfers =
            options.techniques.transfers && TransferRules::new(job.rules, job.block).is_some();
        let mut lookalikes = Lookalikes::new(state);
        let mut callers = Callers::new(transactions.len());
        let mut looks = Vec::with_capacity(transactions.len());
        looks.resize_with(first, Look::default);
        for (index, tx) in transactions.iter().enumerate().skip(first) {
            let is_transfer = has_transfers && lookalikes.is_transfer(tx);
            let hints = options.dependencies.get(index).map_or(&[][..], Vec::as_slice);
            let edges = callers.edges(index as u32, tx.sender, hints, is_transfer);
            let gas_limit = u32::try_from(tx.tx.gas_limit).unwrap_or(u32::MAX);
            looks.push(Look { edges, gas_limit, is_transfer });
        }
        Self { looks, first }
    }

    /// Whether most transactions look like transfers.
    pub(super) fn is_mostly_transfers(&self) -> bool {
        2 * self.looks.iter().filter(|look| look.is_transfer).count() >= self.looks.len()
    }

    /// The calls that should begin before their turn, see [`early`].
    pub(super) fn early(&self, threads: usize) -> Vec<u32> {
        early(&self.looks, threads)
    }

    /// For each transaction its edges and its kind.
    pub(super) fn into_plan(self) -> impl Iterator<Item = (Edges, Kind)> {
        let kind = |look: &Look| match look.is_transfer {
            true => Kind::Transfer,
            false if look.gas_limit <= SOON_OVER_GAS => Kind::ShortCall,
            false => Kind::Call,
        };
        self.looks.into_iter().map(move |look| (kind(&look), look)).map(|(kind, look)| (look.edges, kind))
    }
}

/// Whether it is clear without a forecast that serial execution is not beaten: it has but one thing to run,
/// or is done before anything could be set up.
pub(crate) fn is_surely_short(job: &Job<'_>, threads: usize) -> bool {
    let (mut serial, overhead) = (0, overhead_ns(threads));
    let mut is_short = |tx: &SharedTransaction| {
        serial += expected_ns(tx.tx.gas_limit);
        serial <= overhead
    };
    (job.transactions.len() < 2 && job.options.records.is_empty())
        || job.transactions.iter().all(&mut is_short)
}

/// Whether `threads` threads are expected to beat serial execution.
pub(crate) fn is_worth_it(job: &Job<'_>, forecast: &Forecast, threads: usize) -> bool {
    let options = job.options;
    let mut serial = 0;
    let mut work = Work::default();
    for (index, Look { edges, gas_limit, is_transfer }) in forecast.looks.iter().enumerate() {
        if index < forecast.first {
            work.ends.push(0);
            continue;
        }
        if *is_transfer {
            serial += TRANSFER_SERIAL_NS;
            work.transfers_ns += TRANSFER_NS;
            work.ends.push(0);
            continue;
        }
        let own = expected_ns((*gas_limit).into());
        serial += own;
        let is_recorded = options.techniques.reuse && matches!(options.records.get(index), Some(Some(_)));
        // What waits for others does not find what its record rests on.
        if is_recorded && edges.is_empty() {
            work.add_call(RECORD_NS, &[]);
        } else {
            work.add_call(own + own * SPECULATION_PERCENT / 100, edges);
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
        share(self.calls_ns).max(critical_path) + share(self.transfers_ns) + overhead_ns(threads)
    }
}

/// Gas of calls that are handed out several at once: those who wait for one of them do not wait long.
const SOON_OVER_GAS: u32 = 100_000;

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
fn early(looks: &[Look], threads: usize) -> Vec<u32> {
    let others = threads.saturating_sub(1) as u64;
    if others == 0 {
        return Vec::new();
    }
    let weight = |look: &Look| match look.is_transfer {
        true => TRANSFER_GAS,
        false => u64::from(look.gas_limit).min(MOST_GAS),
    };
    let total: u64 = looks.iter().map(weight).sum();
    let mut left = 0;
    let mut early = Vec::new();
    for (index, look) in looks.iter().enumerate().rev() {
        let own = weight(look);
        let is_long = own * LEAST_PART >= total && own * looks.len() as u64 >= 2 * total;
        if is_long && !look.is_transfer && own * UNDERSTATED * others > left {
            early.push((own, index as u32));
        }
        left += own;
    }
    early.sort_unstable_by_key(|(own, index)| (Reverse(*own), *index));
    early.into_iter().map(|(_, index)| index).collect()
}

fn expected_ns(gas_limit: u64) -> u64 {
    CALL_NS + gas_limit.min(TELLING_GAS) / 2 / GAS_PER_NS
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

    fn looks(gas_limits: &[u32], is_transfer: &[bool]) -> Vec<Look> {
        let look = |(gas_limit, is_transfer): (&u32, &bool)| Look {
            edges: Edges::new(),
            gas_limit: *gas_limit,
            is_transfer: *is_transfer,
        };
        gas_limits.iter().zip(is_transfer).map(look).collect()
    }

    fn early_of(gas_limits: &[u32], threads: usize) -> Vec<u32> {
        early(&looks(gas_limits, &vec![false; gas_limits.len()]), threads)
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
        let limits = [21_000, 9_000_000, 21_000];

        assert_eq!(early(&looks(&limits, &[true, true, true]), 2), [0; 0]);
        assert_eq!(early(&looks(&limits, &[true, false, true]), 2), [1]);
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
        let pays = is_worth_it(&job, &Forecast::of(0, &job, &state()), threads);
        assert!(!(pays && is_surely_short(&job, threads)), "the short look said otherwise");
        pays
    }

    #[test]
    fn a_single_transaction_goes_in_order_whatever_it_is() {
        let calls = calls(&[21_000, 30_000_000]);

        assert!(!pays(&calls[..1], ExecuteOptions::default(), 2));
        assert!(!pays(&calls[1..], ExecuteOptions::default(), 8));
        assert!(!pays(&[], ExecuteOptions::default(), 8));
    }

    #[test]
    fn the_short_look_knows_single_transactions_and_short_blocks() {
        let (rules, block) = (rules(), block());
        let is_short = |gas_limits: &[u64]| {
            let (calls, options) = (calls(gas_limits), ExecuteOptions::default());
            is_surely_short(&job(&rules, &block, &calls, &options), 2)
        };

        assert!(is_short(&[]) && is_short(&[30_000_000]) && is_short(&[21_000, 21_000]));
        assert!(!is_short(&[21_000, 30_000_000]) && !is_short(&[21_000; 20]));
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
