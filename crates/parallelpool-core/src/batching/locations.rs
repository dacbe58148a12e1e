//! Every location that a pooled transaction touches, by a dense number, with its readers and writers.
//!
//! Full keys are compared; the hash is seeded, so crafted addresses and slots cannot be made to
//! collide. An account has three numbers in a row (nonce, balance, code), so a transfer needs two
//! look-ups. Numbers of what nobody touches any more are given out again.

use std::hash::{BuildHasher, Hasher};

use foldhash::quality::RandomState;

use super::index::Index;
use super::purses::Purses;
use super::users::{Class, Crowds, Row, Use, User, Users};
use crate::access::{Access, AccessSet, Field, Location};
use crate::primitives::{Address, U256};

/// Dense number of a location.
pub(super) type LocationId = u32;
/// Dense number of an account.
pub(super) type AccountId = u32;

/// An account and who touches its fields: one line of memory.
#[derive(Debug)]
#[repr(align(64))]
struct Account {
    address: Address,
    /// Accesses to it or one of its slots, and debits; at zero the number is free.
    references: u32,
    /// Of the address.
    hash: u64,
    /// Nonce, balance, code.
    fields: [Row; FIELDS as usize],
}

/// A slot's full key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Slot {
    account: AccountId,
    index: U256,
}

const FIELDS: u32 = 3;

/// The table.
#[derive(Debug, Default)]
pub(super) struct Locations {
    hasher: RandomState,
    /// The fields of account `n` are numbered from `3 n` on.
    accounts: Vec<Account>,
    account_index: Index,
    free_accounts: Vec<AccountId>,
    slot_names: Vec<Slot>,
    slots: Vec<Row>,
    slot_index: Index,
    free_slots: Vec<u32>,
    crowds: Crowds,
    purses: Purses,
    /// A bit for each field and slot: whether several use it, other than by reading alone. Only such
    /// uses matter to a plan.
    shared_fields: Vec<u64>,
    shared_slots: Vec<u64>,
}

/// Slots are numbered from here on; a pool of half of it would not fit into memory.
const FIRST_SLOT: LocationId = 1 << 31;

impl Locations {
    fn account_hash(&self, address: &Address) -> u64 {
        let mut hasher = self.hasher.build_hasher();
        let (words, _) = address.as_chunks();
        words.iter().for_each(|word| hasher.write_u32(u32::from_le_bytes(*word)));
        hasher.finish()
    }

    fn slot_hash(&self, account_hash: u64, index: &U256) -> u64 {
        let mut hasher = self.hasher.build_hasher();
        hasher.write_u64(account_hash);
        index.as_limbs().iter().for_each(|limb| hasher.write_u64(*limb));
        hasher.finish()
    }

    fn slot_hash_of(&self, slot: &Slot) -> u64 {
        self.slot_hash(self.accounts[slot.account as usize].hash, &slot.index)
    }

    /// Brings what entering a set will look for nearer to the processor. Of many sets at once, memory
    /// is waited for once.
    pub(super) fn foresee(&self, access: &AccessSet) {
        let mut last = (Address::ZERO, 0);
        for location in access.accesses.keys() {
            if location.address != last.0 {
                last = (location.address, self.account_hash(&location.address));
                self.account_index.touch(last.1);
            }
            if let Field::Storage(index) = &location.field {
                self.slot_index.touch(self.slot_hash(last.1, index));
            }
        }
    }

    /// The account's number; it is kept as long as something refers to it.
    pub(super) fn intern(&mut self, address: &Address) -> AccountId {
        let hash = self.account_hash(address);
        let accounts = &self.accounts;
        let is_it = |id: u32| accounts[id as usize].address == *address;
        let place = match self.account_index.find_or_place(hash, is_it) {
            Ok(id) => return id,
            Err(place) => place,
        };
        let fresh = Account { address: *address, references: 0, hash, fields: Default::default() };
        let id = match self.free_accounts.pop() {
            Some(id) => {
                self.accounts[id as usize] = fresh;
                id
            }
            None => {
                self.accounts.push(fresh);
                let count = self.accounts.len();
                self.shared_fields.resize((count * FIELDS as usize).div_ceil(64), 0);
                (count - 1) as u32
            }
        };
        self.account_index.fill(place, id);
        id
    }

    /// The number of a field or slot of `account`.
    pub(super) fn locate(&mut self, account: AccountId, field: Field) -> LocationId {
        match field {
            Field::Nonce => account * FIELDS,
            Field::Balance => account * FIELDS + 1,
            Field::Code => account * FIELDS + 2,
            Field::Storage(index) => FIRST_SLOT + self.intern_slot(Slot { account, index }),
        }
    }

    fn intern_slot(&mut self, slot: Slot) -> u32 {
        let hash = self.slot_hash_of(&slot);
        let names = &self.slot_names;
        let place = match self.slot_index.find_or_place(hash, |id| names[id as usize] == slot) {
            Ok(id) => return id,
            Err(place) => place,
        };
        let id = match self.free_slots.pop() {
            Some(id) => {
                self.slot_names[id as usize] = slot;
                id
            }
            None => {
                self.slots.push(Row::default());
                self.slot_names.push(slot);
                self.shared_slots.resize(self.slots.len().div_ceil(64), 0);
                (self.slots.len() - 1) as u32
            }
        };
        self.slot_index.fill(place, id);
        id
    }

    /// The number of an account, if the pool touches it.
    pub(super) fn find_account(&self, address: &Address) -> Option<AccountId> {
        let hash = self.account_hash(address);
        self.account_index.find(hash, |id| self.accounts[id as usize].address == *address)
    }

    /// The number of a location, if the pool touches it.
    pub(super) fn find(&self, location: &Location) -> Option<LocationId> {
        let account = self.find_account(&location.address)?;
        match location.field {
            Field::Nonce => Some(account * FIELDS),
            Field::Balance => Some(account * FIELDS + 1),
            Field::Code => Some(account * FIELDS + 2),
            Field::Storage(index) => {
                let slot = Slot { account, index };
                let hash = self.slot_hash_of(&slot);
                let found = self.slot_index.find(hash, |id| self.slot_names[id as usize] == slot);
                found.map(|id| FIRST_SLOT + id)
            }
        }
    }

    fn row(&self, id: LocationId) -> Row {
        match id.checked_sub(FIRST_SLOT) {
            Some(slot) => self.slots[slot as usize],
            None => self.accounts[(id / FIELDS) as usize].fields[(id % FIELDS) as usize],
        }
    }

    /// Who touches a location.
    pub(super) fn users(&self, id: LocationId) -> Users<'_> {
        self.crowds.users(self.row(id))
    }

    /// What a number stands for.
    pub(super) fn name(&self, id: LocationId) -> Location {
        let field = match (id.checked_sub(FIRST_SLOT), id % FIELDS) {
            (Some(slot), _) => Field::Storage(self.slot_names[slot as usize].index),
            (None, 0) => Field::Nonce,
            (None, 1) => Field::Balance,
            (None, _) => Field::Code,
        };
        Location { address: self.address(self.account_of(id)), field }
    }

    /// The account that a location belongs to.
    pub(super) fn account_of(&self, id: LocationId) -> AccountId {
        match id.checked_sub(FIRST_SLOT) {
            Some(slot) => self.slot_names[slot as usize].account,
            None => id / FIELDS,
        }
    }

    /// The address of an account.
    pub(super) fn address(&self, account: AccountId) -> Address {
        self.accounts[account as usize].address
    }

    /// Enters a user of a location of `account`.
    pub(super) fn enter(&mut self, account: AccountId, field: Field, user: User, access: Access) -> Use {
        let location = self.locate(account, field);
        let held = &mut self.accounts[account as usize];
        held.references += 1;
        let row = match location.checked_sub(FIRST_SLOT) {
            Some(slot) => &mut self.slots[slot as usize],
            None => &mut held.fields[(location - account * FIELDS) as usize],
        };
        let place = self.crowds.enter(row, user, Class::of(access));
        let row = *row;
        self.note_shared(location, row);
        Use::new(location, place, access)
    }

    /// Takes a user out; returns who stands at its place now.
    pub(super) fn leave(&mut self, used: Use) -> Option<User> {
        let account = self.account_of(used.location);
        let slot = used.location.checked_sub(FIRST_SLOT);
        let row = match slot {
            Some(slot) => &mut self.slots[slot as usize],
            None => &mut self.accounts[account as usize].fields[(used.location % FIELDS) as usize],
        };
        let was_crowd = row.crowd().is_some();
        let moved = self.crowds.leave(row, used);
        let row = *row;
        if was_crowd {
            let is_shared = self.crowds.is_shared(row);
            self.set_shared(used.location, is_shared);
        }
        if let (true, Some(id)) = (row.is_empty(), slot) {
            let hash = self.slot_hash_of(&self.slot_names[id as usize]);
            self.slot_index.remove(hash, id);
            self.free_slots.push(id);
        }
        self.release(account);
        moved
    }

    /// Keeps the account's number alive.
    pub(super) fn refer(&mut self, account: AccountId) {
        self.accounts[account as usize].references += 1;
    }

    /// Undoes one [`Self::refer`].
    pub(super) fn release(&mut self, account: AccountId) {
        let held = &mut self.accounts[account as usize];
        held.references -= 1;
        if held.references == 0 {
            self.account_index.remove(held.hash, account);
            self.free_accounts.push(account);
        }
    }

    /// One user alone shares with nobody, and its bit is as it was.
    fn note_shared(&mut self, id: LocationId, row: Row) {
        if row.crowd().is_some() {
            let is_shared = self.crowds.is_shared(row);
            self.set_shared(id, is_shared);
        }
    }

    fn set_shared(&mut self, id: LocationId, is_shared: bool) {
        let (bits, at) = match id.checked_sub(FIRST_SLOT) {
            Some(slot) => (&mut self.shared_slots, slot),
            None => (&mut self.shared_fields, id),
        };
        let bit = 1 << (at % 64);
        let word = &mut bits[at as usize / 64];
        *word = if is_shared { *word | bit } else { *word & !bit };
    }

    /// Whether several use a location, other than by reading alone.
    pub(super) fn is_shared(&self, id: LocationId) -> bool {
        let (bits, at) = match id.checked_sub(FIRST_SLOT) {
            Some(slot) => (&self.shared_slots, slot),
            None => (&self.shared_fields, id),
        };
        bits[at as usize / 64] >> (at % 64) & 1 == 1
    }

    /// Adds to what the pool may need from an account, which stays known until [`Self::give_back`].
    pub(super) fn need(&mut self, account: AccountId, wei: U256) {
        self.purses.need(account, wei);
        self.refer(account);
    }

    /// Undoes one [`Self::need`].
    pub(super) fn give_back(&mut self, account: AccountId, wei: U256) {
        self.purses.give_back(account, wei);
        self.release(account);
    }

    /// Whether a debited account cannot pay for the whole pool; asks what it has once per head.
    pub(super) fn is_short<E>(
        &mut self,
        account: AccountId,
        ask: &mut impl FnMut(&Address) -> Result<U256, E>,
    ) -> Result<bool, E> {
        let accounts = &self.accounts;
        self.purses.is_short(account, || ask(&accounts[account as usize].address))
    }

    /// Brings what [`Self::is_short`] looks at nearer to the processor, of several before any is asked.
    pub(super) fn foresee_purse(&self, account: AccountId) {
        self.purses.foresee(account);
    }

    /// What an account has that [`Self::is_short`] was asked about.
    pub(super) fn balance(&self, account: AccountId) -> U256 {
        self.purses.balance(account)
    }

    /// Balances must be asked for again: of `changed` accounts, or of all.
    pub(super) fn forget_balances(&mut self, changed: Option<&[Address]>) {
        let Some(changed) = changed else { return self.purses.forget_balances() };
        for address in changed {
            if let Some(account) = self.find_account(address) {
                self.purses.forget_balance(account);
            }
        }
    }

    /// Makes room for so many more transactions.
    pub(super) fn reserve(&mut self, transactions: usize) {
        self.account_index.reserve(transactions);
        self.accounts.reserve(2 * transactions);
        self.slot_index.reserve(transactions);
        self.slot_names.reserve(2 * transactions);
        self.slots.reserve(2 * transactions);
        self.purses.reserve(2 * transactions);
    }

    /// One more than the greatest number of an account.
    pub(super) fn account_numbers(&self) -> usize {
        self.accounts.len()
    }

    /// The number of an account's balance.
    pub(super) fn balance_of(&self, account: AccountId) -> LocationId {
        account * FIELDS + 1
    }

    /// Where a location that several use has its cell in a table over all such.
    pub(super) fn cell(&self, id: LocationId) -> Option<u32> {
        self.row(id).crowd()
    }

    /// How many cells such a table has.
    pub(super) fn cells(&self) -> usize {
        self.crowds.numbers()
    }

    /// Whether every number is in use exactly if something refers to it.
    #[cfg(test)]
    pub(super) fn is_tidy(&self) -> bool {
        let used = self.accounts.iter().filter(|account| account.references > 0).count();
        let fields = || self.accounts.iter().flat_map(|account| &account.fields);
        let rows = || fields().chain(&self.slots);
        let slots = self.slots.iter().filter(|row| !row.is_empty()).count();
        let crowds = rows().filter(|row| row.crowd().is_some()).count();
        let ids = (0..self.accounts.len() as u32 * FIELDS)
            .chain((0..self.slots.len() as u32).map(|slot| slot + FIRST_SLOT));
        used == self.account_index.len()
            && used + self.free_accounts.len() == self.accounts.len()
            && slots == self.slot_index.len()
            && slots + self.free_slots.len() == self.slots.len()
            && crowds == self.crowds.in_use()
            && ids.into_iter().all(|id| self.is_shared(id) == self.crowds.is_shared(self.row(id)))
    }

    /// How many accounts are debited.
    #[cfg(test)]
    pub(super) fn debited(&self) -> usize {
        self.purses.in_use()
    }

    /// All locations that somebody touches.
    pub(super) fn touched(&self) -> impl Iterator<Item = LocationId> + '_ {
        let used = |(at, row): (usize, &Row)| (!row.is_empty()).then_some(at as u32);
        let fields = self.accounts.iter().flat_map(|account| &account.fields);
        let fields = fields.enumerate().filter_map(used);
        fields.chain(self.slots.iter().enumerate().filter_map(used).map(|slot| slot + FIRST_SLOT))
    }
}
