//! The state after any earlier block, and what leads back to it.
//!
//! A key's value after block N is the value before the first block above N that changed it, or,
//! where no such block is, the value at the head.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::codec::{decode_account, decode_slot_value};
use super::snapshot::{Snapshot, damaged_state, state_error};
use super::tables::{account_history_key, slot_and_block_of, slot_of, storage_history_key, storage_key};
use crate::error::{CoreError, StateError};
use crate::primitives::{Address, B256, Bytecode, U256};
use crate::state::{Account, AccountChange, ChangeSet, StateChanges, StateView};

/// The state after block `number` of a snapshot's chain.
#[derive(Debug, Clone)]
pub struct PastState {
    snapshot: Arc<Snapshot>,
    number: u64,
}

impl PastState {
    /// `number` is at most the snapshot's head.
    pub(super) fn new(snapshot: Arc<Snapshot>, number: u64) -> Self {
        Self { snapshot, number }
    }
}

impl StateView for PastState {
    fn account(&self, address: &Address) -> Result<Option<Account>, StateError> {
        match self.snapshot.account_after(address, self.number)? {
            Some(account) => Ok(account),
            None => self.snapshot.account(address),
        }
    }

    fn storage(&self, address: &Address, slot: &U256) -> Result<U256, StateError> {
        match self.snapshot.slot_after(address, slot, self.number)? {
            Some(value) => Ok(value),
            None => self.snapshot.storage(address, slot),
        }
    }

    fn has_storage(&self, address: &Address) -> Result<bool, StateError> {
        self.snapshot.had_storage(address, self.number)
    }

    fn code(&self, code_hash: &B256) -> Result<Bytecode, StateError> {
        self.snapshot.code(code_hash)
    }

    fn block_hash(&self, number: u64) -> Result<B256, StateError> {
        if number > self.number { Ok(B256::ZERO) } else { self.snapshot.block_hash(number) }
    }
}

impl Snapshot {
    /// The state after block `number`; [`StateError::Unavailable`] above the head.
    pub fn state_after(self: &Arc<Self>, number: u64) -> Result<Arc<dyn StateView>, StateError> {
        match number.cmp(&self.head().number) {
            std::cmp::Ordering::Equal => Ok(self.clone()),
            std::cmp::Ordering::Less => Ok(Arc::new(PastState::new(self.clone(), number))),
            std::cmp::Ordering::Greater => Err(StateError::Unavailable(number)),
        }
    }

    /// The changes that lead from this snapshot's state back to the one after block `number`.
    ///
    /// Costs time and memory in proportion to what changed since.
    pub fn changes_back_to(self: &Arc<Self>, number: u64) -> Result<StateChanges, CoreError> {
        let mut touched: BTreeMap<Address, BTreeSet<U256>> = BTreeMap::new();
        for block in number + 1..=self.head().number {
            for changed in self.changed_accounts(block)? {
                touched.entry(changed.address).or_default().extend(changed.slots);
            }
        }
        let past = PastState::new(self.clone(), number);
        let mut changes = StateChanges::default();
        for (address, slots) in touched {
            if let Some(change) = self.change_back(&past, &address, &slots)? {
                changes.accounts.insert(address, change);
            }
        }
        Ok(changes)
    }

    fn change_back(
        &self,
        past: &PastState,
        address: &Address,
        slots: &BTreeSet<U256>,
    ) -> Result<Option<AccountChange>, StateError> {
        let (before, after) = (self.stored_account(address)?, past.account(address)?);
        let mut storage = ChangeSet::default();
        for slot in slots {
            let value = past.storage(address, slot)?;
            if value != self.stored_slot(address, slot)? {
                storage.insert(*slot, value);
            }
        }
        let nothing = before == after && storage.is_empty();
        // Slots of an account that goes are listed as zero; clearing says the same in one word.
        let storage_cleared = after.is_none() && !storage.is_empty();
        if storage_cleared {
            storage.clear();
        }
        Ok((!nothing).then_some(AccountChange { after, storage_cleared, storage }))
    }

    /// Whether the account had a slot that is not zero after block `number`. Walks its slots of
    /// today and its history: asked only of the rare account that is created upon.
    fn had_storage(&self, address: &Address, number: u64) -> Result<bool, StateError> {
        let (first, last) = (storage_key(address, &U256::ZERO), storage_key(address, &U256::MAX));
        for entry in self.tables.storage.range::<&[u8; 52]>(&first..=&last).map_err(state_error)? {
            let slot = slot_of(entry.map_err(state_error)?.0.value());
            // One that a later block changed is found in the history below.
            if self.slot_after(address, &slot, number)?.is_none() {
                return Ok(true);
            }
        }
        let first = storage_history_key(address, &U256::ZERO, 0);
        let last = storage_history_key(address, &U256::MAX, u64::MAX);
        let mut decided = None;
        for entry in self.tables.storage_history.range::<&[u8; 60]>(&first..=&last).map_err(state_error)? {
            let (key, before) = entry.map_err(state_error)?;
            let (slot, block) = slot_and_block_of(key.value());
            if block <= number || decided == Some(slot) {
                continue;
            }
            if !before.value().is_empty() {
                return Ok(true);
            }
            decided = Some(slot);
        }
        Ok(false)
    }

    /// The account after block `number`, if a later block changed it.
    fn account_after(&self, address: &Address, number: u64) -> Result<Option<Option<Account>>, StateError> {
        let range = account_history_key(address, number + 1)..=account_history_key(address, u64::MAX);
        let mut later = self
            .tables
            .account_history
            .range::<&[u8; 28]>(range.start()..=range.end())
            .map_err(state_error)?;
        let Some(first) = later.next() else { return Ok(None) };
        let (_, value) = first.map_err(state_error)?;
        decode_account(value.value()).map(Some).ok_or_else(damaged_state)
    }

    /// The slot's value after block `number`, if a later block changed it.
    fn slot_after(&self, address: &Address, slot: &U256, number: u64) -> Result<Option<U256>, StateError> {
        let range =
            storage_history_key(address, slot, number + 1)..=storage_history_key(address, slot, u64::MAX);
        let mut later = self
            .tables
            .storage_history
            .range::<&[u8; 60]>(range.start()..=range.end())
            .map_err(state_error)?;
        let Some(first) = later.next() else { return Ok(None) };
        let (_, value) = first.map_err(state_error)?;
        decode_slot_value(value.value()).map(Some).ok_or_else(damaged_state)
    }
}
