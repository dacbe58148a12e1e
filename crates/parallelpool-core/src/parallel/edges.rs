//! Which earlier transactions one is expected to depend on.
//!
//! In: transactions and the caller's hints. Out: for each a few earlier indices that should have
//! run before it does. All of it is order and nothing else: a wrong edge costs time, a missing one
//! a second execution.

use std::hash::BuildHasher;

use foldhash::fast::RandomState;
use smallvec::SmallVec;

use crate::primitives::Address;
use crate::tx::SharedTransaction;

/// Edges kept per transaction: hints come from strangers, and the latest are worth the most.
const MOST_EDGES: usize = 8;

/// Senders that are remembered. Whoever is forgotten was seen so long ago that its transaction has run.
const PLACES: usize = 1_024;

/// Earlier indices, descending, none twice.
pub(super) type Edges = SmallVec<[u32; 2]>;

/// The edges of every transaction. `is_transfer`: it looks like one. Those that turn out to be calls
/// heed the hints they were given.
pub(super) fn predict(
    transactions: &[SharedTransaction],
    hints: &[Vec<u32>],
    is_transfer: &[bool],
) -> Vec<Edges> {
    predict_by(&RandomState::default(), transactions, hints, is_transfer)
}

/// By the hash given: two senders of one hash forget each other, and tests want to know which.
fn predict_by(
    hasher: &impl BuildHasher,
    transactions: &[SharedTransaction],
    hints: &[Vec<u32>],
    is_transfer: &[bool],
) -> Vec<Edges> {
    // Who calls a contract twice mostly meets what it left there.
    let places = transactions.len().next_power_of_two().min(PLACES);
    let mut callers: Vec<Option<(Address, u32)>> = vec![None; places];
    let mut edges = Vec::with_capacity(transactions.len());
    for (index, tx) in (0u32..).zip(transactions) {
        let mut own = Edges::new();
        if !is_transfer[index as usize] {
            let place = hasher.hash_one(tx.sender) as usize % places;
            let last = callers[place].replace((tx.sender, index));
            own.extend(last.filter(|(sender, _)| *sender == tx.sender).map(|(_, index)| index));
        }
        if let Some(hinted) = hints.get(index as usize) {
            own.extend(hinted.iter().copied().filter(|hint| *hint < index).take(8 * MOST_EDGES));
            own.sort_unstable_by(|one, other| other.cmp(one));
            own.dedup();
            own.truncate(MOST_EDGES);
        }
        edges.push(own);
    }
    edges
}

#[cfg(test)]
mod tests {
    use std::hash::{BuildHasherDefault, Hasher};

    use super::*;
    use crate::parallel::tests::{account, transaction};

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

    fn edges(hints: &[Vec<u32>]) -> Vec<Vec<u32>> {
        let transactions = [
            transaction(account(1), 0, account(7), 0),
            transaction(account(2), 0, account(7), 5),
            transaction(account(1), 1, account(2), 5),
            transaction(account(1), 2, account(3), 5),
            transaction(account(1), 3, account(7), 5),
        ];
        let is_transfer = [false, false, false, true, false];
        let predicted = predict_by(&ByLastByte::default(), &transactions, hints, &is_transfer);
        predicted.iter().map(|edges| edges.to_vec()).collect()
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
        let edges = predict_by(&ByLastByte::default(), &transactions, &[], &[false; 8]);

        let edges: Vec<_> = edges.iter().map(|edges| edges.to_vec()).collect();
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
        assert_eq!(capped[29].to_vec(), (21..29).rev().collect::<Vec<u32>>());
        assert!(capped.iter().all(|edges| edges.len() <= MOST_EDGES));
    }
}
