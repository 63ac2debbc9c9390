//! One file, followed: what was read of it, and whether it still is what it was.

use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::Instant;

use whyslow_edge::framing::{Framer, Framing};

use super::super::super::worker::Worker;

/// First bytes of a file by which it is known again: enough that they hold times of their own.
pub(super) const HEAD_BYTES_MAX: usize = 1024;
/// Fewer first bytes than these say too little to call two files copies of each other.
pub(super) const HEAD_BYTES_SURE: usize = 128;

/// Device and number of a file.
pub(super) type FileId = (u64, u64);

/// A file that is followed.
#[derive(Debug)]
pub(super) struct Follow {
    pub(super) path: PathBuf,
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
    pub(super) counted_to: u64,
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
            id: (found.dev(), found.ino()),
            file,
            head: Vec::new(),
            framer,
            caught_up: false,
            orphan_since: None,
            at_us: i64::MIN,
            counted_to: 0,
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
        if size < from {
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
        let mut begins = self.framer.position();
        while let Some(frame) = self.framer.poll_frame() {
            worker.handle_frame_at(frame, self.id, begins, self.counted_to);
            begins = self.framer.position();
        }
        self.at_us = worker.newest_at_us().unwrap_or(self.at_us);
        Ok(Turn::Read)
    }

    /// Hands out a last line that never got its line feed.
    pub(super) fn finish(&mut self, worker: &mut Worker) {
        let begins = self.framer.position();
        if let Some(frame) = self.framer.poll_rest() {
            worker.handle_frame_at(frame, self.id, begins, self.counted_to);
        }
    }

    /// Begins the same file anew, after it was truncated.
    pub(super) fn begin_anew(&mut self) -> io::Result<()> {
        self.framer.restart(0);
        self.head.clear();
        self.caught_up = false;
        self.counted_to = 0;
        self.learn_head()
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

    /// Takes down more of its first bytes, as far as they have been read.
    fn learn_head(&mut self) -> io::Result<()> {
        let wanted = usize::try_from(self.framer.read_to()).unwrap_or(usize::MAX);
        let wanted = wanted.min(HEAD_BYTES_MAX);
        if self.head.len() < wanted {
            let mut head = vec![0; wanted];
            match self.file.read_exact_at(&mut head, 0) {
                Ok(()) => self.head = head,
                // It was cut short just now; the next turn sees it.
                Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => {}
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }
}
