//! How long records of earlier runs are left alone that do not hold.
//!
//! Where every transaction changes what the next one reads, no record of a run alone holds. To look at
//! each costs some part of running it, and stands in the way of one journal for all. So after some that
//! did not hold those of the next transactions are not looked at; each such rest is four times as long as the
//! one before, until records hold again.

use super::sync::{AtomicU32, Ordering};

/// Records that one judgement rests on.
const SAMPLE: u32 = 16;
/// Transactions of the first rest.
const FIRST_REST: u32 = 64;
/// By how much rests grow.
const STEP: u32 = 4;

/// What became of records, and which ones are looked at.
#[derive(Debug, Default)]
pub(super) struct Reuse {
    /// Records of transactions before this one are left alone. Written by the committer alone; whoever
    /// sees it late looks at a record in vain.
    from: AtomicU32,
}

impl Reuse {
    /// Whether the record of a transaction is worth looking at.
    pub(super) fn is_on(&self, index: u32) -> bool {
        index >= self.from.load(Ordering::Relaxed)
    }

    /// Transactions from this one on whose records are left alone.
    pub(super) fn rest(&self, index: u32) -> u32 {
        self.from.load(Ordering::Relaxed).saturating_sub(index)
    }
}

/// The committer's count of them.
#[derive(Debug)]
pub(super) struct Tally {
    held: u32,
    failed: u32,
    next_rest: u32,
}

impl Default for Tally {
    fn default() -> Self {
        Self { held: 0, failed: 0, next_rest: FIRST_REST }
    }
}

impl Tally {
    /// A transaction was committed that has a record: by it, or because it did not hold by a run.
    pub(super) fn observe(&mut self, reuse: &Reuse, index: u32, held: bool) {
        if !reuse.is_on(index) {
            return;
        }
        *(if held { &mut self.held } else { &mut self.failed }) += 1;
        if self.held + self.failed < SAMPLE {
            return;
        }
        if 8 * self.held > self.failed {
            self.next_rest = FIRST_REST;
        } else {
            reuse.from.store((index + 1).saturating_add(self.next_rest), Ordering::Relaxed);
            self.next_rest = self.next_rest.saturating_mul(STEP);
        }
        (self.held, self.failed) = (0, 0);
    }
}

#[cfg(all(test, not(feature = "shuttle")))]
mod tests {
    use super::*;

    /// How many of so many records are looked at.
    fn looked_at(count: u32, holds: impl Fn(u32) -> bool) -> u32 {
        let (reuse, mut tally) = (Reuse::default(), Tally::default());
        let look = |index: &u32| {
            let is_on = reuse.is_on(*index);
            assert_eq!(is_on, reuse.rest(*index) == 0);
            tally.observe(&reuse, *index, holds(*index));
            is_on
        };
        (0..count).filter(look).count() as u32
    }

    #[test]
    fn records_that_never_hold_are_looked_at_ever_less() {
        let looked_at = looked_at(100_000, |_| false);
        assert!(looked_at <= 8 * SAMPLE, "{looked_at}");
    }

    #[test]
    fn records_of_which_some_hold_are_all_looked_at() {
        assert_eq!(looked_at(10_000, |index| index % 4 == 0), 10_000);
    }

    #[test]
    fn a_chain_among_others_is_forgotten() {
        let holds = |index| !(1_000..1_100).contains(&index);
        let looked_at = looked_at(10_000, holds);

        assert!(looked_at >= 10_000 - 2 * (FIRST_REST + STEP * FIRST_REST), "{looked_at}");
    }
}
