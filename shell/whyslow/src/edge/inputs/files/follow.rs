//! One file, followed: what was read of it, and whether it still is what it was.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::Instant;

use sha2::{Digest, Sha256};
use whyslow_edge::framing::{Framer, Framing};

use super::super::super::resume::FilePlace;
use super::super::super::worker::{FileId, Lies, Worker};

/// First bytes of a file by which it is known again: enough that they hold times of their own.
pub(super) const HEAD_BYTES_MAX: usize = 1024;
/// Fewer first bytes than these say too little to call two files copies of each other.
pub(super) const HEAD_BYTES_SURE: usize = 128;

/// A file that is followed.
#[derive(Debug)]
pub(super) struct Follow {
    pub(super) path: PathBuf,
    /// The name it had before any rotation.
    pub(super) base: PathBuf,
    pub(super) id: FileId,
    file: File,
    head: Vec<u8>,
    framer: Framer,
    /// Whether its end has been reached since it was opened.
    pub(super) caught_up: bool,
    /// Since when its name belongs to another file, or to none.
    pub(super) orphan_since: Option<Instant>,
    /// The time of its newest line, by which old files are read in step.
    pub(super) at_us: i64,
    /// Lines that begin before it were counted before the last start.
    counted_to: u64,
    /// Where the first line of each window began that was counted then, and the window's start, by
    /// which lines without a time find their window again.
    windows: BTreeMap<u64, i64>,
}

/// What a turn found.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// Lines, perhaps.
    Read,
    /// Nothing new.
    AtEnd,
    /// The file is not what it was: it was cut short, and may have grown again.
    Truncated,
}

impl Follow {
    /// Opens a file to be read from `position` on.
    pub(super) fn open(path: &Path, position: u64) -> io::Result<Self> {
        let file = File::open(path)?;
        let found = file.metadata()?;
        if !found.is_file() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no ordinary file"));
        }
        let mut framer = Framer::new(Framing::Lines);
        framer.restart(position);
        let mut follow = Self {
            path: path.to_owned(),
            base: path.to_owned(),
            id: (found.dev(), found.ino()),
            file,
            head: Vec::new(),
            framer,
            caught_up: false,
            orphan_since: None,
            at_us: i64::MIN,
            counted_to: 0,
            windows: BTreeMap::new(),
        };
        follow.learn_head()?;
        Ok(follow)
    }

    /// Where the next line begins.
    pub(super) const fn position(&self) -> u64 {
        self.framer.position()
    }

    /// Bytes of the file that were not read yet.
    pub(super) fn behind(&self) -> u64 {
        self.file.metadata().map_or(0, |m| m.len().saturating_sub(self.framer.read_to()))
    }

    /// The first bytes of what was read.
    pub(super) fn head(&self) -> &[u8] {
        &self.head
    }

    /// Looks up the time of the first line that is not read yet.
    pub(super) fn peek(&mut self, worker: &mut Worker) {
        let mut bytes = vec![0; 64 << 10];
        let n = self.file.read_at(&mut bytes, self.framer.position()).unwrap_or(0);
        let lines = bytes[..n].split(|b| *b == b'\n').take(20);
        self.at_us = lines.filter_map(|line| worker.time_of(line)).next().unwrap_or(i64::MIN);
    }

    /// Reads a piece and hands out its lines.
    pub(super) fn turn(&mut self, worker: &mut Worker) -> io::Result<Turn> {
        let from = self.framer.read_to();
        let size = self.file.metadata()?.len();
        if size < from || !self.is_the_same()? {
            return Ok(Turn::Truncated);
        }
        if size == from {
            self.caught_up = true;
            return Ok(Turn::AtEnd);
        }
        let n = self.file.read_at(self.framer.room(), from)?;
        // Looked at after the read, so that what was read is surely of the file it was.
        if !self.is_the_same()? {
            return Ok(Turn::Truncated);
        }
        if n == 0 {
            self.caught_up = true;
            return Ok(Turn::AtEnd);
        }
        self.framer.handle_read(n);
        self.learn_head()?;
        worker.count(|t| t.bytes += n as u64);
        let mut lies = self.next_line();
        while let Some(frame) = self.framer.poll_frame() {
            worker.handle_frame_of(frame, lies);
            lies.begins = self.framer.position();
            if lies.begins < self.counted_to {
                lies = self.next_line();
            }
        }
        self.at_us = worker.last_at_us().unwrap_or(self.at_us);
        Ok(Turn::Read)
    }

    /// Hands out a last line that never got its line feed.
    pub(super) fn finish(&mut self, worker: &mut Worker) {
        let lies = self.next_line();
        if let Some(frame) = self.framer.poll_rest() {
            worker.handle_frame_of(frame, lies);
        }
    }

    /// Says how far the file was counted by an earlier process, and where the lines of which
    /// windows began.
    pub(super) fn go_on(&mut self, counted_to: u64, windows: impl Iterator<Item = (u64, i64)>) {
        self.counted_to = counted_to;
        self.windows = windows.collect();
    }

    /// Begins the same file anew, after it was truncated.
    pub(super) fn begin_anew(&mut self) -> io::Result<()> {
        self.framer.restart(0);
        self.head.clear();
        self.caught_up = false;
        self.go_on(0, std::iter::empty());
        self.learn_head()
    }

    /// The copy that was made of this file before it was truncated, where it is among `paths`.
    pub(super) fn copy(&self, paths: Vec<PathBuf>) -> Option<Self> {
        let position = self.position();
        let fits = |copy: &Self| {
            copy.id != self.id && copy.size() >= position && copy.begins_with(&self.head)
        };
        let open = |path: PathBuf| Self::open(&path, position).ok();
        let mut copy = paths.into_iter().filter_map(open).find(fits)?;
        copy.base.clone_from(&self.base);
        copy.go_on(self.counted_to, self.windows.iter().map(|(from, start)| (*from, *start)));
        Some(copy)
    }

    /// How far it was read, as it is stored.
    pub(super) fn place(&self) -> FilePlace {
        FilePlace {
            path: self.base.clone(),
            id: self.id,
            head_bytes: self.head.len(),
            digest: digest(&self.head),
            to: self.counted_to.max(self.position()),
        }
    }

    /// The digest of its first `length` bytes; `None` where it has not so many.
    pub(super) fn digest(&self, length: usize) -> Option<String> {
        let mut bytes = vec![0; length.min(HEAD_BYTES_MAX)];
        self.file.read_exact_at(&mut bytes, 0).ok()?;
        Some(digest(&bytes))
    }

    /// Where the next line lies.
    fn next_line(&self) -> Lies {
        let begins = self.position();
        let again = begins < self.counted_to;
        let window = again.then(|| self.windows.range(..=begins).next_back()).flatten();
        let at_us = window.map(|(_, start_s)| start_s.saturating_mul(1_000_000));
        Lies { file: self.id, begins, counted_to: self.counted_to, at_us }
    }

    /// Its size now.
    pub(super) fn size(&self) -> u64 {
        self.file.metadata().map_or(0, |m| m.len())
    }

    /// Whether it begins with these bytes.
    pub(super) fn begins_with(&self, head: &[u8]) -> bool {
        let mut bytes = vec![0; head.len()];
        self.file.read_exact_at(&mut bytes, 0).is_ok() && bytes == head
    }

    /// Whether its first bytes are still those that were read.
    fn is_the_same(&self) -> io::Result<bool> {
        let mut now = [0; HEAD_BYTES_MAX];
        let known = self.head.len();
        match self.file.read_exact_at(&mut now[..known], 0) {
            Ok(()) => Ok(now[..known] == self.head[..]),
            Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
            Err(e) => Err(e),
        }
    }

    /// Takes down more of its first bytes, as far as they are there.
    pub(super) fn learn_head(&mut self) -> io::Result<()> {
        let size = usize::try_from(self.file.metadata()?.len()).unwrap_or(usize::MAX);
        let wanted = size.min(HEAD_BYTES_MAX);
        if self.head.len() < wanted {
            let mut head = vec![0; wanted];
            match self.file.read_exact_at(&mut head, 0) {
                Ok(()) if head.starts_with(&self.head) => self.head = head,
                // It was cut short just now; the next turn sees it.
                Ok(()) => {}
                Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => {}
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }

    /// Whether this is a copy of the other that is still being made.
    pub(super) fn may_become_copy_of(&self, other: &Self) -> bool {
        self.head.len() < other.head.len() && other.head.starts_with(&self.head)
    }
}

/// A digest by which first bytes are known again.
fn digest(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    Sha256::digest(bytes).iter().take(16).fold(String::new(), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
