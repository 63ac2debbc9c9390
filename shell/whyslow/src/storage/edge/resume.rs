//! `resume.db`: where each source goes on after a restart.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rusqlite::OptionalExtension;

use super::super::error::StorageError;
use super::super::file::{self, Shape};

const SHAPE: Shape = Shape {
    schema: "CREATE TABLE places (source TEXT PRIMARY KEY, place BLOB NOT NULL) WITHOUT ROWID;",
    page_bytes: 4096,
    outlives_power_loss: true,
};

fn path(dir: &Path) -> PathBuf {
    dir.join("resume.db")
}

/// Notes places.
pub(super) fn write(dir: &Path, places: &[&(Arc<str>, Vec<u8>)]) -> Result<(), StorageError> {
    let path = path(dir);
    let mut db = file::open(&path, SHAPE)?;
    let failed = |e: rusqlite::Error| StorageError::of_sqlite("write to", &path, &e);
    let tx = db.transaction().map_err(failed)?;
    for (source, place) in places {
        let sql = "INSERT OR REPLACE INTO places (source, place) VALUES (?1, ?2)";
        tx.execute(sql, (source, place)).map_err(failed)?;
    }
    tx.commit().map_err(failed)
}

/// The place of one source.
pub(in super::super) fn read(dir: &Path, source: &str) -> Result<Option<Vec<u8>>, StorageError> {
    let path = path(dir);
    if !path.exists() {
        return Ok(None);
    }
    let Some(db) = file::open_to_read(&path)? else { return Ok(None) };
    let sql = "SELECT place FROM places WHERE source = ?1";
    let place = db.query_row(sql, [source], |row| row.get(0)).optional();
    place.map_err(|e| StorageError::of_sqlite("read", &path, &e))
}
