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
    /// A plain file, which several threads can read at once.
    Plain(Plain),
    /// Anything that is read from front to end.
    Stream(Box<dyn Read + Send>),
}

struct Plain {
    path: PathBuf,
    /// Bytes in it.
    length: u64,
    /// Bytes before its first line.
    mark: u64,
}

/// What Windows puts before UTF-8 text, which is none of its first line.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

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

/// Why an input could not be read, and what to do about it.
pub(super) fn unreadable(name: &str, error: &io::Error) -> Stop {
    let stop = Stop::unreadable(format!("cannot read {name}: {error}"));
    let kind = error.kind();
    if kind == io::ErrorKind::PermissionDenied {
        stop.hint("its owner may read it, often a group such as adm too; or run this with sudo")
    } else if kind == io::ErrorKind::IsADirectory {
        stop.hint(format!("name the logs in it: {name}/*.log"))
    } else if PACKED.contains(&kind) {
        stop.hint(
            "packed data that is damaged, or cut as while it is copied; zcat FILE (zstdcat for \
             zstd) | whyslow edge - reports on what there is of it",
        )
    } else {
        stop
    }
}

/// What unpacking says of packed data; plain files have no such errors.
const PACKED: [io::ErrorKind; 3] =
    [io::ErrorKind::UnexpectedEof, io::ErrorKind::InvalidInput, io::ErrorKind::InvalidData];

fn input(file: &Path) -> io::Result<Input> {
    if file == Path::new("-") {
        let kind = unmarked(unpacked(Box::new(io::stdin()))?)?;
        return Ok(Input { name: "standard input".to_owned(), kind: Kind::Stream(kind) });
    }
    let name = file.display().to_string();
    let mut opened = File::open(file)?;
    let facts = opened.metadata()?;
    if facts.is_dir() {
        return Err(io::Error::new(io::ErrorKind::IsADirectory, "it is a directory"));
    }
    if facts.is_file() {
        let first = first_bytes(&mut opened)?;
        if packing(&first).is_none() {
            let mark = if first.starts_with(BYTE_ORDER_MARK) { BYTE_ORDER_MARK.len() } else { 0 };
            let (path, length, mark) = (file.to_owned(), facts.len(), mark as u64);
            return Ok(Input { name, kind: Kind::Plain(Plain { path, length, mark }) });
        }
        opened.rewind()?;
    }
    Ok(Input { name, kind: Kind::Stream(unmarked(unpacked(Box::new(opened))?)?) })
}

/// The stream without the mark before its text.
fn unmarked(mut stream: Box<dyn Read + Send>) -> io::Result<Box<dyn Read + Send>> {
    let mut first = Vec::new();
    (&mut stream).take(BYTE_ORDER_MARK.len() as u64).read_to_end(&mut first)?;
    if first == BYTE_ORDER_MARK {
        return Ok(stream);
    }
    Ok(Box::new(Cursor::new(first).chain(stream)))
}

impl Input {
    /// Its length, where that is known and any part of it can be read.
    pub(super) const fn len(&self) -> Option<u64> {
        match &self.kind {
            Kind::Plain(plain) => Some(plain.length),
            Kind::Stream(_) => None,
        }
    }

    /// The first lines' bytes; they are not lost.
    pub(super) fn sample(&mut self) -> io::Result<Vec<u8>> {
        let mut sample = Vec::new();
        match &mut self.kind {
            Kind::Plain(Plain { path, mark, .. }) => {
                let mut file = File::open(path)?;
                file.seek(SeekFrom::Start(*mark))?;
                file.take(SAMPLE as u64).read_to_end(&mut sample)?;
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
        let Plain { path, length, mark } = match self.kind {
            Kind::Stream(bytes) => {
                return Ok(vec![Piece { input: number, bytes, part: Part::WHOLE }]);
            }
            Kind::Plain(plain) => plain,
        };
        let count = (length / bytes.max(1)).max(1);
        let piece = |n: u64| {
            let (from, to) = (n * length / count, (n + 1) * length / count);
            let mut file = File::open(&path)?;
            // A byte earlier, to see whether a line ends just there.
            let start = if n == 0 { mark } else { from.saturating_sub(1) };
            file.seek(SeekFrom::Start(start))?;
            // The last piece takes what has been written meanwhile too.
            let until = if n + 1 == count { u64::MAX } else { to.saturating_sub(start) };
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
