//! The executable transactions as a block producer takes them: highest effective tip first, at equal tips the
//! one that came first, each sender's in nonce order.
//!
//! Each sender's first stands in [`Ready`], in that order, for the base fee of the block to come; so a
//! question for the best few costs what those few cost, whatever the size of the pool. For another base fee
//! the firsts are ranked anew.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap};
use std::ops::Bound;

use foldhash::fast::RandomState;
use hashbrown::HashSet;

use super::{Facts, PriceOrder, Row};
use crate::primitives::{Address, B256, U256};

/// Best first: (tip, arrival, serial), the serial only so that no two are equal.
type Rank = (Reverse<U256>, u64, u64);

type Ranked = (Rank, Row);

/// The first executable transaction of each sender that covers the base fee.
#[derive(Debug)]
pub(super) struct Ready {
    firsts: BTreeSet<Ranked>,
}

/// What a producer wants.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// Wei per gas that tips are counted above; `None` before London.
    pub base_fee: Option<U256>,
    /// A sender is cut at his first that pays less, wei per gas.
    pub min_tip: U256,
    /// A sender is cut at his first that needs more.
    pub gas_cap: Option<u64>,
    /// Senders that are passed over.
    pub without: HashSet<Address, RandomState>,
}

/// The order was changed since the reading began.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Changed;

/// A place in the best-first order of one state of the pool.
#[derive(Debug)]
pub struct BestFirst {
    wanted: Wanted,
    version: u64,
    /// Firsts up to here were taken from [`Ready`]; `None`: it is not the source.
    ready: Option<Bound<Ranked>>,
    /// Followers of what was taken; all firsts too where `ready` is not the source.
    waiting: BinaryHeap<Reverse<Ranked>>,
}

impl PriceOrder {
    /// Begins to read the executable transactions, best first.
    pub fn best_first(&mut self, wanted: Wanted) -> BestFirst {
        let mut best = BestFirst { wanted, version: self.version, ready: None, waiting: BinaryHeap::new() };
        if best.wanted.base_fee == self.base_fee {
            if self.ready.is_none() {
                let firsts = self.rank_firsts(self.base_fee);
                self.ready = Some(Ready { firsts: firsts.into_iter().collect() });
            }
            best.ready = Some(Bound::Unbounded);
        } else {
            let firsts = self.rank_firsts(best.wanted.base_fee);
            best.waiting = firsts
                .into_iter()
                .filter(|(_, row)| best.accepts(&self.entry(*row).facts))
                .map(Reverse)
                .collect();
        }
        best
    }

    /// Each sender's first that covers the base fee, in no order.
    fn rank_firsts(&self, base_fee: Option<U256>) -> Vec<Ranked> {
        let mut firsts = Vec::new();
        let mut sender = None;
        for ((address, _), row) in &self.runs {
            if sender != Some(address) {
                sender = Some(address);
                firsts.extend(self.rank(*row, base_fee).map(|rank| (rank, *row)));
            }
        }
        firsts
    }

    fn rank(&self, row: Row, base_fee: Option<U256>) -> Option<Rank> {
        let entry = self.entry(row);
        let tip = effective_tip(&entry.facts, base_fee)?;
        Some((Reverse(tip), entry.facts.arrival, entry.serial))
    }

    /// Lets a transaction stand among its sender's executable ones.
    pub(super) fn enter_run(&mut self, row: Row) {
        let entry = self.entry_mut(row);
        entry.is_executable = true;
        let (sender, nonce) = (entry.facts.sender, entry.facts.nonce);
        let before = self.first_of(&sender);
        let replaced = self.runs.insert((sender, nonce), row);
        if let Some(replaced) = replaced {
            // It stays pooled; the caller says next where it goes.
            self.entry_mut(replaced).is_executable = false;
        }
        self.follow_first(&sender, before);
    }

    /// Takes a transaction out of its sender's executable ones.
    pub(super) fn leave_run(&mut self, row: Row) {
        let entry = self.entry_mut(row);
        entry.is_executable = false;
        let (sender, nonce) = (entry.facts.sender, entry.facts.nonce);
        let before = self.first_of(&sender);
        self.runs.remove(&(sender, nonce));
        self.follow_first(&sender, before);
    }

    fn first_of(&self, sender: &Address) -> Option<Row> {
        self.runs.range((*sender, 0)..=(*sender, u64::MAX)).next().map(|(_, row)| *row)
    }

    fn next_of(&self, facts: &Facts) -> Option<Row> {
        let first = facts.nonce.checked_add(1)?;
        self.runs.range((facts.sender, first)..=(facts.sender, u64::MAX)).next().map(|(_, row)| *row)
    }

    /// Keeps [`Ready`] in step with a sender whose first was `before`.
    fn follow_first(&mut self, sender: &Address, before: Option<Row>) {
        if self.ready.is_none() {
            return;
        }
        let after = self.first_of(sender);
        if before == after {
            return;
        }
        let ranked = |row: Option<Row>| row.and_then(|row| Some((self.rank(row, self.base_fee)?, row)));
        let (old, new) = (ranked(before), ranked(after));
        let ready = self.ready.as_mut().expect("checked above");
        if let Some(old) = old {
            ready.firsts.remove(&old);
        }
        ready.firsts.extend(new);
    }

    pub(super) fn ready_fault(&self) -> Option<String> {
        let ready = self.ready.as_ref()?;
        let firsts: BTreeSet<Ranked> = self.rank_firsts(self.base_fee).into_iter().collect();
        (firsts != ready.firsts).then(|| "the firsts are not those of the runs".to_owned())
    }
}

impl BestFirst {
    /// The next best, `None` at the end.
    pub fn next(&mut self, order: &PriceOrder) -> Result<Option<B256>, Changed> {
        if order.version != self.version {
            return Err(Changed);
        }
        let first = self.next_first(order);
        let is_first_better = match (&first, self.waiting.peek()) {
            (Some(first), Some(Reverse(waiting))) => first < waiting,
            (first, _) => first.is_some(),
        };
        let (_, row) = if is_first_better {
            let first = first.expect("it is better than none");
            self.ready = Some(Bound::Excluded(first));
            first
        } else {
            let Some(Reverse(waiting)) = self.waiting.pop() else { return Ok(None) };
            waiting
        };
        let facts = &order.entry(row).facts;
        if let Some(follower) = order.next_of(facts)
            && self.accepts(&order.entry(follower).facts)
            && let Some(rank) = order.rank(follower, self.wanted.base_fee)
        {
            self.waiting.push(Reverse((rank, follower)));
        }
        Ok(Some(facts.hash))
    }

    /// The best of the firsts that were not taken yet. Those that are not wanted are passed over for good.
    fn next_first(&mut self, order: &PriceOrder) -> Option<Ranked> {
        let from = self.ready?;
        let firsts = &order.ready.as_ref()?.firsts;
        for first in firsts.range((from, Bound::Unbounded)) {
            if self.accepts(&order.entry(first.1).facts) {
                return Some(*first);
            }
            self.ready = Some(Bound::Excluded(*first));
        }
        None
    }

    fn accepts(&self, facts: &Facts) -> bool {
        self.wanted.gas_cap.is_none_or(|cap| facts.gas_limit <= cap)
            && effective_tip(facts, self.wanted.base_fee).is_some_and(|tip| tip >= self.wanted.min_tip)
            && !self.wanted.without.contains(&facts.sender)
    }
}

/// What the producer earns per gas; `None` where the fee cap does not cover the base fee.
fn effective_tip(facts: &Facts, base_fee: Option<U256>) -> Option<U256> {
    match base_fee {
        None => Some(facts.tip_cap),
        Some(base_fee) => Some(facts.fee_cap.checked_sub(base_fee)?.min(facts.tip_cap)),
    }
}
