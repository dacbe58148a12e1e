//! The builder's tables against plain ones, where the ways of a pool seldom lead.

use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::batching::chains::Chains;
use crate::batching::order::{ArrivalKey, Stamp};
use crate::batching::sorted::Sorted;
use crate::batching::users::{Class, Crowds, Row, Use, User};

/// Keys of some entries, as a set and as the sorted runs.
#[derive(Default)]
struct Keys {
    versions: Vec<u32>,
    held: BTreeMap<u32, ArrivalKey>,
    sorted: Sorted<ArrivalKey>,
}

impl Keys {
    fn put(&mut self, entry: u32, arrival: u64) {
        if self.versions.len() <= entry as usize {
            self.versions.resize(entry as usize + 1, 0);
        }
        self.take(entry);
        let stamp = Stamp { entry, version: self.versions[entry as usize] };
        let key = ArrivalKey { arrival, nonce: 0, stamp };
        self.held.insert(entry, key);
        self.sorted.insert(key);
    }

    fn take(&mut self, entry: u32) {
        if self.held.remove(&entry).is_some() {
            self.versions[entry as usize] += 1;
            self.sorted.forget();
        }
    }

    fn check(&mut self, context: &str) {
        self.sorted.settle(&self.versions);
        let found: Vec<ArrivalKey> = self.sorted.iter(&self.versions).collect();
        let expected: BTreeSet<ArrivalKey> = self.held.values().copied().collect();
        assert!(found.iter().eq(&expected), "{context}");
        assert_eq!(self.sorted.len(), expected.len(), "{context}");
        let (keys, runs) = self.sorted.extent();
        assert!(keys <= expected.len() + expected.len() / 4 + 80, "{context}: {keys} of {}", expected.len());
        assert!(runs <= 16, "{context}: {runs} runs");
    }
}

#[test]
fn sorted_keys_are_those_that_hold_and_little_more_whatever_comes_and_goes() {
    for seed in 0..20 {
        let mut rng = SmallRng::seed_from_u64(seed);
        let mut keys = Keys::default();
        let width = [20, 300, 3_000][seed as usize % 3];
        for step in 0..120 {
            for _ in 0..rng.random_range(0..60) {
                let arrival = if seed % 2 == 0 { step * 100 } else { rng.random_range(0..1_000) };
                keys.put(rng.random_range(0..width), arrival);
            }
            // The first in order are the first to leave: they are what blocks take.
            let leaving = rng.random_range(0..50);
            let first: Vec<u32> = keys.sorted_entries().take(leaving).collect();
            first.into_iter().for_each(|entry| keys.take(entry));
            keys.check(&format!("seed {seed}, step {step}"));
        }
        let all: Vec<u32> = keys.held.keys().copied().collect();
        all.into_iter().for_each(|entry| keys.take(entry));
        keys.check("all gone");
    }
}

impl Keys {
    fn sorted_entries(&self) -> impl Iterator<Item = u32> {
        let ordered: BTreeSet<ArrivalKey> = self.held.values().copied().collect();
        ordered.into_iter().map(|key| key.stamp.entry)
    }
}

#[test]
fn replaced_keys_leave_nothing_of_the_old_ones() {
    let mut keys = Keys::default();
    (0..500).for_each(|entry| keys.put(entry, u64::from(entry)));
    keys.check("as they came");
    (0..100).for_each(|entry| keys.take(entry));

    let backwards: Vec<ArrivalKey> = keys.held.values().rev().copied().collect();
    keys.sorted.replace(backwards);
    keys.check("replaced");
}

#[test]
fn chains_are_rows_of_entries_by_sender() {
    let mut rng = SmallRng::seed_from_u64(3);
    let (mut chains, mut model) = (Chains::default(), BTreeMap::<u32, Vec<u32>>::new());
    for entry in 0..2_000 {
        let sender = rng.random_range(0..40);
        let row = model.entry(sender).or_default();
        if rng.random_bool(0.55) {
            let at = rng.random_range(0..=row.len());
            row.insert(at, entry);
            chains.insert(sender, at, entry);
        } else if !row.is_empty() {
            let at = rng.random_range(0..row.len());
            row.remove(at);
            chains.remove(sender, at);
        }
        assert_eq!(chains.of(sender), row.as_slice());
    }
    let expected: Vec<&Vec<u32>> = model.values().filter(|row| !row.is_empty()).collect();
    assert!(chains.iter().eq(expected.iter().map(|row| row.as_slice())));
    assert_eq!(chains.of(4_000), [0_u32; 0]);
}

#[test]
fn a_location_knows_its_users_by_class_however_many_come_and_go() {
    let kinds = [Access::READ, Access::WRITE, Access::CREDIT, Access::DEBIT];
    let mut rng = SmallRng::seed_from_u64(5);
    let (mut crowds, mut row) = (Crowds::default(), Row::default());
    // By entry: its use.
    let mut model: BTreeMap<u32, Use> = BTreeMap::new();
    for entry in 0..3_000 {
        // Nobody, one, two, or several: it goes up and down between them.
        if model.len() < rng.random_range(1..6) {
            let access = kinds[rng.random_range(0..4)].with(kinds[rng.random_range(0..4)]);
            let place = crowds.enter(&mut row, User { entry, nth: entry % 7 }, Class::of(access));
            model.insert(entry, Use::new(9, place, access));
        } else {
            let leaving = *model.keys().nth(rng.random_range(0..model.len())).expect("one of them");
            let used = model.remove(&leaving).expect("it is there");
            if let Some(moved) = crowds.leave(&mut row, used) {
                model.get_mut(&moved.entry).expect("it stays").move_to(used.place());
            }
        }
        let users = crowds.users(row);
        let mut found: Vec<(u32, u32)> = users.iter().map(|user| (user.entry, user.nth)).collect();
        found.sort_unstable();
        assert!(found.iter().copied().eq(model.keys().map(|&entry| (entry, entry % 7))), "step {entry}");
        let mut counts = [0; 3];
        model.values().for_each(|used| counts[used.class() as usize] += 1);
        assert_eq!((users.counts.by_class(), users.len()), (counts, model.len()), "step {entry}");
        assert_eq!(row.is_empty(), model.is_empty());
        let conflicts = |a: &Use, b: &Use| a.access().conflicts_with(b.access());
        let pairs = || model.iter().flat_map(|(a, x)| model.range(a + 1..).map(move |(_, y)| (x, y)));
        assert_eq!(users.counts.is_contested(), pairs().any(|(x, y)| conflicts(x, y)), "step {entry}");
    }
    assert!(crowds.numbers() <= 1, "a location's crowd is given out again");
}
