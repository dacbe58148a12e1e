//! The tables of the store and their keys.
//!
//! Keys of composite tables are concatenations in big-endian, so that everything about one
//! account, and all past values of one key in block order, lie side by side: deleting an
//! account's storage and finding a past value are range scans.

use redb::{ReadOnlyTable, TableDefinition};

use crate::primitives::{Address, U256};

/// Key types by width; redb stores fixed widths without offsets.
type Key20 = &'static [u8; 20];
type Key28 = &'static [u8; 28];
type Key32 = &'static [u8; 32];
type Key52 = &'static [u8; 52];
type Key60 = &'static [u8; 60];
type Blob = &'static [u8];

/// Facts about the store itself: schema version, genesis, head.
pub(super) const META: TableDefinition<'static, &'static str, Blob> = TableDefinition::new("meta");
/// Address -> account at the head.
pub(super) const ACCOUNTS: TableDefinition<'static, Key20, Blob> = TableDefinition::new("accounts");
/// Address and slot -> value at the head, leading zeros trimmed; zero is absent.
pub(super) const STORAGE: TableDefinition<'static, Key52, Blob> = TableDefinition::new("storage");
/// Code hash -> code. Never deleted: content-addressed, and past states need it.
pub(super) const CODES: TableDefinition<'static, Key32, Blob> = TableDefinition::new("codes");
/// Path -> node of the account trie at the head.
pub(super) const ACCOUNT_TRIE: TableDefinition<'static, Blob, Blob> = TableDefinition::new("account_trie");
/// Hashed address and path -> node of that account's storage trie at the head.
pub(super) const STORAGE_TRIE: TableDefinition<'static, Blob, Blob> = TableDefinition::new("storage_trie");
/// Address and block -> the account before that block; empty: there was none.
pub(super) const ACCOUNT_HISTORY: TableDefinition<'static, Key28, Blob> =
    TableDefinition::new("account_history");
/// Address, slot and block -> the value before that block; empty: zero.
pub(super) const STORAGE_HISTORY: TableDefinition<'static, Key60, Blob> =
    TableDefinition::new("storage_history");
/// Block -> the keys it changed.
pub(super) const CHANGED_KEYS: TableDefinition<'static, u64, Blob> = TableDefinition::new("changed_keys");
/// Block -> hash, then header RLP.
pub(super) const HEADERS: TableDefinition<'static, u64, Blob> = TableDefinition::new("headers");
/// Block -> the items of the block's RLP list after the header.
pub(super) const BODIES: TableDefinition<'static, u64, Blob> = TableDefinition::new("bodies");
/// Block -> hash and sender (32 and 20 bytes) of each transaction, the dearest parts of reading one.
pub(super) const SIGNED: TableDefinition<'static, u64, Blob> = TableDefinition::new("signed");
/// Block -> receipts.
pub(super) const RECEIPTS: TableDefinition<'static, u64, Blob> = TableDefinition::new("receipts");
/// Block hash -> number.
pub(super) const BLOCK_NUMBERS: TableDefinition<'static, Key32, u64> = TableDefinition::new("block_numbers");
/// Transaction hash -> block and index.
pub(super) const TRANSACTIONS: TableDefinition<'static, Key32, (u64, u32)> =
    TableDefinition::new("transactions");

/// All tables of one committed state, open for reading.
pub(super) struct ReadTables {
    pub(super) accounts: ReadOnlyTable<Key20, Blob>,
    pub(super) storage: ReadOnlyTable<Key52, Blob>,
    pub(super) codes: ReadOnlyTable<Key32, Blob>,
    pub(super) account_trie: ReadOnlyTable<Blob, Blob>,
    pub(super) storage_trie: ReadOnlyTable<Blob, Blob>,
    pub(super) account_history: ReadOnlyTable<Key28, Blob>,
    pub(super) storage_history: ReadOnlyTable<Key60, Blob>,
    pub(super) changed_keys: ReadOnlyTable<u64, Blob>,
    pub(super) headers: ReadOnlyTable<u64, Blob>,
    pub(super) bodies: ReadOnlyTable<u64, Blob>,
    pub(super) signed: ReadOnlyTable<u64, Blob>,
    pub(super) receipts: ReadOnlyTable<u64, Blob>,
    pub(super) block_numbers: ReadOnlyTable<Key32, u64>,
    pub(super) transactions: ReadOnlyTable<Key32, (u64, u32)>,
}

impl ReadTables {
    /// Opens every table of a read transaction; they exist from the genesis commit on.
    pub(super) fn open(transaction: &redb::ReadTransaction) -> Result<Self, redb::TableError> {
        Ok(Self {
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
}

/// Key of [`STORAGE`].
pub(super) fn storage_key(address: &Address, slot: &U256) -> [u8; 52] {
    concat(address.as_slice(), &slot.to_be_bytes::<32>(), &[])
}

/// The slot within a key of [`STORAGE`].
pub(super) fn slot_of(key: &[u8; 52]) -> U256 {
    U256::from_be_slice(&key[20..])
}

/// Key of [`ACCOUNT_HISTORY`].
pub(super) fn account_history_key(address: &Address, block: u64) -> [u8; 28] {
    concat(address.as_slice(), &block.to_be_bytes(), &[])
}

/// Key of [`STORAGE_HISTORY`].
pub(super) fn storage_history_key(address: &Address, slot: &U256, block: u64) -> [u8; 60] {
    concat(address.as_slice(), &slot.to_be_bytes::<32>(), &block.to_be_bytes())
}

/// Slot and block within a key of [`STORAGE_HISTORY`].
pub(super) fn slot_and_block_of(key: &[u8; 60]) -> (U256, u64) {
    let block = key[52..].try_into().expect("eight bytes are left");
    (U256::from_be_slice(&key[20..52]), u64::from_be_bytes(block))
}

fn concat<const N: usize>(first: &[u8], second: &[u8], third: &[u8]) -> [u8; N] {
    let mut key = [0; N];
    let (head, rest) = key.split_at_mut(first.len());
    let (middle, tail) = rest.split_at_mut(second.len());
    head.copy_from_slice(first);
    middle.copy_from_slice(second);
    tail.copy_from_slice(third);
    key
}
