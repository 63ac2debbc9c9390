//! What the prober counts of itself, for `/metrics`.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use whyslow_probe::schedule;

/// Upper bounds of the lateness buckets, in seconds.
pub const LATENESS_BOUNDS_S: [f64; 9] = [0.001, 0.002, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0];

/// What the prober counts of itself since the process began.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ProberCounters {
    /// Checks on the list.
    pub checks: u64,
    /// Runs under way.
    pub in_flight: u64,
    /// Checks that are due and wait for others to end.
    pub waiting: u64,
    /// What the schedule counted, since the role last began anew.
    pub schedule: schedule::Counters,
    /// Runs by how late they began: not more than each of [`LATENESS_BOUNDS_S`], and later.
    pub lateness: [u64; LATENESS_BOUNDS_S.len() + 1],
    /// The sum of all lateness, in seconds.
    pub lateness_sum_s: f64,
    /// Runs that the machine itself held up, so that they say little of their target.
    pub starved: u64,
    /// Runs that ended in a mistake of ours.
    pub panicked: u64,
    /// Runs whose result could not be stored.
    pub unstored: u64,
    /// Times the whole role ended in a mistake of ours and began anew.
    pub restarts: u64,
}

/// The counters, shared between the role and whoever reads them.
#[derive(Clone, Debug, Default)]
pub(super) struct Counted(Arc<Mutex<ProberCounters>>);

impl Counted {
    pub(super) fn update(&self, change: impl FnOnce(&mut ProberCounters)) {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }

    pub(super) fn read(&self) -> ProberCounters {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A run has begun this late.
    pub(super) fn late(&self, by: Duration) {
        let s = by.as_secs_f64();
        let bucket = LATENESS_BOUNDS_S.partition_point(|bound| *bound < s);
        self.update(|c| {
            c.lateness[bucket] += 1;
            c.lateness_sum_s += s;
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lateness_falls_into_the_bucket_that_bounds_it() {
        let counted = Counted::default();
        for ms in [0, 1, 2, 3, 700, 9000] {
            counted.late(Duration::from_millis(ms));
        }
        assert_eq!(counted.read().lateness, [2, 1, 1, 0, 0, 0, 0, 1, 0, 1]);
        assert!((counted.read().lateness_sum_s - 9.706).abs() < 1e-9);
    }
}
