//! Hints that no honest caller gives: they may cost time and nothing else.

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

/// Dependency hints for so many transactions, wrong in one of five manners.
pub(crate) fn wrong_hints(seed: u64, transactions: usize) -> Vec<Vec<u32>> {
    let mut random = SmallRng::seed_from_u64(seed ^ 0x41e7);
    let count = u32::try_from(transactions).unwrap_or(u32::MAX);
    match random.random_range(0..5) {
        // Earlier ones by chance, the transaction itself among them.
        0 => (0..count).map(|index| (0..3).map(|_| random.random_range(0..=index)).collect()).collect(),
        // The list is cut short.
        1 => (0..count / 2).map(|index| vec![random.random_range(0..=index)]).collect(),
        // The order reversed: everybody waits for somebody later.
        2 => (0..count).map(|index| vec![count - 1 - index]).collect(),
        // Everybody waits for everybody before, as far as anyone may be expected to look.
        3 => (0..count).map(|index| (index.saturating_sub(64)..index).collect()).collect(),
        _ => {
            let hostile = |index: u32| {
                [index, u32::MAX, count, index + 1, 0, 0, count / 2, index.wrapping_sub(1)].to_vec()
            };
            (0..2 * count).map(hostile).collect()
        }
    }
}
