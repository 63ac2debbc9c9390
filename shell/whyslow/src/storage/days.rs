//! Files that hold a stretch of days each, named after their first one.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError, RwLock, RwLockReadGuard};

use rusqlite::Connection;
use whyslow_model::Wall;
use whyslow_store::retention::Level;

use super::error::StorageError;
use super::file;

pub(super) const DAY_MS: i64 = 86_400_000;
/// Seconds of the wire's windows.
pub(super) const WIRE_FINEST_S: i64 = 60;

/// A day of UTC, counted from 1970-01-01: the first of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Day(i64);

/// What a file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Kind {
    /// Chunks of samples.
    Samples,
    /// Roll-ups of one resolution.
    Rollup {
        /// The resolution.
        seconds: i64,
        /// Days a file covers.
        days: i64,
    },
    /// Observations.
    Facts,
    /// Documents of slow and failed runs.
    Transcripts,
    /// Documents of runs that went well.
    Runs,
    /// The edge's windows of one length.
    Windows {
        /// The length.
        seconds: i64,
        /// Days a file covers.
        days: i64,
    },
    /// Slow requests.
    Slow,
    /// Readings.
    Readings,
    /// Findings.
    Findings,
    /// The wire's windows of one length.
    WireWindows {
        /// The length; the finest stands for the windows themselves, however long they are.
        seconds: i64,
        /// Days a file covers.
        days: i64,
    },
    /// Single handshakes, unanswered SYNs and endings.
    WireEvents,
}

impl Kind {
    /// The kind in which a level of the retention is kept.
    pub(super) const fn of_level(level: Level) -> Self {
        if level.resolution_ms == 0 {
            return Self::Samples;
        }
        Self::Rollup { seconds: level.resolution_ms / 1000, days: level.file_days() }
    }

    /// The kind in which the edge's windows of a level of the retention are kept.
    pub(super) const fn edge_level(level: Level) -> Self {
        if level.resolution_ms == 0 {
            return Self::Windows { seconds: 10, days: 1 };
        }
        Self::Windows { seconds: level.resolution_ms / 1000, days: level.file_days() }
    }

    /// The wire's windows as taps close them.
    pub(super) const WIRE_FINEST: Self = Self::WireWindows { seconds: WIRE_FINEST_S, days: 1 };

    /// The kind in which the wire's windows of a level of the retention are kept; the finest of
    /// every level that is no coarser than it.
    pub(super) const fn wire_level(level: Level) -> Self {
        let seconds = level.resolution_ms / 1000;
        if seconds <= WIRE_FINEST_S {
            return Self::WIRE_FINEST;
        }
        Self::WireWindows { seconds, days: level.file_days() }
    }

    /// Days that one file covers.
    const fn days(self) -> i64 {
        match self {
            Self::Rollup { days, .. }
            | Self::Windows { days, .. }
            | Self::WireWindows { days, .. } => days,
            Self::Findings => 30,
            Self::Samples
            | Self::Facts
            | Self::Transcripts
            | Self::Runs
            | Self::Slow
            | Self::Readings
            | Self::WireEvents => 1,
        }
    }

    fn prefix(self) -> String {
        match self {
            Self::Samples => "samples-".to_owned(),
            Self::Rollup { seconds, .. } => format!("rollup-{seconds}s-"),
            Self::Facts => "facts-".to_owned(),
            Self::Transcripts => "transcripts-".to_owned(),
            Self::Runs => "runs-".to_owned(),
            Self::Windows { seconds, .. } => format!("edge-{seconds}s-"),
            Self::Slow => "slow-".to_owned(),
            Self::Readings => "readings-".to_owned(),
            Self::Findings => "findings-".to_owned(),
            Self::WireWindows { seconds: WIRE_FINEST_S, .. } => "wire-".to_owned(),
            Self::WireWindows { seconds, .. } => format!("wire-{seconds}s-"),
            Self::WireEvents => "wire-events-".to_owned(),
        }
    }

    /// The first day of the file in which `at_ms` belongs.
    pub(super) const fn day_of(self, at_ms: i64) -> Day {
        let day = at_ms.div_euclid(DAY_MS);
        Day(day - day.rem_euclid(self.days()))
    }

    /// The file's start, inclusive, and its end, exclusive, in milliseconds.
    pub(super) const fn span_ms(self, day: Day) -> (i64, i64) {
        let start = day.0.saturating_mul(DAY_MS);
        (start, start.saturating_add(self.days() * DAY_MS))
    }

    /// Where the file lies.
    pub(super) fn path(self, dir: &Path, day: Day) -> PathBuf {
        let start = Wall::from_millis(self.span_ms(day).0).to_string();
        let date = start.split('T').next().unwrap_or_default();
        dir.join(format!("{}{date}.db", self.prefix()))
    }

    fn parse(self, name: &str) -> Option<Day> {
        let date = name.strip_prefix(&self.prefix())?.strip_suffix(".db")?;
        let start: Wall = format!("{date}T00:00:00Z").parse().ok()?;
        Some(self.day_of(start.as_millis()))
    }
}

/// The files there are, and connections that read them.
#[derive(Debug)]
pub(super) struct Files {
    dir: PathBuf,
    known: RwLock<BTreeMap<Kind, Vec<Day>>>,
    /// Connections that nobody reads with at the moment.
    idle: Mutex<Vec<(Kind, Day, Connection)>>,
}

/// Idle connections kept; each holds a small cache.
const IDLE_MAX: usize = 12;

impl Files {
    /// Looks for files of these kinds.
    pub(super) fn list(dir: &Path, kinds: &[Kind]) -> Result<Self, StorageError> {
        let failed = |e: std::io::Error| StorageError::of_io("list", dir, &e);
        let mut known: BTreeMap<Kind, Vec<Day>> = BTreeMap::new();
        for entry in fs::read_dir(dir).map_err(failed)? {
            let name = entry.map_err(failed)?.file_name();
            for kind in kinds {
                if let Some(day) = name.to_str().and_then(|n| kind.parse(n)) {
                    known.entry(*kind).or_default().push(day);
                }
            }
        }
        known.values_mut().for_each(|days| days.sort_unstable());
        let (known, idle) = (RwLock::new(known), Mutex::default());
        Ok(Self { dir: dir.to_owned(), known, idle })
    }

    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    pub(super) fn path(&self, kind: Kind, day: Day) -> PathBuf {
        kind.path(&self.dir, day)
    }

    /// The first days of the files of one kind, ascending.
    pub(super) fn days(&self, kind: Kind) -> Vec<Day> {
        self.known().get(&kind).cloned().unwrap_or_default()
    }

    /// The kinds of which there are files.
    pub(super) fn kinds(&self) -> Vec<Kind> {
        self.known().keys().copied().collect()
    }

    /// Since when there is a file of one kind, in milliseconds.
    pub(super) fn oldest_ms(&self, kind: Kind) -> Option<i64> {
        self.known().get(&kind)?.first().map(|day| kind.span_ms(*day).0)
    }

    /// Notes that a file was made.
    pub(super) fn add(&self, kind: Kind, day: Day) {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        let days = known.entry(kind).or_default();
        if let Err(at) = days.binary_search(&day) {
            days.insert(at, day);
        }
    }

    /// Removes a file with all that belongs to it. Whoever reads it now reads on to the end.
    pub(super) fn remove(&self, kind: Kind, day: Day) -> Result<(), StorageError> {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(days) = known.get_mut(&kind) {
            days.retain(|d| *d != day);
        }
        drop(known);
        self.idle().retain(|(k, d, _)| (*k, *d) != (kind, day));
        let path = self.path(kind, day);
        for suffix in ["-wal", "-shm", ""] {
            let mut name = path.clone().into_os_string();
            name.push(suffix);
            match fs::remove_file(&name) {
                Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                    return Err(StorageError::of_io("remove", Path::new(&name), &e));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Reads one file; `None` where there is none.
    pub(super) fn read<T>(
        &self,
        kind: Kind,
        day: Day,
        with: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<Option<T>, StorageError> {
        let path = self.path(kind, day);
        let mut idle = self.idle();
        let place = idle.iter().position(|(k, d, _)| (*k, *d) == (kind, day));
        let kept = place.map(|at| idle.swap_remove(at).2);
        drop(idle);
        let db = match kept {
            Some(db) => Some(db),
            None if path.exists() => file::open_to_read(&path)?,
            None => None,
        };
        let Some(db) = db else { return Ok(None) };
        let read = with(&db).map_err(|e| StorageError::of_sqlite("read", &path, &e))?;
        let mut idle = self.idle();
        if idle.len() >= IDLE_MAX {
            idle.remove(0);
        }
        idle.push((kind, day, db));
        Ok(Some(read))
    }

    /// Bytes of all files in the directory.
    pub(super) fn bytes(&self) -> u64 {
        let Ok(entries) = fs::read_dir(&self.dir) else { return 0 };
        entries.flatten().filter_map(|e| e.metadata().ok()).map(|m| m.len()).sum()
    }

    fn known(&self) -> RwLockReadGuard<'_, BTreeMap<Kind, Vec<Day>>> {
        self.known.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<(Kind, Day, Connection)>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_finds_its_file_again() {
        let at: Wall = "2026-11-21T23:59:59Z".parse().unwrap();
        let month = Kind::Rollup { seconds: 3600, days: 30 };
        for (kind, name) in [
            (Kind::Facts, "facts-2026-11-21.db"),
            (Kind::Samples, "samples-2026-11-21.db"),
            (month, "rollup-3600s-2026-11-03.db"),
            (Kind::WIRE_FINEST, "wire-2026-11-21.db"),
            (Kind::WireWindows { seconds: 300, days: 1 }, "wire-300s-2026-11-21.db"),
        ] {
            let day = kind.day_of(at.as_millis());
            assert_eq!(kind.path(Path::new("/data"), day), Path::new("/data").join(name));
            assert_eq!(kind.parse(name), Some(day));
            let (from, to) = kind.span_ms(day);
            assert!((from..to).contains(&at.as_millis()));
        }
        assert_eq!(Kind::Facts.parse("runs-2026-11-21.db"), None);
        assert_eq!(Kind::WIRE_FINEST.parse("wire-300s-2026-11-21.db"), None);
    }
}
