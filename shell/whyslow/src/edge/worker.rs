//! What one thread does with each line: cut the header, parse, count, gather into windows.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::mpsc::{SyncSender, TrySendError};
use std::time::{Duration, Instant};

use whyslow_edge::auto::LiveCheck;
use whyslow_edge::completeness::{Loss, Numbers};
use whyslow_edge::format::{Context, Reject, Scratch};
use whyslow_edge::framing::Frame;
use whyslow_edge::record::Record;
use whyslow_edge::slow::{SlowCount, SlowKeeper, SlowRow};
use whyslow_edge::windows::{ClosedWindow, Windows};
use whyslow_model::Wall;
use whyslow_model::limits::{EDGE_SLOW_WAITING_MAX, EDGE_WINDOWS_OPEN_MAX};
use whyslow_sys::clock;

use super::counters::{self, Gauges, Tally};
use super::keeper::Harvest;
use super::reading::Reading;
use super::resume::{self, Oldest, Resume, SPAN_S};
use super::stored_place;
use super::zone::Zoned;
use crate::storage::Db;

/// Device and number of a file.
pub(crate) type FileId = (u64, u64);

/// How often a worker looks at the clocks and gives its counts to the others.
const TICK: Duration = Duration::from_millis(200);
/// How often the place to go on from is stored where no window is complete.
const PLACE_EVERY: Duration = Duration::from_secs(5);
/// Rows that are worth a commit at once, and beyond twice of which reading files waits.
const ROWS_AT_ONCE: usize = 10_000;

/// Where a line of a file lies.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lies {
    /// In which file.
    pub(super) file: FileId,
    /// Where it begins.
    pub(super) begins: u64,
    /// Lines of the file that begin before were counted before the last start.
    pub(super) counted_to: u64,
    /// Slow requests of lines that begin before are stored.
    pub(super) slow_from: u64,
    /// When it was written, should it bear no time: microseconds since the epoch.
    pub(crate) at_us: Option<i64>,
}

impl Lies {
    /// Of a journal, read again or not.
    #[cfg(test)]
    pub(crate) const fn in_journal(again: bool, at_us: Option<i64>) -> Self {
        let counted_to = if again { u64::MAX } else { 0 };
        Self { file: (0, 0), begins: 1, counted_to, slow_from: 0, at_us }
    }

    /// Whether it was taken before the last start.
    pub(crate) const fn again(&self) -> bool {
        self.begins < self.counted_to
    }
}

/// What a worker is made of.
#[derive(Debug)]
pub(super) struct Parts {
    /// Its number within the source.
    pub(super) number: usize,
    /// The source's name.
    pub(super) name: Arc<str>,
    /// Tells this worker's windows from those of others, and of its own earlier lives.
    pub(super) part: u64,
    pub(super) counted: Arc<counters::Counted>,
    pub(super) reading: Reading,
    pub(super) zone: Zoned,
    pub(super) windows: Windows,
    pub(super) slow: SlowKeeper,
    /// What the balancer numbered, of the lines that came.
    pub(super) numbers: Numbers,
    pub(super) outbox: SyncSender<Harvest>,
    /// Whether lines are read again after a restart.
    pub(super) rereads: bool,
    /// Windows of the source that start before cannot change any more.
    pub(super) frontier: Arc<AtomicI64>,
    /// What was stored of the source before.
    pub(super) resume: Option<Resume>,
    /// Where it is stored.
    pub(super) db: Db,
}

/// One worker's private part; nothing of it is shared while lines are read.
#[derive(Debug)]
pub(super) struct Worker {
    parts: Parts,
    tally: Tally,
    /// Whether lines are what the format says, and what was said of that last.
    check: LiveCheck,
    misread: Option<String>,
    scratch: Scratch,
    context: Context,
    now: Wall,
    ticked: Instant,
    before: resume::Counted,
    oldest: Oldest,
    last_at_us: Option<i64>,
    /// When the keeper was last told where to go on.
    place_sent: Option<Instant>,
    /// Windows that wait for the keeper, and the number of their rows.
    pending: BTreeMap<i64, ClosedWindow>,
    pending_rows: usize,
    /// Slow requests that wait for the keeper, and how many there were.
    slow: Vec<SlowRow>,
    slow_counts: Vec<SlowCount>,
    /// The start of their window.
    slow_start_s: i64,
    /// Windows that the keeper must not take for whole.
    frozen: Vec<i64>,
}

impl Worker {
    pub(super) fn new(mut parts: Parts) -> Self {
        let now = clock::wall();
        let before_s = parts.resume.as_ref().and_then(|resume| resume.before_s);
        let frozen = parts.resume.as_ref().map(|r| r.frozen.clone()).unwrap_or_default();
        if let Some(before_s) = before_s {
            parts.windows.handle_gone_before(before_s);
        }
        Self {
            tally: Tally::default(),
            check: LiveCheck::default(),
            misread: None,
            scratch: Scratch::default(),
            context: Context { near: now, zone_s: parts.zone.offset_s(now) },
            now,
            ticked: Instant::now(),
            frozen: frozen.iter().copied().collect(),
            before: resume::Counted { before_s, frozen },
            oldest: Oldest::default(),
            last_at_us: None,
            place_sent: None,
            slow: Vec::new(),
            slow_counts: Vec::new(),
            slow_start_s: now.as_nanos().div_euclid(10_000_000_000) * i64::from(SPAN_S),
            pending: BTreeMap::new(),
            pending_rows: 0,
            parts,
        }
    }

    /// What was stored of the source before.
    pub(super) const fn resume(&self) -> Option<&Resume> {
        self.parts.resume.as_ref()
    }

    /// What is stored of the source now.
    pub(super) fn stored_place(&self) -> Option<Resume> {
        stored_place(&self.parts.db, &self.parts.name)
    }

    /// Says that windows cannot be made anew, since a file that had lines of them is gone.
    pub(super) fn freeze(&mut self, windows: impl Iterator<Item = i64>) {
        self.before.frozen.extend(windows);
        self.frozen = self.before.frozen.iter().copied().collect();
    }

    /// The first lines of windows that may still change.
    pub(super) const fn oldest(&mut self) -> &mut Oldest {
        &mut self.oldest
    }

    /// Takes what the framer gave. False where nothing more can be read from this stream.
    pub(super) fn handle_frame(&mut self, frame: Frame<'_>) -> bool {
        match frame {
            Frame::Line(line) => self.handle_line(line),
            Frame::TooLong => self.tally.too_long += 1,
            Frame::Broken => {
                self.tally.broken += 1;
                return false;
            }
        }
        true
    }

    /// Takes what the framer gave of a file.
    pub(super) fn handle_frame_of(&mut self, frame: Frame<'_>, lies: Lies) {
        match frame {
            Frame::Line(line) => {
                self.take(line, Some(lies));
            }
            Frame::TooLong | Frame::Broken if lies.again() => self.tally.seen_before += 1,
            Frame::TooLong | Frame::Broken => self.tally.too_long += 1,
        }
    }

    /// Takes one line.
    pub(super) fn handle_line(&mut self, line: &[u8]) {
        self.take(line, None);
    }

    /// Takes one line; gives its window where it is the first of window and file.
    pub(super) fn take(&mut self, line: &[u8], lies: Option<Lies>) -> Option<i64> {
        self.parts.reading.look_at(line, &self.context);
        let again = lies.is_some_and(|lies| lies.again());
        let read = self.parts.reading.read(line, &self.context, &mut self.scratch);
        let mut record = match read {
            Ok(record) => record,
            Err(reason) => {
                let is_notice =
                    matches!(reason, Reject::NotARequest(_)) && self.parts.reading.is_known();
                self.check.handle_rejected(line, reason, is_notice);
                if again {
                    self.tally.seen_before += 1;
                } else {
                    self.tally.rejected_line(reason, line);
                }
                return None;
            }
        };
        self.check.handle_parsed();
        let start_s = dated(&mut record, lies, self.now);
        self.last_at_us = record.at_us;
        if lies.is_none_or(|lies| lies.begins >= lies.slow_from) {
            self.parts.slow.handle_record(&record);
            if let Some(lies) = lies {
                self.oldest.note_slow(lies.file, lies.begins);
            }
        }
        if again {
            self.tally.seen_before += 1;
            if self.before.stays(start_s) {
                return None;
            }
        } else {
            self.tally.parsed += 1;
            self.tally.newest_at_us = self.tally.newest_at_us.max(record.at_us);
        }
        if !again {
            self.parts.numbers.handle_line(record.vip, record.sequence);
        }
        let gone = start_s < self.parts.windows.gone_before_s();
        let first =
            lies.is_some_and(|lies| !gone && self.oldest.note(start_s, lies.file, lies.begins));
        self.parts.windows.handle_record(&record, self.now);
        first.then_some(start_s)
    }

    /// The time a line bears, where it is a request that bears one; nothing is counted.
    pub(super) fn time_of(&mut self, line: &[u8]) -> Option<i64> {
        self.parts.reading.look_at(line, &self.context);
        self.parts.reading.read(line, &self.context, &mut self.scratch).ok()?.at_us
    }

    /// The time of the last request.
    pub(super) const fn last_at_us(&self) -> Option<i64> {
        self.last_at_us
    }

    /// Counts by hand what is no line.
    pub(super) fn count(&mut self, change: impl FnOnce(&mut Tally)) {
        change(&mut self.tally);
    }

    /// Says how things stand.
    pub(super) fn gauge(&self, change: impl FnOnce(&mut Gauges)) {
        self.parts.counted.gauge(self.parts.number, change);
    }

    /// Whether so much waits for the keeper that who can wait should.
    pub(super) fn is_behind(&self) -> bool {
        self.pending_rows > 2 * ROWS_AT_ONCE
    }

    /// Looks at the clocks, gives counts and windows to the others, if it is time for that.
    pub(super) fn tick(&mut self) {
        self.tick_with(|_| None);
    }

    /// As [`Worker::tick`], with the place from which the source goes on after a restart.
    pub(super) fn tick_with(&mut self, resume: impl FnOnce(&Oldest) -> Option<Resume>) {
        self.gather();
        if self.parts.numbers.is_full() {
            self.parts.counted.ledger(|ledger| ledger.handle_numbers(&mut self.parts.numbers));
        }
        if self.ticked.elapsed() >= TICK || self.pending_rows >= ROWS_AT_ONCE {
            self.settle();
            self.send(resume, false);
        }
    }

    /// As [`Worker::tick_with`], whatever the time.
    pub(super) fn tick_at_once(&mut self, resume: impl FnOnce(&Oldest) -> Option<Resume>) {
        self.settle();
        self.send(resume, false);
    }

    /// Ends the window of slow requests, whatever the time.
    #[cfg(test)]
    pub(super) const fn end_slow(&mut self) {
        self.slow_start_s -= SPAN_S as i64;
    }

    /// Gives everything to the others before the end, and waits until it is taken.
    pub(super) fn finish(&mut self, resume: impl FnOnce(&Oldest) -> Option<Resume>) {
        self.parts.windows.finish();
        self.parts.slow.handle_window_end(self.slow_start_s);
        self.oldest.forget_slow();
        self.gather();
        self.settle();
        self.send(resume, true);
    }

    fn settle(&mut self) {
        self.ticked = Instant::now();
        self.now = clock::wall();
        self.context = Context { near: self.now, zone_s: self.parts.zone.offset_s(self.now) };
        self.parts.windows.handle_timeout(self.now);
        let gone = self.parts.windows.gone_before_s();
        let frontier = self.parts.frontier.fetch_max(gone, Ordering::Relaxed);
        if frontier > gone {
            self.parts.windows.handle_gone_before(frontier);
        }
        self.gather();
        let (numbers, dropped) = (&mut self.parts.numbers, self.tally.kernel_dropped);
        self.parts.counted.ledger(|ledger| {
            ledger.handle_numbers(numbers);
            if dropped > 0 {
                ledger.handle_lost(dropped, Loss::Kernel);
            }
        });
        self.end_slow_window();
        self.parts.counted.add(&std::mem::take(&mut self.tally));
        let (format, windows) = (self.parts.reading.found(), self.parts.windows.counters());
        self.gauge(|g| (g.format, g.windows) = (format, windows));
        self.check_format();
    }

    /// Says it where lines are not what the format says.
    fn check_format(&mut self) {
        let known = self.parts.reading.is_known();
        let Some(text) = self.check.poll_text(&self.context, known) else { return };
        match (&self.misread, &text) {
            (None, Some(text)) => tracing::warn!("source {}: {text}", self.parts.name),
            (Some(_), None) => tracing::info!("source {}: lines parse again", self.parts.name),
            (None, None) | (Some(_), Some(_)) => {}
        }
        self.misread.clone_from(&text);
        self.gauge(|g| g.misread = text);
    }

    /// Ends the window of slow requests, by our own clock.
    fn end_slow_window(&mut self) {
        let span_s = i64::from(SPAN_S);
        let start_s = self.now.as_nanos().div_euclid(1_000_000_000 * span_s) * span_s;
        if start_s > self.slow_start_s {
            self.parts.slow.handle_window_end(self.slow_start_s);
            self.oldest.forget_slow();
            self.slow_start_s = start_s;
        }
        self.slow.extend(std::iter::from_fn(|| self.parts.slow.poll_kept()));
        self.slow_counts.extend(std::iter::from_fn(|| self.parts.slow.poll_count()));
        let most = 2 * EDGE_SLOW_WAITING_MAX;
        if self.slow.len() > most {
            self.slow.drain(..self.slow.len() - most);
        }
    }

    /// Takes what the windows give out. Who cannot wait loses the oldest where the keeper takes
    /// nothing for long, and it is counted.
    fn gather(&mut self) {
        while let Some(window) = self.parts.windows.poll_window() {
            self.parts.slow.handle_rows(&window.rows);
            self.pending_rows += window.rows.len();
            if let Some(before) = self.pending.insert(window.start_s, window) {
                self.pending_rows -= before.rows.len();
            }
        }
        while self.pending.len() > EDGE_WINDOWS_OPEN_MAX && self.is_behind() {
            let Some((_, window)) = self.pending.pop_first() else { break };
            self.pending_rows -= window.rows.len();
            self.tally.unstored_windows += 1;
        }
    }

    fn send(&mut self, resume: impl FnOnce(&Oldest) -> Option<Resume>, wait: bool) {
        let before_s = self.parts.windows.gone_before_s();
        self.oldest.forget_before(before_s);
        let place_is_old =
            self.parts.rereads && self.place_sent.is_none_or(|sent| sent.elapsed() >= PLACE_EVERY);
        let idle = self.pending.is_empty() && self.frozen.is_empty() && self.slow.is_empty();
        if idle && !place_is_old && !wait {
            return;
        }
        let harvest = Harvest {
            part: self.parts.part,
            before_s: (before_s > i64::MIN).then_some(before_s),
            windows: std::mem::take(&mut self.pending).into_values().collect(),
            frozen: std::mem::take(&mut self.frozen),
            slow: std::mem::take(&mut self.slow),
            slow_counts: std::mem::take(&mut self.slow_counts),
            resume: resume(&self.oldest).map(|resume| Resume {
                frozen: self.before.frozen.iter().copied().filter(|s| *s >= before_s).collect(),
                ..resume
            }),
        };
        let refused = if wait {
            self.parts.outbox.send(harvest).err().map(|e| e.0)
        } else {
            self.parts.outbox.try_send(harvest).err().map(|e| match e {
                TrySendError::Full(harvest) | TrySendError::Disconnected(harvest) => harvest,
            })
        };
        match refused {
            None => {
                self.pending_rows = 0;
                self.place_sent = Some(Instant::now());
            }
            Some(harvest) => {
                self.frozen = harvest.frozen;
                (self.slow, self.slow_counts) = (harvest.slow, harvest.slow_counts);
                self.pending = harvest.windows.into_iter().map(|w| (w.start_s, w)).collect();
            }
        }
    }
}

/// Gives a record without a time the one at which it was written, or now. Gives the start of its
/// window.
fn dated(record: &mut Record<'_>, lies: Option<Lies>, now: Wall) -> i64 {
    let written_us = lies.and_then(|lies| lies.at_us).unwrap_or(now.as_nanos() / 1000);
    let at_us = record.at_us.unwrap_or(written_us);
    record.at_us = Some(at_us);
    let (second, span_s) = (at_us.div_euclid(1_000_000), i64::from(SPAN_S));
    second.div_euclid(span_s) * span_s
}
