//! The store as of one commit: blocks, indexes, flat state and trie nodes.
//!
//! A snapshot never changes, however far the head moves on. It pins the pages of its commit, so
//! one that is kept for long makes the file grow.

use std::fmt;
use std::sync::Arc;

use redb::{ReadableDatabase, ReadableTable};

use super::cache::VersionedCache;
use super::codec::{
    ChangedAccount, DAMAGED, decode_account, decode_changed_accounts, decode_receipts, decode_signed,
    decode_slot_value,
};
use super::tables::{ReadTables, slot_of, storage_key};
use super::{Signed, StoreHead, storage_error};
use crate::block::Receipt;
use crate::error::{CoreError, StateError};
use crate::primitives::{Address, B256, Bytecode, Bytes, KECCAK_EMPTY, U256};
use crate::state::{Account, AccountChange, StateChanges, StateView};
use crate::trie::{Nibbles, TrieId, TrieNodes};

/// Code is named by its content: what holds at one commit holds at all, so its cache has one.
pub(super) const CODE_COMMIT: u64 = 0;

/// Caches over the flat state, one set for all snapshots of a store.
#[derive(Debug)]
pub(super) struct StateCache {
    pub(super) accounts: VersionedCache<Address, Option<Account>>,
    pub(super) storage: VersionedCache<(Address, U256), U256>,
    pub(super) codes: VersionedCache<B256, Bytecode>,
}

/// Where a block's header lies, as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredHeader {
    /// Keccak of `rlp`.
    pub hash: B256,
    /// The header.
    pub rlp: Bytes,
}

/// The store as of one commit. As a [`StateView`] it is the state after its head block.
pub struct Snapshot {
    head: StoreHead,
    /// Counts commits, reverts included; block numbers repeat, this does not.
    commit: u64,
    pub(super) tables: ReadTables,
    cache: Arc<StateCache>,
}

impl fmt::Debug for Snapshot {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Snapshot").field("head", &self.head).field("commit", &self.commit).finish()
    }
}

impl Snapshot {
    /// The newest commit of `database`, which the caller knows to be number `commit`.
    pub(super) fn open(
        database: &redb::Database,
        head: StoreHead,
        commit: u64,
        cache: Arc<StateCache>,
    ) -> Result<Self, CoreError> {
        let transaction = database.begin_read().map_err(storage_error)?;
        let tables = ReadTables::open(&transaction).map_err(storage_error)?;
        Ok(Self { head, commit, tables, cache })
    }

    /// The newest block of this snapshot.
    pub fn head(&self) -> StoreHead {
        self.head
    }

    pub(super) fn commit(&self) -> u64 {
        self.commit
    }

    /// The canonical block's header.
    pub fn header(&self, number: u64) -> Result<Option<StoredHeader>, CoreError> {
        let Some(value) = self.tables.headers.get(number).map_err(storage_error)? else { return Ok(None) };
        let (hash, rlp) = value.value().split_at_checked(32).ok_or_else(damaged)?;
        Ok(Some(StoredHeader { hash: B256::from_slice(hash), rlp: Bytes::copy_from_slice(rlp) }))
    }

    /// Calls `visit` with the number, hash and header RLP of blocks `first..=last` in order,
    /// until it answers `false`.
    pub fn visit_headers(
        &self,
        first: u64,
        last: u64,
        mut visit: impl FnMut(u64, B256, &[u8]) -> Result<bool, CoreError>,
    ) -> Result<(), CoreError> {
        for entry in self.tables.headers.range(first..=last).map_err(storage_error)? {
            let (number, value) = entry.map_err(storage_error)?;
            let (hash, rlp) = value.value().split_at_checked(32).ok_or_else(damaged)?;
            if !visit(number.value(), B256::from_slice(hash), rlp)? {
                break;
            }
        }
        Ok(())
    }

    /// The number of the canonical block with this hash.
    pub fn number_of(&self, hash: &B256) -> Result<Option<u64>, CoreError> {
        let number = self.tables.block_numbers.get(&hash.0).map_err(storage_error)?;
        Ok(number.map(|number| number.value()))
    }

    /// The items of the block's RLP list that follow the header.
    pub fn body(&self, number: u64) -> Result<Option<Bytes>, CoreError> {
        let body = self.tables.bodies.get(number).map_err(storage_error)?;
        Ok(body.map(|body| Bytes::copy_from_slice(body.value())))
    }

    /// Hashes and senders of the block's transactions.
    pub fn signed(&self, number: u64) -> Result<Option<Vec<Signed>>, CoreError> {
        let Some(signed) = self.tables.signed.get(number).map_err(storage_error)? else { return Ok(None) };
        decode_signed(signed.value()).map(Some).ok_or_else(damaged)
    }

    /// The block's receipts, each with the number of logs before it in the block.
    pub fn receipts(&self, number: u64) -> Result<Option<Vec<(Receipt, usize)>>, CoreError> {
        let Some(receipts) = self.tables.receipts.get(number).map_err(storage_error)? else {
            return Ok(None);
        };
        decode_receipts(receipts.value()).map(Some).map_err(|error| CoreError::Storage(error.to_string()))
    }

    /// Block and index of a mined transaction.
    pub fn transaction_location(&self, hash: &B256) -> Result<Option<(u64, u32)>, CoreError> {
        let location = self.tables.transactions.get(&hash.0).map_err(storage_error)?;
        Ok(location.map(|location| location.value()))
    }

    /// Accounts whose nonce, balance or code a block changed.
    pub fn changed_addresses(&self, number: u64) -> Result<Vec<Address>, CoreError> {
        let changed = self.changed_accounts(number)?;
        Ok(changed.into_iter().filter(|each| each.account).map(|each| each.address).collect())
    }

    /// The keys that a block changed.
    pub(super) fn changed_accounts(&self, number: u64) -> Result<Vec<ChangedAccount>, CoreError> {
        let record = self.tables.changed_keys.get(number).map_err(storage_error)?;
        let record =
            record.ok_or_else(|| CoreError::Storage(format!("block {number} has no change record")))?;
        decode_changed_accounts(record.value()).ok_or_else(damaged)
    }

    /// Every account and slot at this commit, read from the flat state alone: for exports, and
    /// to check the tries by. Takes memory for the whole state.
    pub fn whole_state(&self) -> Result<StateChanges, CoreError> {
        let mut whole = StateChanges::default();
        for entry in self.tables.accounts.iter().map_err(storage_error)? {
            let (address, account) = entry.map_err(storage_error)?;
            let after = decode_account(account.value()).ok_or_else(damaged)?;
            let change = AccountChange { after, storage_cleared: false, storage: Default::default() };
            whole.accounts.insert(Address::from(*address.value()), change);
        }
        for entry in self.tables.storage.iter().map_err(storage_error)? {
            let (key, value) = entry.map_err(storage_error)?;
            let address = Address::from_slice(&key.value()[..20]);
            let account = whole.accounts.get_mut(&address).ok_or_else(damaged)?;
            let value = decode_slot_value(value.value()).ok_or_else(damaged)?;
            account.storage.insert(slot_of(key.value()), value);
        }
        Ok(whole)
    }

    /// The account at this commit, past the caches.
    pub(super) fn stored_account(&self, address: &Address) -> Result<Option<Account>, StateError> {
        match self.tables.accounts.get(&address.0.0).map_err(state_error)? {
            None => Ok(None),
            Some(value) => decode_account(value.value()).ok_or_else(damaged_state),
        }
    }

    /// The slot at this commit, past the caches.
    pub(super) fn stored_slot(&self, address: &Address, slot: &U256) -> Result<U256, StateError> {
        match self.tables.storage.get(&storage_key(address, slot)).map_err(state_error)? {
            None => Ok(U256::ZERO),
            Some(value) => decode_slot_value(value.value()).ok_or_else(damaged_state),
        }
    }
}

impl StateView for Snapshot {
    fn account(&self, address: &Address) -> Result<Option<Account>, StateError> {
        if let Some(account) = self.cache.accounts.get(address, self.commit) {
            return Ok(account);
        }
        let account = self.stored_account(address)?;
        self.cache.accounts.keep(*address, account, self.commit);
        Ok(account)
    }

    fn storage(&self, address: &Address, slot: &U256) -> Result<U256, StateError> {
        let key = (*address, *slot);
        if let Some(value) = self.cache.storage.get(&key, self.commit) {
            return Ok(value);
        }
        let value = self.stored_slot(address, slot)?;
        self.cache.storage.keep(key, value, self.commit);
        Ok(value)
    }

    fn has_storage(&self, address: &Address) -> Result<bool, StateError> {
        let (first, last) = (storage_key(address, &U256::ZERO), storage_key(address, &U256::MAX));
        let mut slots = self.tables.storage.range::<&[u8; 52]>(&first..=&last).map_err(state_error)?;
        slots.next().transpose().map(|slot| slot.is_some()).map_err(state_error)
    }

    fn code(&self, code_hash: &B256) -> Result<Bytecode, StateError> {
        if *code_hash == KECCAK_EMPTY {
            return Ok(Bytecode::default());
        }
        if let Some(code) = self.cache.codes.get(code_hash, CODE_COMMIT) {
            return Ok(code);
        }
        let stored = self.tables.codes.get(&code_hash.0).map_err(state_error)?;
        let stored = stored.ok_or_else(|| StateError::Backend(format!("no code with hash {code_hash}")))?;
        let bytes = Bytes::copy_from_slice(stored.value());
        // Code older than London may begin like a delegation without being one.
        let code = Bytecode::new_raw_checked(bytes.clone()).unwrap_or_else(|_| Bytecode::new_legacy(bytes));
        self.cache.codes.keep(*code_hash, code.clone(), CODE_COMMIT);
        Ok(code)
    }

    fn block_hash(&self, number: u64) -> Result<B256, StateError> {
        let Some(value) = self.tables.headers.get(number).map_err(state_error)? else {
            return Ok(B256::ZERO);
        };
        let hash = value.value().get(..32).ok_or_else(damaged_state)?;
        Ok(B256::from_slice(hash))
    }
}

impl TrieNodes for Snapshot {
    fn node(&self, trie: TrieId, path: &Nibbles) -> Result<Option<Vec<u8>>, StateError> {
        let node = match trie {
            TrieId::Accounts => self.tables.account_trie.get(&*path.to_vec()),
            TrieId::Storage(account) => self.tables.storage_trie.get(&*trie_key(&account, path)),
        };
        Ok(node.map_err(state_error)?.map(|node| node.value().to_vec()))
    }
}

/// Key of a node of a storage trie.
pub(super) fn trie_key(account: &B256, path: &Nibbles) -> Vec<u8> {
    let mut key = Vec::with_capacity(32 + path.len());
    key.extend_from_slice(account.as_slice());
    key.extend(path.iter());
    key
}

pub(super) fn damaged() -> CoreError {
    CoreError::Storage(DAMAGED.into())
}

pub(super) fn damaged_state() -> StateError {
    StateError::Backend(DAMAGED.into())
}

pub(super) fn state_error(error: redb::StorageError) -> StateError {
    StateError::Backend(error.to_string())
}
