//! Every location that a pooled transaction touches, by a dense number, with its readers and writers.
//!
//! Full keys are compared; the hash is seeded, so crafted addresses and slots cannot be made to
//! collide. An account has three numbers in a row (nonce, balance, code), so a transfer needs two
//! look-ups. Numbers of what nobody touches any more are given out again.

use std::hash::{BuildHasher, Hash};

use foldhash::fast::RandomState;
use hashbrown::HashTable;
use smallvec::SmallVec;

use crate::access::{Access, Field, Location};
use crate::primitives::{Address, U256};

/// How an access bears on others of the same location. Two accesses conflict unless both are
/// reads or both are changes of a balance that nobody looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Class {
    /// Commutes with reads.
    #[default]
    Read,
    /// Credits and debits: commutes with its like.
    Delta,
    /// Commutes with nothing.
    Write,
}

impl Class {
    pub(super) fn of(access: Access) -> Self {
        if access.conflicts_with(access) {
            Self::Write
        } else if access.has(Access::READ) {
            Self::Read
        } else {
            Self::Delta
        }
    }

    /// Of one who does both.
    pub(super) fn with(self, other: Self) -> Self {
        if self == other { self } else { Self::Write }
    }

    pub(super) fn conflicts_with(self, other: Self) -> bool {
        self != other || self == Self::Write
    }
}

/// Dense number of a location.
pub(super) type LocationId = u32;
/// Dense number of an account.
pub(super) type AccountId = u32;

/// One access of one pooled transaction.
#[derive(Debug, Clone, Copy)]
pub(super) struct Use {
    pub(super) location: LocationId,
    /// Where the transaction stands among the location's users.
    pub(super) place: u32,
    pub(super) access: Access,
    pub(super) class: Class,
}

/// One who touches a location.
#[derive(Debug, Clone, Copy)]
pub(super) struct User {
    pub(super) entry: u32,
    /// Which of the entry's uses this is.
    pub(super) nth: u32,
}

/// What the pool does with one location.
#[derive(Debug, Default)]
pub(super) struct Users {
    pub(super) users: SmallVec<[User; 1]>,
    /// How many of them, by [`Class`].
    pub(super) counts: [u32; 3],
    account: AccountId,
}

impl Users {
    /// Whether some two of them conflict.
    pub(super) fn is_contested(&self) -> bool {
        let [reads, deltas, writes] = self.counts;
        writes > 0 && self.users.len() > 1 || reads > 0 && deltas > 0
    }

    /// Whether a plan must look at it: some two conflict, or may empty one purse together.
    fn is_shared(&self) -> bool {
        self.is_contested() || self.counts[Class::Delta as usize] > 1
    }

    /// How many of them an access of `class` conflicts with.
    pub(super) fn conflicting(&self, class: Class) -> u32 {
        let [reads, deltas, writes] = self.counts;
        match class {
            Class::Read => deltas + writes,
            Class::Delta => reads + writes,
            Class::Write => reads + deltas + writes,
        }
    }
}

#[derive(Debug)]
struct AccountEntry {
    address: Address,
    /// Accesses to it or one of its slots, and debits; at zero the number is free.
    references: u32,
    /// What it has at the head, once asked for.
    balance: Option<U256>,
    /// What all pooled transactions together may need from it: escrow's running sum, and how often
    /// it is to be cut at 256 bits.
    needed: U256,
    overflows: u32,
}

/// Whether an account can pay for all that the pool may need from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Solvency {
    /// Something changed since it was looked at.
    #[default]
    Unchecked,
    /// For all, so for any part of them.
    Solvent,
    /// Not for all.
    Short,
}

const FIELDS: u32 = 3;

/// The table.
#[derive(Debug, Default)]
pub(super) struct Locations {
    hasher: RandomState,
    accounts: Vec<AccountEntry>,
    account_table: HashTable<AccountId>,
    free_accounts: Vec<AccountId>,
    /// Nonce, balance and code of account `n` at `3 n`.
    fields: Vec<Users>,
    slots: Vec<Users>,
    slot_names: Vec<U256>,
    slot_table: HashTable<u32>,
    free_slots: Vec<u32>,
    /// By account, apart from the rest of it: looked at for every debit.
    solvency: Vec<Solvency>,
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
        let accounts = &self.accounts;
        if let Some(&found) = self.account_table.find(hash, |&id| accounts[id as usize].address == *address) {
            return found;
        }
        let fresh = AccountEntry {
            address: *address,
            references: 0,
            balance: None,
            needed: U256::ZERO,
            overflows: 0,
        };
        let id = match self.free_accounts.pop() {
            Some(id) => {
                self.accounts[id as usize] = fresh;
                self.solvency[id as usize] = Solvency::Unchecked;
                id
            }
            None => {
                self.accounts.push(fresh);
                self.fields.resize_with(self.accounts.len() * FIELDS as usize, Users::default);
                self.solvency.push(Solvency::Unchecked);
                self.shared_fields.resize(self.fields.len().div_ceil(64), 0);
                (self.accounts.len() - 1) as u32
            }
        };
        for field in 0..FIELDS {
            self.fields[(id * FIELDS + field) as usize].account = id;
        }
        let (accounts, hasher) = (&self.accounts, &self.hasher);
        self.account_table
            .insert_unique(hash, id, |&other| hasher.hash_one(accounts[other as usize].address));
        id
    }

    /// The number of a field or slot of `account`.
    pub(super) fn locate(&mut self, account: AccountId, field: Field) -> LocationId {
        match field {
            Field::Nonce => account * FIELDS,
            Field::Balance => account * FIELDS + 1,
            Field::Code => account * FIELDS + 2,
            Field::Storage(slot) => FIRST_SLOT + self.intern_slot(account, slot),
        }
    }

    fn intern_slot(&mut self, account: AccountId, slot: U256) -> u32 {
        let hash = slot_hash(&self.hasher, account, &slot);
        if let Some(found) = self.find_slot(hash, account, &slot) {
            return found;
        }
        let fresh = Users { account, ..Users::default() };
        let id = match self.free_slots.pop() {
            Some(id) => {
                self.slots[id as usize] = fresh;
                self.slot_names[id as usize] = slot;
                id
            }
            None => {
                self.slots.push(fresh);
                self.slot_names.push(slot);
                self.shared_slots.resize(self.slots.len().div_ceil(64), 0);
                (self.slots.len() - 1) as u32
            }
        };
        let (slots, names, hasher) = (&self.slots, &self.slot_names, &self.hasher);
        self.slot_table.insert_unique(hash, id, |&other| {
            slot_hash(hasher, slots[other as usize].account, &names[other as usize])
        });
        id
    }

    fn find_slot(&self, hash: u64, account: AccountId, slot: &U256) -> Option<u32> {
        let is_it =
            |&id: &u32| self.slots[id as usize].account == account && self.slot_names[id as usize] == *slot;
        self.slot_table.find(hash, is_it).copied()
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
            Field::Storage(slot) => {
                let hash = slot_hash(&self.hasher, account, &slot);
                self.find_slot(hash, account, &slot).map(|id| FIRST_SLOT + id)
            }
        }
    }

    /// Who touches a location.
    pub(super) fn users(&self, id: LocationId) -> &Users {
        if id >= FIRST_SLOT { &self.slots[(id - FIRST_SLOT) as usize] } else { &self.fields[id as usize] }
    }

    fn users_mut(&mut self, id: LocationId) -> &mut Users {
        if id >= FIRST_SLOT {
            &mut self.slots[(id - FIRST_SLOT) as usize]
        } else {
            &mut self.fields[id as usize]
        }
    }

    /// What a number stands for.
    pub(super) fn name(&self, id: LocationId) -> Location {
        let users = self.users(id);
        let field = match (id.checked_sub(FIRST_SLOT), id % FIELDS) {
            (Some(slot), _) => Field::Storage(self.slot_names[slot as usize]),
            (None, 0) => Field::Nonce,
            (None, 1) => Field::Balance,
            (None, _) => Field::Code,
        };
        Location { address: self.address(users.account), field }
    }

    /// The account that a location belongs to.
    pub(super) fn account_of(&self, id: LocationId) -> AccountId {
        self.users(id).account
    }

    /// The address of an account.
    pub(super) fn address(&self, account: AccountId) -> Address {
        self.accounts[account as usize].address
    }

    /// Enters a user; returns its place.
    pub(super) fn enter(&mut self, location: LocationId, user: User, class: Class) -> u32 {
        let users = self.users_mut(location);
        users.counts[class as usize] += 1;
        users.users.push(user);
        let (place, account, is_shared) = (users.users.len() as u32 - 1, users.account, users.is_shared());
        self.accounts[account as usize].references += 1;
        self.set_shared(location, is_shared);
        place
    }

    /// Takes a user out; returns who stands at its place now.
    pub(super) fn leave(&mut self, used: &Use) -> Option<User> {
        let users = self.users_mut(used.location);
        users.counts[used.class as usize] -= 1;
        users.users.swap_remove(used.place as usize);
        let moved = users.users.get(used.place as usize).copied();
        let (account, is_left, is_shared) = (users.account, users.users.is_empty(), users.is_shared());
        self.set_shared(used.location, is_shared);
        if let (true, Some(id)) = (is_left, used.location.checked_sub(FIRST_SLOT)) {
            let hash = slot_hash(&self.hasher, account, &self.slot_names[id as usize]);
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
        let held = &mut self.accounts[account as usize];
        let (sum, overflow) = held.needed.overflowing_add(wei);
        held.needed = sum;
        held.overflows += u32::from(overflow);
        held.references += 1;
        self.solvency[account as usize] = Solvency::Unchecked;
    }

    /// Undoes one [`Self::need`].
    pub(super) fn give_back(&mut self, account: AccountId, wei: U256) {
        let held = &mut self.accounts[account as usize];
        let (sum, overflow) = held.needed.overflowing_sub(wei);
        held.needed = sum;
        held.overflows -= u32::from(overflow);
        self.solvency[account as usize] = Solvency::Unchecked;
        self.release(account);
    }

    /// Whether the account can pay for the whole pool; asks what it has once per head.
    pub(super) fn is_short<E>(
        &mut self,
        account: AccountId,
        ask: &mut impl FnMut(&Address) -> Result<U256, E>,
    ) -> Result<bool, E> {
        let known = &mut self.solvency[account as usize];
        if *known == Solvency::Unchecked {
            let held = &mut self.accounts[account as usize];
            let balance = match held.balance {
                Some(balance) => balance,
                None => *held.balance.insert(ask(&held.address)?),
            };
            let is_short = held.overflows > 0 || held.needed > balance;
            *known = if is_short { Solvency::Short } else { Solvency::Solvent };
        }
        Ok(*known == Solvency::Short)
    }

    /// What an account has that [`Self::is_short`] was asked about.
    pub(super) fn balance(&self, account: AccountId) -> U256 {
        self.accounts[account as usize].balance.unwrap_or_default()
    }

    /// Balances must be asked for again: of `changed` accounts, or of all.
    pub(super) fn forget_balances(&mut self, changed: Option<&[Address]>) {
        match changed {
            Some(changed) => {
                for address in changed {
                    if let Some(account) = self.find_account(address) {
                        self.accounts[account as usize].balance = None;
                        self.solvency[account as usize] = Solvency::Unchecked;
                    }
                }
            }
            None => {
                self.accounts.iter_mut().for_each(|account| account.balance = None);
                self.solvency.fill(Solvency::Unchecked);
            }
        }
    }

    /// Makes room for so many more transactions.
    pub(super) fn reserve(&mut self, transactions: usize) {
        let (accounts, hasher) = (&self.accounts, &self.hasher);
        self.account_table
            .reserve(2 * transactions, |&other| hasher.hash_one(accounts[other as usize].address));
        self.accounts.reserve(2 * transactions);
        self.solvency.reserve(2 * transactions);
        self.fields.reserve(2 * FIELDS as usize * transactions);
    }

    /// One more than the greatest number of an account.
    pub(super) fn account_numbers(&self) -> usize {
        self.accounts.len()
    }

    /// Where a location has its cell in a table over all of them.
    pub(super) fn cell(&self, id: LocationId) -> usize {
        if id >= FIRST_SLOT { self.fields.len() + (id - FIRST_SLOT) as usize } else { id as usize }
    }

    /// How many cells such a table has.
    pub(super) fn cells(&self) -> usize {
        self.fields.len() + self.slots.len()
    }

    /// Whether every number is in use exactly if something refers to it.
    #[cfg(test)]
    pub(super) fn is_tidy(&self) -> bool {
        let used = self.accounts.iter().filter(|account| account.references > 0).count();
        let slots = self.slots.iter().filter(|slot| !slot.users.is_empty()).count();
        used == self.account_table.len()
            && used + self.free_accounts.len() == self.accounts.len()
            && slots == self.slot_table.len()
            && slots + self.free_slots.len() == self.slots.len()
    }

    /// All locations that somebody touches.
    pub(super) fn touched(&self) -> impl Iterator<Item = LocationId> + '_ {
        let fields = 0..self.fields.len() as u32;
        let slots = (0..self.slots.len() as u32).map(|slot| slot + FIRST_SLOT);
        fields.chain(slots).filter(|&id| !self.users(id).users.is_empty())
    }
}

fn slot_hash(hasher: &RandomState, account: AccountId, slot: &U256) -> u64 {
    struct Key<'a>(AccountId, &'a U256);
    impl Hash for Key<'_> {
        fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
            state.write_u32(self.0);
            self.1.as_limbs().iter().for_each(|limb| state.write_u64(*limb));
        }
    }
    hasher.hash_one(Key(account, slot))
}
