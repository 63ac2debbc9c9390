//! Runs sorted into equal stretches of time that are aligned to the clock.

use super::{Figures, Point, Track};

/// The widths a bin may have, in milliseconds: what a clock shows as round.
const WIDTHS_MS: [i64; 15] = [
    5_000,
    15_000,
    30_000,
    60_000,
    120_000,
    300_000,
    600_000,
    900_000,
    1_800_000,
    3_600_000,
    7_200_000,
    21_600_000,
    43_200_000,
    86_400_000,
    604_800_000,
];
/// Bins a chart has at most.
const BINS_MAX: i64 = 100;

/// One stretch of time and what its runs show.
#[derive(Clone, Debug, PartialEq)]
pub struct Bin {
    /// Its start.
    pub from_ms: i64,
    /// Its end, exclusive.
    pub to_ms: i64,
    /// Its runs' figures.
    pub figures: Figures,
}

impl Bin {
    /// Whether nothing was seen in it.
    pub const fn is_gap(&self) -> bool {
        self.figures.runs == 0
    }
}

/// The narrowest round width that gives at most `BINS_MAX` bins and at least one run each.
pub fn width_ms(from_ms: i64, to_ms: i64, every_ms: i64) -> i64 {
    let least = ((to_ms - from_ms) / BINS_MAX).max(every_ms);
    WIDTHS_MS.into_iter().find(|w| *w >= least).unwrap_or(least)
}

/// All bins that touch `from_ms..to_ms`; the first and the last may be cut by it.
pub fn bins(track: &Track, from_ms: i64, to_ms: i64, width_ms: i64) -> Vec<Bin> {
    let first = from_ms.div_euclid(width_ms) * width_ms;
    let starts = (0..).map(|i| first + i * width_ms).take_while(|at| *at < to_ms);
    let bin = |at: i64| {
        let (from, to) = (at.max(from_ms), (at + width_ms).min(to_ms));
        Bin { from_ms: from, to_ms: to, figures: Figures::of(track.between(from, to)) }
    };
    starts.map(bin).collect()
}

/// Rows of a heat map on a logarithmic scale, and how many runs fell into each cell.
#[derive(Clone, Debug, PartialEq)]
pub struct Heat {
    /// The lower edge of each row in milliseconds, slowest row first; each edge is √2 below.
    pub edges_ms: Vec<f64>,
    /// Per bin, per row: runs that worked.
    pub worked: Vec<Vec<usize>>,
    /// Per bin: runs that failed.
    pub failed: Vec<usize>,
}

/// Rows a heat map has at most.
const ROWS_MAX: i32 = 14;

/// Sorts the runs of each bin by their time. Runs beyond the rows count in the row at the edge.
pub fn heat(track: &Track, bins: &[Bin]) -> Heat {
    let totals = || track.points.iter().filter(|p| p.ok).map(|p| p.total_ms);
    let lowest = step(totals().fold(f64::INFINITY, f64::min).clamp(0.1, 1e6));
    let highest = step(totals().fold(0.0, f64::max).clamp(0.1, 1e6)).max(lowest);
    // A little air above and below, and never so many rows that a cell cannot be seen.
    let top = highest + 1;
    let bottom = (lowest - 1).max(top - ROWS_MAX + 1).min(top - 5);
    let mut heat = Heat {
        edges_ms: (bottom..=top).rev().map(|s| (f64::from(s) / 2.0).exp2()).collect(),
        worked: Vec::new(),
        failed: bins.iter().map(|b| b.figures.failed).collect(),
    };
    for bin in bins {
        let mut cells = vec![0; heat.edges_ms.len()];
        for point in track.between(bin.from_ms, bin.to_ms).iter().filter(|p| p.ok) {
            let row = top - step(point.total_ms.max(0.1)).clamp(bottom, top);
            cells[usize::try_from(row).unwrap_or(0)] += 1;
        }
        heat.worked.push(cells);
    }
    heat
}

/// On which √2 step above 1 ms a time stands.
fn step(ms: f64) -> i32 {
    #[expect(clippy::cast_possible_truncation, reason = "a logarithm of 0.1 to 1e6 is small")]
    let step = (ms.log2() * 2.0).floor() as i32;
    step
}

/// The runs of a track that failed, as stretches: first and last failed run, how many, and
/// whether it still goes on. Runs in between that worked end a stretch once there are `calm`.
pub fn streaks(points: &[Point], is_bad: impl Fn(&Point) -> bool, calm: usize) -> Vec<Streak> {
    let mut streaks: Vec<Streak> = Vec::new();
    let mut good = calm;
    for point in points {
        if !is_bad(point) {
            good += 1;
            if good == calm
                && let Some(last) = streaks.last_mut()
            {
                last.open = false;
            }
            continue;
        }
        match streaks.last_mut() {
            Some(last) if good < calm => (last.to_ms, last.bad) = (point.at_ms, last.bad + 1),
            _ => streaks.push(Streak {
                from_ms: point.at_ms,
                to_ms: point.at_ms,
                bad: 1,
                open: true,
            }),
        }
        good = 0;
    }
    streaks
}

/// Bad runs that belong together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Streak {
    /// The first bad run's start.
    pub from_ms: i64,
    /// The last bad run's start.
    pub to_ms: i64,
    /// Bad runs.
    pub bad: usize,
    /// Whether not enough good runs followed yet.
    pub open: bool,
}

#[cfg(test)]
mod tests {
    use super::super::tests::track;
    use super::*;

    #[test]
    fn bins_are_round_on_the_clock_and_cover_the_range() {
        assert_eq!(width_ms(0, 86_400_000, 15_000), 900_000);
        assert_eq!(width_ms(0, 3_600_000, 15_000), 60_000);
        assert_eq!(width_ms(0, 3_600_000, 300_000), 300_000);
        let bins = bins(&track(&[100.0; 8]), 7_000, 130_000, 60_000);
        let edges: Vec<_> = bins.iter().map(|b| (b.from_ms, b.to_ms, b.figures.runs)).collect();
        assert_eq!(edges, [(7_000, 60_000, 3), (60_000, 120_000, 4), (120_000, 130_000, 0)]);
        assert!(bins[2].is_gap());
    }

    #[test]
    fn every_run_stands_in_exactly_one_cell_or_is_counted_as_failed() {
        let track = track(&[0.01, 40.0, 100.0, 100.0, 900.0, 4000.0, 9e9, -5000.0]);
        let bins = bins(&track, 0, 130_000, 60_000);
        let heat = heat(&track, &bins);
        let worked: usize = heat.worked.iter().flatten().sum();
        assert_eq!(worked + heat.failed.iter().sum::<usize>(), track.points.len());
        assert!(heat.edges_ms.len() <= 15 && heat.edges_ms.windows(2).all(|w| w[0] > w[1]));
    }

    #[test]
    fn failures_with_few_good_runs_between_are_one_stretch() {
        let track = track(&[1.0, -1.0, 1.0, -1.0, 1.0, 1.0, 1.0, -1.0]);
        let found = streaks(&track.points, |p| !p.ok, 3);
        let shown: Vec<_> = found.iter().map(|s| (s.from_ms / 15_000, s.bad, s.open)).collect();
        assert_eq!(shown, [(1, 2, false), (7, 1, true)]);
    }
}
