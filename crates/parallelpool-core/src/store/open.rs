//! Opening the store: locking, creating, and refusing what is not ours.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use parking_lot::{Mutex, RwLock};
use redb::{ReadableDatabase, ReadableTable, WriteTransaction};

use super::cache::VersionedCache;
use super::lock::DirectoryLock;
use super::medium::{DatabaseFile, InMemory, Medium};
use super::snapshot::{CODE_COMMIT, Snapshot, StateCache, damaged};
use super::tables::META;
use super::write::{BlockWriter, DOCUMENT, GENESIS, HEAD, SCHEMA, decode_head};
use super::{Durability, NewBlock, SCHEMA_VERSION, Store, StoreHead, StoreOptions, storage_error};
use crate::error::CoreError;
use crate::primitives::{B256, Bytes};
use crate::state::StateChanges;
use crate::trie::TrieUpdate;

/// The database's file under the data directory.
const DATABASE_FILE: &str = "chain/chain.redb";
/// Entries of the caches over the flat state; each may hold twice as many.
const CACHED_ACCOUNTS: usize = 200_000;
const CACHED_SLOTS: usize = 400_000;
const CACHED_CODES: usize = 2_048;

/// The first block, for a store that does not exist yet.
#[derive(Debug, Clone, Copy)]
pub struct FirstBlock<'a> {
    /// Block 0.
    pub block: NewBlock<'a>,
    /// Its state.
    pub state: &'a StateChanges,
    /// Whatever describes the chain; kept and given back, see [`Store::document`].
    pub document: &'a [u8],
}

impl Store {
    /// Opens the store, or makes it with `first` as its only block; `trie` is asked only then.
    ///
    /// [`CoreError::StoreRefused`] if another process has the directory, or if what lies there
    /// has another schema or another genesis.
    pub fn open(
        options: &StoreOptions,
        first: &FirstBlock<'_>,
        trie: impl FnOnce() -> Result<TrieUpdate, CoreError>,
    ) -> Result<Self, CoreError> {
        let Some(directory) = &options.directory else {
            return Self::on_medium(Box::new(InMemory), None, options.durability, first, trie);
        };
        let file = directory.join(DATABASE_FILE);
        let parent = file.parent().expect("the database's file lies in a folder").to_owned();
        fs::create_dir_all(&parent)
            .map_err(|error| CoreError::Storage(format!("{}: {error}", parent.display())))?;
        let lock = DirectoryLock::acquire(directory)?;
        let medium = Box::new(DatabaseFile::new(file));
        let store = Self::on_medium(medium, Some(lock), options.durability, first, trie)?;
        // The file's own name must be durable too before anybody is told of what is in it.
        sync_directory(&parent)?;
        Ok(store)
    }

    /// As [`Self::open`], wherever the database lies.
    pub(super) fn on_medium(
        medium: Box<dyn Medium>,
        lock: Option<DirectoryLock>,
        durability: Durability,
        first: &FirstBlock<'_>,
        trie: impl FnOnce() -> Result<TrieUpdate, CoreError>,
    ) -> Result<Self, CoreError> {
        let database = medium.open()?;
        let head = match read_stored_head(&database, first.block.head.hash)? {
            Some(head) => head,
            None => create(&database, first, &trie()?)?,
        };
        let commit = 1;
        let cache = Arc::new(StateCache {
            accounts: VersionedCache::new(CACHED_ACCOUNTS, commit),
            storage: VersionedCache::new(CACHED_SLOTS, commit),
            codes: VersionedCache::new(CACHED_CODES, CODE_COMMIT),
        });
        let snapshot = Snapshot::open(&database, head, commit, cache.clone())?;
        let newest = RwLock::new(Arc::new(snapshot));
        Ok(Self {
            medium,
            database: RwLock::new(Some(database)),
            has_failed: AtomicBool::new(false),
            durability,
            cache,
            newest,
            writer: Mutex::new(()),
            _lock: lock,
        })
    }
}

/// Block 0 and the facts about the store, in one durable transaction.
fn create(
    database: &redb::Database,
    first: &FirstBlock<'_>,
    trie: &TrieUpdate,
) -> Result<StoreHead, CoreError> {
    let transaction = database.begin_write().map_err(storage_error)?;
    {
        let mut writer = BlockWriter::open(&transaction)?;
        writer.write_block(&first.block)?;
        writer.write_trie(trie)?;
        writer.write_state(0, first.state)?;
        let facts: [(&str, &[u8]); 3] = [
            (SCHEMA, &SCHEMA_VERSION.to_be_bytes()),
            (GENESIS, first.block.head.hash.as_slice()),
            (DOCUMENT, first.document),
        ];
        for (key, value) in facts {
            writer.meta.insert(key, value).map_err(storage_error)?;
        }
    }
    transaction.commit().map_err(storage_error)?;
    Ok(first.block.head)
}

/// The head of a store that exists already, after checking that it is ours to open.
fn read_stored_head(database: &redb::Database, genesis: B256) -> Result<Option<StoreHead>, CoreError> {
    let transaction = database.begin_read().map_err(storage_error)?;
    let meta = match transaction.open_table(META) {
        Ok(meta) => meta,
        Err(redb::TableError::TableDoesNotExist(_)) => return Ok(None),
        Err(error) => return Err(storage_error(error)),
    };
    let fact = |key: &str| -> Result<Vec<u8>, CoreError> {
        let value = meta.get(key).map_err(storage_error)?;
        Ok(value.map(|value| value.value().to_vec()).unwrap_or_default())
    };
    let schema = fact(SCHEMA)?;
    if schema != SCHEMA_VERSION.to_be_bytes() {
        let found =
            schema.try_into().map_or("unknown".to_owned(), |bytes| u32::from_be_bytes(bytes).to_string());
        return Err(CoreError::StoreRefused(format!(
            "the store has schema version {found}, this build reads version {SCHEMA_VERSION}; use another data directory"
        )));
    }
    let stored = B256::try_from(fact(GENESIS)?.as_slice()).map_err(|_| damaged())?;
    if stored != genesis {
        return Err(CoreError::StoreRefused(format!(
            "database contains incompatible genesis (have {stored}, new {genesis})"
        )));
    }
    decode_head(&fact(HEAD)?).map(Some).ok_or_else(damaged)
}

/// The head as a write transaction finds it.
pub(super) fn read_head(transaction: &WriteTransaction) -> Result<Option<StoreHead>, CoreError> {
    let meta = transaction.open_table(META).map_err(storage_error)?;
    let head = meta.get(HEAD).map_err(storage_error)?;
    Ok(head.and_then(|head| decode_head(head.value())))
}

/// The chain's document.
pub(super) fn read_document(database: &redb::Database) -> Result<Bytes, CoreError> {
    let transaction = database.begin_read().map_err(storage_error)?;
    let meta = transaction.open_table(META).map_err(storage_error)?;
    let document = meta.get(DOCUMENT).map_err(storage_error)?;
    document.map(|document| Bytes::copy_from_slice(document.value())).ok_or_else(damaged)
}

fn sync_directory(directory: &Path) -> Result<(), CoreError> {
    fs::File::open(directory)
        .and_then(|directory| directory.sync_all())
        .map_err(|error| CoreError::Storage(format!("{}: {error}", directory.display())))
}
