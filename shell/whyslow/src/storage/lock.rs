//! One process per data directory.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::Path;

use super::error::StorageError;

/// Held for as long as the store is open; the system lets go when the process ends, however.
#[derive(Debug)]
pub(super) struct DirectoryLock(#[expect(dead_code, reason = "held for its lock")] File);

impl DirectoryLock {
    pub(super) fn take(dir: &Path) -> Result<Self, StorageError> {
        let path = dir.join("lock");
        let opened = OpenOptions::new().create(true).truncate(false).write(true).open(&path);
        let file = opened.map_err(|e| StorageError::of_io("open", &path, &e))?;
        match file.try_lock() {
            Ok(()) => Ok(Self(file)),
            Err(TryLockError::WouldBlock) => Err(StorageError::InUse { dir: dir.to_owned() }),
            Err(TryLockError::Error(e)) => Err(StorageError::of_io("lock", &path, &e)),
        }
    }
}
