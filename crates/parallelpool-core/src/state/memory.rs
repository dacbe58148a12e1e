//! A state in maps: replayed blocks, tests, genesis allocations.

mod addresses;

use std::collections::HashMap;

use self::addresses::AddressMap;
use super::{Account, AccountAnswer, AccountChange, StateChanges, StateView, analyse};
use crate::error::StateError;
use crate::primitives::{Address, B256, Bytecode, Bytes, KECCAK_EMPTY, U256, keccak256};

/// A whole (or knowingly partial) state in memory; what is absent does not exist.
#[derive(Debug, Clone, Default)]
pub struct MemoryState {
    accounts: AddressMap<StoredAccount>,
    codes: HashMap<B256, Bytecode, foldhash::fast::RandomState>,
    block_hashes: HashMap<u64, B256>,
}

// The fields are read together with the key, so they lie next to it.
#[derive(Debug, Clone, Default)]
#[repr(C)]
struct StoredAccount {
    fields: Account,
    /// Never holds a zero.
    storage: HashMap<U256, U256, foldhash::fast::RandomState>,
}

impl MemoryState {
    /// An empty state.
    pub fn new() -> Self {
        Self::default()
    }

    /// Puts an account in place, its storage untouched. `code` replaces the code, and the code
    /// hash of `account` is ignored in favour of its hash.
    pub fn insert_account(&mut self, address: Address, mut account: Account, code: Option<Bytes>) {
        account.code_hash = match code {
            Some(code) if !code.is_empty() => self.insert_code(code),
            _ => KECCAK_EMPTY,
        };
        self.accounts.get_or_default(address).fields = account;
    }

    /// Sets a slot of an account, which must exist already; zero deletes.
    pub fn insert_storage(&mut self, address: Address, slot: U256, value: U256) {
        let storage = &mut self.accounts.get_or_default(address).storage;
        if value.is_zero() {
            storage.remove(&slot);
        } else {
            storage.insert(slot, value);
        }
    }

    /// Makes the hash of an ancestor known.
    pub fn insert_block_hash(&mut self, number: u64, hash: B256) {
        self.block_hashes.insert(number, hash);
    }

    /// Applies the changes of a block or a transaction.
    pub fn apply(&mut self, changes: &StateChanges) {
        for code in changes.codes.values() {
            self.insert_code(code.clone());
        }
        for (address, change) in &changes.accounts {
            self.apply_account(*address, change);
        }
    }

    /// Numbers and hashes of the ancestors that are known, in no order.
    pub fn block_hashes(&self) -> impl Iterator<Item = (u64, B256)> {
        self.block_hashes.iter().map(|(number, hash)| (*number, *hash))
    }

    /// Every account in no order, with its slots, none of them zero.
    pub fn iter(&self) -> impl Iterator<Item = (Address, Account, impl Iterator<Item = (U256, U256)>)> {
        self.accounts.iter().map(|(address, account)| {
            (*address, account.fields, account.storage.iter().map(|(slot, value)| (*slot, *value)))
        })
    }

    /// An account's slots in no order, none of them zero; nothing where there is no account.
    pub fn storage_of(&self, address: &Address) -> impl Iterator<Item = (U256, U256)> {
        let slots = self.accounts.get(address).into_iter().flat_map(|account| &account.storage);
        slots.map(|(slot, value)| (*slot, *value))
    }

    fn apply_account(&mut self, address: Address, change: &AccountChange) {
        let Some(after) = change.after else {
            self.accounts.remove(&address);
            return;
        };
        let account = self.accounts.get_or_default(address);
        account.fields = after;
        if change.storage_cleared {
            account.storage.clear();
        }
        for (slot, value) in &change.storage {
            self.insert_storage(address, *slot, *value);
        }
    }

    fn insert_code(&mut self, code: Bytes) -> B256 {
        let hash = keccak256(&code);
        self.codes.entry(hash).or_insert_with(|| analyse(code));
        hash
    }
}

/// Reads both ends of what a look-up reads.
fn touch(account: &StoredAccount) -> u8 {
    let Account { nonce, balance, code_hash } = &account.fields;
    *nonce as u8 ^ balance.as_limbs()[0] as u8 ^ balance.as_limbs()[3] as u8 ^ code_hash[0] ^ code_hash[31]
}

impl StateView for MemoryState {
    fn account(&self, address: &Address) -> Result<Option<Account>, StateError> {
        Ok(self.accounts.get(address).map(|account| account.fields))
    }

    fn accounts(&self, addresses: &[Address], put: &mut dyn FnMut(usize, AccountAnswer)) {
        self.accounts.get_all(addresses, touch, |account| account.fields, |place, it| put(place, Ok(it)));
    }

    fn storage(&self, address: &Address, slot: &U256) -> Result<U256, StateError> {
        let account = self.accounts.get(address);
        Ok(account.and_then(|account| account.storage.get(slot)).copied().unwrap_or_default())
    }

    fn has_storage(&self, address: &Address) -> Result<bool, StateError> {
        Ok(self.accounts.get(address).is_some_and(|account| !account.storage.is_empty()))
    }

    fn code(&self, code_hash: &B256) -> Result<Bytecode, StateError> {
        self.codes
            .get(code_hash)
            .cloned()
            .ok_or_else(|| StateError::Backend(format!("no code with hash {code_hash}")))
    }

    fn block_hash(&self, number: u64) -> Result<B256, StateError> {
        Ok(self.block_hashes.get(&number).copied().unwrap_or_default())
    }
}
