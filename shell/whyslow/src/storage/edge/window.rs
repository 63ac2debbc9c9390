//! One source's rows of one window, as outputs tell them.

use std::collections::BTreeMap;

use rusqlite::Connection;
use whyslow_edge::grouping::Grouping;
use whyslow_edge::row::{Key, Row};

use super::super::days::Files;
use super::super::error::StorageError;
use super::super::rollup::Level;
use super::rows::{self, Place};

/// The rows of vips, backends, servers and routes.
pub(in super::super) fn rows(
    files: &Files,
    level: Level,
    source: &str,
    start_s: i64,
) -> Result<Vec<Row>, StorageError> {
    let day = level.kind.day_of(start_s.saturating_mul(1000));
    let file_s = level.kind.span_ms(day).0 / 1000;
    let window = (start_s - file_s) / level.span_s;
    let span_s = u32::try_from(level.span_s).unwrap_or(u32::MAX);
    let found = files.read(level.kind, day, |db| {
        let Some(source) = rows::known_source(db, source)? else { return Ok(Vec::new()) };
        let vip = Grouping::VIP;
        let server = vip.and(Grouping::BACKEND).and(Grouping::SERVER);
        let mut all = Vec::new();
        for grouping in [vip, vip.and(Grouping::BACKEND), server, server.and(Grouping::ROUTE)] {
            let mut found = Vec::new();
            rows::each(db, Place::of_grouping(window, grouping), |place, totals| {
                if place.source == source {
                    found.push((place.key, totals));
                }
            })?;
            let mut keys = keys(db, grouping, found.len())?;
            for (n, totals) in found {
                let key = match keys.remove(&n) {
                    Some(key) => Some(key),
                    None => rows::key(db, grouping, n)?,
                };
                all.extend(key.map(|key| Row { start_s, span_s, key, totals }));
            }
        }
        Ok(all)
    })?;
    Ok(found.unwrap_or_default())
}

/// Rows up to which each key is looked up by itself.
const FEW: usize = 64;

/// All keys of a grouping, where many of them are wanted.
fn keys(
    db: &Connection,
    grouping: Grouping,
    wanted: usize,
) -> rusqlite::Result<BTreeMap<i64, Key>> {
    if wanted <= FEW {
        Ok(BTreeMap::new())
    } else {
        Ok(rows::keys(db, grouping)?.into_iter().collect())
    }
}
