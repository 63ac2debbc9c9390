//! Files, followed through rotation by rename and by copy and truncation.
//!
//! A file is known by its device and number, not by its name: what a rename left under another
//! name is read to its end beside its successor. A file that was truncated is known by its first
//! bytes in the copy that was made of it, and its last lines are read there. By the same first
//! bytes files are known again after a restart.

mod again;
mod contents;
mod follow;
mod known;
mod names;
mod strays;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use whyslow_model::limits::EDGE_FILES_MAX;

use super::super::resume::{Oldest, Resume};
use super::super::stop::Stop;
use super::super::taker::Taker;
use super::super::worker::FileId;
use crate::config::ReadFrom;
use follow::{Follow, Turn};
use known::Known;
use strays::Around;

/// How often the directory is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// How long to rest when nothing new is there.
const REST: Duration = Duration::from_millis(100);
/// How long a file that lost its name is still watched; writers reopen by then.
const ORPHAN_FOR: Duration = Duration::from_mins(2);

/// The files of one source.
#[derive(Debug)]
struct Files {
    pattern: PathBuf,
    follows: Vec<Follow>,
    /// Files that are not to be read: copies, those read to their end, and those that were there
    /// before the source was.
    known: Known,
    looked: Option<Instant>,
    /// Files under rotated names at the last look.
    around: BTreeMap<FileId, Around>,
    /// Whether files that are there now were there before the source was.
    first: bool,
    read_from: ReadFrom,
}

/// Follows the files that a pattern names until told to stop.
///
/// # Errors
/// In words, why nothing is read; it is tried again.
pub(crate) fn read(
    pattern: &Path,
    read_from: ReadFrom,
    stop: &Stop,
    taker: &mut dyn Taker,
) -> Result<(), String> {
    let mut files = Files::new(pattern, read_from);
    files.begin(taker)?;
    loop {
        if stop.is_told() {
            taker.finish(&mut |oldest| Some(files.resume(oldest)));
            return Ok(());
        }
        taker.tick(false, &mut |oldest| Some(files.resume(oldest)));
        if files.looked.is_none_or(|at| at.elapsed() >= LOOK_EVERY) {
            files.look(taker).inspect_err(|_| {
                taker.break_off(&mut |oldest| Some(files.resume(oldest)));
            })?;
        }
        if taker.is_behind() || !files.turn(taker) {
            stop.rest(REST);
        }
    }
}

impl Files {
    fn new(pattern: &Path, read_from: ReadFrom) -> Self {
        Self {
            pattern: pattern.to_owned(),
            follows: Vec::new(),
            known: Known::default(),
            looked: None,
            around: BTreeMap::new(),
            first: true,
            read_from,
        }
    }

    /// Finds the files, and has their place stored before anything is read: what is rotated away
    /// from then on is found again, whenever the process is killed.
    fn begin(&mut self, taker: &mut dyn Taker) -> Result<(), String> {
        self.go_on(taker);
        self.look(taker)?;
        taker.tick(true, &mut |oldest| Some(self.resume(oldest)));
        Ok(())
    }

    /// How far all files were read.
    fn resume(&self, oldest: &Oldest) -> Resume {
        let ids: Vec<FileId> = self.follows.iter().map(|f| f.id).collect();
        Resume {
            files: self.follows.iter().map(Follow::place).collect(),
            windows: oldest.listed(&ids),
            slow: oldest.listed_slow(&ids),
            known: Some(self.known.listed()),
            ..Resume::default()
        }
    }

    /// Looks at the directory: finds new files, and those that lost their name.
    fn look(&mut self, taker: &mut dyn Taker) -> Result<(), String> {
        self.looked = Some(Instant::now());
        let found = names::matching(&self.pattern)
            .map_err(|e| format!("cannot look for {}: {e}", self.pattern.display()))?;
        let problem = found
            .is_empty()
            .then(|| format!("there is no file {}", self.pattern.display()))
            .filter(|_| self.follows.is_empty());
        taker.handle_problem(problem);
        let mut renamed = Vec::new();
        for follow in &mut self.follows {
            let named = found.iter().any(|(path, id)| *path == follow.path && *id == follow.id);
            if named {
                follow.orphan_since = None;
            } else if let Some((path, _)) = found.iter().find(|(_, id)| *id == follow.id) {
                path.clone_into(&mut follow.path);
                follow.orphan_since = None;
            } else if follow.orphan_since.is_none() {
                follow.orphan_since = Some(Instant::now());
                renamed.extend(names::renamed(&follow.base, follow.id));
            }
        }
        for (path, now) in renamed {
            self.add_newer(&path, &now, taker);
        }
        for (path, id) in &found {
            let known = || Follow::open(path, 0).is_ok_and(|file| self.known.has_number(&file));
            if self.follows.iter().all(|f| f.id != *id) && !known() {
                self.add(path, path, taker);
            }
        }
        let strays = self.look_around(true);
        self.known.retain(|id| {
            self.around.contains_key(&id) || found.iter().any(|(_, named)| *named == id)
        });
        for (path, base) in strays {
            self.add(&path, &base, taker);
        }
        self.first = false;
        self.forget(taker);
        let behind = self.follows.iter().map(Follow::behind).sum();
        let files = self.follows.len() as u64;
        taker.handle_files(files, behind);
        Ok(())
    }

    /// Follows what rotation made of a file since it called an older one `than`: files that came
    /// and lost their name while nobody looked.
    fn add_newer(&mut self, base: &Path, than: &Path, taker: &mut dyn Taker) {
        for path in names::newer(base, than) {
            let Ok(file) = Follow::open(&path, 0) else { continue };
            let followed = self.follows.iter().any(|f| f.id == file.id);
            if !followed && !self.known.has(&file) {
                self.add(&path, base, taker);
            }
        }
    }

    /// Begins to follow a file that was called `base` before any rotation.
    fn add(&mut self, path: &Path, base: &Path, taker: &mut dyn Taker) {
        if self.follows.len() >= EDGE_FILES_MAX {
            let told = format!("more than {EDGE_FILES_MAX} files; the rest is not read");
            taker.handle_problem(Some(told));
            return;
        }
        let from_end = self.first && self.read_from == ReadFrom::End;
        let opened = Follow::open(path, 0).and_then(|follow| {
            let size = follow.size().filter(|_| from_end);
            size.map_or(Ok(follow), |size| Follow::open(path, size))
        });
        let mut follow = match opened {
            Ok(follow) => follow,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return,
            Err(e) => {
                let told = format!("cannot read {}: {e}", path.display());
                taker.handle_problem(Some(told));
                return;
            }
        };
        if self.follows.iter().any(|known| is_copy(&follow, known)) {
            self.known.add(&follow);
            return;
        }
        let copies = |known: &Follow| {
            names::is_rotated(&known.base, path) && follow.may_become_copy_of(known)
        };
        if self.follows.iter().any(copies) {
            return;
        }
        base.clone_into(&mut follow.base);
        self.follows.push(follow);
    }

    /// Lets go of files that lost their name, have been silent since, and hold no line of a window
    /// that may still change.
    fn forget(&mut self, taker: &mut dyn Taker) {
        let known = &mut self.known;
        self.follows.retain_mut(|follow| {
            let over = follow.orphan_since.is_some_and(|since| since.elapsed() > ORPHAN_FOR)
                && follow.behind() == 0;
            let stays = !over || taker.oldest().has(follow.id);
            if !stays {
                follow.finish(taker);
                known.add(follow);
            }
            stays
        });
    }

    /// Reads a piece: of the file whose next lines are the oldest, as long as some are behind; a
    /// piece of each after that. False where nothing new is there.
    fn turn(&mut self, taker: &mut dyn Taker) -> bool {
        self.follows.iter_mut().filter(|f| !f.caught_up).for_each(|f| f.peek(taker));
        let behind = (0..self.follows.len()).filter(|i| !self.follows[*i].caught_up);
        // What has no line yet will have newer ones than all others.
        let oldest = behind.min_by_key(|i| self.follows[*i].at_us.unwrap_or(i64::MAX));
        if let Some(oldest) = oldest {
            self.turn_of(oldest, taker);
            return true;
        }
        let mut any = false;
        for index in 0..self.follows.len() {
            any |= self.turn_of(index, taker);
        }
        any
    }

    fn turn_of(&mut self, index: usize, taker: &mut dyn Taker) -> bool {
        let follow = &mut self.follows[index];
        match follow.turn(taker) {
            Ok(Turn::Read) => true,
            Ok(Turn::AtEnd) => {
                if follow.is_cut() {
                    follow.go_on(0, 0, std::iter::empty());
                    taker.handle_unsure();
                    let name = follow.path.display();
                    tracing::warn!("{name} ends before what was read of it when it was not packed");
                }
                false
            }
            Ok(Turn::Truncated) => {
                self.truncated(index, taker);
                true
            }
            Err(e) => {
                let told = format!("cannot read {}: {e}", follow.path.display());
                taker.handle_problem(Some(told));
                follow.caught_up = true;
                false
            }
        }
    }

    /// Reads the last lines of a truncated file in the copy that was made of it, then begins anew.
    fn truncated(&mut self, index: usize, taker: &mut dyn Taker) {
        let follow = &mut self.follows[index];
        match follow.copy(names::siblings(&follow.base)) {
            Some(mut copy) => {
                taker.oldest().rename(follow.id, copy.id);
                while copy.turn(taker).is_ok_and(|turn| turn == Turn::Read) {}
                copy.finish(taker);
                // It is kept as long as windows may still change that it holds lines of.
                copy.orphan_since = Some(Instant::now());
                let (base, name) = (follow.base.clone(), copy.path.clone());
                self.known.remove(copy.id);
                self.follows.push(copy);
                self.add_newer(&base, &name, taker);
            }
            None if follow.position() > 0 => {
                taker.handle_unsure();
                tracing::warn!(
                    "{} was truncated, and no copy of it is there: lines written just before may \
                     be lost",
                    follow.path.display()
                );
            }
            None => {}
        }
        let follow = &mut self.follows[index];
        if let Err(e) = follow.begin_anew() {
            tracing::warn!("cannot read {} anew: {e}", follow.path.display());
        }
    }
}

/// Whether a new file is a copy of one that is followed, as copy and truncation makes it.
fn is_copy(new: &Follow, known: &Follow) -> bool {
    known.head().len() >= follow::HEAD_BYTES_SURE && new.begins_with(known.head())
}

#[cfg(test)]
mod play;
#[cfg(test)]
mod random;
#[cfg(test)]
mod tests;
