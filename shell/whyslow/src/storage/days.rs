//! Files that hold a stretch of days each, named after their first one.

use std::fs;
use std::path::{Path, PathBuf};

use whyslow_model::Wall;

use super::error::StorageError;

const DAY_NS: i64 = 86_400_000_000_000;

/// A day of UTC, counted from 1970-01-01.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Day(pub(super) i64);

/// What a file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Kind {
    /// Observations and the runs kept as long.
    Facts,
    /// Runs that went well.
    Runs,
}

impl Kind {
    fn prefix(self) -> String {
        match self {
            Self::Facts => "facts-".to_owned(),
            Self::Runs => "runs-".to_owned(),
        }
    }
}

impl Day {
    /// The day in which `at` lies.
    pub(super) const fn of(at: Wall) -> Self {
        Self(at.as_nanos().div_euclid(DAY_NS))
    }

    /// Its first and its last nanosecond.
    pub(super) const fn span_ns(self) -> (i64, i64) {
        let start = self.0.saturating_mul(DAY_NS);
        (start, start.saturating_add(DAY_NS - 1))
    }

    /// Where its file of this kind lies.
    pub(super) fn path(self, dir: &Path, kind: Kind) -> PathBuf {
        let start = Wall::from_nanos(self.span_ns().0).to_string();
        let date = start.split('T').next().unwrap_or_default();
        dir.join(format!("{}{date}.db", kind.prefix()))
    }

    fn parse(name: &str, kind: Kind) -> Option<Self> {
        let date = name.strip_prefix(&kind.prefix())?.strip_suffix(".db")?;
        let start: Wall = format!("{date}T00:00:00Z").parse().ok()?;
        Some(Self::of(start))
    }
}

/// The days for which there is a file of this kind.
pub(super) fn list(dir: &Path, kind: Kind) -> Result<Vec<Day>, StorageError> {
    let failed = |e: std::io::Error| StorageError::of_io("list", dir, &e);
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).map_err(failed)? {
        let name = entry.map_err(failed)?.file_name();
        found.extend(name.to_str().and_then(|n| Day::parse(n, kind)));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_finds_its_file_again() {
        let day = Day::of("2026-11-21T23:59:59Z".parse().unwrap());
        let path = day.path(Path::new("/data"), Kind::Facts);
        assert_eq!(path, Path::new("/data/facts-2026-11-21.db"));
        assert_eq!(Day::parse("facts-2026-11-21.db", Kind::Facts), Some(day));
        assert_eq!(Day::parse("runs-2026-11-21.db", Kind::Facts), None);
    }
}
