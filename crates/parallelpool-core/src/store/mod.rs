//! The embedded database: what is durable of the chain.
//!
//! In: whole blocks with what they changed. Out: immutable [`Snapshot`]s, each the store as of
//! one commit, which answer for the state at its head and, by reverse differences, after every
//! earlier block.
//!
//! One block is one transaction of the database: header, body, receipts, indexes, flat state,
//! trie nodes and reverse differences become durable together or not at all. So whatever ends
//! the process, the store reopens at a whole block. One writer at a time, any number of readers,
//! and no reader ever waits.

mod cache;
mod codec;
mod lock;
mod medium;
mod open;
mod past;
mod revert;
mod snapshot;
mod tables;
mod write;

#[cfg(test)]
mod crash_tests;
#[cfg(test)]
pub(crate) mod test_support;
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::{Mutex, RwLock};

pub use open::FirstBlock;
pub use past::PastState;
pub use snapshot::{Snapshot, StoredHeader};

use crate::block::Receipt;
use crate::error::CoreError;
use crate::primitives::{Address, B256, Bytes};
use crate::state::StateChanges;
use crate::trie::TrieUpdate;
use lock::DirectoryLock;
use medium::Medium;
use snapshot::StateCache;
use write::BlockWriter;

/// Version of the tables' layout. A store of another version is refused, never guessed at.
pub const SCHEMA_VERSION: u32 = 1;

/// Blocks between two that are synced, where not every one is.
const EVENTUAL_INTERVAL: u64 = 64;

/// When a committed block is on the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Durability {
    /// Before the commit returns: a block that was announced survives a power cut.
    #[default]
    Immediate,
    /// With every 64th block and at an orderly close. A crash may lose the blocks since, but
    /// never parts of one. For imports that can be repeated.
    Eventual,
}

/// Where and how to keep the chain.
#[derive(Debug, Clone, Default)]
pub struct StoreOptions {
    /// The data directory; the database lies under `chain/` in it. `None` keeps it in memory.
    pub directory: Option<PathBuf>,
    /// When a committed block is on the disk.
    pub durability: Durability,
}

/// The newest block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoreHead {
    /// Its height.
    pub number: u64,
    /// Its hash.
    pub hash: B256,
}

/// What names a transaction: kept beside the body, since both cost hashing or recovery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Signed {
    /// Keccak of its canonical encoding.
    pub hash: B256,
    /// Its recovered sender.
    pub sender: Address,
}

/// A block as the store keeps it: bytes and the keys of its indexes.
#[derive(Debug, Clone, Copy)]
pub struct NewBlock<'a> {
    /// Height and hash.
    pub head: StoreHead,
    /// The parent's hash.
    pub parent: B256,
    /// RLP of the header.
    pub header: &'a [u8],
    /// The items of the block's RLP list that follow the header.
    pub body: &'a [u8],
    /// Its transactions.
    pub signed: &'a [Signed],
    /// Their receipts.
    pub receipts: &'a [Receipt],
}

/// The embedded database. Shared by reference: all methods take `&self`.
#[derive(Debug)]
pub struct Store {
    medium: Box<dyn Medium>,
    /// `None` while it could not be opened again.
    database: RwLock<Option<redb::Database>>,
    /// The last write failed: nothing is written until the database was opened anew.
    has_failed: AtomicBool,
    durability: Durability,
    cache: Arc<StateCache>,
    newest: RwLock<Arc<Snapshot>>,
    /// Held for the length of a write, so that checks against the head stay true.
    writer: Mutex<()>,
    /// Declared after the database: given back when that is closed.
    _lock: Option<DirectoryLock>,
}

impl Store {
    /// The store as of the newest commit.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.newest.read().clone()
    }

    /// Appends a block and its changes to the head in one durable transaction.
    ///
    /// [`CoreError::BlockRefused`] when the block's parent is not the head; then nothing happens.
    pub fn append(
        &self,
        block: &NewBlock<'_>,
        changes: &StateChanges,
        trie: &TrieUpdate,
    ) -> Result<Arc<Snapshot>, CoreError> {
        let _writer = self.writer.lock();
        self.noting_failure(|| self.append_to_head(block, changes, trie))
    }

    fn append_to_head(
        &self,
        block: &NewBlock<'_>,
        changes: &StateChanges,
        trie: &TrieUpdate,
    ) -> Result<Arc<Snapshot>, CoreError> {
        let head = self.snapshot().head();
        if block.parent != head.hash || block.head.number != head.number + 1 {
            return Err(CoreError::BlockRefused {
                number: block.head.number,
                reason: format!(
                    "stale: its parent is {}, the head is {} ({})",
                    block.parent, head.hash, head.number
                ),
            });
        }
        let transaction = self.begin_write(head)?;
        let cleared = {
            let mut writer = BlockWriter::open(&transaction)?;
            writer.write_block(block)?;
            writer.write_trie(trie)?;
            writer.write_state(block.head.number, changes)?
        };
        transaction.commit().map_err(storage_error)?;
        self.publish(block.head, |cache, commit| {
            for (address, slot) in cleared {
                cache.storage.replace((address, slot), Default::default(), commit);
            }
            for (address, change) in &changes.accounts {
                cache.accounts.replace(*address, change.after, commit);
                for (slot, value) in &change.storage {
                    cache.storage.replace((*address, *slot), *value, commit);
                }
            }
        })
    }

    /// The document that was stored last by [`Self::replace_document`] or at creation.
    pub fn document(&self) -> Result<Bytes, CoreError> {
        open::read_document(self.database.read().as_ref().ok_or_else(closed)?)
    }

    /// Replaces the chain's document, which the store keeps without reading it.
    pub fn replace_document(&self, document: &[u8]) -> Result<(), CoreError> {
        let _writer = self.writer.lock();
        self.noting_failure(|| {
            let transaction = self.begin_write(self.snapshot().head())?;
            write::put_meta(&transaction, write::DOCUMENT, document)?;
            transaction.commit().map_err(storage_error)
        })
    }

    /// Whether a write has failed since the database was opened: [`Self::open_anew`] is due.
    pub fn has_failed(&self) -> bool {
        self.has_failed.load(Ordering::Acquire)
    }

    /// Opens the database again after a failed write, as soon as there is room for a block, and
    /// gives the snapshot that takes the place of the older ones: those answer from then on for
    /// what they hold in memory, and with an error for the rest.
    ///
    /// [`CoreError::Storage`] where that cannot be done, or not without a restart: a sync has
    /// failed, or the commit that failed has become durable all the same.
    pub fn open_anew(&self) -> Result<Arc<Snapshot>, CoreError> {
        let _writer = self.writer.lock();
        if !self.has_failed() {
            return Ok(self.snapshot());
        }
        if self.medium.has_lost_a_sync() {
            return Err(CoreError::Storage("the disk has failed to sync the store; restart".into()));
        }
        self.medium.check_room()?;
        let head = self.snapshot().head();
        {
            let mut database = self.database.write();
            // Two at once would write over each other's pages.
            drop(database.take());
            *database = Some(self.medium.open()?);
        }
        drop(self.begin_write(head)?);
        let snapshot = self.publish(head, |_, _| {})?;
        self.has_failed.store(false, Ordering::Release);
        Ok(snapshot)
    }

    /// What `write` gives; a failure of the database is remembered.
    fn noting_failure<R>(&self, write: impl FnOnce() -> Result<R, CoreError>) -> Result<R, CoreError> {
        write().inspect_err(|error| {
            if matches!(error, CoreError::Storage(_)) {
                self.has_failed.store(true, Ordering::Release);
            }
        })
    }

    /// A write transaction on top of `head`.
    fn begin_write(&self, head: StoreHead) -> Result<redb::WriteTransaction, CoreError> {
        let database = self.database.read();
        let mut transaction = database.as_ref().ok_or_else(closed)?.begin_write().map_err(storage_error)?;
        let durability = match self.durability {
            Durability::Eventual if !head.number.is_multiple_of(EVENTUAL_INTERVAL) => redb::Durability::None,
            Durability::Immediate | Durability::Eventual => redb::Durability::Immediate,
        };
        transaction.set_durability(durability).map_err(storage_error)?;
        // A commit that failed half-way may have become durable all the same. Then memory and
        // disk disagree, and only opening the store again can tell which is right.
        if open::read_head(&transaction)? != Some(head) {
            return Err(CoreError::Storage("the store moved on after a failed commit; restart".into()));
        }
        Ok(transaction)
    }

    /// Makes the newest commit the one that readers get. The cache learns of the changes first.
    fn publish(
        &self,
        head: StoreHead,
        update: impl FnOnce(&StateCache, u64),
    ) -> Result<Arc<Snapshot>, CoreError> {
        let commit = self.snapshot().commit() + 1;
        let database = self.database.read();
        let database = database.as_ref().ok_or_else(closed)?;
        let snapshot = Arc::new(Snapshot::open(database, head, commit, self.cache.clone())?);
        self.cache.accounts.advance(commit);
        self.cache.storage.advance(commit);
        update(&self.cache, commit);
        *self.newest.write() = snapshot.clone();
        Ok(snapshot)
    }
}

impl Drop for Store {
    /// An orderly close makes eventual commits durable too. A failure here is what a crash would
    /// have been: the next start finds the last durable block.
    fn drop(&mut self) {
        if self.durability == Durability::Eventual
            && let Some(database) = self.database.get_mut()
            && let Ok(transaction) = database.begin_write()
        {
            let _ = transaction.commit();
        }
    }
}

/// Any failure of the database, in its own words.
fn storage_error(error: impl Into<redb::Error>) -> CoreError {
    CoreError::Storage(error.into().to_string())
}

/// There is no database at the moment.
fn closed() -> CoreError {
    CoreError::Storage("the store could not be opened again after a failed write".into())
}
