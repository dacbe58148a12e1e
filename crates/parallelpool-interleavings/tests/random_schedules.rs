//! Many workers on random blocks, under seeded random schedules of shuttle.
//!
//! `PARALLELPOOL_SCHEDULES` sets how many; `PARALLELPOOL_SEED` runs the schedules of a single block.

use std::panic::{AssertUnwindSafe, catch_unwind};

use parallelpool_interleavings::shape::{Ending, Shape};
use parallelpool_interleavings::*;
use rand::rngs::SmallRng;
use rand::seq::{IndexedRandom, SliceRandom};
use rand::{Rng, SeedableRng};
use shuttle::scheduler::{PctScheduler, RandomScheduler};
use shuttle::{Config, FailurePersistence, Runner};

const SCHEDULES: u64 = 10_000;
/// Schedules of one block, half of them by each kind of scheduler.
const PER_BLOCK: u64 = 20;
/// Changes of priority within one schedule of the second kind.
const PRIORITY_CHANGES: usize = 4;

type Model = fn(&Shape, usize);

/// A random block and the workers for it.
fn block(seed: u64) -> (Shape, usize) {
    let mut random = SmallRng::seed_from_u64(seed);
    let count = random.random_range(1..=12);
    let density = *[0.0, 0.1, 0.3, 0.8].choose(&mut random).expect("not empty");
    let share = *[0.0, 0.3, 0.9].choose(&mut random).expect("not empty");
    let transfers: Vec<bool> = (0..count).map(|_| random.random_bool(share)).collect();
    let is_transfer = |index: u32| transfers[index as usize];
    let follows = *[0.0, 0.7].choose(&mut random).expect("not empty");
    let disguised = (0..count).filter(|index| is_transfer(*index) && random.random_bool(0.3)).collect();
    let edges = |index: u32, random: &mut SmallRng| {
        if index > 0 && !is_transfer(index) && !is_transfer(index - 1) && random.random_bool(follows) {
            return vec![index - 1];
        }
        let mut edges: Vec<u32> = (0..index)
            .filter(|edge| !is_transfer(index) && !is_transfer(*edge) && random.random_bool(density))
            .collect();
        edges.reverse();
        edges.truncate(8);
        edges
    };
    let shape = Shape {
        edges: (0..count).map(|index| edges(index, &mut random)).collect(),
        early: {
            let mut early: Vec<u32> =
                (0..count).filter(|index| !is_transfer(*index) && random.random_bool(0.2)).collect();
            early.shuffle(&mut random);
            early
        },
        in_order: *[0, 1, 3, 20].choose(&mut random).expect("not empty"),
        disguised,
        windows: (0..5).map(|_| *[1, 1, 2, 3, 16].choose(&mut random).expect("not empty")).collect(),
        ending: match random.random_range(0..8) {
            0 => Ending::Refused(random.random_range(0..count)),
            1 => Ending::Panicked(random.random_range(0..count)),
            _ => Ending::Whole,
        },
        hand_on: random.random_bool(0.8),
        in_place: random.random_bool(0.7),
        meeting: Vec::new(),
        pauses: *[0, 0, 5, 40].choose(&mut random).expect("not empty"),
        short: seed % 2 == 1,
        transfers,
    };
    (shape, random.random_range(2..=5))
}

fn explore(model: Model, seed: u64, schedules: u64) {
    let (shape, workers) = block(seed);
    explore_shape(model, shape, workers, seed, schedules);
}

fn explore_shape(model: Model, shape: Shape, workers: usize, seed: u64, schedules: u64) {
    let mut config = Config::new();
    config.failure_persistence = FailurePersistence::None;
    let each = schedules as usize / 2;
    let one = shape.clone();
    Runner::new(RandomScheduler::new_from_seed(seed, each), config.clone()).run(move || model(&one, workers));
    Runner::new(PctScheduler::new_from_seed(seed, PRIORITY_CHANGES, each), config)
        .run(move || model(&shape, workers));
}

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable} is not a number: {text}")))
}

#[test]
fn every_block_is_committed_in_order_under_any_schedule() {
    if let Some(seed) = number("PARALLELPOOL_SEED") {
        return explore(shuttle_as_it_is::model::run, seed, PER_BLOCK);
    }
    let schedules = number("PARALLELPOOL_SCHEDULES").unwrap_or(SCHEDULES).max(SCHEDULES);
    for seed in 0..schedules / PER_BLOCK {
        let model = shuttle_as_it_is::model::run;
        let result = catch_unwind(AssertUnwindSafe(|| explore(model, seed, PER_BLOCK)));
        assert!(
            result.is_ok(),
            "seed {seed} failed: {:?}; run it again: PARALLELPOOL_SEED={seed} \
             cargo test --release -p parallelpool-interleavings --test random_schedules",
            block(seed)
        );
    }
}

#[test]
fn what_is_released_reaches_a_worker_that_sleeps() {
    let silent = catch_unwind(|| {
        explore_shape(shuttle_silent_release::model::run, Shape::meeting(), 3, 0, SCHEDULES / 10);
    });
    explore_shape(shuttle_as_it_is::model::run, Shape::meeting(), 3, 0, SCHEDULES / 10);

    assert!(shuttle_silent_release::FITS, "faults.txt names text that its source no longer has");
    assert!(silent.is_err(), "no schedule found that releasing woke nobody");
}

/// Found by the random blocks: all is committed before the worker that released the last transaction
/// has taken it off the number of those held back, and another goes to sleep on that number.
#[test]
fn a_worker_that_sleeps_on_what_is_over_is_woken() {
    // With two edges they are in no run.
    let edges = vec![vec![], vec![0], vec![1, 0], vec![2, 1]];
    let shape = Shape { edges, hand_on: false, in_place: false, ..Shape::independent(4) };
    let silent =
        catch_unwind(|| explore_shape(shuttle_silent_end::model::run, shape.clone(), 4, 0, SCHEDULES));
    explore_shape(shuttle_as_it_is::model::run, shape, 4, 0, SCHEDULES);

    assert!(shuttle_silent_end::FITS, "faults.txt names text that its source no longer has");
    assert!(silent.is_err(), "no schedule left a worker asleep");
}

/// The first of a run waits for somebody who is done at once, and runs before all of its run is reserved.
#[test]
fn a_run_that_is_reserved_too_late_is_found() {
    let edges = vec![vec![], vec![], vec![1, 0], vec![2]];
    let shape = Shape { edges, in_place: false, ..Shape::independent(4) };
    let late =
        catch_unwind(|| explore_shape(shuttle_run_reserved_late::model::run, shape.clone(), 3, 0, SCHEDULES));
    explore_shape(shuttle_as_it_is::model::run, shape, 3, 0, SCHEDULES);

    assert!(shuttle_run_reserved_late::FITS, "faults.txt names text that its source no longer has");
    assert!(late.is_err(), "no schedule lost the rest of the run");
}

/// Blocks after which one of the schedules finds the fault.
fn found_after(model: Model) -> Option<u64> {
    (0..SCHEDULES / PER_BLOCK)
        .find(|seed| catch_unwind(AssertUnwindSafe(|| explore(model, *seed, PER_BLOCK))).is_err())
}

/// One test for each fault that breaks the protocol even where all memory is sequentially consistent.
macro_rules! finds {
    ($($test:ident: $variant:ident;)*) => {$(
        #[test]
        fn $test() {
            assert!($variant::FITS, "faults.txt names text that its source no longer has");
            let found = found_after($variant::model::run);
            println!("found at block {found:?}");

            assert!(found.is_some(), "no schedule found it");
        }
    )*};
}

finds! {
    a_missing_last_look_before_sleep_is_found: shuttle_no_last_look_before_sleep;
    a_sleeper_announced_too_late_is_found: shuttle_late_announcement;
    a_missing_look_under_the_lock_is_found: shuttle_no_look_under_the_lock;
    successors_taken_too_early_are_found: shuttle_successors_taken_too_early;
    a_torn_claim_is_found: shuttle_torn_claim;
    a_torn_claim_of_a_range_is_found: shuttle_torn_range;
    an_early_one_that_two_take_is_found: shuttle_taken_twice;
    the_rest_of_a_run_that_nobody_has_is_found: shuttle_run_left_alone;
    a_run_that_passes_over_an_early_one_is_found: shuttle_run_over_early;
    a_run_of_short_calls_that_passes_over_an_early_one_is_found: shuttle_short_run_over_early;
    a_range_that_passes_over_an_early_one_is_found: shuttle_range_over_early;
    a_range_that_nobody_is_told_of_is_found: shuttle_untold_range;
    a_silent_advance_is_found: shuttle_silent_advance;
    a_silent_stop_is_found: shuttle_silent_stop;
    a_missing_look_after_the_seat_is_found: shuttle_no_look_after_the_seat;
}
