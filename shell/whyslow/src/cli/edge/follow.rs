//! `--follow`: every window as it closes, as a table that is drawn anew in a terminal, else as
//! one line.

use std::fs::File;
use std::io::{self, Read, Seek as _, SeekFrom};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;

use serde::Serialize;
use whyslow_edge::format::Scratch;
use whyslow_edge::row::{Row, Totals};
use whyslow_edge::syslog;
use whyslow_edge::windows::{ClosedWindow, Grouping, Options, Windows};
use whyslow_model::Wall;
use whyslow_model::limits::EDGE_LINE_BYTES_MAX;

use super::format::Choice;
use super::table;
use super::tally::Tally;
use super::{Output, Stop, now};
use crate::cli::interrupt;
use crate::cli::render::columns::{share, spaced};

/// How long to wait for more before looking again.
const REST: Duration = Duration::from_millis(200);
/// Bytes read at once.
const BLOCK: usize = 256 << 10;
/// Blocks that wait to be counted.
const BLOCKS_MAX: usize = 16;
/// Seconds of a window.
pub(super) const SPAN_S: u32 = 10;

/// A window as `--json-lines` writes it, one a line.
#[derive(Debug, Serialize)]
struct WindowLine<'a> {
    schema: &'static str,
    start: Wall,
    revision: u32,
    lines: u64,
    rejected: u64,
    rows: &'a [Row],
}

/// Follows the files, or standard input to its end, and shows each window, until interrupted.
pub(super) fn run(
    files: &[PathBuf],
    choice: &Choice,
    options: Options,
    json: bool,
    out: &mut Output,
) -> Result<(), Stop> {
    let interrupted = interrupt::asked()
        .map_err(|e| Stop::operation(format!("cannot listen for signals: {e}")))?;
    let blocks = start(files);
    let mut windows = Windows::new(options);
    let mut tally = Tally::default();
    let mut scratch = Scratch::default();
    loop {
        let ended = match blocks.recv_timeout(REST) {
            Ok(Ok(block)) => {
                count(&block, choice, &mut windows, &mut tally, &mut scratch);
                false
            }
            Ok(Err((file, error))) => return Err(super::open::unreadable(&file, &error)),
            Err(RecvTimeoutError::Timeout) => {
                windows.handle_timeout(now());
                false
            }
            Err(RecvTimeoutError::Disconnected) => true,
        };
        let ended = ended || interrupted.load(Ordering::Relaxed);
        if ended {
            windows.finish();
        }
        while let Some(window) = windows.poll_window() {
            show(&window, &tally, json, out)?;
        }
        if ended {
            return Ok(());
        }
    }
}

type Block = Result<Vec<u8>, (String, io::Error)>;

/// A thread per file; what it gives ends where a line ends.
fn start(files: &[PathBuf]) -> Receiver<Block> {
    let (give, blocks) = sync_channel(BLOCKS_MAX);
    for file in files {
        let (file, give) = (file.clone(), give.clone());
        std::thread::spawn(move || {
            let ended = if file == Path::new("-") {
                let stdin = &mut io::stdin().lock();
                pump(stdin, &mut Vec::new(), &give).map(drop)
            } else {
                follow(&file, &give)
            };
            if let Err(error) = ended {
                // The other side is gone where this cannot be said.
                let _ = give.send(Err((file.display().to_string(), error)));
            }
        });
    }
    blocks
}

/// Follows one file from its end on; one that takes its place is read from its beginning.
fn follow(path: &Path, give: &SyncSender<Block>) -> io::Result<()> {
    let mut file = File::open(path)?;
    file.seek(SeekFrom::End(0))?;
    let mut rest = Vec::new();
    loop {
        if !pump(&mut file, &mut rest, give)? {
            return Ok(());
        }
        std::thread::sleep(REST);
        let facts = file.metadata()?;
        if facts.len() < file.stream_position()? {
            // Copied and truncated.
            file.rewind()?;
            rest.clear();
            continue;
        }
        let Ok(named) = std::fs::metadata(path) else { continue };
        if (named.dev(), named.ino()) != (facts.dev(), facts.ino()) {
            // Renamed: its last lines first.
            if !pump(&mut file, &mut rest, give)? {
                return Ok(());
            }
            let Ok(next) = File::open(path) else { continue };
            file = next;
            rest.clear();
        }
    }
}

/// Gives all whole lines there are; false where nobody takes them any more.
fn pump(input: &mut dyn Read, rest: &mut Vec<u8>, give: &SyncSender<Block>) -> io::Result<bool> {
    loop {
        let before = rest.len();
        rest.resize(before + BLOCK, 0);
        let read = input.read(&mut rest[before..]);
        rest.truncate(before + read.as_ref().copied().unwrap_or(0));
        match read {
            Ok(0) => return Ok(true),
            Ok(_) => {}
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            Err(e) => return Err(e),
        }
        let end = match memchr::memrchr(b'\n', rest) {
            Some(end) => end + 1,
            // A line without an end is cut, and what follows it rejected.
            None if rest.len() > EDGE_LINE_BYTES_MAX => rest.len(),
            None => continue,
        };
        let later = rest.split_off(end);
        if give.send(Ok(std::mem::replace(rest, later))).is_err() {
            return Ok(false);
        }
    }
}

fn count(
    block: &[u8],
    choice: &Choice,
    windows: &mut Windows,
    tally: &mut Tally,
    scratch: &mut Scratch,
) {
    let at = now();
    for line in block.strip_suffix(b"\n").unwrap_or(block).split(|byte| *byte == b'\n') {
        tally.lines += 1;
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.len() > EDGE_LINE_BYTES_MAX {
            tally.reject(0, &"the line is too long", line);
            continue;
        }
        match &syslog::read(&*choice.parser, line, &choice.context, scratch) {
            Ok(record) => {
                windows.handle_record(record, at);
                tally.parsed += 1;
            }
            Err(reject) => tally.reject(0, reject, line),
        }
    }
}

fn show(window: &ClosedWindow, tally: &Tally, json: bool, out: &mut Output) -> Result<(), Stop> {
    let start = Wall::from_millis(window.start_s.saturating_mul(1000));
    if json {
        return out.json_line(&WindowLine {
            schema: "whyslow.edge_window/1",
            start,
            revision: window.revision,
            lines: tally.lines,
            rejected: tally.rejected(),
            rows: &window.rows,
        });
    }
    let all = all(window);
    if out.is_terminal() && window.revision == 0 {
        // Clears the screen and goes to its top.
        out.line("\u{1b}[2J\u{1b}[H")?;
        for line in table::window_lines(window, &all) {
            out.line(line.coloured())?;
        }
    }
    if !out.is_terminal() || window.revision > 0 {
        out.line(sentence(start, window.revision, &all))?;
    }
    Ok(out.flush()?)
}

/// All requests of a window.
fn all(window: &ClosedWindow) -> Totals {
    let mut all = Totals::default();
    let of_vips = |row: &&Row| Grouping::of(&row.key) == Some(Grouping::Vip);
    window.rows.iter().filter(of_vips).for_each(|row| all.merge(&row.totals));
    all
}

/// `2026-11-21T10:00:10Z 95 020 requests, 9 502/s, most 10 018; p50 24.9 p90 78.5 p99 208 ms; …`
pub(super) fn sentence(start: Wall, revision: u32, all: &Totals) -> String {
    let text = start.to_string();
    let time = text.get(..19).unwrap_or(&text);
    let [p50, p90, p99] = [0.5, 0.9, 0.99].map(|q| table::quantile(&all.latency, q));
    let errors: u64 = all.codes.range(500..600).map(|(_, n)| n).sum();
    let again = if revision > 0 { format!(" (revision {revision})") } else { String::new() };
    format!(
        "{time}Z{again} {} requests, {}/s, most {}; p50 {p50} p90 {p90} p99 {p99} ms; 5xx {:.2} %",
        spaced(all.hits),
        spaced(all.hits / u64::from(SPAN_S)),
        spaced(all.peak_per_s.into()),
        share(errors, all.hits),
    )
}
