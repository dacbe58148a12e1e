//! A batch size that follows what execution observed.
//!
//! In: what became of each executed block. Out: the members that close a batch. A batch that is
//! wide hides waiting time and costs fewer barriers, until wrong predictions make more of its
//! members run twice. So the size grows by steps while nearly nothing is aborted and the longest
//! member is a small part of its batch, and is halved as soon as aborts show; as windows of
//! congestion control do, with the same reason: the way down must be faster than the way up.

use super::BATCH_SIZES;

/// What became of a block that was planned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Observed {
    /// Transactions of parallel batches.
    pub transactions: u64,
    /// Executions of them that were thrown away.
    pub aborted: u64,
    /// Gas they used.
    pub gas_used: u64,
    /// Gas of the longest way through their dependencies.
    pub critical_path_gas: u64,
}

/// Aborts per thousand transactions above which the size is halved.
const TOO_MANY: u64 = 30;
/// Aborts per thousand transactions up to which it may grow.
const FEW: u64 = 10;
const STEP: usize = 16;

/// The rule and its state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AdaptiveSize {
    size: usize,
}

impl Default for AdaptiveSize {
    fn default() -> Self {
        Self { size: *BATCH_SIZES.start() }
    }
}

impl AdaptiveSize {
    /// Begins at `size`, cut to what batches may have.
    pub fn new(size: usize) -> Self {
        Self { size: size.clamp(*BATCH_SIZES.start(), *BATCH_SIZES.end()) }
    }

    /// Members that close a batch now.
    pub fn size(&self) -> usize {
        self.size
    }

    /// Learns from one block; a block with less than a batch of transactions says nothing.
    pub fn observe(&mut self, observed: Observed) {
        if observed.transactions < *BATCH_SIZES.start() as u64 {
            return;
        }
        let aborts = observed.aborted.saturating_mul(1_000) / observed.transactions;
        // While one chain of dependencies takes more than a quarter of the block, wider batches wait
        // for it all the same.
        let is_chained = observed.critical_path_gas.saturating_mul(4) > observed.gas_used;
        let size = if aborts > TOO_MANY {
            self.size / 2
        } else if aborts <= FEW && !is_chained {
            self.size + STEP
        } else {
            self.size
        };
        *self = Self::new(size);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CALM: Observed = Observed { transactions: 500, aborted: 2, gas_used: 1_000, critical_path_gas: 50 };

    #[test]
    fn it_grows_by_steps_while_calm_and_halves_at_once_when_aborts_show() {
        let mut size = AdaptiveSize::default();
        let mut sizes = vec![size.size()];
        for _ in 0..14 {
            size.observe(CALM);
            sizes.push(size.size());
        }
        assert_eq!((sizes[0], sizes[1], sizes[12], sizes[14]), (64, 80, 256, 256));

        size.observe(Observed { aborted: 100, ..CALM });

        assert_eq!(size.size(), 128);
        size.observe(Observed { aborted: 100, ..CALM });
        size.observe(Observed { aborted: 100, ..CALM });
        assert_eq!(size.size(), 64, "never below what a batch has at least");
    }

    #[test]
    fn it_stays_when_a_chain_rules_the_block_or_too_little_was_seen() {
        for observed in [
            Observed { critical_path_gas: 400, ..CALM },
            Observed { aborted: 10, ..CALM },
            Observed { transactions: 20, aborted: 20, ..CALM },
        ] {
            let mut size = AdaptiveSize::new(128);
            size.observe(observed);
            assert_eq!(size.size(), 128, "{observed:?}");
        }
    }
}
