//! Two and three workers on tiny blocks: loom tries their executions one after another, with every
//! value that a load may see.
//!
//! Executions with more than a few preemptions are left out, as is usual: lost wake-ups and lost
//! seats show with one or two.

use std::panic::{AssertUnwindSafe, catch_unwind};

use loom::model::Builder;
use parallelpool_interleavings::shape::{Ending, Shape};
use parallelpool_interleavings::*;

type Model = fn(&Shape, usize);

fn explore(model: Model, shape: Shape, workers: usize, preemptions: usize) {
    let mut builder = Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.max_branches = 20_000;
    builder.check(move || model(&shape, workers));
}

/// Blocks on which each fault shows, and which sound sources must pass.
fn blocks() -> Vec<(Shape, usize, usize)> {
    vec![
        (Shape { in_place: false, ..Shape::chain(2).with_early(&[1]) }, 2, 2),
        (Shape::chain(2).with_early(&[1]), 2, 2),
        (Shape::chain(2), 2, 2),
        (Shape::independent(2), 2, 2),
        (Shape { short: true, ..Shape::independent(3) }, 2, 2),
        (Shape::chain(2).with_ending(Ending::Refused(0)), 2, 2),
        (Shape::chain(2).with_ending(Ending::Panicked(0)), 2, 2),
        (Shape::independent(3).with_transfers(&[0, 1, 2], &[1]), 2, 2),
        (Shape::chain(2).with_windows(&[1]), 2, 2),
        (Shape::independent(2).with_windows(&[1, 2]), 2, 2),
        (Shape::independent(2).with_early(&[1]), 2, 2),
        (Shape::independent(3).with_windows(&[1]).with_in_order(2), 2, 2),
    ]
}

#[test]
fn tiny_blocks_are_committed_whatever_loads_see() {
    for (shape, workers, preemptions) in blocks() {
        let started = std::time::Instant::now();
        explore(loom_as_it_is::model::run, shape.clone(), workers, preemptions);
        println!("{shape:?} {:?}", started.elapsed());
    }
}

#[test]
#[ignore = "takes minutes"]
fn slow_small_blocks_are_committed_whatever_loads_see() {
    let blocks = [
        (Shape::independent(2), 3, 2),
        (Shape::independent(3).with_windows(&[2]), 2, 2),
        (Shape::chain(3).with_windows(&[1, 2]), 2, 2),
        (Shape::chain(3), 2, 3),
        (Shape::chain(4).with_windows(&[1, 2, 4]), 2, 2),
    ];
    for (shape, workers, preemptions) in blocks {
        let started = std::time::Instant::now();
        explore(loom_as_it_is::model::run, shape.clone(), workers, preemptions);
        println!("{shape:?} {:?}", started.elapsed());
    }
}

fn is_found(model: Model) -> bool {
    blocks().into_iter().any(|(shape, workers, preemptions)| {
        catch_unwind(AssertUnwindSafe(|| explore(model, shape, workers, preemptions))).is_err()
    })
}

/// One test for each fault that shows on weakly ordered memory.
macro_rules! finds {
    ($($test:ident: $variant:ident;)*) => {$(
        #[test]
        fn $test() {
            assert!($variant::FITS, "faults.txt names text that its source no longer has");
            assert!(is_found($variant::model::run), "no execution found it");
        }
    )*};
}

finds! {
    a_missing_fence_before_sleep_is_found: loom_no_fence_before_sleep;
    a_missing_fence_before_waking_is_found: loom_no_fence_before_waking;
    a_missing_fence_at_the_seat_is_found: loom_no_fence_at_the_seat;
    an_unordered_publication_is_found: loom_unordered_publication;
    an_unordered_look_at_an_edge_is_found: loom_unordered_edge;
    a_missing_look_after_the_seat_is_found: loom_no_look_after_the_seat;
    a_missing_last_look_before_sleep_is_found: loom_no_last_look_before_sleep;
}
