//! One pass over all inputs: pieces to threads, each with tables of its own, added up at the end.

use std::io;
use std::sync::Mutex;
use std::sync::PoisonError;

use whyslow_edge::format::Scratch;
use whyslow_edge::record::Record;
use whyslow_edge::report::{Options, Report};
use whyslow_edge::syslog;
use whyslow_model::limits::EDGE_LINE_BYTES_MAX;

use super::Stop;
use super::format::Choice;
use super::lines::each;
use super::open::{Input, Piece, unreadable};
use super::sequence::Runs;
use super::tally::Tally;

/// The smallest piece worth a turn.
const PIECE_MIN: u64 = 4 << 20;
/// Pieces a thread gets of one file, so that none waits long for the last.
const PIECES_PER_THREAD: u64 = 8;

/// Reads everything and reports on it.
pub(super) fn read(
    inputs: Vec<Input>,
    choice: &Choice,
    options: &Options,
    threads: usize,
) -> Result<Done, Stop> {
    let names: Vec<String> = inputs.iter().map(|input| input.name.clone()).collect();
    let pieces = cut(inputs, threads)?;
    let threads = threads.min(pieces.len()).max(1);
    let queue = Mutex::new(pieces.into_iter().enumerate());
    let work = || -> Result<(Report, Vec<Read>), (usize, io::Error)> {
        let mut report = Report::new(options.clone());
        let mut scratch = Scratch { wanted: options.wanted(), ..Scratch::default() };
        let mut done = Vec::new();
        loop {
            let next = queue.lock().unwrap_or_else(PoisonError::into_inner).next();
            let Some((order, piece)) = next else { return Ok((report, done)) };
            let input = piece.input;
            let mut runs = Runs::default();
            let read = read_piece(piece, choice, &mut scratch, &mut report, &mut runs);
            done.push(Read { order, input, tally: read.map_err(|e| (input, e))?, runs });
        }
    };
    let ended: Vec<_> = std::thread::scope(|scope| {
        let others: Vec<_> = (1..threads).map(|_| scope.spawn(work)).collect();
        let own = work();
        let joined =
            others.into_iter().map(|t| t.join().unwrap_or_else(|e| std::panic::resume_unwind(e)));
        std::iter::once(own).chain(joined).collect()
    });
    let mut all: Option<Report> = None;
    let mut done = Vec::new();
    for end in ended {
        let (report, read) = end.map_err(|(input, e)| unreadable(&names[input], &e))?;
        done.extend(read);
        match &mut all {
            Some(all) => all.absorb(report),
            None => all = Some(report),
        }
    }
    let report = all.unwrap_or_else(|| Report::new(options.clone()));
    let (tally, runs) = in_order(done);
    Ok(Done { report, tally, runs })
}

/// Everything that was read.
pub(super) struct Done {
    pub(super) report: Report,
    pub(super) tally: Tally,
    /// The numbers of the lines, piece by piece in the order of the inputs.
    pub(super) runs: Vec<Runs>,
}

/// A piece that was read.
struct Read {
    order: usize,
    input: usize,
    tally: Tally,
    runs: Runs,
}

fn cut(inputs: Vec<Input>, threads: usize) -> Result<Vec<Piece>, Stop> {
    let mut pieces = Vec::new();
    for (number, input) in inputs.into_iter().enumerate() {
        let name = input.name.clone();
        let bytes = if threads == 1 {
            u64::MAX
        } else {
            input.len().map_or(u64::MAX, |length| {
                (length / (threads as u64 * PIECES_PER_THREAD)).max(PIECE_MIN)
            })
        };
        pieces.extend(input.pieces(number, bytes).map_err(|e| unreadable(&name, &e))?);
    }
    Ok(pieces)
}

fn read_piece(
    mut piece: Piece,
    choice: &Choice,
    scratch: &mut Scratch,
    report: &mut Report,
    runs: &mut Runs,
) -> io::Result<Tally> {
    // Most of a line need not be read for a report by names alone.
    let briefly = report.is_by_names();
    let (input, tally) = (piece.input, Tally::default());
    let mut counting = Counting { choice, scratch, report, runs, input, tally };
    each(&mut *piece.bytes, piece.part, |line| {
        counting.tally.lines += 1;
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let short = line.len() <= EDGE_LINE_BYTES_MAX;
        if !(briefly && short && counting.in_brief(line)) {
            counting.whole(line);
        }
    })?;
    Ok(counting.tally)
}

/// A piece that is being counted.
struct Counting<'a> {
    choice: &'a Choice,
    scratch: &'a mut Scratch,
    report: &'a mut Report,
    runs: &'a mut Runs,
    input: usize,
    tally: Tally,
}

impl Counting<'_> {
    /// Counts a line without reading all of it; false where that cannot be.
    #[inline(always)]
    fn in_brief(&mut self, line: &[u8]) -> bool {
        let Choice { parser, context, .. } = self.choice;
        let brief = syslog::brief(&**parser, line, context, self.scratch);
        let counted = brief.is_some_and(|brief| self.report.handle_brief(&brief));
        self.tally.parsed += u64::from(counted);
        counted
    }

    /// Reads and counts a line.
    #[inline(never)]
    fn whole(&mut self, line: &[u8]) {
        if line.len() > EDGE_LINE_BYTES_MAX {
            self.tally.reject(self.input, &"the line is too long", line);
            return;
        }
        let Choice { parser, context, .. } = self.choice;
        let mut record = Record::default();
        match syslog::read_into(&**parser, line, context, self.scratch, &mut record) {
            Ok(()) => {
                self.report.handle_record(&record);
                self.runs.handle_record(&record);
                self.tally.parsed += 1;
            }
            Err(reject) => self.tally.reject(self.input, &reject, line),
        }
    }
}

/// Adds tallies in the order of their pieces, so that line numbers are right.
fn in_order(mut done: Vec<Read>) -> (Tally, Vec<Runs>) {
    done.sort_by_key(|read| read.order);
    let mut all = Tally::default();
    let mut runs = Vec::new();
    let (mut input, mut before) = (0, 0);
    for read in done {
        if read.input != input {
            (input, before) = (read.input, 0);
        }
        let lines = read.tally.lines;
        all.add(read.tally, before);
        runs.push(read.runs);
        before += lines;
    }
    (all, runs)
}
