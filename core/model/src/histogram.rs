//! Latencies in exponential buckets: the one structure that merges over time, keys and balancers.

use serde::{Deserialize, Serialize};

/// Buckets to a doubling: Prometheus' native schema 5, so a value is known within ±1.09 %.
pub const BUCKETS_PER_DOUBLING: i32 = 32;

/// How many observations fell into each bucket; bucket `i` holds seconds in
/// `(2^((i-1)/32), 2^(i/32)]`, and zero has a bucket of its own.
///
/// Merging adds counts, so the order of merging never shows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Histogram {
    zero: u64,
    /// The index of `counts[0]`; no meaning while `counts` is empty.
    first: i32,
    counts: Vec<u64>,
}

impl Histogram {
    /// Counts one duration of so many microseconds.
    pub fn observe(&mut self, micros: u64) {
        match bucket(micros) {
            None => self.zero += 1,
            Some(index) => *self.slot(index) += 1,
        }
    }

    /// Adds what `other` counted.
    pub fn merge(&mut self, other: &Self) {
        self.zero += other.zero;
        for (index, n) in other.buckets() {
            *self.slot(index) += n;
        }
    }

    /// Observations of exactly zero.
    pub const fn zeros(&self) -> u64 {
        self.zero
    }

    /// Buckets that are not empty, ascending: index and count; zeros apart.
    pub fn buckets(&self) -> impl Iterator<Item = (i32, u64)> {
        (self.first..).zip(self.counts.iter().copied()).filter(|(_, n)| *n > 0)
    }

    /// How many durations were counted.
    pub fn count(&self) -> u64 {
        self.zero + self.counts.iter().sum::<u64>()
    }

    /// How many lie at or below the bound `2^(index/32)` seconds.
    pub fn count_up_to(&self, index: i32) -> u64 {
        self.zero + self.buckets().take_while(|(i, _)| *i <= index).map(|(_, n)| n).sum::<u64>()
    }

    /// The `q`-quantile (0 to 1) in seconds, within ±1.09 %; `None` of nothing.
    ///
    /// The middle, by ratio, of the bucket that holds the observation of rank `⌈q·n⌉`.
    pub fn quantile(&self, q: f64) -> Option<f64> {
        let count = self.count();
        if count == 0 {
            return None;
        }
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a rank of 2^53 and beyond may be off by one"
        )]
        let rank = ((q.clamp(0.0, 1.0) * count as f64).ceil() as u64).max(1);
        let mut below = self.zero;
        if rank <= below {
            return Some(0.0);
        }
        for (index, n) in self.buckets() {
            below += n;
            if rank <= below {
                return Some(upper_bound(index) / half_bucket());
            }
        }
        None
    }

    fn slot(&mut self, index: i32) -> &mut u64 {
        if self.counts.is_empty() {
            self.first = index;
        }
        if index < self.first {
            let more = usize::try_from(self.first - index).unwrap_or(0);
            self.counts.splice(0..0, std::iter::repeat_n(0, more));
            self.first = index;
        }
        let at = usize::try_from(index - self.first).unwrap_or(0);
        if at >= self.counts.len() {
            self.counts.resize(at + 1, 0);
        }
        &mut self.counts[at]
    }
}

/// The largest duration of a bucket, in seconds.
pub fn upper_bound(index: i32) -> f64 {
    (f64::from(index) / f64::from(BUCKETS_PER_DOUBLING)).exp2()
}

/// From a bucket's upper bound to its middle, by ratio.
fn half_bucket() -> f64 {
    (0.5 / f64::from(BUCKETS_PER_DOUBLING)).exp2()
}

/// The bucket of a duration; `None` of zero.
pub fn bucket(micros: u64) -> Option<i32> {
    if micros == 0 {
        return None;
    }
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        reason = "2^53 µs are 285 years, and an index of that is below 2^11"
    )]
    let index = ((micros as f64 * 1e-6).log2() * f64::from(BUCKETS_PER_DOUBLING)).ceil() as i32;
    Some(index)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantile_is_within_a_bucket_of_the_truth() {
        let mut h = Histogram::default();
        (1..=10_000_u64).for_each(|ms| h.observe(ms * 1000));
        for q in [0.5, 0.9, 0.99] {
            let (got, want) = (h.quantile(q).unwrap(), 10.0 * q);
            assert!((got / want - 1.0).abs() < 0.011, "{q}: {got} for {want}");
        }
        assert_eq!(h.count(), 10_000);
        assert_eq!(Histogram::default().quantile(0.5), None);
    }

    #[test]
    fn merging_is_counting_together() {
        let (mut a, mut b, mut both) =
            (Histogram::default(), Histogram::default(), Histogram::default());
        for us in [0, 1, 17, 4_000, 2_000_000] {
            a.observe(us);
            both.observe(us);
        }
        for us in [900_000_000, 3, 0] {
            b.observe(us);
            both.observe(us);
        }
        a.merge(&b);
        assert_eq!(a.count(), both.count());
        assert!(a.buckets().eq(both.buckets()));
        assert_eq!(a.count_up_to(0), 7);
    }
}
