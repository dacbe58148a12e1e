//! The state of a block while its transactions run in any order.
//!
//! Above the view lies, for each account and slot, what each transaction wrote. A reader at index i
//! sees the last write before i; what it saw is only a guess until i is the frontier, because then
//! all writes before it are final. Base values are asked for once and kept.
//!
//! A slot's value may come from three places: its own newest writer, the account's newest clearing
//! (destroyed or created anew) if that is not older, or the view.

use std::sync::OnceLock;

use foldhash::fast::RandomState;
use hashbrown::HashMap;
use parking_lot::{Mutex, RwLock};
use revm::state::AccountId as AccountHint;

use super::interner::Interner;
use super::versions::Versions;
use crate::error::StateError;
use crate::evm::{AccountWrite, TxExecution, credit};
use crate::primitives::{Address, B256, Bytecode, SpecId, U256};
use crate::state::overlay::{canonical_change, new_code_hash};
use crate::state::{Account, StateChanges, StateView};

/// An account of this block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct AccountId(u32);

impl AccountId {
    /// As revm carries it along with a loaded account.
    pub(super) fn as_hint(self) -> Option<AccountHint> {
        AccountHint::new(self.0 as usize)
    }

    /// The id behind what [`Self::as_hint`] gave.
    pub(super) fn from_hint(hint: AccountHint) -> Self {
        Self(u32::try_from(hint.get()).expect("hints are made of 32-bit ids"))
    }
}

/// A slot of this block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct SlotId(u32);

/// Where a transaction wrote.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Place {
    /// Nonce, balance, code hash, existence.
    Fields(AccountId),
    /// All slots at once.
    Clearing(AccountId),
    /// One slot.
    Slot(SlotId),
}

#[derive(Debug, Default)]
struct AccountCell {
    base: OnceLock<Option<Account>>,
    base_has_storage: OnceLock<bool>,
    fields: Versions<Option<Account>>,
    clearings: Versions<()>,
    /// Slots that any transaction wrote, aborted ones too.
    slots: Mutex<Vec<SlotId>>,
}

#[derive(Debug, Default)]
struct SlotCell {
    base: OnceLock<U256>,
    values: Versions<U256>,
}

/// A view with the writes of a block's transactions on top.
#[derive(Debug)]
pub(super) struct VersionedState<V> {
    base: V,
    accounts: Interner<Address, AccountCell>,
    slots: Interner<(AccountId, U256), SlotCell>,
    /// Code that came into being. Content-addressed, so what an aborted execution left is harmless.
    codes: RwLock<HashMap<B256, Bytecode, RandomState>>,
}

impl<V: StateView> VersionedState<V> {
    pub(super) fn new(base: V) -> Self {
        Self { base, accounts: Interner::new(), slots: Interner::new(), codes: RwLock::default() }
    }

    pub(super) fn account_id(&self, address: Address) -> AccountId {
        AccountId(self.accounts.intern(address))
    }

    pub(super) fn slot_id(&self, account: AccountId, slot: U256) -> SlotId {
        SlotId(self.slots.intern((account, slot)))
    }

    pub(super) fn address(&self, id: AccountId) -> Address {
        *self.accounts.key(id.0)
    }

    pub(super) fn slot_key(&self, id: SlotId) -> (Address, U256) {
        let (account, slot) = *self.slots.key(id.0);
        (self.address(account), slot)
    }

    /// The account as transaction `at` sees it.
    pub(super) fn account(&self, id: AccountId, at: u32) -> Result<Option<Account>, StateError> {
        match self.accounts.cell(id.0).fields.newest_before(at) {
            Some((_, fields)) => Ok(fields),
            None => self.base_account(id),
        }
    }

    /// The slot as transaction `at` sees it.
    pub(super) fn slot(&self, id: SlotId, at: u32) -> Result<U256, StateError> {
        let (account, slot) = self.slots.key(id.0);
        let cleared = self.accounts.cell(account.0).clearings.newest_before(at);
        match self.written_slot(id, at, cleared) {
            Some(value) => Ok(value),
            None if cleared.is_some() => Ok(U256::ZERO),
            None => {
                let cell = self.slots.cell(id.0);
                once(&cell.base, || self.base.storage(self.accounts.key(account.0), slot))
            }
        }
    }

    /// Whether any slot of the account is not zero for transaction `at`, as far as the writes of
    /// this block tell; see [`crate::state::overlay::Overlay`] for the case that nobody asks for.
    pub(super) fn has_storage(&self, id: AccountId, at: u32) -> Result<bool, StateError> {
        let cell = self.accounts.cell(id.0);
        let cleared = cell.clearings.newest_before(at);
        let is_set =
            |slot: &SlotId| self.written_slot(*slot, at, cleared).is_some_and(|value| !value.is_zero());
        if cell.slots.lock().iter().any(is_set) {
            return Ok(true);
        }
        if cleared.is_some() {
            return Ok(false);
        }
        once(&cell.base_has_storage, || self.base.has_storage(self.accounts.key(id.0)))
    }

    pub(super) fn code(&self, code_hash: &B256) -> Result<Bytecode, StateError> {
        if let Some(code) = self.codes.read().get(code_hash) {
            return Ok(code.clone());
        }
        self.base.code(code_hash)
    }

    pub(super) fn block_hash(&self, number: u64) -> Result<B256, StateError> {
        self.base.block_hash(number)
    }

    /// Makes the writes of transaction `at` visible to later ones. Returns where they went.
    pub(super) fn publish(&self, at: u32, execution: &TxExecution) -> Vec<Place> {
        if !execution.codes.is_empty() {
            // Before the accounts that carry their hashes.
            self.codes.write().extend(execution.codes.iter().cloned());
        }
        let mut places = Vec::with_capacity(2 * execution.writes.len());
        for write in &execution.writes {
            self.publish_account(at, write, &mut places);
        }
        places
    }

    /// Publishes a second execution of transaction `at` and takes back what only the first wrote.
    pub(super) fn publish_again(&self, at: u32, first: &[Place], execution: &TxExecution) -> Vec<Place> {
        let places = self.publish(at, execution);
        let mut kept = places.clone();
        kept.sort_unstable();
        for place in first.iter().filter(|place| kept.binary_search(place).is_err()) {
            self.retract_place(at, *place);
        }
        places
    }

    /// Takes back all that transaction `at` wrote.
    pub(super) fn retract(&self, at: u32, places: &[Place]) {
        for place in places {
            self.retract_place(at, *place);
        }
    }

    /// Credits the fee of transaction `at`, whose writes are published, as the last thing it does.
    pub(super) fn credit(
        &self,
        at: u32,
        beneficiary: AccountId,
        fee: U256,
        spec: SpecId,
        places: &mut Vec<Place>,
    ) -> Result<(), StateError> {
        let before = self.account(beneficiary, at + 1)?;
        let after = credit(before, fee, spec);
        if before != after {
            self.publish_fields(at, beneficiary, after, places);
        }
        Ok(())
    }

    /// Transaction `at` is committed with the writes at `places`: older ones are forgotten.
    pub(super) fn settle(&self, at: u32, places: &[Place]) {
        for place in places {
            match place {
                Place::Fields(id) => self.accounts.cell(id.0).fields.settle(at),
                Place::Clearing(id) => self.accounts.cell(id.0).clearings.settle(at),
                Place::Slot(id) => self.slots.cell(id.0).values.settle(at),
            }
        }
    }

    /// The state that transaction `at` begins with. With `at` at the frontier or below, and not below
    /// what was settled, it does not change any more.
    pub(super) fn at(&self, at: u32) -> StateAt<'_, V> {
        StateAt { memory: self, at }
    }

    /// True differences between the view and the state before transaction `at`.
    pub(super) fn changes(&self, at: u32) -> Result<StateChanges, StateError> {
        let mut changes = StateChanges::default();
        let before_block = self.at(0);
        for id in (0..self.accounts.len()).map(AccountId) {
            let cell = self.accounts.cell(id.0);
            let fields = cell.fields.newest_before(at);
            let cleared = cell.clearings.newest_before(at);
            let storage = self.written_slots(cell, at, cleared);
            if fields.is_none() && cleared.is_none() && storage.is_empty() {
                continue;
            }
            let address = self.accounts.key(id.0);
            let before = self.base_account(id)?;
            let after = fields.map_or(before, |(_, after)| after);
            let change = canonical_change(&before_block, address, before, after, cleared.is_some(), storage)?;
            let Some(change) = change else { continue };
            if let Some(hash) = new_code_hash(before, after)
                && let Some(code) = self.codes.read().get(&hash)
            {
                changes.codes.insert(hash, code.original_bytes());
            }
            changes.accounts.insert(*address, change);
        }
        Ok(changes)
    }

    fn base_account(&self, id: AccountId) -> Result<Option<Account>, StateError> {
        once(&self.accounts.cell(id.0).base, || self.base.account(self.accounts.key(id.0)))
    }

    /// Slots of an account that were written before `at` and not cleared since, with their values.
    fn written_slots(&self, cell: &AccountCell, at: u32, cleared: Option<(u32, ())>) -> Vec<(U256, U256)> {
        let slots = cell.slots.lock();
        let written =
            |slot: &SlotId| Some((self.slots.key(slot.0).1, self.written_slot(*slot, at, cleared)?));
        slots.iter().filter_map(written).collect()
    }

    /// The slot's own value where it has a writer before `at` that no clearing came after.
    fn written_slot(&self, id: SlotId, at: u32, cleared: Option<(u32, ())>) -> Option<U256> {
        let (writer, value) = self.slots.cell(id.0).values.newest_before(at)?;
        cleared.is_none_or(|(clearer, ())| clearer <= writer).then_some(value)
    }

    fn publish_account(&self, at: u32, write: &AccountWrite, places: &mut Vec<Place>) {
        let id = self.account_id(write.address);
        let cell = self.accounts.cell(id.0);
        if write.storage_cleared {
            cell.clearings.put(at, ());
            places.push(Place::Clearing(id));
        }
        for (slot, value) in &write.storage {
            let slot = self.slot_id(id, *slot);
            if self.slots.cell(slot.0).values.put(at, *value) {
                cell.slots.lock().push(slot);
            }
            places.push(Place::Slot(slot));
        }
        if let Some(after) = write.account {
            self.publish_fields(at, id, after, places);
        }
    }

    fn publish_fields(&self, at: u32, id: AccountId, after: Option<Account>, places: &mut Vec<Place>) {
        let cell = self.accounts.cell(id.0);
        if after.is_none() {
            // An account goes with its storage.
            cell.clearings.put(at, ());
            places.push(Place::Clearing(id));
        }
        cell.fields.put(at, after);
        places.push(Place::Fields(id));
    }

    fn retract_place(&self, at: u32, place: Place) {
        match place {
            Place::Fields(id) => self.accounts.cell(id.0).fields.retract(at),
            Place::Clearing(id) => self.accounts.cell(id.0).clearings.retract(at),
            Place::Slot(id) => self.slots.cell(id.0).values.retract(at),
        }
    }
}

/// The value of a base read. Two threads may both ask the view at first, which always gives the
/// same answer; failures are not kept.
fn once<T: Copy>(cell: &OnceLock<T>, read: impl FnOnce() -> Result<T, StateError>) -> Result<T, StateError> {
    match cell.get() {
        Some(value) => Ok(*value),
        None => {
            let value = read()?;
            Ok(*cell.get_or_init(|| value))
        }
    }
}

/// The state before one transaction of the block, as a view.
#[derive(Debug)]
pub(super) struct StateAt<'a, V> {
    memory: &'a VersionedState<V>,
    at: u32,
}

impl<V: StateView> StateView for StateAt<'_, V> {
    fn account(&self, address: &Address) -> Result<Option<Account>, StateError> {
        self.memory.account(self.memory.account_id(*address), self.at)
    }

    fn storage(&self, address: &Address, slot: &U256) -> Result<U256, StateError> {
        let account = self.memory.account_id(*address);
        self.memory.slot(self.memory.slot_id(account, *slot), self.at)
    }

    fn has_storage(&self, address: &Address) -> Result<bool, StateError> {
        self.memory.has_storage(self.memory.account_id(*address), self.at)
    }

    fn code(&self, code_hash: &B256) -> Result<Bytecode, StateError> {
        self.memory.code(code_hash)
    }

    fn block_hash(&self, number: u64) -> Result<B256, StateError> {
        self.memory.block_hash(number)
    }
}
