//! What a file holds: its bytes, or what is packed in it.

use std::fs::{File, Metadata};
use std::io::{self, Cursor, Read, Seek as _};
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::follow::HEAD_BYTES_MAX;
use super::names;
use crate::packed::unpacked;

/// The bytes of one file. Those of a packed one can only be read from front to end.
pub(super) enum Contents {
    /// As they stand.
    Plain(File),
    /// Packed in it.
    Packed(Packed),
}

/// What is packed in a file that rotation has packed; it grows no more.
pub(super) struct Packed {
    /// Shares its offset with the stream.
    file: File,
    stream: Box<dyn Read + Send>,
    /// Bytes that were taken from the stream.
    at: u64,
    head: Vec<u8>,
    ended: bool,
}

impl std::fmt::Debug for Contents {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Plain(file) => f.debug_tuple("Plain").field(file).finish(),
            Self::Packed(packed) => f.debug_tuple("Packed").field(&packed.at).finish(),
        }
    }
}

impl Contents {
    /// Opens a file; what its name calls packed is unpacked.
    pub(super) fn open(path: &Path) -> io::Result<(Self, Metadata)> {
        let file = File::open(path)?;
        let found = file.metadata()?;
        if !found.is_file() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no ordinary file"));
        }
        if !names::is_packed(path) {
            return Ok((Self::Plain(file), found));
        }
        let mut stream = unpacked(Box::new(file.try_clone()?))?;
        let mut head = Vec::new();
        (&mut stream).take(HEAD_BYTES_MAX as u64).read_to_end(&mut head)?;
        let stream = Box::new(Cursor::new(head.clone()).chain(stream));
        Ok((Self::Packed(Packed { file, stream, at: 0, head, ended: false }), found))
    }

    /// Whether it grows no more, and cannot be cut short.
    pub(super) const fn is_packed(&self) -> bool {
        matches!(self, Self::Packed(_))
    }

    /// Its bytes; `None` where that is not known before all were read.
    pub(super) fn len(&self) -> Option<u64> {
        match self {
            Self::Plain(file) => Some(file.metadata().map_or(0, |found| found.len())),
            Self::Packed(packed) => packed.ended.then_some(packed.at),
        }
    }

    /// Bytes behind a position, or of a packed file those that are not unpacked yet.
    pub(super) fn behind(&self, position: u64) -> u64 {
        match self {
            Self::Plain(_) => self.len().unwrap_or(0).saturating_sub(position),
            Self::Packed(packed) if packed.ended => 0,
            Self::Packed(packed) => {
                let size = packed.file.metadata().map_or(0, |found| found.len());
                let mut taken = &packed.file;
                size.saturating_sub(taken.stream_position().unwrap_or(size)).max(1)
            }
        }
    }

    /// Fills `into` with its first bytes.
    pub(super) fn head(&self, into: &mut [u8]) -> io::Result<()> {
        match self {
            Self::Plain(file) => file.read_exact_at(into, 0),
            Self::Packed(packed) => {
                let head = packed.head.get(..into.len()).ok_or(io::ErrorKind::UnexpectedEof)?;
                into.copy_from_slice(head);
                Ok(())
            }
        }
    }

    /// How many first bytes [`Contents::head`] can give now.
    pub(super) fn head_bytes(&self) -> usize {
        match self {
            Self::Plain(_) => {
                let size = usize::try_from(self.len().unwrap_or(0)).unwrap_or(usize::MAX);
                size.min(HEAD_BYTES_MAX)
            }
            Self::Packed(packed) => packed.head.len(),
        }
    }

    /// Reads at a position; of a packed file not before what was read last.
    pub(super) fn read_at(&mut self, into: &mut [u8], position: u64) -> io::Result<usize> {
        match self {
            Self::Plain(file) => file.read_at(into, position),
            Self::Packed(packed) => packed.read_at(into, position),
        }
    }

    /// Looks at what is at a position; it is read again.
    pub(super) fn peek_at(&mut self, bytes: usize, position: u64) -> Vec<u8> {
        let mut found = vec![0; bytes];
        let n = self.read_at(&mut found, position).unwrap_or(0);
        found.truncate(n);
        if let Self::Packed(packed) = self {
            packed.at -= n as u64;
            let stream = std::mem::replace(&mut packed.stream, Box::new(io::empty()));
            packed.stream = Box::new(Cursor::new(found.clone()).chain(stream));
        }
        found
    }
}

impl Packed {
    fn read_at(&mut self, into: &mut [u8], position: u64) -> io::Result<usize> {
        let skipped = position.checked_sub(self.at).ok_or(io::ErrorKind::InvalidInput)?;
        self.at += io::copy(&mut (&mut self.stream).take(skipped), &mut io::sink())?;
        let n = if self.at == position { self.stream.read(into)? } else { 0 };
        self.ended = n == 0 && !into.is_empty();
        self.at += n as u64;
        Ok(n)
    }
}
