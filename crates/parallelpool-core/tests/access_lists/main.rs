//! Block access lists on seeded random blocks: whoever executes makes the same list, a given list
//! changes nothing but the way, and a list that is wrong anywhere is refused for that very place.
//!
//! `PARALLELPOOL_RANDOM_BLOCKS` sets how many; `PARALLELPOOL_SEED` runs a single one.

mod codec;
mod mutations;
mod scene;
#[path = "../random_blocks/world/mod.rs"]
mod world;

use std::collections::BTreeMap;

use parallelpool_core::execution::{BlockOutcome, ExecuteError, ExecuteOptions, Mode};
use rand::SeedableRng;
use rand::rngs::SmallRng;

use scene::Scene;

const BLOCKS: u64 = 300;
const MUTATIONS: usize = 12;
const THREADS: [usize; 4] = [1, 2, 3, 8];

fn seeds() -> std::ops::Range<u64> {
    let number = |variable: &str| {
        let text = std::env::var(variable).ok()?;
        Some(text.parse::<u64>().unwrap_or_else(|_| panic!("{variable} is not a number: {text}")))
    };
    match number("PARALLELPOOL_SEED") {
        Some(seed) => seed..seed + 1,
        // A twenty-fifth: each list is mutated, and the block executed by it, many times.
        None => 0..number("PARALLELPOOL_RANDOM_BLOCKS").map_or(BLOCKS, |blocks| BLOCKS.max(blocks / 25)),
    }
}

/// The result apart from its figures.
fn plain(mut outcome: BlockOutcome) -> BlockOutcome {
    outcome.statistics = Default::default();
    for touched in &mut outcome.transaction_touched {
        touched.sort_by_key(|account| account.address);
        touched.iter_mut().for_each(|account| account.slots.sort());
    }
    outcome
}

#[test]
fn every_executor_makes_the_same_list() {
    for seed in seeds() {
        let scene = Scene::new(seed);
        assert_eq!(scene.list.check_form(usize::MAX), Ok(()), "seed {seed}");
        for threads in THREADS {
            let options = ExecuteOptions {
                mode: Mode::Parallel,
                threads,
                produce_access_list: true,
                ..ExecuteOptions::default()
            };
            let outcome = scene.execute(&options).expect("the block is valid");

            assert_eq!(outcome.access_list.as_deref(), Some(&*scene.list), "seed {seed}, {threads} threads");
            assert!(outcome.transaction_changes.is_empty() && outcome.transaction_touched.is_empty());
            assert!(!outcome.statistics.by_access_list);
        }
        let built = scene.build();
        assert_eq!(built.access_list.as_deref(), Some(&*scene.list), "seed {seed}, built");
    }
}

#[test]
fn a_block_executed_by_its_list_is_the_same_block() {
    let (mut by_list, mut in_order) = (0, 0);
    for seed in seeds() {
        let scene = Scene::new(seed);
        for (mode, threads) in [
            (Mode::Serial, 0),
            (Mode::Auto, 0),
            (Mode::Parallel, 1),
            (Mode::Parallel, 2),
            (Mode::Parallel, 8),
        ] {
            let options = ExecuteOptions {
                mode,
                threads,
                recheck: true,
                keep_transaction_changes: true,
                keep_touched: true,
                produce_access_list: true,
                ..scene.with_list(scene.list.clone())
            };
            let outcome = scene.execute(&options).unwrap_or_else(|error| panic!("seed {seed}: {error}"));
            let statistics = outcome.statistics.clone();
            if statistics.by_access_list {
                by_list += 1;
                assert_eq!(statistics.conflicts, 0);
                assert_eq!(statistics.executions, scene.transactions.len() as u64);
            } else {
                in_order += 1;
            }
            assert_eq!(
                plain(outcome),
                plain(scene.outcome.clone()),
                "seed {seed}, {mode:?}, {threads} threads"
            );
        }
    }
    println!("{by_list} executions by a list, {in_order} in order under proof");
    assert!(seeds().count() < 100 || (by_list > 400 && in_order > 200), "both ways were taken");
}

#[test]
fn a_block_that_is_invalid_is_refused_for_the_same_reason_with_any_list() {
    let mut refused = 0;
    for seed in seeds() {
        let mut scene = Scene::new(seed);
        let candidates = scene.world.candidates.clone();
        scene.transactions = candidates;
        let Err(serial) = scene.execute(&ExecuteOptions { mode: Mode::Serial, ..Default::default() }) else {
            continue;
        };
        // The list is right as far as the block is valid.
        let list = scene.list.clone();
        for threads in THREADS {
            let options = ExecuteOptions { mode: Mode::Parallel, threads, ..scene.with_list(list.clone()) };
            let by_list = scene.execute(&options).expect_err("the block is invalid");
            match &by_list {
                ExecuteError::Transaction { .. } => assert_eq!(by_list.to_string(), serial.to_string()),
                // An invalid transaction may read what no valid one did.
                ExecuteError::AccessList(_) => {}
                ExecuteError::Core(error) => panic!("seed {seed}: {error}"),
            }
            refused += usize::from(matches!(by_list, ExecuteError::Transaction { .. }));
        }
    }
    assert!(seeds().count() < 100 || refused > 200, "{refused} blocks refused for a transaction");
}

#[test]
fn every_mutation_of_a_list_is_refused_by_its_place() {
    let mut tally: BTreeMap<&'static str, usize> = BTreeMap::new();
    for seed in seeds() {
        let scene = Scene::new(seed);
        let mut random = SmallRng::seed_from_u64(seed ^ 0x6d75_7461_7465);
        for _ in 0..MUTATIONS {
            let Some(mutation) = mutations::any(&scene, &mut random) else { continue };
            assert_ne!(mutation.list, *scene.list, "seed {seed}: {} changes something", mutation.name);
            for (mode, threads) in [(Mode::Serial, 0), (Mode::Parallel, 1), (Mode::Parallel, 3)] {
                let options =
                    ExecuteOptions { mode, threads, ..scene.with_list(mutation.list.clone().into()) };
                let found = match scene.execute(&options) {
                    Err(ExecuteError::AccessList(wrong)) => wrong,
                    other => panic!("seed {seed}: {}: {other:?}", mutation.name),
                };
                assert_eq!(
                    mutations::place(&found),
                    mutation.place,
                    "seed {seed}: {}, {mode:?}, {threads} threads: {found}",
                    mutation.name
                );
            }
            *tally.entry(mutation.name).or_default() += 1;
        }
    }
    println!("{tally:#?}");
    if seeds().count() >= BLOCKS as usize {
        assert_eq!(tally.len(), mutations::KINDS, "all kinds occurred");
        assert!(tally.values().all(|count| *count >= 20), "each kind occurred often: {tally:?}");
    }
}
