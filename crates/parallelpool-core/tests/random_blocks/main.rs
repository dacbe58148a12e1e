//! Parallel execution equals serial execution on seeded random blocks, bit for bit.
//!
//! `PARALLELPOOL_RANDOM_BLOCKS` sets how many; `PARALLELPOOL_SEED` runs a single one.

mod features;
#[path = "../support/mod.rs"]
mod support;
mod world;

use std::sync::Arc;

use features::Features;
use parallelpool_core::block::{BuildOutcome, ExecuteOptions, ExecutionStatistics, Mode};
use parallelpool_core::executor::{ExecuteError, Executor};
use parallelpool_core::state::StateChanges;
use parallelpool_core::tx::SharedTransaction;
use parallelpool_core::workers::Workers;
use support::unsteady::Unsteady;
use world::World;

const BLOCKS: u64 = 2_000;
const LEAST_OCCURRENCES: usize = 20;
/// Sampled in turn, two threads always.
const THREADS: [usize; 4] = [1, 2, 3, 8];

#[test]
fn parallel_equals_serial_on_random_blocks() {
    let executor = Executor::new(Arc::new(Workers::new(2).expect("threads start")));
    if let Some(seed) = number("PARALLELPOOL_SEED") {
        Comparison::new(&executor, seed).run();
        return;
    }
    let blocks = number("PARALLELPOOL_RANDOM_BLOCKS").unwrap_or(BLOCKS).max(BLOCKS);
    let mut tally = Tally::default();
    for seed in 0..blocks {
        let comparison = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let mut comparison = Comparison::new(&executor, seed);
            let oracle = comparison.run();
            (comparison, oracle)
        }));
        let Ok((comparison, oracle)) = comparison else {
            panic!(
                "seed {seed} failed; run it again: \
                 PARALLELPOOL_SEED={seed} cargo test --release -p parallelpool-core --test random_blocks"
            );
        };
        tally.add(&comparison, &oracle);
    }
    tally.check();
}

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable} is not a number: {text}")))
}

/// What the run as a whole must have met.
#[derive(Default)]
struct Tally {
    features: Features,
    blocks_by_several: usize,
    conflicts: u64,
}

impl Tally {
    fn add(&mut self, comparison: &Comparison<'_>, oracle: &BuildOutcome) {
        self.features.count(&comparison.world, oracle);
        for statistics in &comparison.parallel {
            self.blocks_by_several += usize::from(statistics.active_workers >= 2);
            self.conflicts += statistics.conflicts;
        }
    }

    fn check(&self) {
        let rare = self.features.rarer_than(LEAST_OCCURRENCES);
        println!("{:#?}", self.features);
        println!("{} executions by several workers, {} conflicts", self.blocks_by_several, self.conflicts);

        assert!(rare.is_empty(), "features that occurred fewer than {LEAST_OCCURRENCES} times: {rare:?}");
        assert!(self.blocks_by_several >= 100, "{} executions by several workers", self.blocks_by_several);
        assert!(self.conflicts >= 500, "{} conflicts", self.conflicts);
    }
}

/// One seed's world, executed in many ways.
struct Comparison<'a> {
    executor: &'a Executor,
    world: World,
    /// Of each parallel execution.
    parallel: Vec<ExecutionStatistics>,
}

impl<'a> Comparison<'a> {
    fn new(executor: &'a Executor, seed: u64) -> Self {
        Self { executor, world: World::new(seed), parallel: Vec::new() }
    }

    /// Returns the serially built block, with which all others agreed.
    fn run(&mut self) -> BuildOutcome {
        let keeping = ExecuteOptions { keep_transaction_changes: true, ..serial() };
        let oracle = self.build(&keeping);
        let plain = self.build(&serial());
        assert_same(&without_transaction_changes(oracle.clone()), &plain, "serial with changes kept, or not");
        let other = THREADS[(self.world.seed % 4) as usize];
        for threads in [2, other] {
            let options = self.parallel(threads, true);
            let mut built = self.build(&options);
            self.note(&mut built, threads);
            assert_same(&built, &oracle, &format!("build by {threads} threads"));
        }
        let included: Vec<_> =
            oracle.included.iter().map(|index| self.world.candidates[*index].clone()).collect();
        // Once as in production: the re-check logs reads that nobody else needs and takes its time.
        let options = ExecuteOptions { recheck: false, ..self.parallel(other, false) };
        let imported = self.import(&included, &options).expect("what was built can be imported");
        let mut as_built = BuildOutcome { outcome: imported, ..without_transaction_changes(oracle.clone()) };
        self.note(&mut as_built, other);
        assert_same(&as_built, &plain, &format!("import by {other} threads"));
        self.compare_refusals(other, oracle.left_out.is_empty());
        oracle
    }

    /// A given block with an invalid transaction is refused for the same one and the same reason.
    fn compare_refusals(&mut self, threads: usize, is_valid: bool) {
        let candidates = self.world.candidates.clone();
        let options = self.parallel(threads, false);
        let verdict = |result: Result<_, ExecuteError>| result.map(drop).map_err(|error| error.to_string());
        let parallel = verdict(self.import(&candidates, &options));
        let serial = verdict(self.import(&candidates, &serial()));

        assert_eq!(parallel, serial);
        // The size limit binds builders only; a block that broke it is refused elsewhere.
        assert!(serial.is_err() || is_valid || self.world.limits.max_block_bytes.is_some());
    }

    fn parallel(&mut self, threads: usize, keep_transaction_changes: bool) -> ExecuteOptions {
        ExecuteOptions {
            mode: Mode::Parallel,
            threads,
            recheck: true,
            keep_transaction_changes,
            dependencies: self.world.hints(),
            ..ExecuteOptions::default()
        }
    }

    /// Every third world's state is unsteady.
    fn state(&self) -> Unsteady<'_> {
        let seed = self.world.seed;
        Unsteady::new(&self.world.state, seed.is_multiple_of(3).then_some(seed))
    }

    fn build(&self, options: &ExecuteOptions) -> BuildOutcome {
        let World { spec, block, limits, candidates, .. } = &self.world;
        let state = self.state();
        self.executor.build(spec, block, limits, candidates, &state, options).expect("memory never fails")
    }

    fn import(
        &self,
        transactions: &[SharedTransaction],
        options: &ExecuteOptions,
    ) -> Result<parallelpool_core::block::BlockOutcome, ExecuteError> {
        let World { spec, block, .. } = &self.world;
        self.executor.execute(spec, block, transactions, &self.state(), options)
    }

    /// Takes the statistics out, having looked at them.
    fn note(&mut self, built: &mut BuildOutcome, threads: usize) {
        let statistics = std::mem::take(&mut built.outcome.statistics);
        let runs = &statistics.executions_per_transaction;
        assert!(statistics.parallel);
        assert_eq!(statistics.threads, threads);
        assert!(statistics.active_workers <= threads);
        assert!(statistics.active_workers >= 1 || runs.is_empty());
        assert_eq!(runs.len(), built.included.len());
        assert!(runs.iter().all(|runs| (1..=2).contains(runs)), "at most two executions each");
        assert!(statistics.executions >= runs.iter().map(|runs| u64::from(*runs)).sum());
        self.parallel.push(statistics);
    }
}

fn serial() -> ExecuteOptions {
    ExecuteOptions { mode: Mode::Serial, ..ExecuteOptions::default() }
}

fn without_transaction_changes(mut built: BuildOutcome) -> BuildOutcome {
    built.outcome.transaction_changes.clear();
    built.outcome.changes_before = Default::default();
    built
}

/// Equal in everything but the statistics.
fn assert_same(one: &BuildOutcome, other: &BuildOutcome, what: &str) {
    let (mut one, mut other) = (one.clone(), other.clone());
    one.outcome.statistics = ExecutionStatistics::default();
    other.outcome.statistics = ExecutionStatistics::default();
    assert_eq!(one.left_out, other.left_out, "{what}: left out");
    assert_eq!(one.included, other.included, "{what}: included");
    assert_eq!(one.outcome.receipts, other.outcome.receipts, "{what}: receipts");
    let by_transaction = one.outcome.transaction_changes.iter().zip(&other.outcome.transaction_changes);
    for (index, (one, other)) in by_transaction.enumerate() {
        assert_same_changes(one, other, &format!("{what}: transaction {index}"));
    }
    assert_same_changes(&one.outcome.changes, &other.outcome.changes, what);
    assert_eq!(one, other, "{what}");
}

/// Names the account that differs, since whole blocks of changes fill pages.
fn assert_same_changes(one: &StateChanges, other: &StateChanges, what: &str) {
    for address in one.accounts.keys().chain(other.accounts.keys()) {
        let (one, other) = (one.accounts.get(address), other.accounts.get(address));
        assert_eq!(one, other, "{what}: account {address}");
    }
    assert_eq!(one, other, "{what}: codes");
}
