//! What transactions used before those that run in order on one journal.
//!
//! In: the memory at the frontier. Out: its answers to a journal that keeps them, and of the journal's
//! changes those that the memory has to know. What nobody used before is a true difference to the view
//! as it stands, and goes straight to the block's outcome; a chain of mints adds tens of thousands of slots to one account.

use foldhash::fast::RandomState;
use hashbrown::HashMap;
use smallvec::SmallVec;

use super::{AccountId, SlotId, SlotKey, VersionedState};
use crate::error::StateError;
use crate::parallel::accounts::AccountKey;
use crate::primitives::{Address, B256, Bytecode, U256};
use crate::state::overlay::new_code_hash;
use crate::state::{Account, AccountAnswer, AccountChange, ChangeSet, StateChanges, StateView};

/// Up to so many accounts, and so many slots, are listed: looking into a short list is cheaper than into
/// the tables that all workers share.
const MOST_LISTED: u32 = 1_024;

/// Accounts and slots that were used so far. What others add meanwhile was written by nobody who is
/// committed.
#[derive(Debug)]
pub(in crate::parallel) struct Known<'m, V> {
    memory: &'m VersionedState<V>,
    /// All of them, where they are few.
    accounts: Option<HashMap<AccountKey, AccountId, RandomState>>,
    slots: Option<HashMap<SlotKey, SlotId, RandomState>>,
}

/// Slots that a journal changed first, by account. The account's fields are in the memory.
pub(in crate::parallel) type NewSlots = Vec<(AccountId, ChangeSet<U256, U256>)>;

impl<'m, V: StateView> Known<'m, V> {
    pub(in crate::parallel) fn new(memory: &'m VersionedState<V>) -> Self {
        let (accounts, slots) = (&memory.tables.accounts, &memory.tables.slots);
        // Not every id that has a key is the key's.
        Self {
            memory,
            accounts: (accounts.len() <= MOST_LISTED).then(|| {
                let owner = |(_, key)| Some((key, AccountId(accounts.known(key)?)));
                accounts.keys().filter_map(owner).collect()
            }),
            slots: (slots.len() <= MOST_LISTED).then(|| {
                let owner = |(_, key)| Some((key, SlotId(slots.known(key)?)));
                slots.keys().filter_map(owner).collect()
            }),
        }
    }

    #[inline]
    fn account_id(&self, address: &Address) -> Option<AccountId> {
        let key = AccountKey::from(*address);
        match &self.accounts {
            Some(list) => list.get(&key).copied(),
            None => self.memory.tables.accounts.known(key).map(AccountId),
        }
    }

    #[inline]
    fn slot_id(&self, account: AccountId, slot: U256) -> Option<SlotId> {
        let key = SlotKey { account, slot };
        match &self.slots {
            Some(list) => list.get(&key).copied(),
            None => self.memory.tables.slots.known(key).map(SlotId),
        }
    }

    /// Takes out of the changes that transactions before `end`, the block's end, made to the state that is
    /// committed: what concerns accounts that were used before, their new slots by themselves, and the
    /// codes. What remains are true differences to the view, with nothing to be added but their codes.
    pub(in crate::parallel) fn split_off(
        &self,
        changes: &mut StateChanges,
        end: u32,
    ) -> Result<(StateChanges, NewSlots), StateError> {
        let mut known = StateChanges { codes: std::mem::take(&mut changes.codes), ..StateChanges::default() };
        let mut new_slots = NewSlots::new();
        for (address, mut change) in changes.accounts.take_if(|address| self.account_id(address).is_some()) {
            let id = self.account_id(&address).expect("it was chosen for having one");
            // Where slots from before the block are gone, their values are no differences to the view.
            let is_plain = change.after.is_some() && !change.storage_cleared;
            if is_plain && self.memory.last_clearing(id, end).is_none() {
                let storage = std::mem::take(&mut change.storage).into_iter();
                let (old, new): (ChangeSet<_, _>, ChangeSet<_, _>) =
                    storage.partition(|(slot, _)| self.slot_id(id, *slot).is_some());
                change.storage = old;
                if !new.is_empty() {
                    new_slots.push((id, new));
                }
            }
            known.accounts.insert(address, change);
        }
        if known.codes.is_empty() {
            return Ok((known, new_slots));
        }
        for (address, change) in &changes.accounts {
            if let Some(hash) = new_code_hash(self.memory.base.account(address)?, change.after)
                && let Some(code) = known.codes.get(&hash)
            {
                changes.codes.insert(hash, code.clone());
            }
        }
        Ok((known, new_slots))
    }
}

impl<V: StateView> VersionedState<V> {
    /// Adds to the changes of all transactions before `end` the slots that the memory was not told of.
    pub(in crate::parallel) fn add_new_slots(
        &self,
        changes: &mut StateChanges,
        new_slots: NewSlots,
        end: u32,
    ) -> Result<(), StateError> {
        let mut by_address: HashMap<Address, _, RandomState> =
            new_slots.into_iter().map(|(id, slots)| (self.address(id), (id, slots))).collect();
        if by_address.is_empty() {
            return Ok(());
        }
        for (address, change) in changes.accounts.iter_mut() {
            if let Some((_, slots)) = by_address.remove(address) {
                change.storage.extend(slots);
            }
        }
        for (address, (id, storage)) in by_address {
            let after = self.account(id, end)?;
            changes.accounts.insert(address, AccountChange { after, storage_cleared: false, storage });
        }
        Ok(())
    }
}

/// Committed state at the frontier. Keeps nothing of what it is asked for: the journal does.
#[derive(Debug)]
pub(in crate::parallel) struct InOrderView<'k, 'm, V> {
    pub(in crate::parallel) known: &'k Known<'m, V>,
    pub(in crate::parallel) at: u32,
}

impl<V: StateView> StateView for InOrderView<'_, '_, V> {
    fn account(&self, address: &Address) -> Result<Option<Account>, StateError> {
        let memory = self.known.memory;
        match self.known.account_id(address) {
            Some(id) => memory.account(id, self.at),
            None => memory.base.account(address),
        }
    }

    fn accounts(&self, addresses: &[Address], put: &mut dyn FnMut(usize, AccountAnswer)) {
        let mut others = SmallVec::<[(usize, Address); 64]>::new();
        for (place, address) in addresses.iter().enumerate() {
            match self.known.account_id(address) {
                Some(id) => put(place, self.known.memory.account(id, self.at)),
                None => others.push((place, *address)),
            }
        }
        let (places, addresses): (SmallVec<[usize; 64]>, SmallVec<[Address; 64]>) =
            others.into_iter().unzip();
        self.known.memory.base.accounts(&addresses, &mut |other, answer| put(places[other], answer));
    }

    fn storage(&self, address: &Address, slot: &U256) -> Result<U256, StateError> {
        let memory = self.known.memory;
        let Some(account) = self.known.account_id(address) else { return memory.base.storage(address, slot) };
        match self.known.slot_id(account, *slot) {
            Some(id) => memory.slot(id, self.at),
            None if memory.last_clearing(account, self.at).is_some() => Ok(U256::ZERO),
            None => memory.base.storage(address, slot),
        }
    }

    fn has_storage(&self, address: &Address) -> Result<bool, StateError> {
        let memory = self.known.memory;
        match self.known.account_id(address) {
            Some(id) => memory.has_storage(id, self.at),
            None => memory.base.has_storage(address),
        }
    }

    fn code(&self, code_hash: &B256) -> Result<Bytecode, StateError> {
        self.known.memory.code(code_hash)
    }

    fn block_hash(&self, number: u64) -> Result<B256, StateError> {
        self.known.memory.block_hash(number)
    }
}
