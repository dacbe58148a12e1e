//! The pooled transactions, in columns: what is looked at together stands together.
//!
//! A plan reads a line of memory about each transaction that it considers and two more of each that
//! it takes. What only a change needs stands apart.

use std::hash::{BuildHasher, Hasher};
use std::hint::black_box;

use foldhash::quality::RandomState;
use smallvec::SmallVec;

use super::SharedAccess;
use super::builder::Pooled;
use super::index::Index;
use super::locations::AccountId;
use super::order::{Stamp, Standing, TipKey, Wei, effective_tip};
use super::users::Use;
use crate::primitives::{B256, U256};

/// Whose money a transaction may need.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Owes {
    /// Nobody's that is known.
    #[default]
    Nobody,
    /// Its sender's alone.
    Itself,
    /// Others', too or alone.
    Others,
}

/// What a plan must know of a transaction to take it or pass it over: one line of memory.
#[derive(Debug, Clone, Copy, Default)]
#[repr(align(64))]
pub(super) struct Entry {
    pub(super) gas_limit: u64,
    pub(super) gas_used: u64,
    pub(super) blob_gas: u64,
    pub(super) size: u64,
    /// Heads that the builder had seen when it came.
    pub(super) since: u64,
    pub(super) sender: AccountId,
    /// All its accesses are known.
    pub(super) is_known: bool,
    pub(super) asks_sequential: bool,
    pub(super) owes: Owes,
}

impl Entry {
    /// Whether it must run behind the parallel batches.
    pub(super) fn is_sequential(&self) -> bool {
        self.asks_sequential || !self.is_known
    }
}

/// What orders a transaction.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Price {
    max_fee_per_gas: Wei,
    max_priority_fee_per_gas: Wei,
    pub(super) nonce: u64,
    pub(super) arrival: u64,
    standing: Standing,
    /// It and all its sender's before it can pay the base fee.
    pays: bool,
}

impl Price {
    /// What it pays the producer at a base fee.
    pub(super) fn tip(&self, base_fee: Option<u128>) -> Option<u128> {
        effective_tip(self.max_fee_per_gas.into(), self.max_priority_fee_per_gas.into(), base_fee)
    }

    /// Where it stands; `None` if it, or an earlier nonce, cannot pay the base fee.
    pub(super) fn standing(&self) -> Option<Standing> {
        self.pays.then_some(self.standing)
    }

    pub(super) fn set_standing(&mut self, standing: Option<Standing>) {
        self.pays = standing.is_some();
        self.standing = standing.unwrap_or_default();
    }
}

/// Accesses, its sender's nonce first.
pub(super) type Uses = SmallVec<[Use; 8]>;
/// What it may need from whom.
pub(super) type Debits = SmallVec<[(AccountId, U256); 1]>;

/// The columns. Numbers of what has left are given out again.
#[derive(Debug, Default)]
pub(super) struct Entries {
    hasher: RandomState,
    index: Index,
    free: Vec<u32>,
    rows: Vec<Entry>,
    hashes: Vec<B256>,
    pub(super) uses: Vec<Uses>,
    pub(super) debits: Vec<Debits>,
    pub(super) prices: Vec<Price>,
    /// The set that uses and debits come from, where it is shared.
    access: Vec<Option<SharedAccess>>,
    /// Risen whenever what is known elsewhere of an entry's places in the orders is void.
    versions: Vec<u32>,
}

impl Entries {
    /// How many are held.
    pub(super) fn len(&self) -> usize {
        self.index.len()
    }

    /// One more than the greatest number.
    pub(super) fn numbers(&self) -> usize {
        self.rows.len()
    }

    /// Makes room for so many more.
    pub(super) fn reserve(&mut self, more: usize) {
        self.index.reserve(more);
        self.rows.reserve(more);
        self.hashes.reserve(more);
        self.uses.reserve(more);
        self.debits.reserve(more);
        self.prices.reserve(more);
        self.access.reserve(more);
        self.versions.reserve(more);
    }

    pub(super) fn find(&self, hash: &B256) -> Option<u32> {
        self.find_by(self.table_hash(hash), hash)
    }

    /// Under which a transaction stands in the table.
    pub(super) fn table_hash(&self, hash: &B256) -> u64 {
        let mut hasher = self.hasher.build_hasher();
        let (words, _) = hash.as_chunks();
        words.iter().for_each(|word| hasher.write_u64(u64::from_le_bytes(*word)));
        hasher.finish()
    }

    /// Brings the place of a transaction in the table nearer to the processor.
    pub(super) fn foresee(&self, hash: &B256) {
        self.index.touch(self.table_hash(hash));
    }

    pub(super) fn find_by(&self, table_hash: u64, hash: &B256) -> Option<u32> {
        self.index.find(table_hash, |id| self.hashes[id as usize] == *hash)
    }

    /// Takes one in that is not held.
    pub(super) fn insert(
        &mut self,
        table_hash: u64,
        pooled: &Pooled,
        sender: AccountId,
        since: u64,
        access: Option<SharedAccess>,
    ) -> u32 {
        let row = Entry {
            gas_limit: pooled.gas_limit,
            blob_gas: pooled.blob_gas,
            size: pooled.size,
            since,
            sender,
            asks_sequential: pooled.asks_sequential,
            ..Entry::default()
        };
        let price = Price {
            max_fee_per_gas: pooled.max_fee_per_gas.into(),
            max_priority_fee_per_gas: pooled.max_priority_fee_per_gas.into(),
            nonce: pooled.nonce,
            arrival: pooled.arrival,
            ..Price::default()
        };
        let id = match self.free.pop() {
            Some(id) => {
                let at = id as usize;
                (self.rows[at], self.hashes[at], self.prices[at]) = (row, pooled.hash, price);
                self.access[at] = access;
                id
            }
            None => {
                self.rows.push(row);
                self.hashes.push(pooled.hash);
                self.uses.push(Uses::new());
                self.debits.push(Debits::new());
                self.prices.push(price);
                self.access.push(access);
                self.versions.push(0);
                self.rows.len() as u32 - 1
            }
        };
        self.index.insert(table_hash, id);
        id
    }

    /// Lets one go whose uses and debits were taken out.
    pub(super) fn remove(&mut self, id: u32) {
        self.index.remove(self.table_hash(&self.hashes[id as usize]), id);
        self.access[id as usize] = None;
        self.free.push(id);
    }

    /// Takes uses and debits out.
    pub(super) fn take_accesses(&mut self, id: u32) -> (Uses, Debits) {
        let at = id as usize;
        (std::mem::take(&mut self.uses[at]), std::mem::take(&mut self.debits[at]))
    }

    pub(super) fn row(&self, id: u32) -> &Entry {
        &self.rows[id as usize]
    }

    /// Brings what a plan considers nearer to the processor, of several before any is considered.
    pub(super) fn foresee_row(&self, id: u32) {
        black_box(self.rows[id as usize].sender);
    }

    /// The same with what it touches.
    pub(super) fn foresee_uses(&self, id: u32) {
        let uses = &self.uses[id as usize];
        black_box((uses.first().copied(), uses.last().copied()));
    }

    pub(super) fn row_mut(&mut self, id: u32) -> &mut Entry {
        &mut self.rows[id as usize]
    }

    pub(super) fn hash(&self, id: u32) -> B256 {
        self.hashes[id as usize]
    }

    pub(super) fn price(&self, id: u32) -> &Price {
        &self.prices[id as usize]
    }

    /// Remembers the set; whether it is another one than before.
    pub(super) fn set_access(&mut self, id: u32, access: &SharedAccess) -> bool {
        let held = &mut self.access[id as usize];
        // Sets are compared by address first: most that come again are the very same.
        let is_same = held.as_ref().is_some_and(|held| SharedAccess::ptr_eq(held, access) || held == access);
        *held = Some(SharedAccess::clone(access));
        !is_same
    }

    pub(super) fn versions(&self) -> &[u32] {
        &self.versions
    }

    pub(super) fn stamp(&self, id: u32) -> Stamp {
        Stamp { entry: id, version: self.versions[id as usize] }
    }

    /// Makes all keys of an entry void.
    pub(super) fn outdate(&mut self, id: u32) {
        let version = &mut self.versions[id as usize];
        *version = version.wrapping_add(1);
    }

    /// Its place in the order of the tips; `None` if it, or an earlier nonce, cannot pay the base fee.
    pub(super) fn tip_key(&self, id: u32) -> Option<TipKey> {
        let price = self.price(id);
        Some(price.standing()?.tip_key(price.nonce, self.stamp(id)))
    }
}
