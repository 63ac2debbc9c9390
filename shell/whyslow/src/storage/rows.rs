//! Files of rows: one series' bytes for one stretch of time. Chunks and roll-ups are kept so.
//!
//! A row's key is the place of its stretch in the file, then the series' number: what is written
//! together lies together, and a file grows at its end.

use std::path::Path;

use rusqlite::{Connection, OptionalExtension, Row};

use super::error::StorageError;
use super::file::Shape;

pub(super) const SHAPE: Shape = Shape {
    schema: "CREATE TABLE rows (key INTEGER PRIMARY KEY, bytes BLOB NOT NULL);",
    // Rows are one to two kilobytes, and half a row is left empty in each page: a third of a small
    // page, a sixteenth of one of 16 KiB.
    page_bytes: 32_768,
    outlives_power_loss: true,
};

/// Bits of a key that number the series.
const ID_BITS: u32 = 40;

/// The key of the row of one series that covers the file's stretch number `stretch`.
pub(super) const fn key(stretch: i64, id: i64) -> i64 {
    stretch << ID_BITS | id
}

/// Undoes [`key`].
pub(super) const fn parts(key: i64) -> (i64, i64) {
    (key >> ID_BITS, key & ((1 << ID_BITS) - 1))
}

/// Writes rows in the place of those with the same keys.
pub(super) fn put(
    db: &mut Connection,
    path: &Path,
    rows: &[(i64, impl AsRef<[u8]>)],
) -> Result<(), StorageError> {
    let failed = |e: rusqlite::Error| StorageError::of_sqlite("write to", path, &e);
    let tx = db.transaction().map_err(failed)?;
    {
        let sql = "INSERT OR REPLACE INTO rows (key, bytes) VALUES (?1, ?2)";
        let mut insert = tx.prepare_cached(sql).map_err(failed)?;
        for (key, bytes) in rows {
            insert.execute((key, bytes.as_ref())).map_err(failed)?;
        }
    }
    tx.commit().map_err(failed)
}

/// Calls `take` with the bytes of one row, if there is one.
pub(super) fn with<T>(
    db: &Connection,
    key: i64,
    take: impl FnOnce(&[u8]) -> T,
) -> rusqlite::Result<Option<T>> {
    let mut select = db.prepare_cached("SELECT bytes FROM rows WHERE key = ?1")?;
    let row = |row: &Row<'_>| Ok(take(row.get_ref(0)?.as_blob()?));
    select.query_row([key], row).optional()
}

/// Calls `take` with the key and bytes of every row between the keys, both included.
pub(super) fn each(
    db: &Connection,
    from: i64,
    to: i64,
    mut take: impl FnMut(i64, &[u8]),
) -> rusqlite::Result<()> {
    let mut select =
        db.prepare_cached("SELECT key, bytes FROM rows WHERE key BETWEEN ?1 AND ?2")?;
    let mut rows = select.query([from, to])?;
    while let Some(row) = rows.next()? {
        take(row.get(0)?, row.get_ref(1)?.as_blob()?);
    }
    Ok(())
}
