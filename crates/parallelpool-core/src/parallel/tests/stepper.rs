//! A scheduler in the test's hands: workers that move one step at a time, in any order it likes.
//!
//! Between the steps of one worker (claim and execute, publish, commit) others may take theirs, so
//! executions read what is long outdated and are published late. Real threads on few cores hardly
//! ever do that. If nobody can move before the block is committed, the protocol has lost somebody.

use std::sync::Arc;

use rand::rngs::SmallRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};

use super::world::World;
use super::*;
use crate::execution::BuildLimits;
use crate::record::{AccessRecord, pre_execute};

/// What the test lets happen next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Preference {
    /// Anything, by chance.
    Random(u64),
    /// The same, but the window is one at first, and opens after a few transactions.
    InOrderFirst(u64),
    /// No edges, and all execute before any publishes: all read the state before the block. The last
    /// publishes first. Needs as many workers as transactions.
    Outdated,
}

enum State {
    /// Free, with what the schedule kept for it.
    Idle(Option<u32>),
    Holding(u32, Box<Executed>),
    /// Has published and not looked for the committer's seat yet.
    Published(Option<u32>),
    Gone,
}

struct StepWorker<'s, 'a> {
    worker: Worker<'s, 'a>,
    state: State,
}

/// Executes a job by `workers` workers that take their steps as preferred.
pub(super) fn run_by_steps(
    job: &Job<'_>,
    state: &dyn StateView,
    workers: usize,
    preference: Preference,
) -> Result<JobOutcome, ExecuteError> {
    let mut speculation = Speculation::new(job, state, Box::default(), workers, Forecast::of(0, job, state));
    if preference == Preference::Outdated {
        let window = speculation.committer.get_mut().window();
        let free = std::iter::repeat_n(Default::default(), job.transactions.len());
        speculation.schedule = Schedule::new(free, Vec::new(), window);
    }
    if let Preference::InOrderFirst(seed) = preference {
        speculation.committer.get_mut().rest_first(1 + seed as u32 % 7);
        speculation.schedule.advance(0, 1);
    }
    let mut random = SmallRng::seed_from_u64(match preference {
        Preference::Random(seed) | Preference::InOrderFirst(seed) => seed,
        Preference::Outdated => 0,
    });
    let mut crew: Vec<_> =
        (0..workers).map(|_| StepWorker { worker: speculation.worker(), state: State::Idle(None) }).collect();
    // Those who found nothing to claim since anything last happened.
    let mut waiting = vec![false; workers];
    while crew.iter().any(|member| !matches!(member.state, State::Gone)) {
        let able: Vec<usize> = (0..workers)
            .filter(|member| !waiting[*member] && !matches!(crew[*member].state, State::Gone))
            .collect();
        assert!(!able.is_empty(), "nobody can move: frontier {}", speculation.schedule.frontier());
        let chosen = match preference {
            Preference::Random(_) | Preference::InOrderFirst(_) => {
                *able.choose(&mut random).expect("not empty")
            }
            Preference::Outdated => outdated_first(&able, &crew),
        };
        if step(&speculation, &mut crew[chosen], preference) {
            waiting.fill(false);
        } else {
            waiting[chosen] = true;
        }
    }
    drop(crew);
    speculation.finish(workers, |work| work()).0
}

fn outdated_first(able: &[usize], crew: &[StepWorker<'_, '_>]) -> usize {
    let idle = able.iter().find(|member| matches!(crew[**member].state, State::Idle(_)));
    let holding = able.iter().rfind(|member| matches!(crew[**member].state, State::Holding(..)));
    *idle.or(holding).unwrap_or(&able[0])
}

/// Returns whether the worker did anything that others could have waited for.
fn step<'s, 'a>(
    speculation: &'s Speculation<'a>,
    member: &mut StepWorker<'s, 'a>,
    preference: Preference,
) -> bool {
    member.state = match std::mem::replace(&mut member.state, State::Gone) {
        State::Idle(own) => match speculation.schedule.claim(own) {
            Claim::Run(index) => {
                // At the frontier there is a short way, in one step.
                let takes_short_way = preference != Preference::Outdated;
                let done = takes_short_way.then(|| speculation.run_in_place(&mut member.worker, index));
                match done.flatten() {
                    Some(own) => State::Published(own),
                    None => State::Holding(index, speculation.execute(&mut member.worker, index)),
                }
            }
            Claim::Transfers(first, end) => {
                speculation.prepare(&mut member.worker, first, end);
                State::Idle(None)
            }
            Claim::Leave => State::Gone,
            Claim::Wait => {
                member.state = State::Idle(None);
                return false;
            }
        },
        State::Holding(index, executed) => {
            State::Published(speculation.publish(&mut member.worker, index, executed))
        }
        State::Published(own) => {
            speculation.commit(&mut member.worker);
            State::Idle(own)
        }
        State::Gone => unreachable!("those who left are not chosen"),
    };
    true
}

/// What each candidate did alone on the state before the block.
fn records(world: &World, rules: &Rules) -> Vec<Option<Arc<AccessRecord>>> {
    let record = |tx: &SharedTransaction| pre_execute(tx, &world.state, rules, &world.block);
    let memory_never_fails = |tx| record(tx).expect("memory never fails").map(Arc::new);
    world.candidates.iter().map(memory_never_fails).collect()
}

fn assert_all_orders_agree(seed: u64, conflicts: &mut u64) {
    let mut world = World::new(seed);
    let rules = world.spec.rules_in(&world.block);
    let options = ExecuteOptions {
        keep_transaction_changes: seed.is_multiple_of(2),
        // Off at times: what the re-check catches must not be needed for equality.
        recheck: seed.is_multiple_of(3),
        dependencies: world.hints(),
        records: if seed % 4 == 1 { records(&world, &rules) } else { Vec::new() },
        ..ExecuteOptions::default()
    };
    let limits: BuildLimits = world.limits;
    let job = Job {
        rules: &rules,
        block: &world.block,
        transactions: &world.candidates,
        caller: Caller::Build(&limits),
        options: &options,
    };
    let serial = oracle(&job, &world.state).expect("memory never fails");
    let orders = [
        (2, Preference::Random(seed)),
        (3 + seed as usize % 5, Preference::Random(!seed)),
        (2 + seed as usize % 2, Preference::InOrderFirst(seed)),
        (world.candidates.len(), Preference::Outdated),
    ];
    for (workers, preference) in orders {
        let parallel = run_by_steps(&job, &world.state, workers, preference)
            .unwrap_or_else(|error| panic!("{workers} workers, {preference:?}: {error}"));
        *conflicts += parallel.statistics.conflicts;
        assert_equal(&parallel, &serial);
    }
}

#[test]
fn any_order_of_steps_gives_the_serial_result_on_random_blocks() {
    let asked = std::env::var("PARALLELPOOL_RANDOM_BLOCKS").ok().and_then(|count| count.parse().ok());
    // A tenth: each block is executed in three orders, on one thread.
    let asked = asked.map(|count: u64| count / 10);
    let mut conflicts = 0;
    for seed in 0..asked.unwrap_or_default().max(600) {
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            assert_all_orders_agree(seed, &mut conflicts);
        }));
        assert!(result.is_ok(), "seed {seed} failed");
    }

    assert!(conflicts > 2_000, "only {conflicts} conflicts were met");
}

#[test]
fn hostile_edges_cannot_stop_the_block() {
    let (rules, block, state, transactions) = (rules(), block(), state(), dependent_chain(60));
    for seed in 0..200 {
        let mut random = SmallRng::seed_from_u64(seed);
        let dependencies = (0..70_u32)
            .map(|_| (0..random.random_range(0..20)).map(|_| random.random_range(0..80)).collect())
            .collect();
        let options = ExecuteOptions { dependencies, ..ExecuteOptions::default() };
        let job = job(&rules, &block, &transactions, &options);
        let serial = oracle(&job, &state).expect("serial");
        let parallel = run_by_steps(&job, &state, 4, Preference::Random(seed)).expect("parallel");

        assert_equal(&parallel, &serial);
    }
}

#[test]
fn no_transaction_runs_more_than_twice_whatever_the_order() {
    let (rules, block, state, transactions) = (rules(), block(), state(), dependent_chain(200));
    let options = ExecuteOptions::default();
    let job = job(&rules, &block, &transactions, &options);
    for seed in 0..20 {
        let parallel = run_by_steps(&job, &state, 8, Preference::Random(seed)).expect("parallel");
        let runs = &parallel.statistics.executions_per_transaction;

        assert!(runs.iter().all(|runs| *runs <= 2));
        assert_eq!(runs.iter().map(|runs| u64::from(*runs)).sum::<u64>(), parallel.statistics.executions);
    }
}

#[test]
fn calls_of_one_sender_run_once_each_whatever_the_order() {
    let (rules, block, state, options) = (rules(), block(), state(), ExecuteOptions::default());
    let calls = |sender, count| (0..count).map(move |nonce| transaction(account(sender), nonce, COUNTER, 0));
    let transactions: Vec<_> = calls(1, 40).collect();
    let job = job(&rules, &block, &transactions, &options);
    let serial = serial::run(&job, &state).expect("serial");
    for seed in 0..50 {
        let parallel = run_by_steps(&job, &state, 3, Preference::Random(seed)).expect("parallel");

        assert_equal(&parallel, &serial);
        assert_eq!(
            parallel.statistics.executions, 40,
            "all of them count in one slot, and none is thrown away"
        );
    }
}
