//! Parallel execution equals serial execution on seeded random blocks, bit for bit.
//!
//! `PARALLELPOOL_RANDOM_BLOCKS` sets how many. A failing one is made smaller and printed as a command
//! that repeats it.

mod comparison;
mod export;
mod faults;
mod features;
mod minimise;
mod scenario;
#[path = "../support/mod.rs"]
mod support;
mod watch;
mod world;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use comparison::{Comparison, compare};
use features::Features;
use minimise::{failure, minimise};
use parallelpool_core::executor::Executor;
use parallelpool_core::workers::Workers;
use scenario::Scenario;
use support::agreement::Difference;
use support::shards::share;
use watch::Watch;
use world::World;

const BLOCKS: u64 = 2_000;
const LEAST_OCCURRENCES: usize = 20;
/// Executions of a scenario that a command repeats.
const REPEATS: usize = 200;

#[test]
fn parallel_equals_serial_on_random_blocks() {
    let seeds: Vec<u64> = (0..asked_for().unwrap_or(BLOCKS).max(BLOCKS)).collect();
    let stop = AtomicBool::new(false);
    let watch = Watch::default();
    let work = |(executor, tally): &mut (Executor, Tally), seed: &u64| {
        if !stop.load(Ordering::Relaxed) {
            watch.begins(*seed);
            let scenario = Scenario::new(*seed);
            let world = scenario.world();
            let comparison = compare(executor, &scenario, &world).expect("whole worlds can be executed");
            watch.is_done();
            stop.fetch_or(!comparison.differences.is_empty(), Ordering::Relaxed);
            tally.add(&world, scenario, comparison);
        }
    };
    let shares = watch.over(|| share(&seeds, || (executor(), Tally::default()), work));
    let mut total = Tally::default();
    shares.into_iter().for_each(|(_, share)| total.merge(share));
    total.check();
}

#[test]
fn repeats_the_scenario_that_the_environment_names() {
    let Some(scenario) = Scenario::from_variables(|name| std::env::var(name).ok()) else {
        println!("PARALLELPOOL_SEED names none");
        return;
    };
    println!("world {:#x}", scenario::fingerprint(&scenario.world()));
    if let Some(differences) = failure(&executor(), &scenario, REPEATS) {
        panic!("{}", list(&differences));
    }
    println!("{REPEATS} executions without a difference");
}

fn executor() -> Executor {
    Executor::new(Arc::new(Workers::new(2).expect("threads start")))
}

fn asked_for() -> Option<u64> {
    let text = std::env::var("PARALLELPOOL_RANDOM_BLOCKS").ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("PARALLELPOOL_RANDOM_BLOCKS is not a number: {text}")))
}

fn list(differences: &[Difference]) -> String {
    differences.iter().map(Difference::to_string).collect::<Vec<_>>().join("\n")
}

/// What the run as a whole must have met.
#[derive(Default)]
struct Tally {
    features: Features,
    executions: usize,
    shared: usize,
    conflicts: u64,
    transfers: u64,
    reused: u64,
    failed: Vec<(Scenario, Vec<Difference>)>,
}

impl Tally {
    fn add(&mut self, world: &World, scenario: Scenario, comparison: Comparison) {
        self.features.count(world, &comparison.oracle);
        self.executions += comparison.statistics.len();
        for statistics in &comparison.statistics {
            self.shared += usize::from(statistics.active_workers >= 2);
            self.conflicts += statistics.conflicts;
            self.transfers += statistics.transfers;
            self.reused += statistics.reused;
        }
        if !comparison.differences.is_empty() {
            self.failed.push((scenario, comparison.differences));
        }
    }

    fn merge(&mut self, other: Self) {
        self.features.merge(other.features);
        self.executions += other.executions;
        self.shared += other.shared;
        self.conflicts += other.conflicts;
        self.transfers += other.transfers;
        self.reused += other.reused;
        self.failed.extend(other.failed);
    }

    fn check(mut self) {
        self.failed.sort_by_key(|(scenario, _)| scenario.seed);
        if let Some((scenario, differences)) = self.failed.first() {
            println!("{}\n{}\nmaking it smaller", scenario.command(), list(differences));
            let smallest = minimise(&executor(), scenario, differences);
            panic!("seed {} differs:\n{}\n{}", scenario.seed, list(differences), smallest.command());
        }
        let rare = self.features.rarer_than(LEAST_OCCURRENCES);
        println!("{:#?}", self.features);
        println!(
            "{} parallel executions, {} by several workers, {} conflicts, {} transfers without an EVM, {} reused",
            self.executions, self.shared, self.conflicts, self.transfers, self.reused
        );

        assert!(rare.is_empty(), "features that occurred fewer than {LEAST_OCCURRENCES} times: {rare:?}");
        assert!(self.shared >= 100, "{} executions by several workers", self.shared);
        assert!(self.conflicts >= 500, "{} conflicts", self.conflicts);
        assert!(self.transfers >= 1_000, "{} transfers without an EVM", self.transfers);
    }
}
