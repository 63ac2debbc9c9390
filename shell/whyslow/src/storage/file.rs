//! SQLite files that are surely ours, opened so that nothing foreign is ever written to.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use rusqlite::{Connection, OpenFlags};

use super::error::StorageError;

/// `whys`, in the header of every file of ours.
const APPLICATION_ID: i64 = 0x7768_7973;
/// The newest format this whyslow knows.
const FORMAT: i64 = 1;

/// What a new file of one kind is made with.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    /// Its tables.
    pub(super) schema: &'static str,
    /// Bytes of a page.
    pub(super) page_bytes: u32,
    /// Whether each commit must outlive a loss of power, not only of the process.
    pub(super) outlives_power_loss: bool,
}

/// Opens a file for writing, and makes it where there is none.
pub(super) fn open(path: &Path, shape: Shape) -> Result<Connection, StorageError> {
    refuse_foreign(path)?;
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_CREATE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let failed = |e: rusqlite::Error| StorageError::of_sqlite("open", path, &e);
    let mut db = Connection::open_with_flags(path, flags).map_err(failed)?;
    if is_new(&db, path)? {
        make(&mut db, shape).map_err(|e| StorageError::of_sqlite("create", path, &e))?;
    }
    let durable = if shape.outlives_power_loss { "FULL" } else { "NORMAL" };
    db.execute_batch(&format!(
        "PRAGMA synchronous={durable}; PRAGMA cache_size=-512; PRAGMA temp_store=MEMORY; \
         PRAGMA journal_size_limit=4194304; PRAGMA busy_timeout=5000;"
    ))
    .map_err(failed)?;
    Ok(db)
}

/// Opens a file that exists, for reading alone; `None` for one that a kill left without tables.
pub(super) fn open_to_read(path: &Path) -> Result<Option<Connection>, StorageError> {
    refuse_foreign(path)?;
    let failed = |e: rusqlite::Error| StorageError::of_sqlite("open", path, &e);
    // Not opened read-only: the first to open a file after a kill must put its log in order.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let db = Connection::open_with_flags(path, flags).map_err(failed)?;
    if is_new(&db, path)? {
        return Ok(None);
    }
    db.execute_batch("PRAGMA query_only=ON; PRAGMA cache_size=-512; PRAGMA busy_timeout=5000;")
        .map_err(failed)?;
    Ok(Some(db))
}

/// Refuses what does not begin as SQLite files do, before SQLite is let near it.
fn refuse_foreign(path: &Path) -> Result<(), StorageError> {
    const MAGIC: &[u8; 16] = b"SQLite format 3\0";
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(StorageError::of_io("open", path, &e)),
    };
    let mut start = Vec::new();
    let read = file.by_ref().take(16).read_to_end(&mut start);
    read.map_err(|e| StorageError::of_io("read", path, &e))?;
    if start.is_empty() || start == MAGIC {
        return Ok(());
    }
    let what = "it does not begin as a SQLite file does".to_owned();
    Err(StorageError::Foreign { file: path.to_owned(), what })
}

/// Whether the file is still to be made; an error where it is another program's.
fn is_new(db: &Connection, path: &Path) -> Result<bool, StorageError> {
    let one = |sql| db.query_row(sql, [], |row| row.get::<_, i64>(0));
    let failed = |e: rusqlite::Error| StorageError::of_sqlite("read", path, &e);
    let id = one("PRAGMA application_id").map_err(failed)?;
    let format = one("PRAGMA user_version").map_err(failed)?;
    if id == APPLICATION_ID {
        if format > FORMAT {
            let file = path.to_owned();
            return Err(StorageError::Newer { file, found: format, known: FORMAT });
        }
        return Ok(false);
    }
    // A kill while a file is made leaves one without a mark and without a table.
    let tables = one("SELECT count(*) FROM sqlite_schema").map_err(failed)?;
    if id == 0 && format == 0 && tables == 0 {
        return Ok(true);
    }
    let what = "it is another program's SQLite file".to_owned();
    Err(StorageError::Foreign { file: path.to_owned(), what })
}

fn make(db: &mut Connection, shape: Shape) -> rusqlite::Result<()> {
    db.execute_batch(&format!(
        "PRAGMA page_size={}; PRAGMA auto_vacuum=INCREMENTAL; PRAGMA journal_mode=WAL;",
        shape.page_bytes
    ))?;
    let made = db.transaction()?;
    made.execute_batch(shape.schema)?;
    made.execute_batch(&format!(
        "PRAGMA application_id={APPLICATION_ID}; PRAGMA user_version={FORMAT};"
    ))?;
    made.commit()
}
