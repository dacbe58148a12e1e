//! Changes on top of a view: the state between two transactions, or two parts of a block.
//!
//! Writes go in as they come; out come canonical [`StateChanges`] against the view below, so two
//! ways of reaching the same state yield equal changes.

use std::collections::hash_map::{Entry, HashMap};

use super::{Account, AccountAnswer, AccountChange, AccountWrite, StateChanges, StateView, analyse, credit};
use crate::error::StateError;
use crate::primitives::{Address, B256, Bytecode, KECCAK_EMPTY, SpecId, U256};

type Map<K, V> = HashMap<K, V, foldhash::fast::RandomState>;

/// A view with changes on top.
#[derive(Debug, Clone)]
pub struct Overlay<V> {
    base: V,
    accounts: Map<Address, OverlayAccount>,
    codes: Map<B256, Bytecode>,
}

#[derive(Debug, Clone)]
struct OverlayAccount {
    after: Option<Account>,
    /// No slot of the base shines through.
    hides_base_storage: bool,
    storage: Map<U256, U256>,
}

impl<V: StateView> Overlay<V> {
    /// Nothing changed yet.
    pub fn new(base: V) -> Self {
        Self { base, accounts: Map::default(), codes: Map::default() }
    }

    /// Sets an account's fields; `None` removes it with its storage.
    pub fn set_account(&mut self, address: Address, after: Option<Account>) {
        match self.accounts.entry(address) {
            Entry::Occupied(mut entry) => entry.get_mut().after = after,
            Entry::Vacant(entry) => {
                entry.insert(OverlayAccount { after, hides_base_storage: false, storage: Map::default() });
            }
        }
        if after.is_none() {
            self.clear_storage(address);
        }
    }

    /// Applies the writes of one transaction.
    pub fn write(
        &mut self,
        writes: &[AccountWrite],
        codes: impl IntoIterator<Item = (B256, Bytecode)>,
    ) -> Result<(), StateError> {
        self.codes.extend(codes);
        for write in writes {
            let after = match write.account {
                Some(after) => after,
                None => self.account(&write.address)?,
            };
            self.set_account(write.address, after);
            if write.storage_cleared {
                self.clear_storage(write.address);
            }
            self.extend_storage(write.address, write.storage.iter().copied());
        }
        Ok(())
    }

    /// Credits wei to an account by the rules of touching, see [`credit`].
    pub fn credit(&mut self, address: Address, amount: U256, spec: SpecId) -> Result<(), StateError> {
        let before = self.account(&address)?;
        let after = credit(before, amount, spec);
        if before != after {
            self.set_account(address, after);
        }
        Ok(())
    }

    /// Applies changes that were made against the state as it stands here.
    pub fn apply(&mut self, changes: &StateChanges) {
        self.codes.extend(changes.codes.iter().map(|(hash, code)| (*hash, analyse(code.clone()))));
        for (address, change) in &changes.accounts {
            self.set_account(*address, change.after);
            if change.storage_cleared {
                self.clear_storage(*address);
            }
            self.extend_storage(*address, change.storage.iter().map(|(slot, value)| (*slot, *value)));
        }
    }

    /// The true differences to the view below.
    pub fn into_changes(self) -> Result<StateChanges, StateError> {
        let mut changes = StateChanges::default();
        for (address, account) in self.accounts {
            let before = self.base.account(&address)?;
            let change = canonical_change(
                &self.base,
                &address,
                before,
                account.after,
                account.hides_base_storage,
                account.storage,
            )?;
            let Some(change) = change else { continue };
            if let Some(hash) = new_code_hash(before, change.after)
                && let Some(code) = self.codes.get(&hash)
            {
                changes.codes.insert(hash, code.original_bytes());
            }
            changes.accounts.insert(address, change);
        }
        Ok(changes)
    }

    fn clear_storage(&mut self, address: Address) {
        if let Some(account) = self.accounts.get_mut(&address) {
            account.hides_base_storage = true;
            account.storage.clear();
        }
    }

    fn extend_storage(&mut self, address: Address, slots: impl Iterator<Item = (U256, U256)>) {
        if let Some(account) = self.accounts.get_mut(&address) {
            account.storage.extend(slots);
        }
    }
}

/// The change of one account in canonical form, or `None` where nothing truly changed.
///
/// `storage` lists values of slots afterwards; with `cleared`, slots not listed are zero,
/// otherwise they are as before.
pub(crate) fn canonical_change<V: StateView>(
    base: &V,
    address: &Address,
    before: Option<Account>,
    after: Option<Account>,
    cleared: bool,
    storage: impl IntoIterator<Item = (U256, U256)>,
) -> Result<Option<AccountChange>, StateError> {
    let is_gone = after.is_none();
    let storage_cleared = (cleared || is_gone) && before.is_some() && base.has_storage(address)?;
    let mut change = AccountChange { after, storage_cleared, storage: Default::default() };
    if !is_gone {
        for (slot, value) in storage {
            let old = if cleared { U256::ZERO } else { base.storage(address, &slot)? };
            if value != old {
                change.storage.insert(slot, value);
            }
        }
    }
    let unchanged = before == after && !storage_cleared && change.storage.is_empty();
    Ok((!unchanged).then_some(change))
}

/// The hash of code that an account has now and had not before.
pub(crate) fn new_code_hash(before: Option<Account>, after: Option<Account>) -> Option<B256> {
    let hash = after?.code_hash;
    let old = before.map_or(KECCAK_EMPTY, |account| account.code_hash);
    (hash != KECCAK_EMPTY && hash != old).then_some(hash)
}

impl<V: StateView> StateView for Overlay<V> {
    fn account(&self, address: &Address) -> Result<Option<Account>, StateError> {
        match self.accounts.get(address) {
            Some(account) => Ok(account.after),
            None => self.base.account(address),
        }
    }

    fn accounts(&self, addresses: &[Address], put: &mut dyn FnMut(usize, AccountAnswer)) {
        let own = |address: &Address| self.accounts.get(address).map(|account| account.after);
        if !addresses.iter().any(|address| self.accounts.contains_key(address)) {
            return self.base.accounts(addresses, put);
        }
        for (place, address) in addresses.iter().enumerate() {
            put(place, own(address).map_or_else(|| self.base.account(address), Ok));
        }
    }

    fn storage(&self, address: &Address, slot: &U256) -> Result<U256, StateError> {
        let Some(account) = self.accounts.get(address) else {
            return self.base.storage(address, slot);
        };
        match account.storage.get(slot) {
            Some(value) => Ok(*value),
            None if account.hides_base_storage => Ok(U256::ZERO),
            None => self.base.storage(address, slot),
        }
    }

    fn has_storage(&self, address: &Address) -> Result<bool, StateError> {
        match self.accounts.get(address) {
            Some(account) if account.storage.values().any(|value| !value.is_zero()) => Ok(true),
            Some(account) if account.hides_base_storage => Ok(false),
            // Slots of the base may have been zeroed one by one; an account that can do that has
            // a nonce or code, and then nobody asks.
            _ => self.base.has_storage(address),
        }
    }

    fn code(&self, code_hash: &B256) -> Result<Bytecode, StateError> {
        match self.codes.get(code_hash) {
            Some(code) => Ok(code.clone()),
            None => self.base.code(code_hash),
        }
    }

    fn block_hash(&self, number: u64) -> Result<B256, StateError> {
        self.base.block_hash(number)
    }
}
