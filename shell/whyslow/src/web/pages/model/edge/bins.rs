//! Window rows over time: equal stretches aligned to the clock, their sums, and a heat map.

use std::collections::BTreeMap;

use whyslow_edge::row::Row;
use whyslow_model::Histogram;
use whyslow_model::histogram::BUCKETS_PER_DOUBLING;

use super::sum::Sum;
use crate::web::pages::when::Span;

/// The widths a bin may have, in seconds: multiples of a window that a clock shows as round.
const WIDTHS_S: [i64; 14] =
    [10, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 21_600, 43_200, 86_400, 604_800];
/// Bins a chart has at most.
const BINS_MAX: i64 = 90;

/// The narrowest round width that gives at most `BINS_MAX` bins and cuts no window in two.
pub fn width_s(span: &Span, rows: &[&Row]) -> i64 {
    let widest = rows.iter().map(|row| i64::from(row.span_s)).max().unwrap_or(WIDTHS_S[0]);
    width_of(span, widest)
}

/// The same of windows of one length.
pub fn width_of(span: &Span, window_s: i64) -> i64 {
    let least = (span.length_ms() / 1000 / BINS_MAX).max(window_s);
    WIDTHS_S.into_iter().find(|w| *w >= least && w % window_s == 0).unwrap_or(window_s)
}

/// One stretch of time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bin {
    /// The start of its windows, which may lie before the range.
    pub start_ms: i64,
    /// Its start within the range, in milliseconds since the epoch.
    pub from_ms: i64,
    /// Its end, exclusive.
    pub to_ms: i64,
    /// Its rows' sum; empty where nothing was seen.
    pub sum: Sum,
}

/// All bins that touch the span; rows outside it are left out.
pub fn bins<'a>(rows: impl IntoIterator<Item = &'a Row>, span: &Span, width_s: i64) -> Vec<Bin> {
    let first = (span.from_ms / 1000).div_euclid(width_s) * width_s;
    let starts = (0..).map(|i| first + i * width_s).take_while(|at| at * 1000 < span.to_ms);
    let mut sums: BTreeMap<i64, Sum> = starts.map(|at| (at, Sum::default())).collect();
    for row in rows {
        if let Some(sum) = sums.get_mut(&(row.start_s.div_euclid(width_s) * width_s)) {
            sum.add(row);
        }
    }
    let bin = |(at, sum)| Bin {
        start_ms: at * 1000,
        from_ms: i64::max(at * 1000, span.from_ms),
        to_ms: i64::min((at + width_s) * 1000, span.to_ms),
        sum,
    };
    sums.into_iter().map(bin).collect()
}

/// Rows of a heat map on a logarithmic scale, and how many requests fell into each cell.
#[derive(Clone, Debug, PartialEq)]
pub struct Heat {
    /// The upper edge of each row in milliseconds, slowest first; each edge is √2 above the next.
    pub edges_ms: Vec<f64>,
    /// Per bin, per row: timed requests.
    pub cells: Vec<Vec<u64>>,
}

/// Rows a heat map has at most.
const ROWS_MAX: i32 = 14;
/// Histogram buckets in one row.
const STEP: i32 = BUCKETS_PER_DOUBLING / 2;

/// The lowest and the highest row that the requests of several maps need, so that they share one
/// scale.
pub fn extent<'a>(all: impl IntoIterator<Item = &'a Bin>) -> (i32, i32) {
    extent_of(all.into_iter().map(|b| &b.sum.totals.latency.histogram))
}

/// The same of histograms.
pub fn extent_of<'a>(all: impl IntoIterator<Item = &'a Histogram>) -> (i32, i32) {
    let buckets = all.into_iter().flat_map(Histogram::buckets);
    let (lowest, highest) = buckets.fold((i32::MAX, i32::MIN), |(low, high), (index, _)| {
        (low.min(row_of(index)), high.max(row_of(index)))
    });
    if lowest > highest {
        return (-20, -16);
    }
    let top = highest.max(lowest + 4);
    (lowest.max(top - ROWS_MAX + 1), top)
}

/// Sorts the timed requests of each bin into rows. Requests beyond the rows count in the row at
/// the edge, so the cells of a bin sum to its timed requests.
pub fn heat(bins: &[Bin], scale: (i32, i32)) -> Heat {
    heat_of(bins.iter().map(|bin| &bin.sum.totals.latency.histogram), scale)
}

/// The same of one histogram a bin.
pub fn heat_of<'a>(
    histograms: impl IntoIterator<Item = &'a Histogram>,
    (bottom, top): (i32, i32),
) -> Heat {
    let edges = (bottom..=top).rev().map(edge_ms);
    let cells = histograms.into_iter().map(|histogram| {
        let mut cells = vec![0; usize::try_from(top - bottom + 1).unwrap_or(1)];
        if let Some(fastest) = cells.last_mut() {
            *fastest += histogram.zeros();
        }
        for (index, n) in histogram.buckets() {
            let row = top - row_of(index).clamp(bottom, top);
            cells[usize::try_from(row).unwrap_or(0)] += n;
        }
        cells
    });
    Heat { edges_ms: edges.collect(), cells: cells.collect() }
}

/// The row of a bucket; row `r` holds what took up to `2^(r/2)` seconds.
const fn row_of(bucket: i32) -> i32 {
    // Rounded up: a bucket is named by its upper bound.
    (bucket + STEP - 1).div_euclid(STEP)
}

fn edge_ms(row: i32) -> f64 {
    whyslow_model::histogram::upper_bound(row * STEP) * 1000.0
}

#[cfg(test)]
mod tests {
    use super::super::tests::{key, row};
    use super::*;
    use crate::web::pages::when::Asked;

    fn span(length_s: i64) -> Span {
        let now = 1_800_000_000;
        let asked = |at: i64| Some((at * 1000).to_string());
        let asked = Asked { from: asked(now - length_s), to: asked(now), ..Asked::default() };
        Span::new(&asked, now * 1000)
    }

    #[test]
    fn bins_hold_whole_windows_and_every_row_of_the_range() {
        let span = span(3600);
        let from = span.from_ms / 1000;
        let rows: Vec<Row> =
            (0..360).map(|i| row(from + i * 10, key("shop", "", "", ""), &[5, 50])).collect();
        let some: Vec<&Row> = rows.iter().collect();
        let width = width_s(&span, &some);
        assert_eq!(width, 60);
        let bins = bins(some, &span, width);
        assert_eq!(bins.len(), 60);
        assert_eq!(bins.iter().map(|b| b.sum.totals.hits).sum::<u64>(), 720);
        assert!(bins.iter().all(|b| b.sum.peak_per_s() == Some(2)));
    }

    #[test]
    fn rolled_up_rows_are_never_cut() {
        let mut wide = row(0, key("shop", "", "", ""), &[5]);
        wide.span_s = 3600;
        assert_eq!(width_s(&span(3600), &[&wide]), 3600);
        assert_eq!(width_s(&span(7 * 86_400), &[&wide]), 7200);
    }

    #[test]
    fn every_timed_request_stands_in_exactly_one_cell() {
        let at = span(600).from_ms / 1000;
        let rows = [row(at, key("shop", "", "", ""), &[0, 1, 20, 20, 900, 60_000, 9_000_000])];
        let bins = bins(&rows, &span(600), 600);
        let heat = heat(&bins, extent(&bins));
        assert_eq!(heat.cells.iter().flatten().sum::<u64>(), 7);
        assert!(heat.edges_ms.len() <= 14 && heat.edges_ms.windows(2).all(|w| w[0] > w[1]));
    }

    #[test]
    fn a_cell_holds_what_its_edges_say() {
        let at = span(600).from_ms / 1000;
        for ms in [1_u64, 7, 20, 31, 33, 900, 4100] {
            let rows = [row(at, key("shop", "", "", ""), &[ms])];
            let bins = bins(&rows, &span(600), 600);
            let heat = heat(&bins, extent(&bins));
            let found = heat.cells.iter().find(|c| c.iter().any(|n| *n > 0)).unwrap();
            let edge = heat.edges_ms[found.iter().position(|n| *n > 0).unwrap()];
            let ms = super::super::sum::float(ms);
            assert!(ms <= edge * 1.001 && ms > edge / 1.5, "{ms} ms under {edge} ms");
        }
    }
}
