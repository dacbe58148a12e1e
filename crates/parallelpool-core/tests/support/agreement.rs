//! The demand that all ways of executing a block have one result.
//!
//! In: a case and ways. Out: the serial result, and every difference that another way showed, in
//! words. Compared are the verdict, or of each transaction status, gas, logs, bloom, return data,
//! contract address, price, changes and touched accounts, and of the block gas, blob gas, bloom,
//! receipts root, requests, access list and changes; equal changes to one state give one state root.

use std::fmt;
use std::sync::Arc;

use parallelpool_core::block::BlockContext;
use parallelpool_core::chainspec::{ChainSpec, Rules};
use parallelpool_core::execution::{
    BlockOutcome, BuildLimits, BuildOutcome, ExecuteError, ExecuteOptions, ExecutionStatistics,
};
use parallelpool_core::executor::Executor;
use parallelpool_core::record::AccessRecord;
use parallelpool_core::replay::compare;
use parallelpool_core::roots::receipts_root;
use parallelpool_core::state::StateView;
use parallelpool_core::tx::SharedTransaction;

use super::records::records;
use super::unsteady::Unsteady;
use super::ways::{Speculation, Way};

/// A block, or candidates for one, on a state.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Case<'a> {
    pub(crate) spec: &'a ChainSpec,
    pub(crate) block: &'a BlockContext,
    pub(crate) transactions: &'a [SharedTransaction],
    pub(crate) state: &'a dyn StateView,
    pub(crate) task: Task<'a>,
    /// Decides which wrong hints are given.
    pub(crate) seed: u64,
    /// Whether the state answers with pauses, which follow from the seed, and is slow to find the first
    /// sender.
    pub(crate) pauses: bool,
}

/// What is to be done with the transactions.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Task<'a> {
    /// They are a given block.
    Import,
    /// They are a given block; nothing around them is executed.
    Replay(&'a Rules),
    /// They are candidates.
    Build(&'a BuildLimits),
}

/// Whoever executes cases: an executor, or in tests of the tests one that errs.
pub(crate) trait Engine {
    fn run(&self, case: &Case<'_>, options: &ExecuteOptions) -> Result<BuildOutcome, ExecuteError>;
}

impl Engine for Executor {
    fn run(&self, case: &Case<'_>, options: &ExecuteOptions) -> Result<BuildOutcome, ExecuteError> {
        let Case { spec, block, transactions, .. } = *case;
        let slow = transactions.first().filter(|_| case.pauses).map(|first| first.sender);
        let state = Unsteady::new(case.state, case.pauses.then_some(case.seed)).slow_to_find(slow);
        let outcome = match case.task {
            Task::Build(limits) => {
                return Ok(self.build(spec, block, limits, transactions, &state, options)?);
            }
            Task::Import => self.execute(spec, block, transactions, &state, options)?,
            Task::Replay(rules) => self.execute_transactions(rules, block, transactions, &state, options)?,
        };
        Ok(BuildOutcome { included: (0..transactions.len()).collect(), left_out: Vec::new(), outcome })
    }
}

/// What the ways gave.
#[derive(Debug)]
pub(crate) struct Findings {
    /// The serial result, changes and touched accounts of each transaction kept.
    pub(crate) oracle: Result<BuildOutcome, ExecuteError>,
    /// Empty: all agree.
    pub(crate) differences: Vec<Difference>,
    /// Of the speculative executions.
    pub(crate) statistics: Vec<ExecutionStatistics>,
    /// Whether a block access list answered all reads of one execution.
    pub(crate) by_access_list: bool,
}

/// What a way gave that the oracle does not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Difference {
    pub(crate) way: Way,
    pub(crate) words: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.way, self.words)
    }
}

impl Findings {
    /// The result on which all agreed.
    pub(crate) fn agreed(self) -> Result<BuildOutcome, ExecuteError> {
        let words: Vec<String> = self.differences.iter().map(Difference::to_string).collect();
        assert!(words.is_empty(), "{}", words.join("\n"));
        self.oracle
    }
}

/// The ways besides the oracle that every case gets.
pub(crate) const ALWAYS: [Way; 3] = [Way::Serial, Way::SerialByEvm, Way::Auto];

/// Executes a case in the ways that every case gets, then in the given ones, and compares everything.
pub(crate) fn compare_ways(
    engine: &dyn Engine,
    case: &Case<'_>,
    ways: impl Iterator<Item = Way>,
) -> Findings {
    compare_with(engine, case, oracle(engine, case), ALWAYS.into_iter().chain(ways))
}

/// The serial result that all others are held against.
pub(crate) fn oracle(engine: &dyn Engine, case: &Case<'_>) -> Result<BuildOutcome, ExecuteError> {
    let options = Way::SerialSeparately.options(case.seed, case.transactions.len(), &[]);
    engine.run(case, &options).map(in_order)
}

/// Executes a case in the given ways and compares everything with what is known of it.
pub(crate) fn compare_with(
    engine: &dyn Engine,
    case: &Case<'_>,
    oracle: Result<BuildOutcome, ExecuteError>,
    ways: impl Iterator<Item = Way>,
) -> Findings {
    let dependencies = oracle.as_ref().map(true_dependencies).unwrap_or_default();
    let without_parts = oracle.clone().map(without_parts);
    let mut differences = Vec::new();
    let mut statistics = Vec::new();
    let records = records_of(case);
    for way in ways {
        let mut options = way.options(case.seed, case.transactions.len(), &dependencies);
        options.records.clone_from(&records);
        let mut found = engine.run(case, &options).map(in_order);
        let mut words = Vec::new();
        if let (Way::Parallel(speculation), Ok(built)) = (way, &mut found) {
            let figures = std::mem::take(&mut built.outcome.statistics);
            words.extend(implausible(&speculation, &figures, built));
            statistics.push(figures);
        }
        let expected = if way.keeps() { &oracle } else { &without_parts };
        words.extend(differences_between(expected, &found));
        differences.extend(words.into_iter().map(|words| Difference { way, words }));
    }
    let mut by_access_list = false;
    let list = oracle.as_ref().ok().and_then(|built| built.outcome.access_list.clone());
    if let (Some(list), Task::Import | Task::Replay(_)) = (list, case.task) {
        let way = Way::by_access_list(case.seed);
        let options = way.options(case.seed, case.transactions.len(), &[]);
        let options = ExecuteOptions { access_list: Some(list), ..options };
        let found = engine.run(case, &options).map(in_order);
        by_access_list = found.as_ref().is_ok_and(|built| built.outcome.statistics.by_access_list);
        let found = differences_between(&oracle, &found);
        differences.extend(found.into_iter().map(|words| Difference { way, words }));
    }
    Findings { oracle, differences, statistics, by_access_list }
}

/// Records for every second case: the others are there to see executions.
fn records_of(case: &Case<'_>) -> Vec<Option<Arc<AccessRecord>>> {
    if case.seed.is_multiple_of(2) {
        return Vec::new();
    }
    let rules = match case.task {
        Task::Replay(rules) => *rules,
        Task::Import | Task::Build(_) => case.spec.rules_in(case.block),
    };
    records(&rules, case.block, case.state, case.transactions, case.seed)
}

/// Where two results differ, in words.
fn differences_between(
    expected: &Result<BuildOutcome, ExecuteError>,
    found: &Result<BuildOutcome, ExecuteError>,
) -> Vec<String> {
    let (expected, found) = match (expected, found) {
        (Ok(expected), Ok(found)) => (expected, found),
        (Err(expected), Err(found)) if same_refusal(expected, found) => return Vec::new(),
        (expected, found) => {
            let words = |result: &Result<BuildOutcome, ExecuteError>| match result {
                Ok(built) => format!("{} transactions executed", built.included.len()),
                Err(error) => format!("refused: {error}"),
            };
            return vec![format!("{}, serially {}", words(found), words(expected))];
        }
    };
    let mut differences = Vec::new();
    if expected.included != found.included {
        differences.push(format!("included {:?}, serially {:?}", found.included, expected.included));
    }
    if expected.left_out != found.left_out {
        differences.push(format!("left out {:?}, serially {:?}", found.left_out, expected.left_out));
    }
    let (expected, found) = (&expected.outcome, &found.outcome);
    if receipts_root(&expected.receipts) != receipts_root(&found.receipts) {
        differences.push("receipts root".into());
    }
    if expected.transaction_touched != found.transaction_touched {
        differences.push(first_touched(expected, found));
    }
    if expected.access_list != found.access_list {
        differences.push("block access list".into());
    }
    if expected.changes_before != found.changes_before {
        differences.push("changes of the system calls".into());
    }
    differences.extend(compare(expected, found));
    let same = BlockOutcome { statistics: expected.statistics.clone(), ..found.clone() };
    if differences.is_empty() && same != *expected {
        differences.push("a field that nobody compares by name".into());
    }
    differences
}

fn same_refusal(one: &ExecuteError, other: &ExecuteError) -> bool {
    one.to_string() == other.to_string() && format!("{one:?}") == format!("{other:?}")
}

fn first_touched(expected: &BlockOutcome, found: &BlockOutcome) -> String {
    let (expected, found) = (&expected.transaction_touched, &found.transaction_touched);
    let index = expected.iter().zip(found).position(|(expected, found)| expected != found);
    let index = index.unwrap_or(expected.len().min(found.len()));
    format!("transaction {index} touched {:?}, serially {:?}", found.get(index), expected.get(index))
}

/// What statistics cannot say.
fn implausible(
    speculation: &Speculation,
    statistics: &ExecutionStatistics,
    built: &BuildOutcome,
) -> impl Iterator<Item = String> {
    let runs = &statistics.executions_per_transaction;
    let techniques = speculation.techniques;
    let faults = [
        (!statistics.parallel, "the serial path was taken"),
        (statistics.threads != speculation.threads, "another number of threads was taken"),
        (statistics.active_workers > speculation.threads, "more workers than threads"),
        (runs.len() != built.included.len(), "executions are not given for each transaction"),
        (runs.iter().any(|runs| *runs > 2), "a transaction was executed more than twice"),
        (
            statistics.executions < runs.iter().map(|runs| u64::from(*runs)).sum(),
            "fewer executions than those of the transactions",
        ),
        (!techniques.transfers && statistics.transfers > 0, "transfers took the way that is off"),
        (!techniques.reuse && statistics.reused > 0, "records were reused although that is off"),
    ];
    let statistics = format!("{statistics:?}");
    faults.into_iter().filter(|(is_so, _)| *is_so).map(move |(_, fault)| format!("{fault}: {statistics}"))
}

/// Touched accounts come in no order.
pub(crate) fn in_order(mut built: BuildOutcome) -> BuildOutcome {
    for touched in &mut built.outcome.transaction_touched {
        touched.iter_mut().for_each(|account| account.slots.sort_unstable());
        touched.sort_unstable_by_key(|account| account.address);
    }
    built
}

/// The result as it is where the parts of each transaction are not kept.
fn without_parts(mut built: BuildOutcome) -> BuildOutcome {
    built.outcome.transaction_changes.clear();
    built.outcome.transaction_touched.clear();
    built.outcome.changes_before = Default::default();
    built.outcome.access_list = None;
    built
}

/// For each candidate the last earlier ones that changed an account that it touched.
fn true_dependencies(built: &BuildOutcome) -> Vec<Vec<u32>> {
    let outcome = &built.outcome;
    let candidates = built.included.iter().chain(built.left_out.iter().map(|out| &out.candidate)).max();
    let mut dependencies = vec![Vec::new(); candidates.map_or(0, |last| last + 1)];
    let mut changed = std::collections::HashMap::new();
    for (place, candidate) in built.included.iter().enumerate() {
        let touched = outcome.transaction_touched[place].iter();
        let mut earlier: Vec<u32> =
            touched.filter_map(|account| changed.get(&account.address).copied()).collect();
        earlier.sort_unstable();
        earlier.dedup();
        dependencies[*candidate] = earlier;
        let number = u32::try_from(*candidate).expect("blocks of tests are small");
        changed.extend(outcome.transaction_changes[place].accounts.keys().map(|address| (*address, number)));
    }
    dependencies
}
