//! What pages say, as plain data: figures come in, structs go out, and nothing is read here.

pub mod before_after;
pub mod bins;
pub mod changes;
pub mod edge;
pub mod lead;
pub mod standing;
pub mod wire;

use whyslow_model::Phase;
use whyslow_model::stats::quantile;

/// Runs needed before a percentile is shown or a figure is judged.
pub const RUNS_TO_JUDGE: usize = 20;

/// One finished run, as the stored series tell it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// When it began, in milliseconds since the epoch.
    pub at_ms: i64,
    /// From start to end.
    pub total_ms: f64,
    /// Whether it worked, slow or not.
    pub ok: bool,
    /// The six phases in order; NaN where one was not reached or not needed.
    pub phases_ms: [f64; 6],
}

impl Point {
    /// The phase that took longest, if any was seen.
    pub fn longest(&self) -> Option<(Phase, f64)> {
        let seen = Phase::ALL.into_iter().zip(self.phases_ms).filter(|(_, ms)| ms.is_finite());
        seen.max_by(|a, b| a.1.total_cmp(&b.1))
    }
}

/// The runs of one check on one path from one vantage.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Track {
    /// The service.
    pub service: String,
    /// The check.
    pub check: String,
    /// The path.
    pub path: String,
    /// Where it is measured from.
    pub vantage: String,
    /// The path, and the vantage too where several measure the same.
    pub label: String,
    /// How it is measured, where the present configuration still has it.
    pub plan: Option<Plan>,
    /// When the first certificate of the newest run's chain ends, in milliseconds since the epoch.
    pub certificate_ends_ms: Option<i64>,
    /// Runs that began in the range, oldest first.
    pub points: Vec<Point>,
}

/// The part of a check's configuration that pages show and judge by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The check kind's name.
    pub kind: String,
    /// What is measured, without query values.
    pub target: String,
    /// Time between two runs.
    pub every_ms: u64,
    /// Above it a run is slow.
    pub warn_ms: Option<u64>,
    /// After it a run has failed.
    pub timeout_ms: u64,
    /// A certificate that ends within so many days is worth a warning.
    pub certificate_days: u32,
    /// What the path does, in a few words; empty where nothing is known.
    pub way: String,
    /// Whether a page added it, and a page may remove it.
    pub added_here: bool,
}

impl Track {
    /// `service:check:path`.
    pub fn id(&self) -> String {
        format!("{}:{}:{}", self.service, self.check, self.path)
    }

    /// The time between two runs: as configured, else the usual distance seen, else 15 s.
    pub fn every_ms(&self) -> i64 {
        if let Some(plan) = &self.plan {
            return i64::try_from(plan.every_ms).unwrap_or(i64::MAX).max(1);
        }
        let mut gaps: Vec<i64> = self.points.windows(2).map(|w| w[1].at_ms - w[0].at_ms).collect();
        gaps.sort_unstable();
        gaps.get(gaps.len() / 2).copied().unwrap_or(15_000).max(1)
    }

    /// The runs that began in `from_ms..to_ms`.
    pub fn between(&self, from_ms: i64, to_ms: i64) -> &[Point] {
        let from = self.points.partition_point(|p| p.at_ms < from_ms);
        let to = self.points.partition_point(|p| p.at_ms < to_ms).max(from);
        &self.points[from..to]
    }
}

/// What a set of runs shows. Percentiles are over runs that worked.
#[derive(Clone, Debug, PartialEq)]
pub struct Figures {
    /// All runs.
    pub runs: usize,
    /// Those that failed.
    pub failed: usize,
    /// The run in the middle, whole, so that its phases add up to its total.
    pub median: Option<Point>,
    /// 90 of 100 runs are faster; `None` below [`RUNS_TO_JUDGE`] runs.
    pub p90_ms: Option<f64>,
    /// 99 of 100 runs are faster; likewise.
    pub p99_ms: Option<f64>,
    /// In each phase by itself 90 of 100 runs are faster; NaN where too few have it.
    pub phases_p90_ms: [f64; 6],
}

impl Figures {
    /// The figures of `points`.
    pub fn of(points: &[Point]) -> Self {
        let mut worked: Vec<&Point> = points.iter().filter(|p| p.ok).collect();
        worked.sort_by(|a, b| a.total_ms.total_cmp(&b.total_ms));
        let totals: Vec<f64> = worked.iter().map(|p| p.total_ms).collect();
        let judged = |q| quantile(&totals, q).filter(|_| totals.len() >= RUNS_TO_JUDGE);
        Self {
            runs: points.len(),
            failed: points.len() - worked.len(),
            median: worked.get(worked.len() / 2).map(|p| **p),
            p90_ms: judged(0.9),
            p99_ms: judged(0.99),
            phases_p90_ms: std::array::from_fn(|i| phase_p90(&worked, i)),
        }
    }
}

fn phase_p90(worked: &[&Point], phase: usize) -> f64 {
    let seen = worked.iter().map(|p| p.phases_ms[phase]).filter(|ms| ms.is_finite());
    let mut sorted: Vec<f64> = seen.collect();
    sorted.sort_by(f64::total_cmp);
    quantile(&sorted, 0.9).filter(|_| sorted.len() >= RUNS_TO_JUDGE).unwrap_or(f64::NAN)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A run of `total_ms` whose time is mostly wait.
    pub(crate) fn run(at_ms: i64, total_ms: f64, ok: bool) -> Point {
        let mut phases_ms = [1.0, 10.0, 20.0, 0.1, total_ms - 32.1, 1.0];
        if !ok {
            phases_ms = [1.0, total_ms - 1.0, f64::NAN, f64::NAN, f64::NAN, f64::NAN];
        }
        Point { at_ms, total_ms, ok, phases_ms }
    }

    /// Runs every 15 s from 0 on, one for each total; a negative total failed.
    pub(crate) fn track(totals: &[f64]) -> Track {
        let points = (0..).zip(totals).map(|(i, t)| run(i * 15_000, t.abs(), *t > 0.0)).collect();
        Track {
            service: "shop".into(),
            check: "home".into(),
            path: "web2".into(),
            vantage: "lon1".into(),
            label: "web2".into(),
            certificate_ends_ms: None,
            points,
            plan: Some(Plan {
                kind: "http".into(),
                target: "https://shop.example/".into(),
                every_ms: 15_000,
                warn_ms: Some(2000),
                timeout_ms: 5000,
                certificate_days: 14,
                way: "straight to web2".into(),
                added_here: false,
            }),
        }
    }

    #[test]
    fn a_handful_of_runs_gives_no_percentile_but_a_middle() {
        let figures = Figures::of(&track(&[100.0, 300.0, 200.0, -5000.0]).points);
        assert_eq!((figures.runs, figures.failed, figures.p90_ms), (4, 1, None));
        assert_eq!(figures.median.map(|p| p.total_ms), Some(200.0));
    }

    #[test]
    fn the_phases_of_the_median_run_add_up() {
        let figures = Figures::of(&track(&[100.0; 30]).points);
        let median = figures.median.unwrap();
        assert!((median.phases_ms.iter().sum::<f64>() - median.total_ms).abs() < 1e-9);
        assert_eq!(median.longest().map(|l| l.0), Some(Phase::Wait));
        assert_eq!(figures.p90_ms, Some(100.0));
    }
}
