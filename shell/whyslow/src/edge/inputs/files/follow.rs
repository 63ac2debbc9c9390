//! One file, followed: what was read of it, and whether it still is what it was.

use std::collections::BTreeMap;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Instant;

use whyslow_edge::framing::{Framer, Framing};

use super::super::super::resume::FilePlace;
use super::super::super::taker::Taker;
use super::super::super::worker::{FileId, Lies};
use super::contents::Contents;
use super::known::{Head, digest};

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
    contents: Contents,
    head: Vec<u8>,
    framer: Framer,
    /// Whether its end has been reached since it was opened.
    pub(super) caught_up: bool,
    /// Since when its name belongs to another file, or to none.
    pub(super) orphan_since: Option<Instant>,
    /// The time of its newest line that was read, or of the next one, by which old files are read in
    /// step; `None` while there is none.
    pub(super) at_us: Option<i64>,
    /// Lines that begin before it were counted before the last start.
    counted_to: u64,
    /// Slow requests of lines that begin before it were kept then.
    slow_from: u64,
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
        let (contents, found) = Contents::open(path)?;
        let mut framer = Framer::new(Framing::Lines);
        framer.restart(position);
        let mut follow = Self {
            path: path.to_owned(),
            base: path.to_owned(),
            id: (found.dev(), found.ino()),
            contents,
            head: Vec::new(),
            framer,
            caught_up: false,
            orphan_since: None,
            at_us: None,
            counted_to: 0,
            slow_from: 0,
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
        self.contents.behind(self.framer.read_to())
    }

    /// The first bytes of what was read.
    pub(super) fn head(&self) -> &[u8] {
        &self.head
    }

    /// Looks up the time of the first line that is not read yet, as soon as there is one. A file
    /// whose first lines bear no time is read at once.
    pub(super) fn peek(&mut self, taker: &mut dyn Taker) {
        if self.at_us.is_none() {
            let bytes = self.contents.peek_at(64 << 10, self.framer.position());
            let mut lines = bytes.split(|b| *b == b'\n').take(20);
            let time = lines.find_map(|line| taker.time_of(line));
            self.at_us = time.or((!bytes.is_empty()).then_some(i64::MIN));
        }
    }

    /// Reads a piece and hands out its lines.
    pub(super) fn turn(&mut self, taker: &mut dyn Taker) -> io::Result<Turn> {
        let from = self.framer.read_to();
        let size = self.contents.len();
        if size.is_some_and(|size| size < from) || !self.is_the_same()? {
            return Ok(Turn::Truncated);
        }
        if size == Some(from) {
            self.caught_up = true;
            return Ok(Turn::AtEnd);
        }
        let n = self.contents.read_at(self.framer.room(), from)?;
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
        taker.handle_bytes(n as u64);
        let mut lies = self.next_line();
        while let Some(frame) = self.framer.poll_frame() {
            taker.take_frame(frame, lies);
            lies.begins = self.framer.position();
            if lies.begins < self.counted_to {
                lies = self.next_line();
            }
        }
        self.at_us = taker.last_at_us().or(self.at_us);
        Ok(Turn::Read)
    }

    /// Hands out a last line that never got its line feed.
    pub(super) fn finish(&mut self, taker: &mut dyn Taker) {
        let lies = self.next_line();
        if let Some(frame) = self.framer.poll_rest() {
            taker.take_frame(frame, lies);
        }
    }

    /// Says how far the file was counted by an earlier process, from where on its slow requests
    /// were not kept, and where the lines of which windows began.
    pub(super) fn go_on(
        &mut self,
        counted_to: u64,
        slow_from: u64,
        windows: impl Iterator<Item = (u64, i64)>,
    ) {
        self.counted_to = counted_to;
        self.slow_from = slow_from;
        self.windows = windows.collect();
    }

    /// Begins the same file anew, after it was truncated.
    pub(super) fn begin_anew(&mut self) -> io::Result<()> {
        self.framer.restart(0);
        self.head.clear();
        (self.caught_up, self.at_us) = (false, None);
        self.go_on(0, 0, std::iter::empty());
        self.learn_head()
    }

    /// The copy that was made of this file before it was truncated, where it is among `paths`.
    pub(super) fn copy(&self, paths: Vec<PathBuf>) -> Option<Self> {
        let position = self.position();
        if self.head.is_empty() {
            return None;
        }
        let fits = |copy: &Self| {
            let whole = copy.contents.len().is_none_or(|size| size >= position);
            copy.id != self.id && whole && copy.begins_with(&self.head)
        };
        let open = |path: PathBuf| Self::open(&path, position).ok();
        let mut copy = paths.into_iter().filter_map(open).find(fits)?;
        copy.base.clone_from(&self.base);
        let windows = self.windows.iter().map(|(from, start)| (*from, *start));
        copy.go_on(self.counted_to, self.slow_from, windows);
        Some(copy)
    }

    /// How far it was read, as it is stored.
    pub(super) fn place(&self) -> FilePlace {
        let Head { bytes, digest } = Head::of(&self.head);
        FilePlace {
            path: self.base.clone(),
            id: self.id,
            head_bytes: bytes,
            digest,
            to: self.counted_to.max(self.position()),
        }
    }

    /// The digest of its first `length` bytes; `None` where it has not so many.
    pub(super) fn digest(&self, length: usize) -> Option<String> {
        let mut bytes = vec![0; length.min(HEAD_BYTES_MAX)];
        self.contents.head(&mut bytes).ok()?;
        Some(digest(&bytes))
    }

    /// Where the next line lies.
    fn next_line(&self) -> Lies {
        let begins = self.position();
        let again = begins < self.counted_to;
        let window = again.then(|| self.windows.range(..=begins).next_back()).flatten();
        let at_us = window.map(|(_, start_s)| start_s.saturating_mul(1_000_000));
        Lies {
            file: self.id,
            begins,
            counted_to: self.counted_to,
            slow_from: self.slow_from,
            at_us,
        }
    }

    /// Its size now; that of what is packed is not known before all was read.
    pub(super) fn size(&self) -> Option<u64> {
        self.contents.len()
    }

    /// Whether it ended before all was read again that an earlier process had read of it.
    pub(super) fn is_cut(&self) -> bool {
        self.contents.is_packed() && self.caught_up && self.framer.read_to() < self.counted_to
    }

    /// Whether it begins with these bytes.
    pub(super) fn begins_with(&self, head: &[u8]) -> bool {
        let mut bytes = vec![0; head.len()];
        self.contents.head(&mut bytes).is_ok() && bytes == head
    }

    /// Whether its first bytes are still those that were read.
    fn is_the_same(&self) -> io::Result<bool> {
        let mut now = [0; HEAD_BYTES_MAX];
        let known = self.head.len();
        match self.contents.head(&mut now[..known]) {
            Ok(()) => Ok(now[..known] == self.head[..]),
            Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
            Err(e) => Err(e),
        }
    }

    /// Takes down more of its first bytes, as far as they are there.
    pub(super) fn learn_head(&mut self) -> io::Result<()> {
        let wanted = self.contents.head_bytes();
        if self.head.len() < wanted {
            let mut head = vec![0; wanted];
            match self.contents.head(&mut head) {
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
