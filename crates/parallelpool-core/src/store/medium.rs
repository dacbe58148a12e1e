//! Where the database lies, and how it is opened: at the start, and again after a failed write.
//!
//! redb takes nothing more after a failure until it is opened anew. That is safe after a write
//! that failed, since no commit refers to what it wrote. It is not after a *sync* that failed:
//! the system may have given up pages that it still shows, so nobody can tell what is on the
//! disk before it was read back by a system that has forgotten them.

use std::fmt::Debug;
use std::fs::OpenOptions;
use std::io::{self, Seek, SeekFrom, Write};
use std::ops::Bound;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use redb::backends::FileBackend;
use redb::{BackendError, Builder, Database, StorageBackend};

use super::storage_error;
use crate::error::CoreError;

/// Pages that the database itself keeps in memory.
pub(super) const PAGE_CACHE_BYTES: usize = 256 << 20;

/// What must fit behind the file before it is opened again: a small block. More would take away
/// for a moment what others on the disk live by.
const ROOM_BYTES: usize = 256 << 10;

/// Something that outlives the database on it.
pub(super) trait Medium: Debug + Send + Sync {
    /// The database, made if there is none.
    fn open(&self) -> Result<Database, CoreError>;
    /// Fails as long as there is no room for a block.
    fn check_room(&self) -> Result<(), CoreError>;
    /// Whether a sync has failed since the start.
    fn has_lost_a_sync(&self) -> bool;
}

/// The file in the data directory.
#[derive(Debug)]
pub(super) struct DatabaseFile {
    path: PathBuf,
    lost_a_sync: Arc<AtomicBool>,
}

impl DatabaseFile {
    /// Opens nothing yet.
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path, lost_a_sync: Arc::default() }
    }

    fn failed(&self, error: impl std::fmt::Display) -> CoreError {
        CoreError::Storage(format!("{}: {error}", self.path.display()))
    }
}

impl Medium for DatabaseFile {
    fn open(&self) -> Result<Database, CoreError> {
        let options = OpenOptions::new().read(true).write(true).create(true).truncate(false).clone();
        let file = options.open(&self.path).map_err(|error| self.failed(error))?;
        let inner = FileBackend::new(file).map_err(|error| self.failed(error))?;
        let backend = WatchedFile { inner, lost_a_sync: self.lost_a_sync.clone() };
        let opened = Builder::new().set_cache_size(PAGE_CACHE_BYTES).create_with_backend(backend);
        opened.map_err(|error| match error {
            // The directory is locked by us, so someone opened the file past the lock.
            redb::DatabaseError::DatabaseAlreadyOpen => {
                CoreError::StoreRefused(format!("{} is in use by another process", self.path.display()))
            }
            error => self.failed(error),
        })
    }

    fn check_room(&self) -> Result<(), CoreError> {
        let mut file = OpenOptions::new().write(true).open(&self.path).map_err(|error| self.failed(error))?;
        let end = file.seek(SeekFrom::End(0)).map_err(|error| self.failed(error))?;
        let written = file.write_all(&vec![0; ROOM_BYTES]).and_then(|()| file.sync_data());
        file.set_len(end).map_err(|error| self.failed(error))?;
        written.map_err(|error| self.failed(error))
    }

    fn has_lost_a_sync(&self) -> bool {
        self.lost_a_sync.load(Ordering::Acquire)
    }
}

/// redb's own file, of which is remembered whether a sync has failed.
#[derive(Debug)]
struct WatchedFile {
    inner: FileBackend,
    lost_a_sync: Arc<AtomicBool>,
}

impl StorageBackend for WatchedFile {
    fn len(&self) -> io::Result<u64> {
        self.inner.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.inner.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.inner.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.inner.sync_data().inspect_err(|_| self.lost_a_sync.store(true, Ordering::Release))
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.inner.write(offset, data)
    }

    fn close(&self) -> io::Result<()> {
        self.inner.close()
    }

    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.inner.try_lock_range(start, end)
    }

    fn try_lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.inner.try_lock_shared_range(start, end)
    }

    fn lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.inner.lock_range(start, end)
    }

    fn lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.inner.lock_shared_range(start, end)
    }

    fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.inner.unlock_range(start, end)
    }

    fn query_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.inner.query_lock_range(start, end)
    }
}

/// Memory, which does not fail and is gone when it is closed.
#[derive(Debug)]
pub(super) struct InMemory;

impl Medium for InMemory {
    fn open(&self) -> Result<Database, CoreError> {
        let mut builder = Builder::new();
        builder.set_cache_size(PAGE_CACHE_BYTES);
        builder.create_with_backend(redb::backends::InMemoryBackend::new()).map_err(storage_error)
    }

    fn check_room(&self) -> Result<(), CoreError> {
        Err(CoreError::Storage("what was kept in memory cannot be opened again; restart".into()))
    }

    fn has_lost_a_sync(&self) -> bool {
        false
    }
}
