//! One series as the functions see it: values at even distances.

use std::collections::BTreeMap;

use whyslow_model::read::SeriesPoints;
use whyslow_model::sample::is_stale;

use crate::consolidate::Reduction;
use crate::path;

/// Values at even distances.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    /// What it is called in an answer.
    pub name: String,
    /// What it came from, for the names of functions that combine many.
    pub expression: String,
    /// Its tags, `name` among them.
    pub tags: BTreeMap<String, String>,
    /// The first value's time: seconds since the epoch.
    pub start_s: i64,
    /// Seconds from one value to the next; never 0.
    pub step_s: i64,
    /// The values; NaN where there is none.
    pub values: Vec<f64>,
    /// How many values become one where there is no room for all.
    pub reduction: Reduction,
}

impl Series {
    /// A series of values that came from no store.
    pub fn of_values(name: String, start_s: i64, step_s: i64, values: Vec<f64>) -> Self {
        let tags = BTreeMap::from([("name".to_owned(), name.clone())]);
        let expression = name.clone();
        let reduction = Reduction::Average;
        Self { name, expression, tags, start_s, step_s, values, reduction }
    }

    /// One step after the last value's time.
    pub fn end_s(&self) -> i64 {
        self.start_s + self.step_s * i64::try_from(self.values.len()).unwrap_or(0)
    }

    /// Renames it, also for the functions around.
    pub fn rename(&mut self, name: String) {
        self.expression.clone_from(&name);
        self.name = name;
    }

    /// The series with every `n` values made one.
    pub fn coarser(mut self, n: usize) -> Self {
        if n > 1 {
            self.values = self.values.chunks(n).map(|some| self.reduction.of_some(some)).collect();
            self.step_s *= i64::try_from(n).unwrap_or(1);
        }
        self
    }
}

impl Reduction {
    /// As [`Reduction::of`], but nothing of nothing, which a count of zero would hide.
    pub(crate) fn of_some(self, values: &[f64]) -> f64 {
        if values.iter().all(|v| v.is_nan()) { f64::NAN } else { self.of(values) }
    }
}

/// Lays points out at even distances within `(from_s, until_s]`, the last of a step standing for
/// it where steps are the sender's own.
pub(crate) fn lay_out(
    points: &SeriesPoints,
    expression: &str,
    from_s: i64,
    until_s: i64,
    reduction: Reduction,
) -> Series {
    let tags = path::tags_of(&points.labels);
    let step_s = step_of(&points.times_ms);
    let start_s = from_s.div_euclid(step_s) * step_s + step_s;
    let end_s = until_s.div_euclid(step_s) * step_s + step_s;
    let length = usize::try_from((end_s - start_s) / step_s).unwrap_or(0);
    let mut values = vec![f64::NAN; length];
    let mut i = 0;
    while i < points.times_ms.len() {
        let place = (points.times_ms[i].div_euclid(1000) - start_s).div_euclid(step_s);
        let same = |t: &i64| (t.div_euclid(1000) - start_s).div_euclid(step_s) == place;
        let many = points.times_ms[i..].iter().take_while(|t| same(t)).count();
        if let Some(slot) = usize::try_from(place).ok().and_then(|p| values.get_mut(p)) {
            let some = &points.values[i..i + many];
            // Two of one step are the sender's clock beside ours; more are a finer past.
            *slot = if many <= 2 { last_of(some) } else { reduction.of_some(some) };
        }
        i += many;
    }
    let name = path::name_of(&tags);
    let expression = expression.to_owned();
    Series { name, expression, tags, start_s, step_s, values, reduction }
}

fn last_of(values: &[f64]) -> f64 {
    values.iter().rev().copied().find(|v| !is_stale(*v)).unwrap_or(f64::NAN)
}

/// Seconds between two points of which nothing else is known.
pub(crate) const STEP_DEFAULT_S: i64 = 10;

/// Distances below which the older half of the points says nothing of its own.
const HALF_MIN: usize = 4;

/// The usual distance of two points, in seconds: the lower quartile, since gaps are longer. Of the
/// older and the newer half it is the larger one, since roll-ups that stand for the older lie
/// further apart.
fn step_of(times_ms: &[i64]) -> i64 {
    let gaps: Vec<i64> = times_ms.windows(2).map(|two| two[1] - two[0]).collect();
    let quartile = |some: &[i64]| {
        let mut some = some.to_vec();
        some.sort_unstable();
        some.get(some.len().saturating_sub(1) / 4).copied()
    };
    let (older, newer) = gaps.split_at(gaps.len() / 2);
    let usual_ms =
        if older.len() < HALF_MIN { quartile(&gaps) } else { quartile(older).max(quartile(newer)) };
    ((usual_ms.unwrap_or(STEP_DEFAULT_S * 1000) + 500) / 1000).clamp(1, 86_400)
}

/// How long the answer of a series would be, before it is laid out.
pub(crate) fn length_of(points: &SeriesPoints, from_s: i64, until_s: i64) -> usize {
    usize::try_from((until_s - from_s) / step_of(&points.times_ms) + 1).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use whyslow_model::sample::stale_nan;

    fn points(times_s: &[i64], values: &[f64]) -> SeriesPoints {
        SeriesPoints {
            labels: path::labels("a.b", []),
            times_ms: times_s.iter().map(|t| t * 1000).collect(),
            values: values.to_vec(),
        }
    }

    #[test]
    fn the_step_is_the_points_own() {
        assert_eq!(step_of(&[0, 9_900, 20_100, 30_000, 70_000]), 10);
        assert_eq!(step_of(&[0]), STEP_DEFAULT_S);
        let rolled: Vec<i64> = (0..20).map(|i| i * 300_000).collect();
        let fine = (1..300).map(|i| 6_000_000 + i * 10_000);
        assert_eq!(step_of(&rolled), 300);
        let halves: Vec<i64> = rolled.iter().copied().chain(fine.take(19)).collect();
        assert_eq!(step_of(&halves), 300);
        assert_eq!(step_of(&[0, 1, 2]), 1);
    }

    #[test]
    fn values_stand_at_whole_steps_after_the_start_up_to_the_end() {
        let p = points(&[100, 110, 130, 140], &[1.0, 2.0, 4.0, stale_nan()]);
        let s = lay_out(&p, "a.*", 95, 145, Reduction::Average);
        assert_eq!((s.start_s, s.step_s, s.values.len()), (100, 10, 5));
        assert_eq!(s.values[..2], [1.0, 2.0]);
        assert!(s.values[2].is_nan() && s.values[3] == 4.0 && s.values[4].is_nan());
        assert_eq!(lay_out(&p, "a", 100, 139, Reduction::Average).start_s, 110);
        assert_eq!((s.name.as_str(), s.expression.as_str(), s.end_s()), ("a.b", "a.*", 150));
    }

    #[test]
    fn coarser_values_are_made_of_what_is_there() {
        let s = Series::of_values("x".into(), 0, 10, vec![1.0, f64::NAN, 3.0, f64::NAN, 5.0]);
        let c = s.coarser(2);
        assert_eq!((c.step_s, c.values), (20, vec![1.0, 3.0, 5.0]));
    }
}
