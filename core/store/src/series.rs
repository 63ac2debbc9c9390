//! One series in the head: its windows of two hours that may still change.

use std::sync::Arc;

use whyslow_model::Labels;

use crate::batch::Refusal;
use crate::chunk::{self, Appender};

/// Length of the stretch of time one chunk covers; chunks begin at its multiples.
pub const WINDOW_MS: i64 = 2 * 60 * 60 * 1000;
/// Late samples kept beside a chunk before they are merged into it.
const LATE_BESIDE_MAX: usize = 64;

/// The start of the window in which `at_ms` lies.
pub const fn window_start(at_ms: i64) -> i64 {
    at_ms.saturating_sub(at_ms.rem_euclid(WINDOW_MS))
}

/// What became of one sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Admission {
    /// The newest of its series.
    Taken,
    /// Older than the newest.
    TakenLate,
    /// Already there.
    Duplicate,
    /// Not taken.
    Refused(Refusal),
}

/// One series.
#[derive(Debug)]
pub(crate) struct Series {
    pub(crate) id: i64,
    pub(crate) labels: Labels,
    /// The oldest sample's time; after `newest_ms` where there is none yet.
    pub(crate) first_ms: i64,
    /// The newest sample's time.
    pub(crate) newest_ms: i64,
    /// What lies before this is on disk alone and changes no more.
    pub(crate) floor_ms: i64,
    /// When a sample last came, by the shell's clock, in seconds.
    pub(crate) touched_s: i64,
    /// The windows at and after the floor, ascending, none of them empty.
    windows: Vec<Window>,
}

/// The samples of one window.
#[derive(Debug)]
struct Window {
    start_ms: i64,
    body: Body,
    /// Late samples, ascending, none of them in the body and none newer than its last.
    late: Vec<(i64, f64)>,
    /// Whether it differs from what is on disk.
    dirty: bool,
}

#[derive(Debug)]
enum Body {
    Open(Appender),
    Packed(Arc<[u8]>),
}

/// A window as it was at one moment, to be read without the head.
#[derive(Clone, Debug)]
pub struct Piece {
    start_ms: i64,
    bytes: Arc<[u8]>,
    late: Vec<(i64, f64)>,
}

/// A window to be written to disk.
#[derive(Clone, Debug)]
pub struct Sealed {
    /// Its start, a multiple of [`WINDOW_MS`].
    pub start_ms: i64,
    /// Its chunk.
    pub bytes: Arc<[u8]>,
}

impl Series {
    pub(crate) const fn new(id: i64, labels: Labels) -> Self {
        Self {
            id,
            labels,
            first_ms: i64::MAX,
            newest_ms: i64::MIN,
            floor_ms: i64::MIN,
            touched_s: 0,
            windows: Vec::new(),
        }
    }

    /// Takes a sample, or says why not.
    pub(crate) fn append(&mut self, at: i64, value: f64, late_ms: i64) -> Admission {
        let admission = if at > self.newest_ms {
            self.push(at, value)
        } else if at < self.newest_ms.saturating_sub(late_ms) {
            Admission::Refused(Refusal::TooOld)
        } else {
            self.fit(at, value)
        };
        if matches!(admission, Admission::Taken | Admission::TakenLate) {
            self.first_ms = self.first_ms.min(at);
            self.newest_ms = self.newest_ms.max(at);
        }
        admission
    }

    /// Takes a sample newer than all.
    fn push(&mut self, at: i64, value: f64) -> Admission {
        if at < self.floor_ms {
            return Admission::Refused(Refusal::TooOld);
        }
        let start_ms = window_start(at);
        match self.windows.last_mut() {
            Some(w) if w.start_ms == start_ms => {
                w.open().push(at, value);
                w.dirty = true;
            }
            _ => {
                // There are one or two, of many series: room for four would be mostly air.
                self.windows.reserve_exact(1);
                self.windows.push(Window::new(at, value));
            }
        }
        Admission::Taken
    }

    /// Takes a sample that is not newer than all.
    fn fit(&mut self, at: i64, value: f64) -> Admission {
        if at < self.floor_ms {
            return Admission::Refused(Refusal::TooOld);
        }
        let start_ms = window_start(at);
        match self.windows.binary_search_by_key(&start_ms, |w| w.start_ms) {
            Ok(i) => self.windows[i].fit(at, value),
            Err(i) => {
                self.windows.insert(i, Window::new(at, value));
                Admission::TakenLate
            }
        }
    }

    /// Takes back a window that is on disk; false for bytes that are no chunk.
    pub(crate) fn restore(&mut self, start_ms: i64, bytes: Arc<[u8]>) -> bool {
        let (mut times, mut values) = (Vec::new(), Vec::new());
        if chunk::decode(&bytes, &mut times, &mut values).is_err() {
            return false;
        }
        let (Some(first), Some(last)) = (times.first(), times.last()) else { return false };
        self.first_ms = self.first_ms.min(*first);
        self.newest_ms = self.newest_ms.max(*last);
        let restored =
            Window { start_ms, body: Body::Packed(bytes), late: Vec::new(), dirty: false };
        match self.windows.binary_search_by_key(&start_ms, |w| w.start_ms) {
            Ok(i) => self.windows[i] = restored,
            Err(i) => self.windows.insert(i, restored),
        }
        true
    }

    /// The windows that overlap the range, as they are now.
    pub(crate) fn pieces(&self, from_ms: i64, to_ms: i64) -> Vec<Piece> {
        let overlaps =
            |w: &&Window| w.start_ms <= to_ms && w.start_ms.saturating_add(WINDOW_MS) > from_ms;
        self.windows.iter().filter(overlaps).map(Window::piece).collect()
    }

    /// Packs the windows that end by `until_ms` and differ from what is on disk; they count as
    /// saved from now on.
    pub(crate) fn seal(&mut self, until_ms: i64) -> Vec<Sealed> {
        let newest = self.newest_ms;
        let dirty = self.windows.iter_mut().filter(|w| w.dirty && w.ends_by(until_ms));
        dirty.map(|w| w.seal(newest)).collect()
    }

    /// Takes back that the window which begins at `start_ms` is saved.
    pub(crate) fn unseal(&mut self, start_ms: i64) {
        for w in self.windows.iter_mut().filter(|w| w.start_ms == start_ms) {
            w.dirty = true;
        }
    }

    /// The windows that can change no more: saved, and ending by `closed_ms`.
    pub(crate) fn finished(&self, closed_ms: i64) -> impl Iterator<Item = Piece> {
        let done = move |w: &&Window| !w.dirty && w.ends_by(closed_ms);
        self.windows.iter().take_while(done).map(Window::piece)
    }

    /// Forgets what [`Series::finished`] named and raises the floor over it.
    pub(crate) fn forget_finished(&mut self, closed_ms: i64) {
        let done = self.windows.iter().take_while(|w| !w.dirty && w.ends_by(closed_ms)).count();
        if let Some(last) = self.windows[..done].last() {
            self.floor_ms = last.start_ms.saturating_add(WINDOW_MS);
        }
        self.windows.drain(..done);
        self.windows.shrink_to_fit();
    }

    /// The start of the oldest window held in memory.
    pub(crate) fn oldest_window(&self) -> Option<i64> {
        self.windows.first().map(|w| w.start_ms)
    }

    /// Bytes of samples held in memory.
    pub(crate) fn sample_bytes(&self) -> usize {
        self.windows.iter().map(Window::sample_bytes).sum()
    }
}

impl Window {
    fn new(at: i64, value: f64) -> Self {
        Self {
            start_ms: window_start(at),
            body: Body::Open(Appender::new(at, value)),
            late: Vec::new(),
            dirty: true,
        }
    }

    const fn ends_by(&self, until_ms: i64) -> bool {
        self.start_ms.saturating_add(WINDOW_MS) <= until_ms
    }

    /// The chunk to append to, unpacked where it must be.
    fn open(&mut self) -> &mut Appender {
        if matches!(self.body, Body::Packed(_)) {
            self.rebuild();
        }
        match &mut self.body {
            Body::Open(chunk) => chunk,
            Body::Packed(_) => unreachable!("rebuilding opens the chunk"),
        }
    }

    /// Takes a sample that is not newer than all of its series.
    fn fit(&mut self, at: i64, value: f64) -> Admission {
        let (times, values) = self.columns();
        if times.last().is_some_and(|last| *last < at) {
            self.open().push(at, value);
            self.dirty = true;
            return Admission::TakenLate;
        }
        if let Ok(i) = times.binary_search(&at) {
            let same = values[i].to_bits() == value.to_bits();
            return if same { Admission::Duplicate } else { Admission::Refused(Refusal::Conflict) };
        }
        let i = self.late.partition_point(|l| l.0 < at);
        self.late.insert(i, (at, value));
        self.dirty = true;
        if self.late.len() >= LATE_BESIDE_MAX {
            self.rebuild();
        }
        Admission::TakenLate
    }

    /// All samples of the window.
    fn columns(&self) -> (Vec<i64>, Vec<f64>) {
        let mut columns = (Vec::new(), Vec::new());
        self.piece().read(&mut columns.0, &mut columns.1);
        columns
    }

    fn rebuild(&mut self) {
        let (times, values) = self.columns();
        let Some(chunk) = Appender::of(&times, &values) else {
            unreachable!("a window holds a sample")
        };
        self.body = Body::Open(chunk);
        self.late = Vec::new();
    }

    /// Packs the window and counts it as saved; one that is no longer appended to stays packed in memory too.
    fn seal(&mut self, newest_ms: i64) -> Sealed {
        let (times, values) = self.columns();
        let bytes: Arc<[u8]> = chunk::pack(&times, &values).into();
        if window_start(newest_ms) != self.start_ms {
            self.body = Body::Packed(Arc::clone(&bytes));
            self.late = Vec::new();
        }
        self.dirty = false;
        Sealed { start_ms: self.start_ms, bytes }
    }

    fn piece(&self) -> Piece {
        let bytes = match &self.body {
            Body::Open(chunk) => chunk.encoded().into(),
            Body::Packed(bytes) => Arc::clone(bytes),
        };
        Piece { start_ms: self.start_ms, bytes, late: self.late.clone() }
    }

    fn sample_bytes(&self) -> usize {
        let body = match &self.body {
            Body::Open(chunk) => chunk.bytes(),
            Body::Packed(bytes) => bytes.len(),
        };
        body + self.late.len() * size_of::<(i64, f64)>()
    }
}

impl Piece {
    /// Whether it may hold samples of the stretch, its end excluded.
    pub const fn overlaps(&self, from_ms: i64, to_ms: i64) -> bool {
        self.start_ms < to_ms && self.start_ms.saturating_add(WINDOW_MS) > from_ms
    }

    /// Appends the samples, ascending, to the two columns.
    ///
    /// # Panics
    /// Where the head's own bytes do not decode, which is a bug.
    pub fn read(&self, times_ms: &mut Vec<i64>, values: &mut Vec<f64>) {
        let before = times_ms.len();
        let read = chunk::decode(&self.bytes, times_ms, values);
        assert!(read.is_ok(), "the head keeps what it encoded: {read:?}");
        if !self.late.is_empty() {
            self.merge_late(before, times_ms, values);
        }
    }

    fn merge_late(&self, from: usize, times_ms: &mut Vec<i64>, values: &mut Vec<f64>) {
        let mut all: Vec<(i64, f64)> = times_ms
            .drain(from..)
            .zip(values.drain(from..))
            .chain(self.late.iter().copied())
            .collect();
        all.sort_by_key(|s| s.0);
        times_ms.extend(all.iter().map(|s| s.0));
        values.extend(all.iter().map(|s| s.1));
    }
}
