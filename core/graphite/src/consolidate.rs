//! Many values into one.

use std::str::FromStr;

/// How many values become one. Values not there are NaN, and so is the answer of nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "each does what its name says")]
pub enum Reduction {
    Average,
    /// The average with what is not there taken as zero.
    AverageZero,
    Median,
    Sum,
    Min,
    Max,
    /// The first less all others.
    Diff,
    /// The standard deviation of the whole, not of a sample.
    StdDev,
    Count,
    Range,
    /// Nothing where any value is not there.
    Multiply,
    First,
    Last,
}

impl Reduction {
    /// Names and what they mean, the plain one of each first.
    pub const NAMES: [(&'static str, Self); 17] = [
        ("average", Self::Average),
        ("avg", Self::Average),
        ("avg_zero", Self::AverageZero),
        ("median", Self::Median),
        ("sum", Self::Sum),
        ("total", Self::Sum),
        ("min", Self::Min),
        ("max", Self::Max),
        ("diff", Self::Diff),
        ("stddev", Self::StdDev),
        ("count", Self::Count),
        ("range", Self::Range),
        ("rangeOf", Self::Range),
        ("multiply", Self::Multiply),
        ("first", Self::First),
        ("last", Self::Last),
        ("current", Self::Last),
    ];

    /// One value of many.
    pub fn of(self, values: &[f64]) -> f64 {
        let there = || values.iter().copied().filter(|v| !v.is_nan());
        match self {
            Self::Average => there().sum::<f64>() / count(there()),
            Self::AverageZero => there().sum::<f64>() / count(values.iter().copied()),
            Self::Median => median(there().collect()),
            Self::Sum => or_nan(there().reduce(|a, b| a + b)),
            Self::Min => or_nan(there().reduce(f64::min)),
            Self::Max => or_nan(there().reduce(f64::max)),
            Self::Diff => or_nan(there().reduce(|a, b| a - b)),
            Self::StdDev => deviation(there),
            Self::Count => count(there()),
            Self::Range => Self::Max.of(values) - Self::Min.of(values),
            // NaN makes a product NaN.
            Self::Multiply => or_nan(values.iter().copied().reduce(|a, b| a * b)),
            Self::First => or_nan(there().next()),
            Self::Last => or_nan(there().next_back()),
        }
    }

    /// The function whose roll-ups answer best where samples are no longer kept.
    pub const fn hint(self) -> &'static str {
        match self {
            Self::Sum => "sum_over_time",
            Self::Min => "min_over_time",
            Self::Max => "max_over_time",
            Self::Last => "last_over_time",
            Self::Average
            | Self::AverageZero
            | Self::Median
            | Self::Diff
            | Self::StdDev
            | Self::Count
            | Self::Range
            | Self::Multiply
            | Self::First => "avg_over_time",
        }
    }
}

impl FromStr for Reduction {
    type Err = ();

    /// By its name, or by that of the function that does it to series: `sumSeries`.
    fn from_str(name: &str) -> Result<Self, ()> {
        let name = name.strip_suffix("Series").unwrap_or(name);
        Self::NAMES.iter().find(|(n, _)| *n == name).map(|(_, r)| *r).ok_or(())
    }
}

#[expect(clippy::cast_precision_loss, reason = "far fewer values than 2^53")]
fn count(values: impl Iterator<Item = f64>) -> f64 {
    values.count() as f64
}

fn or_nan(value: Option<f64>) -> f64 {
    value.unwrap_or(f64::NAN)
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.get(middle) {
        None => f64::NAN,
        Some(value) if values.len() % 2 == 1 => *value,
        Some(value) => f64::midpoint(values[middle - 1], *value),
    }
}

fn deviation<I: Iterator<Item = f64>>(there: impl Fn() -> I) -> f64 {
    let n = count(there());
    let mean = there().sum::<f64>() / n;
    (there().map(|v| (v - mean) * (v - mean)).sum::<f64>() / n).sqrt()
}

/// The value below which `n` percent lie, by the rank of `n` percent of one more than there are.
pub(crate) fn percentile(values: &[f64], n: f64, interpolate: bool) -> f64 {
    let mut sorted: Vec<f64> = values.iter().copied().filter(|v| !v.is_nan()).collect();
    if sorted.is_empty() {
        return f64::NAN;
    }
    sorted.sort_by(f64::total_cmp);
    let exact = n / 100.0 * (count(sorted.iter().copied()) + 1.0);
    let whole = if interpolate { exact.floor() } else { exact.ceil() };
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a rank; the cast saturates"
    )]
    let rank = whole.max(0.0) as usize;
    let value = sorted[rank.saturating_sub(1).min(sorted.len() - 1)];
    match sorted.get(rank) {
        Some(next) if interpolate => (exact - exact.floor()).mul_add(next - value, value),
        _ => value,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONE: f64 = f64::NAN;

    #[test]
    fn values_not_there_do_not_count() {
        let values = [3.0, NONE, 1.0, 8.0];
        for (name, wanted) in [
            ("average", 4.0),
            ("avg_zero", 3.0),
            ("median", 3.0),
            ("sumSeries", 12.0),
            ("min", 1.0),
            ("max", 8.0),
            ("diff", -6.0),
            ("count", 3.0),
            ("range", 7.0),
            ("first", 3.0),
            ("current", 8.0),
        ] {
            assert_eq!(name.parse::<Reduction>().unwrap().of(&values), wanted, "{name}");
        }
        assert!(Reduction::Multiply.of(&values).is_nan());
        assert!((Reduction::StdDev.of(&values) - 2.943_920_288_775_949).abs() < 1e-12);
        assert_eq!(Reduction::Median.of(&[1.0, 2.0, 4.0, 9.0]), 3.0);
        assert!("nothing".parse::<Reduction>().is_err());
    }

    #[test]
    fn nothing_gives_nothing() {
        for (name, reduction) in Reduction::NAMES {
            let of_nothing = reduction.of(&[NONE]);
            assert!(of_nothing.is_nan() || of_nothing == 0.0, "{name}: {of_nothing}");
        }
    }

    #[test]
    fn a_percentile_is_a_value_that_is_there_or_lies_between_two() {
        let values: Vec<f64> = (1..=10).map(f64::from).collect();
        assert_eq!(percentile(&values, 50.0, false), 6.0);
        assert_eq!(percentile(&values, 50.0, true), 5.5);
        assert_eq!(percentile(&values, 99.0, false), 10.0);
        assert_eq!(percentile(&values, 0.1, false), 1.0);
        assert!(percentile(&[NONE], 50.0, false).is_nan());
    }
}
