//! The executable transactions as a block producer takes them: highest effective tip first, at equal tips the
//! one that came first, each sender's in nonce order.
//!
//! Each sender's first stands in [`Firsts`](super::firsts::Firsts), which knows the best of them for every base fee:
//! a question for the best few costs what those few cost, whatever the size of the pool, and a new head
//! costs nothing.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use foldhash::fast::RandomState;
use hashbrown::HashSet;

use super::firsts::Piece;
use super::{Facts, PriceOrder, Row};
use crate::primitives::{Address, B256, U256};

/// Best first: (tip, arrival, serial), the serial only so that no two are equal.
type Rank = (Reverse<U256>, u64, u64);

/// A piece of the firsts, or one transaction, by the rank of the best in it.
type Ranked = (Rank, Piece);

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
    /// What was not taken yet of the firsts, and the followers of what was taken.
    pub(super) waiting: BinaryHeap<Reverse<Ranked>>,
}

impl PriceOrder {
    /// Begins to read the executable transactions, best first.
    pub fn best_first(&self, wanted: Wanted) -> BestFirst {
        let pieces = self.firsts.pieces(&self.rows, wanted.base_fee);
        let mut best = BestFirst { wanted, version: self.version, waiting: BinaryHeap::new() };
        for piece in pieces {
            best.wait(self, piece);
        }
        best
    }

    /// Each sender's first, in no order.
    fn firsts_of_runs(&self) -> Vec<Row> {
        let mut firsts = Vec::new();
        let mut sender = None;
        for ((address, _), row) in &self.runs {
            if sender != Some(address) {
                sender = Some(address);
                firsts.push(*row);
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

    /// Keeps the firsts in step with a sender whose first was `before`.
    fn follow_first(&mut self, sender: &Address, before: Option<Row>) {
        let after = self.first_of(sender);
        if before == after {
            return;
        }
        if let Some(before) = before {
            self.firsts.remove(&self.rows, before);
        }
        if let Some(after) = after {
            self.firsts.insert(&self.rows, after);
        }
    }

    pub(super) fn firsts_fault(&self) -> Option<String> {
        self.firsts.find_fault(&self.rows, self.firsts_of_runs())
    }
}

impl BestFirst {
    /// The next best, `None` at the end.
    pub fn next(&mut self, order: &PriceOrder) -> Result<Option<B256>, Changed> {
        if order.version != self.version {
            return Err(Changed);
        }
        while let Some(Reverse(((Reverse(tip), ..), piece))) = self.waiting.pop() {
            if tip < self.wanted.min_tip {
                self.waiting.clear(); // nobody behind it pays more
                break;
            }
            match piece {
                Piece::Tree(top, bound) => {
                    for part in order.firsts.split(top, bound) {
                        self.wait(order, part);
                    }
                }
                Piece::One(row) => {
                    let facts = &order.entry(row).facts;
                    if self.accepts(facts) {
                        if let Some(follower) = order.next_of(facts) {
                            self.wait(order, Piece::One(follower));
                        }
                        return Ok(Some(facts.hash));
                    }
                }
            }
        }
        Ok(None)
    }

    /// Lets a piece wait for its turn, unless none of it covers the base fee.
    fn wait(&mut self, order: &PriceOrder, piece: Piece) {
        if let Some(rank) = order.rank(order.firsts.best(piece), self.wanted.base_fee) {
            self.waiting.push(Reverse((rank, piece)));
        }
    }

    fn accepts(&self, facts: &Facts) -> bool {
        self.wanted.gas_cap.is_none_or(|cap| facts.gas_limit <= cap)
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
