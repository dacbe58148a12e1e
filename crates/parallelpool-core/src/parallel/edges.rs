//! Which earlier transactions one is expected to depend on.
//!
//! In: transactions and the caller's hints. Out: for each a few earlier indices that should have
//! run before it does. All of it is order and nothing else: a wrong edge costs time, a missing one
//! a second execution.

use std::hash::BuildHasher;

use foldhash::fast::RandomState;
use smallvec::SmallVec;

use crate::primitives::Address;

/// Edges kept per transaction: hints come from strangers, and the latest are worth the most.
const MOST_EDGES: usize = 8;

/// Senders that are remembered. Whoever is forgotten was seen so long ago that its transaction has run.
const PLACES: usize = 1_024;

/// Earlier indices, descending, none twice.
pub(super) type Edges = SmallVec<[u32; 2]>;

/// Who sent what last.
///
/// Two senders of one hash forget each other. Whoever calls a contract twice mostly meets what it left
/// there.
pub(super) struct Callers<H = RandomState> {
    hasher: H,
    last: Vec<Option<(Address, u32)>>,
}

impl Callers {
    /// Of a block of so many transactions.
    pub(super) fn new(transactions: usize) -> Self {
        Self::by(RandomState::default(), transactions)
    }
}

impl<H: BuildHasher> Callers<H> {
    /// By the hash given: tests want to know who forgets whom.
    fn by(hasher: H, transactions: usize) -> Self {
        Self { hasher, last: vec![None; transactions.next_power_of_two().min(PLACES)] }
    }

    /// The edges of the block's next transaction, and of what it was hinted. `is_transfer`: it looks like
    /// one, and nobody waits for it or it for others; if it turns out to be a call it heeds its hints.
    #[inline]
    pub(super) fn edges(&mut self, index: u32, sender: Address, hints: &[u32], is_transfer: bool) -> Edges {
        let mut own = Edges::new();
        if !is_transfer {
            let places = self.last.len();
            let place = &mut self.last[self.hasher.hash_one(sender) as usize % places];
            let last = place.replace((sender, index));
            own.extend(last.filter(|(other, _)| *other == sender).map(|(_, index)| index));
        }
        if !hints.is_empty() {
            own.extend(hints.iter().copied().filter(|hint| *hint < index).take(8 * MOST_EDGES));
            own.sort_unstable_by(|one, other| other.cmp(one));
            own.dedup();
            own.truncate(MOST_EDGES);
        }
        own
    }
}

#[cfg(test)]
mod tests {
    use std::hash::{BuildHasherDefault, Hasher};

    use super::*;
    use crate::parallel::tests::{account, transaction};
    use crate::tx::SharedTransaction;

    /// Takes an address's last byte for its hash.
    #[derive(Default)]
    struct LastByte(u8);

    impl Hasher for LastByte {
        fn write(&mut self, bytes: &[u8]) {
            self.0 = bytes.last().copied().unwrap_or(self.0);
        }

        fn finish(&self) -> u64 {
            self.0.into()
        }
    }

    type ByLastByte = BuildHasherDefault<LastByte>;

    fn predict(
        transactions: &[SharedTransaction],
        hints: &[Vec<u32>],
        is_transfer: &[bool],
    ) -> Vec<Vec<u32>> {
        let mut callers = Callers::by(ByLastByte::default(), transactions.len());
        let mut edges = |(index, tx): (usize, &SharedTransaction)| {
            let hints = hints.get(index).map_or(&[][..], Vec::as_slice);
            callers.edges(index as u32, tx.sender, hints, is_transfer[index]).to_vec()
        };
        transactions.iter().enumerate().map(&mut edges).collect()
    }

    fn edges(hints: &[Vec<u32>]) -> Vec<Vec<u32>> {
        let transactions = [
            transaction(account(1), 0, account(7), 0),
            transaction(account(2), 0, account(7), 5),
            transaction(account(1), 1, account(2), 5),
            transaction(account(1), 2, account(3), 5),
            transaction(account(1), 3, account(7), 5),
        ];
        let is_transfer = [false, false, false, true, false];
        predict(&transactions, hints, &is_transfer)
    }

    #[test]
    fn calls_of_one_sender_follow_each_other() {
        assert_eq!(edges(&[]), [vec![], vec![], vec![0], vec![], vec![2]]);
    }

    #[test]
    fn who_shares_a_place_forgets_and_takes_nobody_elses_edge() {
        let senders = [account(1), account(1 + 8), account(1), account(1)];
        let transactions: Vec<_> =
            (0..8).map(|index| transaction(senders[index % 4], 0, account(7), 0)).collect();
        let edges = predict(&transactions, &[], &[false; 8]);

        assert_eq!(edges, [vec![], vec![], vec![], vec![2], vec![3], vec![], vec![], vec![6]]);
    }

    #[test]
    fn hints_may_only_point_backwards_and_are_few() {
        let all = vec![u32::MAX, 4, 3, 2, 2, 1, 0, 9];
        let transactions: Vec<_> =
            (0..30).map(|index| transaction(account(index), 0, account(99), 0)).collect();
        let many: Vec<Vec<u32>> = (0..40).map(|_| (0..30).collect()).collect();
        let capped = predict(&transactions, &many, &[false; 30]);

        assert_eq!(edges(&vec![all; 5]), [vec![], vec![0], vec![1, 0], vec![2, 1, 0], vec![3, 2, 1, 0]]);
        assert_eq!(capped[29], (21..29).rev().collect::<Vec<u32>>());
        assert!(capped.iter().all(|edges| edges.len() <= MOST_EDGES));
    }
}
