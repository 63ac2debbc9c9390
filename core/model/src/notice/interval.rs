//! How far a figure of a sample may lie from that of what it was drawn from.

use crate::Histogram;
use crate::reading::Stat;

/// Half the width of a 95 % interval, in standard errors.
const Z: f64 = 1.96;

/// A quantile with its 95 % interval, in seconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Quantile {
    /// The sample's.
    pub at: f64,
    /// The interval's lower end.
    pub lo: f64,
    /// The interval's upper end.
    pub hi: f64,
}

/// The `q`-quantile, with the order statistics between which the true one lies at 95 % (the
/// binomial's normal approximation; David and Nagaraja, Order Statistics, 7.1). `None` of nothing.
pub fn quantile(histogram: &Histogram, q: f64) -> Option<Quantile> {
    let n = float(histogram.count());
    let half = Z * (q * (1.0 - q) / n).sqrt();
    Some(Quantile {
        at: histogram.quantile(q)?,
        lo: histogram.quantile((q - half).max(0.0))?,
        hi: histogram.quantile((q + half).min(1.0))?,
    })
}

/// The middle of a histogram as a reading shows it.
pub fn stat_ms(histogram: &Histogram) -> Stat {
    let middle = quantile(histogram, 0.5);
    let ms = |seconds: f64| (seconds * 1e6).round() / 1e3;
    Stat {
        n: histogram.count(),
        bad: None,
        median: middle.map(|m| ms(m.at)),
        lo95: middle.map(|m| ms(m.lo)),
        hi95: middle.map(|m| ms(m.hi)),
        unit: "ms".to_owned(),
    }
}

/// A share with its 95 % interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Share {
    /// Events.
    pub n: u64,
    /// Those of them that are counted.
    pub bad: u64,
    /// The sample's share, 0 to 1.
    pub at: f64,
    /// The interval's lower end.
    pub lo: f64,
    /// The interval's upper end.
    pub hi: f64,
}

impl Share {
    /// As a reading shows it.
    pub fn stat(self) -> Stat {
        let round = |x: f64| (x * 1e5).round() / 1e5;
        Stat {
            n: self.n,
            bad: Some(self.bad),
            median: Some(round(self.at)),
            lo95: Some(round(self.lo)),
            hi95: Some(round(self.hi)),
            unit: "share".to_owned(),
        }
    }
}

/// The share of `bad` among `n`, with Wilson's interval. Of nothing, anything may be.
pub fn share(bad: u64, n: u64) -> Share {
    if n == 0 {
        return Share { n, bad, at: 0.0, lo: 0.0, hi: 1.0 };
    }
    let bad = bad.min(n);
    let (count, at) = (float(n), float(bad) / float(n));
    let z2 = Z * Z / count;
    let middle = (at + z2 / 2.0) / (1.0 + z2);
    let half = Z / (1.0 + z2) * (at * (1.0 - at) / count + z2 / (4.0 * count)).sqrt();
    Share { n, bad, at, lo: (middle - half).max(0.0), hi: (middle + half).min(1.0) }
}

/// How many observations lie above so many seconds, a bucket's width more or less.
pub fn above(histogram: &Histogram, seconds: f64) -> u64 {
    #[expect(clippy::cast_possible_truncation, reason = "a logarithm is small")]
    let index = (seconds.log2() * f64::from(crate::histogram::BUCKETS_PER_DOUBLING)).ceil() as i32;
    histogram.count().saturating_sub(histogram.count_up_to(index))
}

/// A count as a number to reckon with.
pub fn float(n: u64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "counts are far below 2^53")]
    let float = n as f64;
    float
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interval_narrows_with_the_sample_and_holds_the_figure() {
        let mut few = Histogram::default();
        let mut many = Histogram::default();
        (0..100_u64).for_each(|n| few.observe(1000 + n * 10));
        (0..10_000_u64).for_each(|n| many.observe(1000 + n % 100 * 10));
        let (a, b) = (quantile(&few, 0.5).unwrap(), quantile(&many, 0.5).unwrap());
        assert!(a.lo < a.at && a.at < a.hi && a.hi - a.lo > b.hi - b.lo, "{a:?} {b:?}");
        // By the binomial: ranks 40 and 60 of 100.
        assert!((a.lo / 0.0014 - 1.0).abs() < 0.02 && (a.hi / 0.0016 - 1.0).abs() < 0.02, "{a:?}");
        assert!(above(&few, 0.0015).abs_diff(49) <= 1);
        assert_eq!(above(&few, 1.0), 0);
    }

    #[test]
    fn wilsons_interval_is_that_of_the_books() {
        let s = share(10, 100);
        assert!((s.lo - 0.0552).abs() < 1e-3 && (s.hi - 0.1744).abs() < 1e-3, "{s:?}");
        let none = share(0, 100);
        assert!(none.lo < 1e-9 && (none.hi - 0.0370).abs() < 1e-3, "{none:?}");
        assert!((share(0, 0).hi - 1.0).abs() < 1e-9);
    }
}
