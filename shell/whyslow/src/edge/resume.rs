//! Where a source goes on after a restart, stored with the windows that were read until then.
//!
//! A file is read again from the oldest line of a window that may still change, so that every such
//! window is made anew, whole, and takes the place of what was stored of it. Lines of windows that
//! cannot change any more, or cannot be made anew because a file is gone, are passed over.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::worker::FileId;

/// Seconds of a window.
pub(super) const SPAN_S: u32 = 10;

/// What is stored of a source, as JSON.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Resume {
    /// The last revision number that was given.
    pub(super) revision: u32,
    /// Windows that start before cannot change any more.
    pub(super) before_s: Option<i64>,
    /// The files that are followed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) files: Vec<FilePlace>,
    /// The first line of each window that may still change: start, file (its place in `files`),
    /// and where the line begins.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) windows: Vec<(i64, usize, u64)>,
    /// The first line of each file whose slow requests are not stored yet: file, and where the line
    /// begins; of other files all are stored.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) slow: Vec<(usize, u64)>,
    /// Windows to which what is stored must be added, since a file is gone that had lines of them.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub(super) frozen: BTreeSet<i64>,
    /// Files that are not to be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) known: Option<Vec<KnownFile>>,
    /// The journal's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) journal: Option<JournalPlace>,
}

/// How far one file was read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FilePlace {
    /// Its name when it was seen last.
    pub(super) path: PathBuf,
    /// Its device and number.
    pub(super) id: FileId,
    /// So many of its first bytes have this digest.
    pub(super) head_bytes: usize,
    /// The digest.
    pub(super) digest: String,
    /// Lines that begin before were counted.
    pub(super) to: u64,
}

/// A file that is not to be read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct KnownFile {
    /// Its device and number.
    pub(super) id: FileId,
    /// So many of its first bytes have this digest.
    pub(super) head_bytes: usize,
    /// The digest.
    pub(super) digest: String,
}

/// How far the journal was read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct JournalPlace {
    /// The entry to begin with; empty before any was read, when it is the one after `to`.
    pub(super) from: String,
    /// The last entry that was counted, or that is not to be; empty where there was none.
    pub(super) to: String,
}

impl Resume {
    /// Where a file is to be read from: its place in `files`.
    pub(super) fn from(&self, file: usize) -> u64 {
        let of_file = self.windows.iter().filter(|(_, of, _)| *of == file);
        let first = of_file.map(|(_, _, begins)| *begins).min();
        first.unwrap_or(u64::MAX).min(self.slow_from(file))
    }

    /// From where on slow requests of a file are not stored.
    pub(super) fn slow_from(&self, file: usize) -> u64 {
        let first = self.slow.iter().find(|(of, _)| *of == file).map(|(_, begins)| *begins);
        first.unwrap_or(u64::MAX).min(self.files[file].to)
    }

    /// Behind an entry of the journal.
    #[cfg(test)]
    pub(crate) fn behind(entry: &str) -> Self {
        let (from, to) = (entry.to_owned(), entry.to_owned());
        Self { journal: Some(JournalPlace { from, to }), ..Self::default() }
    }

    /// The windows that had lines of a file.
    pub(super) fn windows_of(&self, file: usize) -> impl Iterator<Item = i64> {
        self.windows.iter().filter(move |(_, of, _)| *of == file).map(|(start, _, _)| *start)
    }
}

/// The first line of each window that may still change, and of each file whose slow requests wait.
#[derive(Debug, Default)]
pub(crate) struct Oldest {
    windows: BTreeMap<i64, BTreeMap<FileId, u64>>,
    slow: BTreeMap<FileId, u64>,
    last_slow: Option<FileId>,
    /// What was noted last; most lines are of the same window.
    last: Option<(i64, FileId)>,
}

impl Oldest {
    /// Notes a line; true where it is the first of its window and file.
    pub(super) fn note(&mut self, start_s: i64, file: FileId, begins: u64) -> bool {
        if self.last == Some((start_s, file)) {
            return false;
        }
        self.last = Some((start_s, file));
        let files = self.windows.entry(start_s).or_default();
        let new = !files.contains_key(&file);
        files.entry(file).or_insert(begins);
        new
    }

    /// Notes what an earlier process knew, of lines that are yet to be read again.
    pub(super) fn remember(&mut self, start_s: i64, file: FileId, begins: u64) {
        let files = self.windows.entry(start_s).or_default();
        let known = files.entry(file).or_insert(begins);
        *known = begins.min(*known);
    }

    /// Notes a line whose request may be kept as a slow one.
    pub(super) fn note_slow(&mut self, file: FileId, begins: u64) {
        if self.last_slow != Some(file) {
            self.last_slow = Some(file);
            self.slow.entry(file).or_insert(begins);
        }
    }

    /// All slow requests were given out.
    pub(super) fn forget_slow(&mut self) {
        self.slow.clear();
        self.last_slow = None;
    }

    /// Forgets windows that cannot change any more.
    pub(super) fn forget_before(&mut self, start_s: i64) {
        if self.windows.first_key_value().is_some_and(|(first, _)| *first < start_s) {
            self.windows = self.windows.split_off(&start_s);
            self.last = None;
        }
    }

    /// What was of one file is of another: its copy.
    pub(super) fn rename(&mut self, from: FileId, to: FileId) {
        for files in self.windows.values_mut() {
            if let Some(begins) = files.remove(&from) {
                files.insert(to, begins);
            }
        }
        if let Some(begins) = self.slow.remove(&from) {
            self.slow.insert(to, begins);
        }
        (self.last, self.last_slow) = (None, None);
    }

    /// Whether a window that may still change has lines of a file, or its slow requests wait.
    pub(super) fn has(&self, file: FileId) -> bool {
        self.slow.contains_key(&file)
            || self.windows.values().any(|files| files.contains_key(&file))
    }

    /// The first window that may still change.
    pub(super) fn first(&self) -> Option<i64> {
        self.windows.first_key_value().map(|(start, _)| *start)
    }

    /// As it is stored: files by their place in a list of ids.
    pub(super) fn listed(&self, ids: &[FileId]) -> Vec<(i64, usize, u64)> {
        let place = |id: &FileId| ids.iter().position(|other| other == id);
        let windows = self.windows.iter().flat_map(|(start, files)| {
            files.iter().filter_map(move |(id, begins)| Some((*start, place(id)?, *begins)))
        });
        windows.collect()
    }
}

impl Oldest {
    /// Where slow requests wait, as it is stored.
    pub(super) fn listed_slow(&self, ids: &[FileId]) -> Vec<(usize, u64)> {
        let place = |id: &FileId| ids.iter().position(|other| other == id);
        self.slow.iter().filter_map(|(id, begins)| Some((place(id)?, *begins))).collect()
    }
}

/// What a worker was told at its start of lines that were counted before.
#[derive(Debug, Default)]
pub(super) struct Counted {
    /// Windows that start before cannot change any more.
    pub(super) before_s: Option<i64>,
    /// Windows that cannot be made anew, since a file is gone; what is stored of them stays.
    pub(super) frozen: BTreeSet<i64>,
}

impl Counted {
    /// Whether a line that was counted before is to be passed over.
    pub(super) fn stays(&self, start_s: i64) -> bool {
        self.before_s.is_some_and(|before| start_s < before) || self.frozen.contains(&start_s)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: FileId = (1, 10);
    const B: FileId = (1, 11);

    #[test]
    fn a_file_is_read_again_from_the_oldest_line_that_matters() {
        let mut oldest = Oldest::default();
        assert!(oldest.note(100, A, 0));
        assert!(!oldest.note(100, A, 50));
        assert!(oldest.note(110, A, 80));
        assert!(!oldest.note(100, A, 90));
        assert!(oldest.note(110, B, 7));
        let place = |id, to| FilePlace {
            path: PathBuf::new(),
            id,
            head_bytes: 0,
            digest: String::new(),
            to,
        };
        let resume = |oldest: &Oldest| Resume {
            files: vec![place(A, 200), place(B, 300)],
            windows: oldest.listed(&[A, B]),
            ..Resume::default()
        };
        assert_eq!((resume(&oldest).from(0), resume(&oldest).from(1)), (0, 7));
        oldest.forget_before(110);
        assert_eq!((resume(&oldest).from(0), oldest.first()), (80, Some(110)));
        oldest.rename(A, (1, 12));
        assert!(!oldest.has(A) && oldest.has((1, 12)));
        oldest.forget_before(120);
        assert_eq!((resume(&oldest).from(0), resume(&oldest).from(1)), (200, 300));
    }

    #[test]
    fn lines_of_windows_that_stay_as_they_are_are_passed_over() {
        let counted = Counted { before_s: Some(100), frozen: BTreeSet::from([120]) };
        assert_eq!([90, 100, 120].map(|s| counted.stays(s)), [true, false, true]);
        assert!(!Counted::default().stays(i64::MIN));
    }
}
