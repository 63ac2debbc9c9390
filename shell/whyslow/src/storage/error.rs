//! What can go wrong with the data directory, and what an operator does about it.

use std::path::{Path, PathBuf};

/// Why the store could not do what was asked.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StorageError {
    /// Another process has the directory.
    #[error("the data directory {} is in use by another whyslow", dir.display())]
    InUse {
        /// The directory.
        dir: PathBuf,
    },
    /// A file of ours is where it belongs and is something else.
    #[error("{} is not a whyslow file: {what}", file.display())]
    Foreign {
        /// The file.
        file: PathBuf,
        /// What it is instead.
        what: String,
    },
    /// A file of ours was written by a later whyslow.
    #[error("{} has format {found}, and this whyslow knows formats up to {known}", file.display())]
    Newer {
        /// The file.
        file: PathBuf,
        /// Its format.
        found: i64,
        /// The newest known.
        known: i64,
    },
    /// A file of ours is damaged.
    #[error("{} is damaged: {reason}", file.display())]
    Damaged {
        /// The file.
        file: PathBuf,
        /// How it shows.
        reason: String,
    },
    /// There is no room to write.
    #[error("no room to write to {}", file.display())]
    Full {
        /// The file.
        file: PathBuf,
    },
    /// The system or SQLite refused.
    #[error("could not {operation} {}: {reason}", subject.display())]
    Failed {
        /// What was tried, as a verb.
        operation: &'static str,
        /// With what.
        subject: PathBuf,
        /// Why not.
        reason: String,
    },
    /// An answer would be too large.
    #[error("the answer would have more than {limit} rows")]
    TooMuch {
        /// How many it may have.
        limit: usize,
    },
    /// A page's cursor is none that a page of observations gave.
    #[error("{cursor:?} is no cursor of a page of observations")]
    Cursor {
        /// As it was given.
        cursor: String,
    },
    /// The store was closed.
    #[error("the store is closed")]
    Closed,
}

impl StorageError {
    /// What an operator can do about it, where there is something.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::InUse { .. } => {
                "stop the other whyslow, or give this one its own directory with --data".to_owned()
            }
            Self::Foreign { .. } => {
                "nothing was changed; move the file away or name another directory with --data"
                    .to_owned()
            }
            Self::Newer { .. } => "run the whyslow that wrote it, or a later one".to_owned(),
            Self::Damaged { file, .. } => format!(
                "nothing was changed; keep a copy, try `sqlite3 {} .recover`, or move the file away \
                 and lose what it holds",
                file.display()
            ),
            Self::Full { .. } => {
                "free some space; reads go on, and writing resumes by itself".to_owned()
            }
            Self::Failed { subject, .. } => {
                format!("is {} writable by the user whyslow runs as?", subject.display())
            }
            Self::TooMuch { .. } => {
                "ask for less time, longer windows, fewer fields, or one value of a field"
                    .to_owned()
            }
            Self::Cursor { .. } | Self::Closed => return None,
        })
    }

    /// Sorts SQLite's refusal of an operation on `file`.
    pub(super) fn of_sqlite(operation: &'static str, file: &Path, error: &rusqlite::Error) -> Self {
        use rusqlite::ErrorCode;
        let file = file.to_owned();
        let reason = error.to_string();
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Self::Full { file },
            Some(ErrorCode::NotADatabase) => Self::Foreign { file, what: reason },
            Some(ErrorCode::DatabaseCorrupt) => Self::Damaged { file, reason },
            _ if is_failed_write(error) => Self::Full { file },
            _ => Self::Failed { operation, subject: file, reason },
        }
    }

    /// The system's refusal of an operation on `subject`.
    pub(super) fn of_io(operation: &'static str, subject: &Path, error: &std::io::Error) -> Self {
        if error.kind() == std::io::ErrorKind::StorageFull {
            return Self::Full { file: subject.to_owned() };
        }
        Self::Failed { operation, subject: subject.to_owned(), reason: error.to_string() }
    }
}

/// SQLite calls a full disk that only shows when a file grows, or a quota, a failed write.
fn is_failed_write(error: &rusqlite::Error) -> bool {
    use rusqlite::ffi::{SQLITE_IOERR_FSYNC, SQLITE_IOERR_SHMSIZE, SQLITE_IOERR_WRITE};
    let code = error.sqlite_error().map(|e| e.extended_code);
    matches!(code, Some(SQLITE_IOERR_WRITE | SQLITE_IOERR_SHMSIZE | SQLITE_IOERR_FSYNC))
}

/// What SQLite's reader is told where bytes of ours make no sense.
pub(super) fn damage(reason: &str) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(0, rusqlite::types::Type::Blob, reason.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sqlite_out_of_room_is_a_full_disk() {
        let db = rusqlite::Connection::open_in_memory().unwrap();
        db.execute_batch("CREATE TABLE t (x); PRAGMA max_page_count=2").unwrap();
        let refused = db.execute("INSERT INTO t VALUES (zeroblob(100000))", []).unwrap_err();
        let error = StorageError::of_sqlite("write to", Path::new("/data/head.db"), &refused);
        assert!(matches!(error, StorageError::Full { .. }), "{error}");
        assert_eq!(error.to_string(), "no room to write to /data/head.db");
    }
}
