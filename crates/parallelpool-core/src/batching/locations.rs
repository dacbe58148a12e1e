//! Every location that a pooled transaction touches, by a dense number, with its readers and writers.
//!
//! Full keys are compared; the hash is seeded, so crafted addresses and slots cannot be made to
//! collide. An account has three numbers in a row (nonce, balance, code), so a transfer needs two
//! look-ups. Numbers of what nobody touches any more are given out again.

use std::hash::{BuildHasher, Hash};

use foldhash::fast::RandomState;
use hashbrown::HashTable;
use hashbrown::hash_table::Entry;

use super::purses::Purses;
use super::users::{Class, Crowds, Row, Use, User, Users};
use crate::access::{Access, Field, Location};
use crate::primitives::{Address, U256};

/// Dense number of a location.
pub(super) type LocationId = u32;
/// Dense number of an account.
pub(super) type AccountId = u32;

#[derive(Debug)]
struct Account {
    address: Address,
    /// Accesses to it or one of its slots, and debits; at zero the number is free.
    references: u32,
}

/// A slot's full key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Slot {
    account: AccountId,
    index: U256,
}

impl Hash for Slot {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        state.write_u32(self.account);
        self.index.as_limbs().iter().for_each(|limb| state.write_u64(*limb));
    }
}

const FIELDS: u32 = 3;

/// The table.
#[derive(Debug, Default)]
pub(super) struct Locations {
    hasher: RandomState,
    accounts: Vec<Account>,
    account_table: HashTable<AccountId>,
    free_accounts: Vec<AccountId>,
    /// Nonce, balance and code of account `n` at `3 n`.
    fields: Vec<Row>,
    slot_names: Vec<Slot>,
    slots: Vec<Row>,
    slot_table: HashTable<u32>,
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
    /// The account's number; it is kept as long as something refers to it.
    pub(super) fn intern(&mut self, address: &Address) -> AccountId {
        let hash = self.hasher.hash_one(address);
        let (accounts, hasher) = (&self.accounts, &self.hasher);
        let entry = self.account_table.entry(
            hash,
            |&id| accounts[id as usize].address == *address,
            |&id| hasher.hash_one(accounts[id as usize].address),
        );
        let vacant = match entry {
            Entry::Occupied(found) => return *found.get(),
            Entry::Vacant(vacant) => vacant,
        };
        let fresh = Account { address: *address, references: 0 };
        let id = match self.free_accounts.pop() {
            Some(id) => {
                self.accounts[id as usize] = fresh;
                id
            }
            None => {
                self.accounts.push(fresh);
                let count = self.accounts.len();
                self.fields.resize(count * FIELDS as usize, Row::default());
                self.shared_fields.resize(self.fields.len().div_ceil(64), 0);
                self.purses.cover(count);
                (count - 1) as u32
            }
        };
        vacant.insert(id);
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
        let hash = self.hasher.hash_one(slot);
        let (names, hasher) = (&self.slot_names, &self.hasher);
        let is_it = |&id: &u32| names[id as usize] == slot;
        let vacant = match self.slot_table.entry(hash, is_it, |&id| hasher.hash_one(names[id as usize])) {
            Entry::Occupied(found) => return *found.get(),
            Entry::Vacant(vacant) => vacant,
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
        vacant.insert(id);
        id
    }

    /// The number of an account, if the pool touches it.
    pub(super) fn find_account(&self, address: &Address) -> Option<AccountId> {
        let hash = self.hasher.hash_one(address);
        self.account_table.find(hash, |&id| self.accounts[id as usize].address == *address).copied()
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
                let found = self
                    .slot_table
                    .find(self.hasher.hash_one(slot), |&id| self.slot_names[id as usize] == slot);
                found.map(|id| FIRST_SLOT + id)
            }
        }
    }

    fn row(&self, id: LocationId) -> Row {
        match id.checked_sub(FIRST_SLOT) {
            Some(slot) => self.slots[slot as usize],
            None => self.fields[id as usize],
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
        self.accounts[account as usize].references += 1;
        let row = match location.checked_sub(FIRST_SLOT) {
            Some(slot) => &mut self.slots[slot as usize],
            None => &mut self.fields[location as usize],
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
            None => &mut self.fields[used.location as usize],
        };
        let was_crowd = row.crowd().is_some();
        let moved = self.crowds.leave(row, used);
        let row = *row;
        if was_crowd {
            let is_shared = self.crowds.is_shared(row);
            self.set_shared(used.location, is_shared);
        }
        if let (true, Some(id)) = (row.is_empty(), slot) {
            let hash = self.hasher.hash_one(self.slot_names[id as usize]);
            if let Ok(entry) = self.slot_table.find_entry(hash, |&other| other == id) {
                entry.remove();
            }
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
            let hash = self.hasher.hash_one(held.address);
            if let Ok(entry) = self.account_table.find_entry(hash, |&other| other == account) {
                entry.remove();
            }
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
        let (accounts, hasher) = (&self.accounts, &self.hasher);
        self.account_table
            .reserve(2 * transactions, |&other| hasher.hash_one(accounts[other as usize].address));
        self.accounts.reserve(2 * transactions);
        self.fields.reserve(2 * FIELDS as usize * transactions);
        let (names, hasher) = (&self.slot_names, &self.hasher);
        self.slot_table.reserve(2 * transactions, |&other| hasher.hash_one(names[other as usize]));
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
        let rows = || self.fields.iter().chain(&self.slots);
        let slots = self.slots.iter().filter(|row| !row.is_empty()).count();
        let crowds = rows().filter(|row| row.crowd().is_some()).count();
        let ids =
            (0..self.fields.len() as u32).chain((0..self.slots.len() as u32).map(|slot| slot + FIRST_SLOT));
        used == self.account_table.len()
            && used + self.free_accounts.len() == self.accounts.len()
            && slots == self.slot_table.len()
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
        let fields = self.fields.iter().enumerate().filter_map(used);
        fields.chain(self.slots.iter().enumerate().filter_map(used).map(|slot| slot + FIRST_SLOT))
    }
}
