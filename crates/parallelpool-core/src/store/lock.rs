//! One process per data directory, told apart by name when a second one comes.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;

use crate::error::CoreError;

/// Name of the lock file within the data directory.
const LOCK_FILE: &str = "LOCK";

/// Exclusive use of a data directory, given back when dropped or when the process ends in any
/// way: the operating system holds the lock, the file only names the owner.
#[derive(Debug)]
pub(super) struct DirectoryLock {
    _file: File,
}

impl DirectoryLock {
    /// Takes the lock; [`CoreError::StoreRefused`] names the process that has it.
    pub(super) fn acquire(directory: &Path) -> Result<Self, CoreError> {
        let path = directory.join(LOCK_FILE);
        let failed = |error: std::io::Error| CoreError::Storage(format!("{}: {error}", path.display()));
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(refusal(directory, &mut file)),
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
        file.set_len(0).map_err(failed)?;
        file.seek(SeekFrom::Start(0)).map_err(failed)?;
        writeln!(file, "{}", std::process::id()).map_err(failed)?;
        Ok(Self { _file: file })
    }
}

fn refusal(directory: &Path, file: &mut File) -> CoreError {
    let mut text = String::new();
    // The owner may be writing its id right now; without one the refusal stands all the same.
    let owner = match file.read_to_string(&mut text).ok().and_then(|_| text.trim().parse::<u32>().ok()) {
        Some(pid) => format!(" (pid {pid})"),
        None => String::new(),
    };
    CoreError::StoreRefused(format!("{} is in use by another parallelpool{owner}", directory.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_owner_is_refused_by_pid_and_let_in_after_the_first_left() {
        let directory = crate::store::test_support::TemporaryDirectory::new("lock");
        let first = DirectoryLock::acquire(directory.path()).expect("nobody has it");

        let refused = DirectoryLock::acquire(directory.path()).expect_err("the first still lives");
        assert_eq!(
            refused.to_string(),
            format!(
                "{} is in use by another parallelpool (pid {})",
                directory.path().display(),
                std::process::id()
            )
        );
        assert_eq!(refused.kind(), "store_refused");

        drop(first);
        DirectoryLock::acquire(directory.path()).expect("the first is gone");
    }
}
