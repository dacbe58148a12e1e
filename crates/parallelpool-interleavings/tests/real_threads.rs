//! Blocks on real threads, small enough for Miri and ThreadSanitizer (`make sanitize`).

use parallelpool_interleavings::real_as_it_is::model;
use parallelpool_interleavings::shape::{Ending, Shape};

#[test]
fn small_blocks_are_committed_by_real_threads() {
    let blocks = [
        Shape::chain(3),
        Shape { hand_on: false, in_place: false, ..Shape::chain(3) },
        Shape::independent(4).with_windows(&[2, 1]),
        Shape { short: true, ..Shape::independent(8) },
        Shape::independent(5).with_transfers(&[1, 2, 3], &[2]),
        Shape::meeting(),
        Shape::chain(4).with_early(&[3, 1]),
        Shape::chain(5).with_windows(&[1, 1, 2]).with_in_order(2),
        Shape::chain(3).with_ending(Ending::Refused(1)),
        Shape::chain(3).with_ending(Ending::Panicked(2)),
    ];
    for shape in &blocks {
        model::run(shape, 3);
    }
}
