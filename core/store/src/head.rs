//! The head: every series by name, and the samples that may still change.
//!
//! The shell drives it: [`Head::resolve`] gives a handle for a label set, [`Head::append`] takes
//! samples after the shell has made them durable, [`Head::seal`] hands out what is to be written,
//! and the `restore` calls take it back at start.

use std::hash::{BuildHasher, Hash, Hasher};
use std::ops::Range;
use std::sync::Arc;

use foldhash::quality::SeedableRandomState;
use hashbrown::HashTable;
use whyslow_model::Labels;
use whyslow_model::limits::{OUT_OF_ORDER_WINDOW, SERIES_MAX};
use whyslow_model::matcher::Matcher;
use whyslow_model::seeded::Seed;

use crate::batch::{Refusal, Tally};
use crate::index::{LabelIndex, Slot};
use crate::labels::within_limits;
use crate::series::{Admission, Series};
pub use crate::series::{Piece, Sealed, WINDOW_MS, window_start};

/// Seconds without a sample after which a series' last window is finished.
const IDLE_S: i64 = 6 * 60 * 60;

/// What a head takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Series; one more is refused.
    pub series_max: usize,
    /// How far behind a series' newest sample a late one may be, in milliseconds.
    pub late_ms: i64,
}

impl Default for Limits {
    fn default() -> Self {
        let late_ms = i64::try_from(OUT_OF_ORDER_WINDOW.as_millis()).unwrap_or(i64::MAX);
        Self { series_max: SERIES_MAX, late_ms }
    }
}

/// The times from which samples are taken, both ends included, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Older ones are beyond the retention.
    pub oldest_ms: i64,
    /// Newer ones come from a clock that is wrong.
    pub newest_ms: i64,
}

impl Bounds {
    /// Everything, for what is replayed.
    pub const ALL: Self = Self { oldest_ms: i64::MIN, newest_ms: i64::MAX };

    /// Whether a sample of this time may be taken.
    ///
    /// # Errors
    /// [`Refusal::TooOld`] and [`Refusal::TooNew`].
    pub const fn admit(self, at_ms: i64) -> Result<(), Refusal> {
        if at_ms > self.newest_ms {
            Err(Refusal::TooNew)
        } else if at_ms < self.oldest_ms {
            Err(Refusal::TooOld)
        } else {
            Ok(())
        }
    }
}

/// A series as the shell names it on disk.
#[derive(Clone, Debug, PartialEq)]
pub struct Registered {
    /// Its number, never given to another series.
    pub id: i64,
    /// Its labels.
    pub labels: Labels,
}

/// From when to when a series reaches, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// The oldest sample; after `newest_ms` where there is none.
    pub first_ms: i64,
    /// The newest sample.
    pub newest_ms: i64,
    /// What lies before is on disk alone, and in the roll-ups.
    pub floor_ms: i64,
}

/// One series' part of the head at one moment, to be read without the head.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// Its number on disk.
    pub id: i64,
    /// Its labels.
    pub labels: Labels,
    /// What lies before this is on disk alone.
    pub floor_ms: i64,
    /// The rest, ascending.
    pub pieces: Vec<Piece>,
}

/// All series and their recent samples.
#[derive(Debug)]
pub struct Head {
    limits: Limits,
    hash: SeedableRandomState,
    series: Vec<Option<Series>>,
    by_labels: HashTable<Slot>,
    index: LabelIndex,
    /// Slots of series that were removed.
    free: Vec<Slot>,
    next_id: i64,
    /// Series the shell has not yet confirmed to be on disk.
    unsaved: Vec<Slot>,
    /// No window in memory begins earlier.
    oldest_ms: i64,
}

impl Head {
    /// A head of nothing; `next_id` is the first number no series ever had.
    pub fn new(seed: Seed, limits: Limits, next_id: i64) -> Self {
        Self {
            limits,
            hash: seed.state(),
            series: Vec::new(),
            by_labels: HashTable::new(),
            index: LabelIndex::new(seed),
            free: Vec::new(),
            next_id,
            unsaved: Vec::new(),
            oldest_ms: i64::MAX,
        }
    }

    /// How many series there are.
    pub fn len(&self) -> usize {
        self.by_labels.len()
    }

    /// Whether there is no series.
    pub fn is_empty(&self) -> bool {
        self.by_labels.is_empty()
    }

    /// Where the slots end; a slot below may be empty.
    pub fn slots(&self) -> Range<Slot> {
        0..slot(self.series.len())
    }

    /// The first number no series ever had.
    pub const fn next_id(&self) -> i64 {
        self.next_id
    }

    /// The handle of the series with these labels (names ascending, no value empty), made where
    /// there is none.
    ///
    /// # Errors
    /// [`Refusal::Labels`] and [`Refusal::SeriesLimit`].
    pub fn resolve<'a>(
        &mut self,
        labels: impl Iterator<Item = (&'a str, &'a str)> + Clone,
    ) -> Result<Slot, Refusal> {
        let hash = self.hash_of(labels.clone());
        if let Some(found) = self.find(hash, &labels) {
            return Ok(found);
        }
        if !within_limits(labels.clone()) {
            return Err(Refusal::Labels);
        }
        if self.len() >= self.limits.series_max {
            return Err(Refusal::SeriesLimit);
        }
        let slot = self.insert(hash, self.next_id, labels);
        self.next_id += 1;
        self.unsaved.push(slot);
        Ok(slot)
    }

    /// The number of a resolved series on disk.
    ///
    /// # Panics
    /// Where the handle was not given by this head.
    pub fn id(&self, slot: Slot) -> i64 {
        self.known(slot).id
    }

    /// Series that are not yet on disk. They must be written with or before their first sample.
    pub fn unsaved(&self) -> Vec<Registered> {
        let known = self.unsaved.iter().filter_map(|s| self.at(*s));
        known.map(|s| Registered { id: s.id, labels: s.labels.clone() }).collect()
    }

    /// Notes that all of [`Head::unsaved`] is on disk.
    pub fn unsaved_are_saved(&mut self) {
        self.unsaved = Vec::new();
    }

    /// Takes one series' points, which the shell has made durable, and counts what became of them.
    ///
    /// # Panics
    /// Where the handle was not given by this head.
    pub fn append(
        &mut self,
        slot: Slot,
        times_ms: &[i64],
        values: &[f64],
        bounds: Bounds,
        now_s: i64,
        tally: &mut Tally,
    ) {
        let series = self.series[slot as usize].as_mut();
        let Some(series) = series else { unreachable!("a resolved series stays while it is used") };
        series.touched_s = now_s;
        for (at, value) in times_ms.iter().zip(values) {
            let admission = match bounds.admit(*at) {
                Ok(()) => series.append(*at, *value, self.limits.late_ms),
                Err(why) => Admission::Refused(why),
            };
            count(admission, tally);
        }
        self.oldest_ms = self.oldest_ms.min(series.oldest_window().unwrap_or(i64::MAX));
    }

    /// The series that satisfy all matchers and may have a point in the range.
    pub fn matching(&self, matchers: &[Matcher], from_ms: i64, to_ms: i64) -> Vec<Slot> {
        let mut slots = self.index.candidates(matchers).unwrap_or_else(|| self.slots().collect());
        for m in matchers.iter().filter(|m| m.matches_absent()) {
            let out = self.index.ruled_out(m);
            slots.retain(|s| out.binary_search(s).is_err());
        }
        slots
            .retain(|s| self.at(*s).is_some_and(|s| s.first_ms <= to_ms && s.newest_ms >= from_ms));
        slots
    }

    /// The labels of a series, or `None` where the slot is empty.
    pub fn labels(&self, slot: Slot) -> Option<&Labels> {
        self.at(slot).map(|s| &s.labels)
    }

    /// One series' windows that overlap the range, or `None` where the slot is empty.
    pub fn snapshot(&self, slot: Slot, from_ms: i64, to_ms: i64) -> Option<Snapshot> {
        let s = self.at(slot)?;
        let pieces = s.pieces(from_ms, to_ms);
        Some(Snapshot { id: s.id, labels: s.labels.clone(), floor_ms: s.floor_ms, pieces })
    }

    /// The label index.
    pub const fn index(&self) -> &LabelIndex {
        &self.index
    }

    /// Takes back a series from disk, answering its handle.
    pub fn restore_series<'a>(
        &mut self,
        id: i64,
        labels: impl Iterator<Item = (&'a str, &'a str)> + Clone,
    ) -> Slot {
        self.next_id = self.next_id.max(id.saturating_add(1));
        let hash = self.hash_of(labels.clone());
        self.insert(hash, id, labels)
    }

    /// Takes back where a series' part on disk alone ends; before its windows and samples.
    pub fn restore_floor(&mut self, slot: Slot, floor_ms: i64, now_s: i64) {
        if let Some(s) = self.at_mut(slot) {
            s.floor_ms = floor_ms;
            s.touched_s = now_s;
        }
    }

    /// Takes back a window that is on disk and may still change; false for bytes that are no
    /// chunk.
    pub fn restore_window(&mut self, slot: Slot, start_ms: i64, bytes: &[u8]) -> bool {
        self.oldest_ms = self.oldest_ms.min(start_ms);
        self.at_mut(slot).is_some_and(|s| s.restore(start_ms, bytes.into()))
    }

    /// Takes back how far a series reached; after all its samples.
    pub fn restore_reach(&mut self, slot: Slot, span: Span) {
        if let Some(s) = self.at_mut(slot) {
            s.first_ms = s.first_ms.min(span.first_ms);
            s.newest_ms = s.newest_ms.max(span.newest_ms);
        }
    }

    /// How far a series reaches, or `None` where the slot is empty.
    pub fn span(&self, slot: Slot) -> Option<Span> {
        let s = self.at(slot)?;
        Some(Span { first_ms: s.first_ms, newest_ms: s.newest_ms, floor_ms: s.floor_ms })
    }

    /// One series' windows that end by `until_ms` and are not yet on disk, to be written. They
    /// count as written; [`Head::unseal`] takes that back.
    pub fn seal(&mut self, slot: Slot, until_ms: i64) -> Vec<Sealed> {
        self.at_mut(slot).map(|s| s.seal(until_ms)).unwrap_or_default()
    }

    /// Says that a window [`Head::seal`] gave could not be written.
    pub fn unseal(&mut self, slot: Slot, start_ms: i64) {
        if let Some(s) = self.at_mut(slot) {
            s.unseal(start_ms);
        }
    }

    /// One series' windows that are on disk and can change no more: to be rolled up and then
    /// given to [`Head::forget_finished`] with the same `now_s`.
    pub fn finished(&self, slot: Slot, now_s: i64) -> Vec<Piece> {
        let Some(s) = self.at(slot) else { return Vec::new() };
        s.finished(self.closed_ms(s, now_s)).collect()
    }

    /// Lets go of what [`Head::finished`] gave.
    pub fn forget_finished(&mut self, slot: Slot, now_s: i64) {
        let Some(closed) = self.at(slot).map(|s| self.closed_ms(s, now_s)) else { return };
        if let Some(s) = self.at_mut(slot) {
            s.forget_finished(closed);
        }
    }

    /// Since when there is something in memory: no window there begins earlier.
    pub const fn oldest_ms(&self) -> i64 {
        self.oldest_ms
    }

    /// Looks through all series for [`Head::oldest_ms`], which only sinks by itself.
    pub fn find_oldest(&mut self) {
        let starts = self.series.iter().flatten().filter_map(Series::oldest_window);
        self.oldest_ms = starts.min().unwrap_or(i64::MAX);
    }

    /// Removes the series whose newest sample is older, and answers their numbers.
    pub fn remove_older(&mut self, than_ms: i64) -> Vec<i64> {
        let old = |s: &Series| s.newest_ms < than_ms && s.oldest_window().is_none();
        let slots: Vec<Slot> = self.slots().filter(|s| self.at(*s).is_some_and(old)).collect();
        slots.into_iter().filter_map(|s| self.remove(s)).collect()
    }

    /// Bytes that samples take in memory.
    pub fn sample_bytes(&self) -> usize {
        self.series.iter().flatten().map(Series::sample_bytes).sum()
    }

    fn remove(&mut self, slot: Slot) -> Option<i64> {
        let series = self.series.get_mut(slot as usize)?.take()?;
        let hash = self.hash_of(series.labels.iter());
        if let Ok(entry) = self.by_labels.find_entry(hash, |s| *s == slot) {
            entry.remove();
        }
        for (name, value) in series.labels.iter() {
            self.index.remove(slot, name, value);
        }
        self.unsaved.retain(|s| *s != slot);
        self.free.push(slot);
        Some(series.id)
    }

    /// What ends by then changes no more: behind the late window, or all of a series to which
    /// nothing has come for long.
    const fn closed_ms(&self, series: &Series, now_s: i64) -> i64 {
        if now_s.saturating_sub(series.touched_s) > IDLE_S {
            return i64::MAX;
        }
        series.newest_ms.saturating_sub(self.limits.late_ms)
    }

    fn insert<'a>(
        &mut self,
        hash: u64,
        id: i64,
        labels: impl Iterator<Item = (&'a str, &'a str)>,
    ) -> Slot {
        let new = self.free.pop().unwrap_or_else(|| slot(self.series.len()));
        let index = &mut self.index;
        let pairs: Vec<(Arc<str>, Arc<str>)> = labels.map(|(n, v)| index.add(new, n, v)).collect();
        let series = Series::new(id, Labels::from_pairs(pairs));
        if (new as usize) < self.series.len() {
            self.series[new as usize] = Some(series);
        } else {
            self.series.push(Some(series));
        }
        let (all, state) = (&self.series, &self.hash);
        self.by_labels.insert_unique(hash, new, |s| {
            let labels = all[*s as usize].as_ref().map(|s| s.labels.iter());
            hash_pairs(state, labels.into_iter().flatten())
        });
        new
    }

    fn find<'a>(
        &self,
        hash: u64,
        labels: &(impl Iterator<Item = (&'a str, &'a str)> + Clone),
    ) -> Option<Slot> {
        let same =
            |s: &Slot| self.at(*s).is_some_and(|s| are_same(s.labels.iter(), labels.clone()));
        self.by_labels.find(hash, same).copied()
    }

    fn hash_of<'a>(&self, labels: impl Iterator<Item = (&'a str, &'a str)>) -> u64 {
        hash_pairs(&self.hash, labels)
    }

    fn at(&self, slot: Slot) -> Option<&Series> {
        self.series.get(slot as usize)?.as_ref()
    }

    fn at_mut(&mut self, slot: Slot) -> Option<&mut Series> {
        self.series.get_mut(slot as usize)?.as_mut()
    }

    fn known(&self, slot: Slot) -> &Series {
        let Some(series) = self.at(slot) else {
            unreachable!("a resolved series stays while it is used")
        };
        series
    }
}

fn count(admission: Admission, tally: &mut Tally) {
    match admission {
        Admission::Taken => tally.appended += 1,
        Admission::TakenLate => {
            tally.appended += 1;
            tally.late += 1;
        }
        Admission::Duplicate => tally.duplicates += 1,
        Admission::Refused(why) => tally.refuse(why, 1),
    }
}

fn are_same<'a, 'b>(
    own: impl Iterator<Item = (&'a str, &'a str)>,
    mut given: impl Iterator<Item = (&'b str, &'b str)>,
) -> bool {
    for (name, value) in own {
        if given.next().is_none_or(|(n, v)| n != name || v != value) {
            return false;
        }
    }
    given.next().is_none()
}

fn hash_pairs<'a>(
    state: &SeedableRandomState,
    labels: impl Iterator<Item = (&'a str, &'a str)>,
) -> u64 {
    let mut hasher = state.build_hasher();
    for pair in labels {
        pair.hash(&mut hasher);
    }
    hasher.finish()
}

fn slot(place: usize) -> Slot {
    Slot::try_from(place).unwrap_or_else(|_| unreachable!("SERIES_MAX is below 2^32"))
}
