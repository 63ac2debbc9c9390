//! How many single events are kept: as many as the limits allow, spread over each window, and a
//! fair sample of what is usual.

use std::collections::BTreeMap;
use std::hash::BuildHasher;
use std::time::Duration;

use whyslow_model::Wall;
use whyslow_model::limits::WIRE_EVENT_BYTES_PER_DAY_MAX;
use whyslow_model::seeded::Seed;

use crate::storage::WireEvent;

/// The part of a budget that may be used as soon as a window begins; the rest becomes free as it
/// passes, so that what is kept of a flood is not only its beginning.
const AT_ONCE: u64 = 4;
const DAY_NS: i64 = 86_400_000_000_000;

/// How many events of one kind a window may keep.
#[derive(Debug)]
pub(super) struct Budget {
    most: u64,
    window: i64,
    kept: u64,
}

impl Budget {
    pub(super) const fn new(most: u64) -> Self {
        Self { most, window: i64::MIN, kept: 0 }
    }

    /// Whether one more may be kept at `at`; then it counts as kept.
    pub(super) fn take(&mut self, at: Wall, length: Duration) -> bool {
        let length = i64::try_from(length.as_nanos()).unwrap_or(i64::MAX).max(1);
        let window = at.as_nanos().div_euclid(length);
        if self.window != window {
            (self.window, self.kept) = (window, 0);
        }
        let at_once = self.most.div_ceil(AT_ONCE);
        let later = i128::from(self.most - at_once);
        let passed = i128::from(at.as_nanos().rem_euclid(length));
        let free = u64::try_from(later * passed / i128::from(length)).unwrap_or(0);
        let may = self.kept < at_once + free;
        self.kept += u64::from(may);
        may
    }
}

/// How many bytes of events a day may keep.
#[derive(Debug, Default)]
pub(super) struct Bytes {
    day: i64,
    used: u64,
}

impl Bytes {
    /// Whether so many more may be kept at `at`; then they count as kept.
    pub(super) fn take(&mut self, bytes: usize, at: Wall) -> bool {
        let day = at.as_nanos().div_euclid(DAY_NS);
        if self.day != day {
            (self.day, self.used) = (day, 0);
        }
        let used = self.used.saturating_add(bytes as u64);
        let may = used <= WIRE_EVENT_BYTES_PER_DAY_MAX;
        if may {
            self.used = used;
        }
        may
    }
}

/// A fair sample: every event draws a lot, and the lowest ones stay.
#[derive(Debug)]
pub(super) struct Sample {
    most: usize,
    kept: BTreeMap<u64, WireEvent>,
}

impl Sample {
    pub(super) const fn new(most: usize) -> Self {
        Self { most, kept: BTreeMap::new() }
    }

    /// Takes the event of this id where its lot is low enough; only then it is made.
    pub(super) fn offer(&mut self, id: u64, seed: Seed, make: impl FnOnce() -> WireEvent) {
        let lot = seed.state().hash_one(id);
        let full = self.kept.len() >= self.most;
        if full && self.kept.last_key_value().is_none_or(|(highest, _)| lot >= *highest) {
            return;
        }
        self.kept.insert(lot, make());
        if self.kept.len() > self.most {
            self.kept.pop_last();
        }
    }

    /// Gives out what it has, and begins anew.
    pub(super) fn drain(&mut self) -> impl Iterator<Item = WireEvent> + use<> {
        std::mem::take(&mut self.kept).into_values()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_becomes_free_as_its_window_passes() {
        let minute = Duration::from_secs(60);
        let mut budget = Budget::new(100);
        let mut kept =
            |ms: i64| (0..1000).filter(|_| budget.take(Wall::from_millis(ms), minute)).count();
        assert_eq!((kept(60_000), kept(60_001), kept(90_000), kept(119_999)), (25, 0, 37, 37));
        assert_eq!(kept(120_000), 25);
    }

    #[test]
    fn a_days_bytes_are_not_exceeded_and_come_back_with_the_next_day() {
        let half = usize::try_from(WIRE_EVENT_BYTES_PER_DAY_MAX / 2).unwrap();
        let mut bytes = Bytes::default();
        let day = |n: i64| Wall::from_nanos(n * DAY_NS + 5);
        assert!(bytes.take(half, day(9)) && bytes.take(half, day(9)));
        assert!(!bytes.take(1, day(9)));
        assert!(bytes.take(1, day(10)));
    }
}
