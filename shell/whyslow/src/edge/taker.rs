//! Who takes the lines of files and of the journal. Following them knows nothing of what the lines
//! are for.

use whyslow_edge::framing::Frame;

use super::resume::{Oldest, Resume};
use super::worker::{Lies, Worker};

/// Gives the place to go on from, when it is asked for.
pub(crate) type PlaceOf<'a> = &'a mut dyn FnMut(&Oldest) -> Option<Resume>;

/// Takes lines, and keeps the place from which reading goes on.
pub(crate) trait Taker {
    /// Takes one line; gives its window where it is the first of window and file.
    fn take(&mut self, line: &[u8], lies: Lies) -> Option<i64>;

    /// Takes what the framer gave of a file.
    fn take_frame(&mut self, frame: Frame<'_>, lies: Lies);

    /// What is no line was read: it was too long, or no entry of the journal.
    fn handle_no_line(&mut self);

    /// So many bytes were read.
    fn handle_bytes(&mut self, n: u64);

    /// What was written may be lost before all of it had surely been read.
    fn handle_unsure(&mut self);

    /// So many lines were thrown away by who keeps them, who says so.
    fn handle_dropped(&mut self, n: u64);

    /// So many files are followed, and so many of their bytes are not read yet.
    fn handle_files(&mut self, files: u64, behind_bytes: u64);

    /// Why nothing is read, or that something is.
    fn handle_problem(&mut self, problem: Option<String>);

    /// The time a line bears, where it bears one; nothing is counted.
    fn time_of(&mut self, line: &[u8]) -> Option<i64>;

    /// The time of the last line.
    fn last_at_us(&self) -> Option<i64>;

    /// Whether so much waits that who can wait should.
    fn is_behind(&self) -> bool;

    /// Where reading stopped before.
    fn resume(&self) -> Option<&Resume>;

    /// Whether a place in the journal is kept: one that outlives a kill.
    fn keeps_journal(&self) -> bool;

    /// The first lines of windows that may still change.
    fn oldest(&mut self) -> &mut Oldest;

    /// Windows that cannot be made anew, since a file that had lines of them is gone.
    fn freeze(&mut self, windows: &mut dyn Iterator<Item = i64>);

    /// Time has passed; `at_once`: whatever the time, the place is kept.
    fn tick(&mut self, at_once: bool, place: PlaceOf<'_>);

    /// Reading broke off and begins anew: with what was kept as place, or with this one.
    fn break_off(&mut self, place: PlaceOf<'_>);

    /// Nothing more comes.
    fn finish(&mut self, place: PlaceOf<'_>);
}

impl Taker for Worker {
    fn take(&mut self, line: &[u8], lies: Lies) -> Option<i64> {
        Self::take(self, line, Some(lies))
    }

    fn take_frame(&mut self, frame: Frame<'_>, lies: Lies) {
        self.handle_frame_of(frame, lies);
    }

    fn handle_no_line(&mut self) {
        self.count(|tally| tally.too_long += 1);
    }

    fn handle_bytes(&mut self, n: u64) {
        self.count(|tally| tally.bytes += n);
    }

    fn handle_unsure(&mut self) {
        self.count(|tally| tally.unsure += 1);
    }

    /// A source's own journal is asked for without journald's word.
    fn handle_dropped(&mut self, _: u64) {}

    fn handle_files(&mut self, files: u64, behind_bytes: u64) {
        self.gauge(|gauges| (gauges.files, gauges.behind_bytes) = (files, behind_bytes));
    }

    fn handle_problem(&mut self, problem: Option<String>) {
        self.gauge(|gauges| gauges.problem = problem);
    }

    fn time_of(&mut self, line: &[u8]) -> Option<i64> {
        Self::time_of(self, line)
    }

    fn last_at_us(&self) -> Option<i64> {
        Self::last_at_us(self)
    }

    fn is_behind(&self) -> bool {
        Self::is_behind(self)
    }

    fn resume(&self) -> Option<&Resume> {
        Self::resume(self)
    }

    fn keeps_journal(&self) -> bool {
        self.stored_place().is_some_and(|place| place.journal.is_some())
    }

    fn oldest(&mut self) -> &mut Oldest {
        Self::oldest(self)
    }

    fn freeze(&mut self, windows: &mut dyn Iterator<Item = i64>) {
        Self::freeze(self, windows);
    }

    fn tick(&mut self, at_once: bool, place: PlaceOf<'_>) {
        if at_once { self.tick_at_once(place) } else { self.tick_with(place) }
    }

    /// The place that is stored is the one its windows were stored with.
    fn break_off(&mut self, _: PlaceOf<'_>) {}

    fn finish(&mut self, place: PlaceOf<'_>) {
        Self::finish(self, place);
    }
}
