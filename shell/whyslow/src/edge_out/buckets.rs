//! The classic histogram of a duration: bounds at powers of √2, an exact coarsening of the
//! buckets that window rows hold.

use std::sync::{Arc, LazyLock};

use whyslow_edge::row::Timing;
use whyslow_model::histogram::BUCKETS_PER_DOUBLING;

/// The exponents of √2: 2^-10 s, which is a millisecond, to 2^6 s.
const EXPONENTS: std::ops::RangeInclusive<i32> = -20..=12;
/// Bounds, and one bucket for what lies above the last.
pub(crate) const BUCKETS: usize = 34;

/// What `le` says of each bucket.
pub(crate) static BOUNDS: LazyLock<[Arc<str>; BUCKETS]> = LazyLock::new(|| {
    let mut bounds = EXPONENTS.map(bound);
    std::array::from_fn(|_| match bounds.next() {
        Some(bound) => Arc::from(bound.to_string()),
        None => Arc::from("+Inf"),
    })
});

/// `√2^exponent`, the same to the last bit on every machine.
fn bound(exponent: i32) -> f64 {
    let doubled = f64::from(exponent.div_euclid(2)).exp2();
    if exponent.rem_euclid(2) == 0 { doubled } else { doubled * std::f64::consts::SQRT_2 }
}

/// Durations counted by bucket, each by itself and not up to its bound.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Counted {
    /// The bucket's place and how many fell into it; ascending, none empty.
    pub(super) buckets: Vec<(u8, u64)>,
    /// Microseconds, summed.
    pub(super) sum_us: u64,
}

impl Counted {
    pub(super) fn of(timing: &Timing) -> Self {
        let mut counted = Self { buckets: Vec::new(), sum_us: timing.sum_us };
        counted.add(0, timing.histogram.zeros());
        for (index, n) in timing.histogram.buckets() {
            counted.add(place(index), n);
        }
        counted
    }

    fn add(&mut self, place: u8, n: u64) {
        if n == 0 {
            return;
        }
        match self.buckets.last_mut() {
            Some((last, count)) if *last == place => *count += n,
            _ => self.buckets.push((place, n)),
        }
    }
}

/// The bucket that holds bucket `index` of a window row's histogram.
fn place(index: i32) -> u8 {
    let per_bound = BUCKETS_PER_DOUBLING / 2;
    // Rounded up: a bucket belongs to the first bound at or above its own.
    let exponent = -((-index).div_euclid(per_bound));
    let place = exponent.saturating_sub(*EXPONENTS.start());
    u8::try_from(place.clamp(0, 33)).unwrap_or(0)
}

/// A histogram that only ever grows.
#[derive(Clone, Debug)]
pub(crate) struct Growing {
    pub(crate) buckets: [u64; BUCKETS],
    pub(crate) sum_us: u64,
}

impl Default for Growing {
    fn default() -> Self {
        Self { buckets: [0; BUCKETS], sum_us: 0 }
    }
}

impl Growing {
    /// Counts one duration.
    pub(crate) fn observe(&mut self, micros: u64) {
        #[expect(clippy::cast_precision_loss, reason = "2^53 µs are 285 years")]
        let seconds = micros as f64 / 1e6;
        let place = EXPONENTS.take_while(|exponent| bound(*exponent) < seconds).count();
        self.buckets[place] += 1;
        self.sum_us = self.sum_us.saturating_add(micros);
    }

    /// Adds what `now` has more than `before`; what it has less is left as it was counted.
    pub(super) fn add_difference(&mut self, now: &Counted, before: Option<&Counted>) {
        let was = |place: u8| {
            let all = before.map_or(&[][..], |b| &b.buckets);
            all.iter().find(|(p, _)| *p == place).map_or(0, |(_, n)| *n)
        };
        for (place, n) in &now.buckets {
            self.buckets[usize::from(*place)] += n.saturating_sub(was(*place));
        }
        self.sum_us += now.sum_us.saturating_sub(before.map_or(0, |b| b.sum_us));
    }

    /// How many lie at or below each bound.
    pub(crate) fn up_to_each(&self) -> [u64; BUCKETS] {
        let mut sum = 0;
        self.buckets.map(|n| {
            sum += n;
            sum
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_powers_of_the_root_of_two() {
        assert_eq!(&*BOUNDS[0], "0.0009765625");
        assert_eq!((&*BOUNDS[20], &*BOUNDS[21]), ("1", "1.4142135623730951"));
        assert_eq!((&*BOUNDS[32], &*BOUNDS[33]), ("64", "+Inf"));
    }

    #[test]
    fn every_duration_is_counted_at_or_below_its_bound() {
        for us in [0, 1, 976, 977, 1_381, 1_000_000, 1_000_001, 1_414_000, 63_999_999, 64_000_001] {
            let mut timing = Timing::default();
            timing.observe(us);
            let counted = Counted::of(&timing);
            let [(place, 1)] = counted.buckets[..] else { unreachable!("one bucket of one") };
            let bound: f64 = BOUNDS[usize::from(place)].parse().unwrap();
            let seconds = us as f64 * 1e-6;
            assert!(seconds <= bound, "{us} {bound}");
            if place > 0 {
                let below: f64 = BOUNDS[usize::from(place) - 1].parse().unwrap();
                assert!(seconds > below, "{us} {below}");
            }
        }
    }
}
