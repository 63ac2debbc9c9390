//! Files that came under a rotated name and are nothing we know: written and rotated away while
//! nobody looked.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::super::super::worker::FileId;
use super::follow::Follow;
use super::{Files, names};

/// Names around which others are looked for.
const LOOKED_AROUND_MAX: usize = 32;

/// A file under a rotated name, as it was seen last.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Around {
    size: u64,
    modified: (i64, i64),
    /// Whether it is known, so that it need not be looked into.
    known: bool,
}

impl Files {
    /// Looks at what is there under rotated names. Gives what is yet to be read, oldest first, each
    /// with the name it had; of what still grows, only where it need not have `settled`.
    pub(super) fn look_around(&mut self, settled: bool) -> Vec<(PathBuf, PathBuf)> {
        for follow in &mut self.follows {
            // An error shows again when it is read.
            let _ = follow.learn_head();
        }
        let (mut around, mut strays) = (BTreeMap::new(), Vec::new());
        for base in self.bases() {
            for path in names::siblings(&base) {
                let Some((id, mut seen)) = seen(&path) else { continue };
                if self.follows.iter().all(|follow| follow.id != id) {
                    let before = self.around.get(&id);
                    // One that still grows may be a copy under way.
                    let same =
                        before.is_some_and(|b| (b.size, b.modified) == (seen.size, seen.modified));
                    seen.known =
                        same && before.is_some_and(|before| before.known) || self.learn(&path);
                    if !seen.known && (same || !settled) {
                        strays.push((path, base.clone()));
                    }
                }
                around.insert(id, seen);
            }
        }
        self.around = around;
        strays
    }

    /// Whether a file is known. At the first look all are that are there.
    fn learn(&mut self, path: &Path) -> bool {
        let Ok(file) = Follow::open(path, 0) else { return false };
        let known = self.first || self.known.has(&file);
        if known {
            // A copy of what is known, or packed from it, under its own number.
            self.known.add(&file);
        }
        known
    }

    /// The names that files had before any rotation.
    fn bases(&self) -> BTreeSet<PathBuf> {
        let followed = self.follows.iter().map(|follow| follow.base.clone());
        let named = (!names::is_pattern(&self.pattern)).then(|| self.pattern.clone());
        named.into_iter().chain(followed.take(LOOKED_AROUND_MAX)).collect()
    }
}

fn seen(path: &Path) -> Option<(FileId, Around)> {
    let found = std::fs::metadata(path).ok()?;
    let modified = (found.mtime(), found.mtime_nsec());
    Some(((found.dev(), found.ino()), Around { size: found.len(), modified, known: false }))
}
