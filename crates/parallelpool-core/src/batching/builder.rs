//! The pool as the builder knows it: entries, sender chains and the price order, kept by deltas.
//!
//! In: sequenced deltas, each of which costs what it changes. What always holds: the state depends
//! on the pool alone and not on the way there, so a builder kept by deltas plans exactly as one
//! that was given the same pool at once.

use std::hint::black_box;

use super::SharedAccess;
use super::arrange::Scratch;
use super::chains::Chains;
use super::entries::{Entries, Owes, Price};
use super::locations::{AccountId, Locations};
use super::order::{ArrivalKey, Standing, TipKey};
use super::sorted::Sorted;
use super::users::User;
use crate::access::{Access, AccessSet, Field};
use crate::primitives::{Address, B256};

/// What the builder must know of a pooled transaction besides its accesses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Pooled {
    /// Transaction hash.
    pub hash: B256,
    /// Sender.
    pub sender: Address,
    /// Nonce.
    pub nonce: u64,
    /// Rises with every admission to the pool; at equal tips the lower comes first.
    pub arrival: u64,
    /// Declared gas.
    pub gas_limit: u64,
    /// Gas of its blobs.
    pub blob_gas: u64,
    /// Bytes of the canonical encoding.
    pub size: u64,
    /// Wei per gas, cut to 128 bits.
    pub max_fee_per_gas: u128,
    /// Wei per gas, cut to 128 bits.
    pub max_priority_fee_per_gas: u128,
    /// Tagged SEQUENTIAL by its sender.
    pub asks_sequential: bool,
}

/// What changed in the pool since the last delta. Taken in this order: out, in, accesses.
#[derive(Debug, Default)]
pub struct Delta {
    /// No longer executable; unknown ones are passed over.
    pub removed: Vec<B256>,
    /// Executable from now on; one of a held sender and nonce takes its place.
    pub added: Vec<(Pooled, SharedAccess)>,
    /// Newly found access sets of held transactions; others are passed over.
    pub accesses: Vec<SharedAccess>,
}

/// A delta came that does not follow the last one: the builder must be given the pool anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("delta {given} does not follow delta {last}")]
pub struct OutOfSequence {
    /// Number of the last delta taken.
    pub last: u64,
    /// Number of this one.
    pub given: u64,
}

/// Senders whose chains changed from some place on; one may be there several times.
type Changed = Vec<(AccountId, u32)>;

/// So many are looked ahead to at once.
pub(super) const STRETCH: usize = 16;

/// Below so many entries the tables stay in the processor's own memory, and nothing is looked ahead to.
const NEAR: usize = 16_384;

/// The executable transactions of a pool, ready to be planned.
#[derive(Debug, Default)]
pub struct Builder {
    pub(super) entries: Entries,
    chains: Chains,
    pub(super) locations: Locations,
    pub(super) by_tip: Sorted<TipKey>,
    pub(super) by_arrival: Sorted<ArrivalKey>,
    pub(super) base_fee: Option<u128>,
    pub(super) heads: u64,
    sequence: u64,
    pub(super) scratch: Scratch,
}

impl Builder {
    /// An empty pool.
    pub fn new() -> Self {
        Self::default()
    }

    /// Held transactions.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether none is held.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether a transaction is held.
    pub fn contains(&self, hash: &B256) -> bool {
        self.entries.find(hash).is_some()
    }

    /// Number of the last delta taken.
    pub fn sequence(&self) -> u64 {
        self.sequence
    }

    /// Takes a change of the pool. `sequence` must be one more than that of the last delta or head.
    /// Returns how many access sets of held transactions were other ones than before.
    pub fn apply(&mut self, sequence: u64, delta: &Delta) -> Result<usize, OutOfSequence> {
        self.follow(sequence)?;
        let mut changed = Changed::default();
        self.reserve(delta.added.len());
        for hash in &delta.removed {
            if let Some(id) = self.entries.find(hash) {
                self.remove(id, &mut changed);
            }
        }
        for stretch in delta.added.chunks(STRETCH) {
            self.foresee(stretch.iter().map(|(pooled, access)| (pooled, &**access)));
            for (pooled, access) in stretch {
                self.add(*pooled, access, Some(access), &mut changed);
            }
        }
        let learned = delta.accesses.iter().filter(|access| self.change_access(access)).count();
        self.reorder(changed);
        Ok(learned)
    }

    /// Takes a new head: the base fee of the block to come, and whose balances it changed (`None`:
    /// anybody's). Costs the whole pool where the fee changed, since every tip may have.
    pub fn change_head(
        &mut self,
        sequence: u64,
        base_fee: Option<u128>,
        balances: Option<&[Address]>,
    ) -> Result<(), OutOfSequence> {
        self.follow(sequence)?;
        self.heads += 1;
        self.locations.forget_balances(balances);
        if self.base_fee != base_fee {
            self.base_fee = base_fee;
            self.order_anew();
        }
        Ok(())
    }

    /// Adds many without a sequence number, for a first filling.
    pub fn add_all<'a>(&mut self, added: impl IntoIterator<Item = (Pooled, &'a AccessSet)>) {
        let mut changed = Changed::default();
        let mut added = added.into_iter();
        self.reserve(added.size_hint().0);
        let mut stretch = Vec::with_capacity(STRETCH);
        loop {
            stretch.extend(added.by_ref().take(STRETCH));
            if stretch.is_empty() {
                break;
            }
            self.foresee(stretch.iter().map(|(pooled, access)| (pooled, *access)));
            for (pooled, access) in stretch.drain(..) {
                self.add(pooled, access, None, &mut changed);
            }
        }
        self.reorder(changed);
    }

    /// Looks at the places that entering these will look for. One after another they would be waited
    /// for, each for as long as a transaction takes otherwise; all at once they come at the same time.
    fn foresee<'a>(&self, stretch: impl Iterator<Item = (&'a Pooled, &'a AccessSet)> + Clone) {
        if self.len() < NEAR {
            return;
        }
        for (_, access) in stretch.clone() {
            black_box(access.accesses.keys().next().copied());
        }
        for (pooled, access) in stretch {
            self.entries.foresee(&pooled.hash);
            self.locations.foresee(access);
        }
    }

    fn follow(&mut self, sequence: u64) -> Result<(), OutOfSequence> {
        if sequence != self.sequence + 1 {
            return Err(OutOfSequence { last: self.sequence, given: sequence });
        }
        self.sequence = sequence;
        Ok(())
    }

    /// Makes room at once where much comes, and some to grow in: room that is not touched costs
    /// nothing, and to move a full table costs more than what comes into it.
    fn reserve(&mut self, more: usize) {
        if more > self.len() / 8 {
            let room = more + more / 4;
            self.entries.reserve(room);
            self.locations.reserve(room);
            self.chains.reserve(2 * room);
        }
    }

    fn add(
        &mut self,
        pooled: Pooled,
        access: &AccessSet,
        shared: Option<&SharedAccess>,
        changed: &mut Changed,
    ) {
        let table_hash = self.entries.table_hash(&pooled.hash);
        if self.entries.find_by(table_hash, &pooled.hash).is_some() {
            return;
        }
        let sender = self.locations.intern(&pooled.sender);
        // Its number must stay while the transaction that this one replaces goes.
        self.locations.refer(sender);
        let at = self.place_in(self.chains.of(sender), pooled.nonce);
        if let Some(&old) = self.chains.of(sender).get(at)
            && self.entries.price(old).nonce == pooled.nonce
        {
            self.remove(old, changed);
        }
        let id = self.entries.insert(table_hash, &pooled, sender, self.heads, shared.cloned());
        self.enter(id, &pooled.sender, access);
        self.chains.insert(sender, at, id);
        changed.push((sender, at as u32));
        self.locations.release(sender);
    }

    fn remove(&mut self, id: u32, changed: &mut Changed) {
        let (sender, nonce) = (self.entries.row(id).sender, self.entries.price(id).nonce);
        let at = self.place_in(self.chains.of(sender), nonce);
        self.chains.remove(sender, at);
        changed.push((sender, at as u32));
        self.stand(id, None);
        self.leave(id);
        self.entries.remove(id);
    }

    /// Whether the set was another one.
    fn change_access(&mut self, access: &SharedAccess) -> bool {
        let Some(id) = self.entries.find(&access.hash) else { return false };
        if !self.entries.set_access(id, access) {
            return false;
        }
        // Entered before the old uses leave, so that numbers that stay in use are not given up.
        let sender = self.entries.row(id).sender;
        self.locations.refer(sender);
        self.leave(id);
        self.enter(id, &self.locations.address(sender), access);
        self.locations.release(sender);
        true
    }

    /// Where `nonce` stands or belongs in a chain.
    fn place_in(&self, chain: &[u32], nonce: u64) -> usize {
        // Most come behind all others.
        match chain.last() {
            Some(&last) if self.entries.price(last).nonce < nonce => chain.len(),
            _ => chain.partition_point(|&id| self.entries.price(id).nonce < nonce),
        }
    }

    /// Enters an entry's accesses into the table of locations.
    fn enter(&mut self, id: u32, address: &Address, access: &AccessSet) {
        let row = self.entries.row_mut(id);
        row.is_known = access.is_known();
        row.gas_used = access.gas_used;
        row.owes = Owes::Nobody;
        let (sender, locations) = (row.sender, &mut self.locations);
        let uses = &mut self.entries.uses[id as usize];
        if access.is_known() && access.accesses.len() > uses.inline_size() {
            uses.reserve_exact(access.accesses.len() + 1);
        }
        let mut put = |locations: &mut Locations, account: AccountId, field: Field, access: Access| {
            let user = User { entry: id, nth: uses.len() as u32 };
            uses.push(locations.enter(account, field, user, access));
        };
        put(locations, sender, Field::Nonce, Access::READ.with(Access::WRITE));
        if !access.is_known() {
            return;
        }
        let mut last = (*address, sender);
        for (location, kinds) in &access.accesses {
            if location.address != last.0 {
                last = (location.address, locations.intern(&location.address));
            }
            if last.1 != sender || location.field != Field::Nonce {
                put(locations, last.1, location.field, *kinds);
            }
        }
        let debits = &mut self.entries.debits[id as usize];
        for (debited, wei) in &access.debits {
            let account = if debited == address { sender } else { locations.intern(debited) };
            locations.need(account, *wei);
            debits.push((account, *wei));
        }
        self.entries.row_mut(id).owes = match self.entries.debits[id as usize].as_slice() {
            [] => Owes::Nobody,
            [(account, _)] if *account == sender => Owes::Itself,
            _ => Owes::Others,
        };
    }

    /// Takes an entry's accesses out of the table of locations.
    fn leave(&mut self, id: u32) {
        let (uses, debits) = self.entries.take_accesses(id);
        for used in uses {
            if let Some(moved) = self.locations.leave(used) {
                self.entries.uses[moved.entry as usize][moved.nth as usize].move_to(used.place());
            }
        }
        for (account, wei) in debits {
            self.locations.give_back(account, wei);
        }
    }

    /// Gives an entry its places in the orders.
    fn stand(&mut self, id: u32, standing: Option<Standing>) {
        let held = self.entries.price(id).standing();
        if held == standing {
            return;
        }
        if held.is_some() {
            self.entries.outdate(id);
            self.by_tip.forget();
            self.by_arrival.forget();
        }
        self.entries.prices[id as usize].set_standing(standing);
        if let Some(standing) = standing {
            let (nonce, stamp) = (self.entries.price(id).nonce, self.entries.stamp(id));
            self.by_tip.insert(standing.tip_key(nonce, stamp));
            self.by_arrival.insert(standing.arrival_key(nonce, stamp));
        }
    }

    /// Gives the changed parts of chains their places in the orders.
    fn reorder(&mut self, mut changed: Changed) {
        if changed.len() > 64 && changed.len() > self.len() / 4 {
            return self.order_anew();
        }
        // Of several places of one sender the first counts, and it is seen to first.
        changed.sort_unstable();
        changed.dedup_by_key(|(sender, _)| *sender);
        for (sender, from) in changed {
            let length = self.chains.of(sender).len();
            let from = (from as usize).min(length);
            let before = from.checked_sub(1).map(|before| self.chains.of(sender)[before]);
            let mut before = before.map(|id| self.entries.price(id).standing());
            for at in from..length {
                let id = self.chains.of(sender)[at];
                let standing = standing_of(self.entries.price(id), before, self.base_fee);
                before = Some(standing);
                self.stand(id, standing);
            }
        }
        self.by_tip.settle(self.entries.versions());
        self.by_arrival.settle(self.entries.versions());
    }

    /// Gives everything its place in the orders.
    fn order_anew(&mut self) {
        let mut tips = Vec::with_capacity(self.len());
        let mut arrivals = Vec::with_capacity(self.len());
        for chain in self.chains.iter() {
            let mut before = None;
            for &id in chain {
                let stamp = self.entries.stamp(id);
                let price = &mut self.entries.prices[id as usize];
                let standing = standing_of(price, before, self.base_fee);
                before = Some(standing);
                price.set_standing(standing);
                if let Some(standing) = standing {
                    tips.push(standing.tip_key(price.nonce, stamp));
                    arrivals.push(standing.arrival_key(price.nonce, stamp));
                }
            }
        }
        self.by_tip.replace(tips);
        self.by_arrival.replace(arrivals);
    }

    /// All entries in tip order at another base fee than the head's.
    pub(super) fn tips_at(&self, base_fee: Option<u128>) -> Vec<TipKey> {
        let mut tips = Vec::with_capacity(self.len());
        for chain in self.chains.iter() {
            let mut before = None;
            for &id in chain {
                let price = self.entries.price(id);
                let Some(standing) = standing_of(price, before, base_fee) else { break };
                before = Some(Some(standing));
                tips.push(standing.tip_key(price.nonce, self.entries.stamp(id)));
            }
        }
        tips.sort_unstable();
        tips
    }
}

/// Where a transaction stands whose sender's earlier ones stand at `before`: `None` if it is the
/// first, `Some(None)` if an earlier one cannot pay.
fn standing_of(price: &Price, before: Option<Option<Standing>>, base_fee: Option<u128>) -> Option<Standing> {
    let before = match before {
        None => None,
        Some(before) => Some(before?),
    };
    Some(Standing::behind(price.tip(base_fee)?, price.arrival, before))
}
