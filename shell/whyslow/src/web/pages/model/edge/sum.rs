//! Window rows added up, and the figures of the sum.

use std::collections::BTreeMap;

use whyslow_edge::row::{Row, Timing, Totals};

use crate::web::pages::model::RUNS_TO_JUDGE;

/// Requests of several rows, counted together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sum {
    /// What was counted; seconds are kept apart, in `per_window`.
    pub totals: Totals,
    per_window: BTreeMap<i64, Window>,
}

/// The seconds of one window, over all keys that were added.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Window {
    rows: u32,
    seconds: Vec<u32>,
    /// Whether every row told its seconds.
    whole: bool,
    peak: u32,
}

impl Sum {
    /// The sum of `rows`.
    pub fn of<'a>(rows: impl IntoIterator<Item = &'a Row>) -> Self {
        let mut sum = Self::default();
        for row in rows {
            sum.add(row);
        }
        sum
    }

    /// Counts one row more.
    pub fn add(&mut self, row: &Row) {
        self.totals.merge_later(&row.totals);
        let window = self
            .per_window
            .entry(row.start_s)
            .or_insert_with(|| Window { whole: true, ..Window::default() });
        window.rows += 1;
        window.peak = window.peak.max(row.totals.peak_per_s);
        window.whole &= !row.totals.by_second.is_empty();
        let more = row.totals.by_second.len().saturating_sub(window.seconds.len());
        window.seconds.extend(std::iter::repeat_n(0, more));
        for (sum, n) in window.seconds.iter_mut().zip(&row.totals.by_second) {
            *sum = sum.saturating_add(*n);
        }
    }

    /// Whether nothing was added.
    pub const fn is_empty(&self) -> bool {
        self.totals.hits == 0
    }

    /// The most requests of any one second; `None` where windows of several keys no longer tell
    /// their seconds, so that the keys' peaks cannot be laid over each other.
    pub fn peak_per_s(&self) -> Option<u32> {
        let of = |window: &Window| match (window.whole, window.rows) {
            (true, _) => window.seconds.iter().max().copied(),
            (false, 1) => Some(window.peak),
            (false, _) => None,
        };
        self.per_window.values().map(of).collect::<Option<Vec<_>>>()?.into_iter().max()
    }

    /// Requests whose code begins with this digit.
    pub fn codes(&self, hundred: u16) -> u64 {
        self.totals.codes.range(hundred * 100..(hundred + 1) * 100).map(|(_, n)| n).sum()
    }

    /// Per cent of requests answered with 2xx; `None` where no request has a code.
    pub fn good_percent(&self) -> Option<f64> {
        let all: u64 = self.totals.codes.values().sum();
        (all > 0).then(|| float(self.codes(2)) * 100.0 / float(all))
    }
}

/// A quantile in milliseconds; `None` below [`RUNS_TO_JUDGE`] requests.
pub fn quantile_ms(timing: &Timing, q: f64) -> Option<f64> {
    let enough = timing.histogram.count() >= RUNS_TO_JUDGE as u64;
    enough.then(|| timing.histogram.quantile(q)).flatten().map(|s| s * 1000.0)
}

/// A count as a figure.
#[expect(clippy::cast_precision_loss, reason = "counts of requests are far below 2^53")]
pub const fn float(n: u64) -> f64 {
    n as f64
}

#[cfg(test)]
mod tests {
    use whyslow_edge::record::Mark;

    use super::super::tests::{key, row};
    use super::*;

    #[test]
    fn peaks_of_one_second_are_laid_over_each_other_where_the_seconds_are_told() {
        let mut a = row(0, key("shop", "app", "web1", ""), &[5; 4]);
        let mut b = row(0, key("shop", "app", "web2", ""), &[5; 4]);
        a.totals.by_second = vec![3, 1];
        b.totals.by_second = vec![1, 2];
        assert_eq!(Sum::of([&a, &b]).peak_per_s(), Some(4));
        b.totals.by_second.clear();
        assert_eq!(Sum::of([&a, &b]).peak_per_s(), None);
        assert_eq!(Sum::of([&b]).peak_per_s(), Some(4));
    }

    #[test]
    fn an_untold_phase_does_not_hide_the_mark_of_a_told_one() {
        let told = row(0, key("shop", "", "", ""), &[5]);
        let mut other = row(10, key("shop", "", "", ""), &[5]);
        other.totals.phases = Default::default();
        let sum = Sum::of([&told, &other]);
        let wait = &sum.totals.phases[3];
        assert_eq!((wait.mark, wait.timing.histogram.count()), (Mark::Exact, 1));
    }

    #[test]
    fn a_handful_gives_no_percentile() {
        let few = row(0, key("shop", "", "", ""), &[5; 19]);
        let enough = row(0, key("shop", "", "", ""), &[5; 20]);
        assert_eq!(quantile_ms(&few.totals.latency, 0.5), None);
        assert!(quantile_ms(&enough.totals.latency, 0.5).is_some());
        assert_eq!(Sum::of([&enough]).good_percent(), Some(100.0));
    }
}
