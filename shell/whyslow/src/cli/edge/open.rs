//! What is read: files, packed files, standard input.

use std::fs::File;
use std::io::{self, Cursor, Read, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use super::Stop;
use super::lines::Part;
use crate::packed::{first_bytes, packing, unpacked};

/// Bytes of the first input that are looked at to find its format.
const SAMPLE: usize = 1 << 20;

/// Something to read lines from.
pub(super) struct Input {
    /// Its name for messages.
    pub(super) name: String,
    kind: Kind,
}

enum Kind {
    /// A plain file of this many bytes, which several threads can read at once.
    Plain(PathBuf, u64),
    /// Anything that is read from front to end.
    Stream(Box<dyn Read + Send>),
}

/// A stretch of an input, for one thread.
pub(super) struct Piece {
    /// Which input it is of.
    pub(super) input: usize,
    /// The bytes.
    pub(super) bytes: Box<dyn Read + Send>,
    /// Which of their lines are meant.
    pub(super) part: Part,
}

/// Opens everything that was named; `-` is standard input.
pub(super) fn inputs(files: &[PathBuf]) -> Result<Vec<Input>, Stop> {
    files
        .iter()
        .map(|file| input(file).map_err(|e| unreadable(&file.display().to_string(), &e)))
        .collect()
}

/// Why an input could not be read.
pub(super) fn unreadable(name: &str, error: &io::Error) -> Stop {
    Stop::unreadable(format!("cannot read {name}: {error}"))
}

fn input(file: &Path) -> io::Result<Input> {
    if file == Path::new("-") {
        let kind = unpacked(Box::new(io::stdin()))?;
        return Ok(Input { name: "standard input".to_owned(), kind: Kind::Stream(kind) });
    }
    let name = file.display().to_string();
    let mut opened = File::open(file)?;
    let facts = opened.metadata()?;
    if facts.is_dir() {
        return Err(io::Error::other("it is a directory"));
    }
    let plain = facts.is_file() && packing(&first_bytes(&mut opened)?).is_none();
    if plain {
        return Ok(Input { name, kind: Kind::Plain(file.to_owned(), facts.len()) });
    }
    if facts.is_file() {
        opened.rewind()?;
    }
    Ok(Input { name, kind: Kind::Stream(unpacked(Box::new(opened))?) })
}

impl Input {
    /// Its length, where that is known and any part of it can be read.
    pub(super) const fn len(&self) -> Option<u64> {
        match &self.kind {
            Kind::Plain(_, length) => Some(*length),
            Kind::Stream(_) => None,
        }
    }

    /// The first lines' bytes; they are not lost.
    pub(super) fn sample(&mut self) -> io::Result<Vec<u8>> {
        let mut sample = Vec::new();
        match &mut self.kind {
            Kind::Plain(path, _) => {
                File::open(path)?.take(SAMPLE as u64).read_to_end(&mut sample)?;
            }
            Kind::Stream(stream) => {
                sample_of(stream, &mut sample)?;
                let rest = std::mem::replace(stream, Box::new(io::empty()));
                *stream = Box::new(Cursor::new(sample.clone()).chain(rest));
            }
        }
        Ok(sample)
    }

    /// Cuts it into pieces of about `bytes`, at least one.
    pub(super) fn pieces(self, number: usize, bytes: u64) -> io::Result<Vec<Piece>> {
        let (path, length) = match self.kind {
            Kind::Stream(bytes) => {
                return Ok(vec![Piece { input: number, bytes, part: Part::WHOLE }]);
            }
            Kind::Plain(path, length) => (path, length),
        };
        let count = (length / bytes.max(1)).max(1);
        let piece = |n: u64| {
            let (from, to) = (n * length / count, (n + 1) * length / count);
            let mut file = File::open(&path)?;
            // A byte earlier, to see whether a line ends just there.
            file.seek(SeekFrom::Start(from.saturating_sub(1)))?;
            // The last piece takes what has been written meanwhile too.
            let until = if n + 1 == count { u64::MAX } else { to - from.saturating_sub(1) };
            let part = Part { skip_first: from > 0, until };
            Ok(Piece { input: number, bytes: Box::new(file), part })
        };
        (0..count).map(piece).collect()
    }
}

/// Reads until the sample is full, or for a pipe, until it holds a line and no more is there.
fn sample_of(stream: &mut dyn Read, sample: &mut Vec<u8>) -> io::Result<()> {
    let mut block = vec![0; 64 << 10];
    loop {
        let n = stream.read(&mut block)?;
        sample.extend_from_slice(&block[..n]);
        let short = n < block.len() && memchr::memrchr(b'\n', sample).is_some();
        if n == 0 || short || sample.len() >= SAMPLE {
            return Ok(());
        }
    }
}
