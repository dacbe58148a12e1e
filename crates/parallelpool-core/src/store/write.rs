//! Writing one block: everything below runs inside one transaction of the database.

use redb::{ReadableTable, Table, WriteTransaction};

use super::codec::{
    ChangedAccount, decode_slot_value, encode_account, encode_changed_account, encode_receipts,
    encode_signed, encode_slot_value,
};
use super::snapshot::{damaged, trie_key};
use super::tables::{
    ACCOUNT_HISTORY, ACCOUNT_TRIE, ACCOUNTS, BLOCK_NUMBERS, BODIES, CHANGED_KEYS, CODES, HEADERS, META,
    RECEIPTS, SIGNED, STORAGE, STORAGE_HISTORY, STORAGE_TRIE, TRANSACTIONS, account_history_key, slot_of,
    storage_history_key, storage_key,
};
use super::{NewBlock, StoreHead, storage_error};
use crate::error::CoreError;
use crate::primitives::{Address, B256, U256};
use crate::state::{AccountChange, StateChanges};
use crate::trie::{TrieId, TrieUpdate};

/// Keys of [`META`].
pub(super) const SCHEMA: &str = "schema";
pub(super) const GENESIS: &str = "genesis";
pub(super) const HEAD: &str = "head";
pub(super) const DOCUMENT: &str = "document";

/// All tables of one write transaction.
pub(super) struct BlockWriter<'t> {
    pub(super) meta: Table<'t, &'static str, &'static [u8]>,
    pub(super) accounts: Table<'t, &'static [u8; 20], &'static [u8]>,
    pub(super) storage: Table<'t, &'static [u8; 52], &'static [u8]>,
    codes: Table<'t, &'static [u8; 32], &'static [u8]>,
    account_trie: Table<'t, &'static [u8], &'static [u8]>,
    storage_trie: Table<'t, &'static [u8], &'static [u8]>,
    pub(super) account_history: Table<'t, &'static [u8; 28], &'static [u8]>,
    pub(super) storage_history: Table<'t, &'static [u8; 60], &'static [u8]>,
    pub(super) changed_keys: Table<'t, u64, &'static [u8]>,
    pub(super) headers: Table<'t, u64, &'static [u8]>,
    pub(super) bodies: Table<'t, u64, &'static [u8]>,
    pub(super) signed: Table<'t, u64, &'static [u8]>,
    pub(super) receipts: Table<'t, u64, &'static [u8]>,
    pub(super) block_numbers: Table<'t, &'static [u8; 32], u64>,
    pub(super) transactions: Table<'t, &'static [u8; 32], (u64, u32)>,
}

impl<'t> BlockWriter<'t> {
    /// Opens every table, and so creates those that are not there yet.
    pub(super) fn open(transaction: &'t WriteTransaction) -> Result<Self, CoreError> {
        Self::open_tables(transaction).map_err(storage_error)
    }

    fn open_tables(transaction: &'t WriteTransaction) -> Result<Self, redb::TableError> {
        Ok(Self {
            meta: transaction.open_table(META)?,
            accounts: transaction.open_table(ACCOUNTS)?,
            storage: transaction.open_table(STORAGE)?,
            codes: transaction.open_table(CODES)?,
            account_trie: transaction.open_table(ACCOUNT_TRIE)?,
            storage_trie: transaction.open_table(STORAGE_TRIE)?,
            account_history: transaction.open_table(ACCOUNT_HISTORY)?,
            storage_history: transaction.open_table(STORAGE_HISTORY)?,
            changed_keys: transaction.open_table(CHANGED_KEYS)?,
            headers: transaction.open_table(HEADERS)?,
            bodies: transaction.open_table(BODIES)?,
            signed: transaction.open_table(SIGNED)?,
            receipts: transaction.open_table(RECEIPTS)?,
            block_numbers: transaction.open_table(BLOCK_NUMBERS)?,
            transactions: transaction.open_table(TRANSACTIONS)?,
        })
    }

    /// Header, body, receipts and indexes; the block becomes the head.
    pub(super) fn write_block(&mut self, block: &NewBlock<'_>) -> Result<(), CoreError> {
        self.write_block_tables(block).map_err(storage_error)
    }

    fn write_block_tables(&mut self, block: &NewBlock<'_>) -> Result<(), redb::StorageError> {
        let StoreHead { number, hash } = block.head;
        self.headers.insert(number, [hash.as_slice(), block.header].concat().as_slice())?;
        self.bodies.insert(number, block.body)?;
        self.signed.insert(number, encode_signed(block.signed).as_slice())?;
        self.receipts.insert(number, encode_receipts(block.receipts).as_slice())?;
        self.block_numbers.insert(&hash.0, number)?;
        for (index, signed) in (0u32..).zip(block.signed) {
            self.transactions.insert(&signed.hash.0, (number, index))?;
        }
        self.write_head(block.head)
    }

    pub(super) fn write_head(&mut self, head: StoreHead) -> Result<(), redb::StorageError> {
        self.meta.insert(HEAD, encode_head(head).as_slice())?;
        Ok(())
    }

    /// Trie nodes: whole tries first, then single nodes.
    pub(super) fn write_trie(&mut self, update: &TrieUpdate) -> Result<(), CoreError> {
        self.write_trie_tables(update).map_err(storage_error)
    }

    fn write_trie_tables(&mut self, update: &TrieUpdate) -> Result<(), redb::StorageError> {
        for account in &update.cleared {
            // Nibbles are below 0x10, so this is past every path of the account.
            let end = [account.as_slice(), &[0x10]].concat();
            self.storage_trie.retain_in::<&[u8], _>(account.as_slice()..end.as_slice(), |_, _| false)?;
        }
        for ((trie, path), node) in &update.nodes {
            let (table, key) = match trie {
                TrieId::Accounts => (&mut self.account_trie, path.to_vec()),
                TrieId::Storage(account) => (&mut self.storage_trie, trie_key(account, path)),
            };
            match node {
                Some(node) => drop(table.insert(key.as_slice(), node.as_slice())?),
                None => drop(table.remove(key.as_slice())?),
            }
        }
        Ok(())
    }

    /// Flat state, code, reverse differences and the record of changed keys. Returns the slots
    /// that a clearing took away and that hold nothing new.
    ///
    /// Nothing precedes block 0, so it has neither differences nor a record.
    pub(super) fn write_state(
        &mut self,
        number: u64,
        changes: &StateChanges,
    ) -> Result<Vec<(Address, U256)>, CoreError> {
        for (hash, code) in &changes.codes {
            self.codes.insert(&hash.0, code.as_ref()).map_err(storage_error)?;
        }
        let mut record = Vec::new();
        let mut cleared = Vec::new();
        for (address, change) in changes.accounts.sorted() {
            let changed = ChangedAccount {
                address: *address,
                account: self.write_account(number, address, change)?,
                slots: self.write_storage(number, address, change, &mut cleared)?,
            };
            if changed.account || !changed.slots.is_empty() {
                encode_changed_account(&changed, &mut record);
            }
        }
        if number > 0 {
            self.changed_keys.insert(number, record.as_slice()).map_err(storage_error)?;
        }
        Ok(cleared)
    }

    /// Whether the account differs from before.
    fn write_account(
        &mut self,
        number: u64,
        address: &Address,
        change: &AccountChange,
    ) -> Result<bool, CoreError> {
        let after = encode_account(change.after.as_ref());
        let before = match after.is_empty() {
            true => self.accounts.remove(&address.0.0),
            false => self.accounts.insert(&address.0.0, after.as_slice()),
        };
        let before = before.map_err(storage_error)?.map_or_else(Vec::new, |value| value.value().to_vec());
        let changed = before != after;
        if changed && number > 0 {
            let key = account_history_key(address, number);
            self.account_history.insert(&key, before.as_slice()).map_err(storage_error)?;
        }
        Ok(changed)
    }

    /// The slots that differ from before, ascending unless the storage was cleared.
    fn write_storage(
        &mut self,
        number: u64,
        address: &Address,
        change: &AccountChange,
        cleared: &mut Vec<(Address, U256)>,
    ) -> Result<Vec<U256>, CoreError> {
        let mut slots = Vec::new();
        let changed = change.storage.sorted();
        // An account that is gone has no storage, whether or not the change says so.
        if change.storage_cleared || change.after.is_none() {
            for slot in self.stored_slots(address)? {
                if changed.binary_search_by_key(&&slot, |(slot, _)| slot).is_err() {
                    self.write_slot(number, address, &slot, &U256::ZERO, &mut slots)?;
                    cleared.push((*address, slot));
                }
            }
        }
        for (slot, value) in changed {
            self.write_slot(number, address, slot, value, &mut slots)?;
        }
        Ok(slots)
    }

    fn write_slot(
        &mut self,
        number: u64,
        address: &Address,
        slot: &U256,
        value: &U256,
        changed: &mut Vec<U256>,
    ) -> Result<(), CoreError> {
        let key = storage_key(address, slot);
        let before = match value.is_zero() {
            true => self.storage.remove(&key),
            false => self.storage.insert(&key, encode_slot_value(value).as_slice()),
        };
        let before = match before.map_err(storage_error)? {
            None => U256::ZERO,
            Some(before) => decode_slot_value(before.value()).ok_or_else(damaged)?,
        };
        if before == *value {
            return Ok(());
        }
        changed.push(*slot);
        if number > 0 {
            let key = storage_history_key(address, slot, number);
            self.storage_history
                .insert(&key, encode_slot_value(&before).as_slice())
                .map_err(storage_error)?;
        }
        Ok(())
    }

    /// All slots of an account that hold something.
    fn stored_slots(&self, address: &Address) -> Result<Vec<U256>, CoreError> {
        let (first, last) = (storage_key(address, &U256::ZERO), storage_key(address, &U256::MAX));
        self.storage
            .range::<&[u8; 52]>(&first..=&last)
            .map_err(storage_error)?
            .map(|entry| Ok(slot_of(entry.map_err(storage_error)?.0.value())))
            .collect()
    }
}

/// Writes one fact about the store.
pub(super) fn put_meta(transaction: &WriteTransaction, key: &str, value: &[u8]) -> Result<(), CoreError> {
    let mut meta = transaction.open_table(META).map_err(storage_error)?;
    meta.insert(key, value).map_err(storage_error)?;
    Ok(())
}

fn encode_head(head: StoreHead) -> Vec<u8> {
    [&head.number.to_be_bytes(), head.hash.as_slice()].concat()
}

/// Inverse of the head's encoding.
pub(super) fn decode_head(bytes: &[u8]) -> Option<StoreHead> {
    let (number, hash) = bytes.split_at_checked(8)?;
    Some(StoreHead { number: u64::from_be_bytes(number.try_into().ok()?), hash: B256::try_from(hash).ok()? })
}
