//! The pool as the builder knows it: entries, sender chains and the price order, kept by deltas.
//!
//! In: sequenced deltas, each of which costs what it changes. What always holds: the state depends
//! on the pool alone and not on the way there, so a builder kept by deltas plans exactly as one
//! that was given the same pool at once.

use std::collections::BTreeSet;
use std::sync::Arc;

use foldhash::fast::RandomState;
use hashbrown::HashMap;
use smallvec::SmallVec;

use super::SharedAccess;
use super::arrange::Scratch;
use super::locations::{AccountId, Class, Locations, Use, User};
use super::order::{ArrivalKey, TipKey, effective_tip};
use crate::access::{Access, AccessSet, Field};
use crate::primitives::{Address, B256, U256};

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

/// A held transaction.
#[derive(Debug, Default)]
pub(super) struct Entry {
    pub(super) pooled: Pooled,
    pub(super) sender: AccountId,
    pub(super) is_known: bool,
    pub(super) gas_used: u64,
    /// Heads that the builder had seen when it came.
    pub(super) since: u64,
    /// Its sender's nonce first.
    pub(super) uses: SmallVec<[Use; 6]>,
    pub(super) debits: SmallVec<[(AccountId, U256); 1]>,
    /// The set that both come from, where it is shared.
    access: Option<SharedAccess>,
    /// Its places in the orders; `None` if it, or an earlier nonce, cannot pay the base fee.
    pub(super) keys: Option<(TipKey, ArrivalKey)>,
}

impl Entry {
    /// Whether it must run behind the parallel batches.
    pub(super) fn is_sequential(&self) -> bool {
        self.pooled.asks_sequential || !self.is_known
    }
}

/// A sender's entries in nonce order.
type Chain = SmallVec<[u32; 2]>;

/// Senders whose chains changed from some place on; one may be there several times.
type Changed = Vec<(AccountId, u32)>;

/// The executable transactions of a pool, ready to be planned.
#[derive(Debug, Default)]
pub struct Builder {
    pub(super) entries: Vec<Entry>,
    free: Vec<u32>,
    pub(super) by_hash: HashMap<B256, u32, RandomState>,
    /// By the sender's number.
    chains: Vec<Chain>,
    pub(super) locations: Locations,
    pub(super) by_tip: BTreeSet<TipKey>,
    pub(super) by_arrival: BTreeSet<ArrivalKey>,
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
        self.by_hash.len()
    }

    /// Whether none is held.
    pub fn is_empty(&self) -> bool {
        self.by_hash.is_empty()
    }

    /// Whether a transaction is held.
    pub fn contains(&self, hash: &B256) -> bool {
        self.by_hash.contains_key(hash)
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
            self.remove(hash, &mut changed);
        }
        for (pooled, access) in &delta.added {
            self.add(*pooled, access, Some(access), &mut changed);
        }
        let learned = delta.accesses.iter().filter(|access| self.change_access(access)).count();
        self.reorder(&changed);
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
        let added = added.into_iter();
        self.reserve(added.size_hint().0);
        for (pooled, access) in added {
            self.add(pooled, access, None, &mut changed);
        }
        self.reorder(&changed);
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
            self.by_hash.reserve(room);
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
        if self.by_hash.contains_key(&pooled.hash) {
            return;
        }
        let sender = self.locations.intern(&pooled.sender);
        // Its number must stay while the transaction that this one replaces goes.
        self.locations.refer(sender);
        if self.chains.len() <= sender as usize {
            self.chains.resize_with(sender as usize + 1, Chain::default);
        }
        let at = self.place_in(&self.chains[sender as usize], pooled.nonce);
        if let Some(&old) = self.chains[sender as usize].get(at) {
            let old = &self.entries[old as usize].pooled;
            if old.nonce == pooled.nonce {
                let old = old.hash;
                self.remove(&old, changed);
            }
        }
        let access_set = shared.cloned();
        let entry = Entry { pooled, sender, since: self.heads, access: access_set, ..Entry::default() };
        let id = match self.free.pop() {
            Some(id) => {
                self.entries[id as usize] = entry;
                id
            }
            None => {
                self.entries.push(entry);
                (self.entries.len() - 1) as u32
            }
        };
        self.by_hash.insert(pooled.hash, id);
        self.enter(id, access);
        self.chains[sender as usize].insert(at, id);
        changed.push((sender, at as u32));
        self.locations.release(sender);
    }

    fn remove(&mut self, hash: &B256, changed: &mut Changed) {
        let Some(id) = self.by_hash.remove(hash) else { return };
        let (sender, pooled) = (self.entries[id as usize].sender, self.entries[id as usize].pooled);
        let at = self.place_in(&self.chains[sender as usize], pooled.nonce);
        self.chains[sender as usize].remove(at);
        changed.push((sender, at as u32));
        if let Some((tip, arrival)) = self.entries[id as usize].keys.take() {
            self.by_tip.remove(&tip);
            self.by_arrival.remove(&arrival);
        }
        self.leave(id);
        self.entries[id as usize].access = None;
        self.free.push(id);
    }

    /// Whether the set was another one.
    fn change_access(&mut self, access: &SharedAccess) -> bool {
        let Some(&id) = self.by_hash.get(&access.hash) else { return false };
        let held = &mut self.entries[id as usize].access;
        let is_same = held.as_ref().is_some_and(|held| Arc::ptr_eq(held, access) || held == access);
        *held = Some(Arc::clone(access));
        if is_same {
            return false;
        }
        // Entered before the old uses leave, so that numbers that stay in use are not given up.
        let sender = self.entries[id as usize].sender;
        self.locations.refer(sender);
        self.leave(id);
        self.enter(id, access);
        self.locations.release(sender);
        true
    }

    /// Where `nonce` stands or belongs in a chain.
    fn place_in(&self, chain: &[u32], nonce: u64) -> usize {
        // Most come behind all others.
        match chain.last() {
            Some(&last) if self.entries[last as usize].pooled.nonce < nonce => chain.len(),
            _ => chain.partition_point(|&id| self.entries[id as usize].pooled.nonce < nonce),
        }
    }

    /// Enters an entry's accesses into the table of locations.
    fn enter(&mut self, id: u32, access: &AccessSet) {
        let sender = self.entries[id as usize].sender;
        let address = self.entries[id as usize].pooled.sender;
        let mut uses: SmallVec<[Use; 6]> = SmallVec::new();
        let locations = &mut self.locations;
        let mut put = |locations: &mut Locations, account: AccountId, field: Field, access: Access| {
            let (location, class) = (locations.locate(account, field), Class::of(access));
            let user = User { entry: id, nth: uses.len() as u32 };
            let place = locations.enter(location, user, class);
            uses.push(Use { location, place, access, class });
        };
        put(locations, sender, Field::Nonce, Access::READ.with(Access::WRITE));
        let mut last = (address, sender);
        if access.is_known() {
            for (location, kinds) in &access.accesses {
                if location.address == address && location.field == Field::Nonce {
                    continue;
                }
                if last.0 != location.address {
                    last = (location.address, locations.intern(&location.address));
                }
                put(locations, last.1, location.field, *kinds);
            }
        }
        let mut debits: SmallVec<[(AccountId, U256); 1]> = SmallVec::new();
        if access.is_known() {
            for (debited, wei) in &access.debits {
                let account = if *debited == address { sender } else { locations.intern(debited) };
                locations.need(account, *wei);
                debits.push((account, *wei));
            }
        }
        let entry = &mut self.entries[id as usize];
        entry.is_known = access.is_known();
        entry.gas_used = access.gas_used;
        entry.uses = uses;
        entry.debits = debits;
    }

    /// Takes an entry's accesses out of the table of locations.
    fn leave(&mut self, id: u32) {
        let entry = &mut self.entries[id as usize];
        let (uses, debits) = (std::mem::take(&mut entry.uses), std::mem::take(&mut entry.debits));
        for used in &uses {
            if let Some(moved) = self.locations.leave(used) {
                self.entries[moved.entry as usize].uses[moved.nth as usize].place = used.place;
            }
        }
        for (account, wei) in debits {
            self.locations.give_back(account, wei);
        }
    }

    /// Gives the changed parts of chains their places in the orders.
    fn reorder(&mut self, changed: &Changed) {
        if changed.len() > 64 && changed.len() > self.len() / 4 {
            return self.order_anew();
        }
        let mut changed = changed.clone();
        // Of several places of one sender the first counts, and it is seen to first.
        changed.sort_unstable();
        changed.dedup_by_key(|(sender, _)| *sender);
        for (sender, from) in changed {
            let (chain, from) = (&self.chains[sender as usize], from as usize);
            let from = from.min(chain.len());
            let mut worst = from.checked_sub(1).map(|before| self.entries[chain[before] as usize].keys);
            for &id in &chain[from..] {
                let keys = keys_of(id, &self.entries[id as usize].pooled, worst, self.base_fee);
                worst = Some(keys);
                let held = &mut self.entries[id as usize].keys;
                if *held == keys {
                    continue;
                }
                if let Some((tip, arrival)) = held.take() {
                    self.by_tip.remove(&tip);
                    self.by_arrival.remove(&arrival);
                }
                *held = keys;
                if let Some((tip, arrival)) = keys {
                    self.by_tip.insert(tip);
                    self.by_arrival.insert(arrival);
                }
            }
        }
    }

    /// Gives everything its place in the orders.
    fn order_anew(&mut self) {
        let mut tips = Vec::with_capacity(self.len());
        let mut arrivals = Vec::with_capacity(self.len());
        for chain in &self.chains {
            let mut worst = None;
            for &id in chain {
                let keys = keys_of(id, &self.entries[id as usize].pooled, worst, self.base_fee);
                worst = Some(keys);
                self.entries[id as usize].keys = keys;
                if let Some((tip, arrival)) = keys {
                    tips.push(tip);
                    arrivals.push(arrival);
                }
            }
        }
        // Sorting first keeps the sets' own building to one pass.
        tips.sort_unstable();
        arrivals.sort_unstable();
        self.by_tip = tips.into_iter().collect();
        self.by_arrival = arrivals.into_iter().collect();
    }

    /// All entries in tip order at another base fee than the head's.
    pub(super) fn tips_at(&self, base_fee: Option<u128>) -> Vec<TipKey> {
        let mut tips = Vec::with_capacity(self.len());
        for chain in &self.chains {
            let mut worst = None;
            for &id in chain {
                let keys = keys_of(id, &self.entries[id as usize].pooled, worst, base_fee);
                let Some((tip, _)) = keys else { break };
                worst = Some(keys);
                tips.push(tip);
            }
        }
        tips.sort_unstable();
        tips
    }
}

/// The places of a transaction whose sender's earlier ones have `worst`: `None` if it is the first,
/// `Some(None)` if an earlier one cannot pay.
fn keys_of(
    id: u32,
    pooled: &Pooled,
    worst: Option<Option<(TipKey, ArrivalKey)>>,
    base_fee: Option<u128>,
) -> Option<(TipKey, ArrivalKey)> {
    let tip = effective_tip(pooled.max_fee_per_gas, pooled.max_priority_fee_per_gas, base_fee)?;
    let (mut shortfall, mut tip_arrival, mut arrival) = (u128::MAX - tip, pooled.arrival, pooled.arrival);
    if let Some(before) = worst {
        let (tip_before, arrival_before) = before?;
        let worse = (tip_before.shortfall, tip_before.arrival).max((shortfall, tip_arrival));
        (shortfall, tip_arrival) = worse;
        arrival = arrival.max(arrival_before.arrival);
    }
    let tip = TipKey { shortfall, arrival: tip_arrival, nonce: pooled.nonce, entry: id };
    Some((tip, ArrivalKey { arrival, nonce: pooled.nonce, entry: id }))
}
