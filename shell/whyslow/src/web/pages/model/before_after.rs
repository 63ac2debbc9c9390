//! What differs between before and after a mark, path by path.

use super::changes::Mark;
use super::{Figures, RUNS_TO_JUDGE, Track};

/// One path's figures on both sides of a mark.
#[derive(Clone, Debug, PartialEq)]
pub struct Sides {
    /// The path.
    pub path: String,
    /// Runs before the mark.
    pub before: Figures,
    /// Runs from the mark on.
    pub after: Figures,
}

impl Sides {
    /// In words: whether failures or the median changed, or that nobody can tell yet.
    pub fn reading(&self) -> &'static str {
        let (b, a) = (&self.before, &self.after);
        if b.runs < RUNS_TO_JUDGE || a.runs < RUNS_TO_JUDGE {
            return "too few runs to judge";
        }
        let failures_differ = {
            let expected = share(b) * as_f64(a.runs);
            (as_f64(a.failed) - expected).abs() > 3.0 * expected.max(1.0).sqrt()
        };
        if failures_differ {
            return if share(a) < share(b) { "fewer failures" } else { "more failures" };
        }
        match (b.median, a.median) {
            (Some(b), Some(a)) if a.total_ms > b.total_ms * 1.1 + 1.0 => "slower",
            (Some(b), Some(a)) if a.total_ms * 1.1 + 1.0 < b.total_ms => "faster",
            _ => "no difference",
        }
    }
}

/// Both sides of `mark` within what the tracks hold.
pub fn sides(tracks: &[&Track], mark: &Mark) -> Vec<Sides> {
    let side = |t: &&Track| {
        let at = t.points.partition_point(|p| p.at_ms < mark.at_ms);
        let (before, after) = t.points.split_at(at);
        Sides { path: t.label.clone(), before: Figures::of(before), after: Figures::of(after) }
    };
    tracks.iter().map(side).collect()
}

fn share(figures: &Figures) -> f64 {
    as_f64(figures.failed) / as_f64(figures.runs.max(1))
}

#[expect(clippy::cast_precision_loss, reason = "counts of runs are far below 2^53")]
fn as_f64(n: usize) -> f64 {
    n as f64
}

#[cfg(test)]
mod tests {
    use super::super::tests::track;
    use super::*;

    fn reading(before: &[f64], after: &[f64]) -> &'static str {
        let t = track(&[before, after].concat());
        let at_ms = 15_000 * i64::try_from(before.len()).unwrap();
        let mark = Mark { at_ms, service: String::new(), text: "x".into() };
        sides(&[&t], &mark)[0].reading()
    }

    #[test]
    fn a_change_is_named_only_when_the_runs_carry_it() {
        assert_eq!(reading(&[100.0; 9], &[900.0; 900]), "too few runs to judge");
        assert_eq!(reading(&[100.0; 99], &[101.0; 99]), "no difference");
        assert_eq!(reading(&[100.0; 99], &[150.0; 99]), "slower");
        assert_eq!(reading(&[150.0; 99], &[100.0; 99]), "faster");
        let failing: Vec<f64> = (0..400).map(|i| if i % 10 == 0 { -1.0 } else { 100.0 }).collect();
        assert_eq!(reading(&failing, &[100.0; 400]), "fewer failures");
        assert_eq!(reading(&[100.0; 400], &failing), "more failures");
    }
}
