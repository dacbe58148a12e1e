//! Predicted access sets against those that were used.

use std::collections::BTreeSet;

use super::Answers;
use crate::access::{Access, AccessSet, Field, Location};

/// How the predictions of one source did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Transactions that the source had an answer for.
    pub predicted: u64,
    /// Those of them with every location and every kind of access right.
    pub exact: u64,
    /// Those with exactly the right slots, whatever happens to them.
    pub exact_slots: u64,
    /// Those that name at least everything, with at least the right kinds.
    pub supersets: u64,
    /// Slots that were predicted and used.
    pub slots_right: u64,
    /// Slots that were used and not predicted.
    pub slots_missed: u64,
    /// Slots that were predicted and not used.
    pub slots_extra: u64,
    /// Transactions that conflict with an earlier one of the block which has an answer too, and do not
    /// by their predictions.
    pub missed_conflicts: u64,
    /// Time of the answers in nanoseconds.
    pub ns: u64,
}

/// For each transaction the earlier ones that it conflicts with.
pub(super) fn conflicts(sets: &[AccessSet]) -> Vec<Vec<usize>> {
    let conflict = |one: &AccessSet, other: &AccessSet| one.conflicts(other).next().is_some();
    (0..sets.len())
        .map(|later| (0..later).filter(|earlier| conflict(&sets[*earlier], &sets[later])).collect())
        .collect()
}

/// What answers about the transactions that count are worth; `pick` takes one of each transaction's.
pub(super) fn tally<'a>(
    pick: impl Fn(&'a Answers) -> Option<&'a (AccessSet, u64)>,
    answers: &'a [Answers],
    actual: &[AccessSet],
    conflicts: &[Vec<usize>],
    counts: impl Fn(usize) -> bool,
) -> Tally {
    let mut tally = Tally::default();
    for (index, used) in actual.iter().enumerate().filter(|(index, _)| counts(*index)) {
        let Some((set, ns)) = pick(&answers[index]) else { continue };
        tally.add(set, used, *ns);
        let is_missed = |earlier: &usize| {
            pick(&answers[*earlier]).is_some_and(|(earlier, _)| earlier.conflicts(set).next().is_none())
        };
        tally.missed_conflicts += u64::from(conflicts[index].iter().any(is_missed));
    }
    tally
}

impl Tally {
    fn add(&mut self, predicted: &AccessSet, used: &AccessSet, ns: u64) {
        let [slots, used_slots] = [predicted, used].map(slots_of);
        let right = slots.intersection(&used_slots).count();
        self.predicted += 1;
        self.exact += u64::from(predicted.accesses == used.accesses);
        self.exact_slots += u64::from(slots == used_slots);
        self.supersets += u64::from(covers(predicted, used));
        self.slots_right += right as u64;
        self.slots_missed += (used_slots.len() - right) as u64;
        self.slots_extra += (slots.len() - right) as u64;
        self.ns += ns;
    }
}

fn slots_of(set: &AccessSet) -> BTreeSet<Location> {
    let is_slot = |location: &&Location| matches!(location.field, Field::Storage(_));
    set.accesses.keys().filter(is_slot).copied().collect()
}

fn covers(predicted: &AccessSet, used: &AccessSet) -> bool {
    used.accesses.iter().all(|(location, access)| {
        let named = predicted.accesses.get(location).copied().unwrap_or_default();
        access.kinds().all(|kind| named.has(kind) || named.has(Access::WRITE))
    })
}
