//! Which resolution answers a query, and roll-ups as points that PromQL can evaluate.
//!
//! Samples answer wherever they are still kept and steps are not far apart; roll-ups answer for
//! what is older, and where five of their buckets fit into a step. Each stretch of time is
//! answered by one level, so nothing is missed or counted twice where levels meet.

use whyslow_model::read::SelectHint;
use whyslow_model::sample::is_stale;

use crate::retention::Level;
use crate::rollup::{Bucket, bucket_start};

/// A stretch of time answered by one level.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// The level's place in the retention; 0 for samples.
    pub level: usize,
    /// Its start, inclusive, in milliseconds.
    pub from_ms: i64,
    /// Its end, exclusive.
    pub to_ms: i64,
}

/// Buckets that must fit into a step (and into a range) before they stand in for samples.
const BUCKETS_PER_STEP: i64 = 5;
/// How far back an instant selector looks, as Prometheus has it; held values stand closer.
const HELD_EVERY_MS: i64 = 4 * 60 * 1000;
/// Points that one bucket may become.
const SPREAD_MAX: i64 = 10_000;

/// What of a bucket answers a function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    /// The value of each moment, held until the next.
    Held,
    /// How a counter or gauge moved, drawn as a line where the range is short.
    Slope,
    Min,
    Max,
    Average,
    Sum,
    /// As many points as there were samples.
    Count,
}

/// The segments that answer the query, ascending and without holes between them. `oldest_ms`
/// says for each level since when there is something of it.
pub fn plan(levels: &[Level], oldest_ms: &[Option<i64>], hint: &SelectHint<'_>) -> Vec<Segment> {
    let end = hint.to_ms.saturating_add(1);
    let preferred = preferred(levels, hint);
    let mut segments: Vec<Segment> = Vec::new();
    let mut to_ms = end;
    // Coarser levels reach further back as a rule. Where there is nothing of them yet, in a young
    // store or at a resolution that was added later, finer ones answer after all.
    for level in (preferred..levels.len()).chain((0..preferred).rev()) {
        if to_ms <= hint.from_ms {
            break;
        }
        let Some(oldest) = oldest_ms.get(level).copied().flatten() else { continue };
        let from_ms = oldest.max(hint.from_ms);
        if from_ms < to_ms {
            segments.push(Segment { level, from_ms, to_ms });
            to_ms = from_ms;
        }
    }
    segments.reverse();
    segments
}

/// The coarsest level that still shows what the query's steps show.
fn preferred(levels: &[Level], hint: &SelectHint<'_>) -> usize {
    let span = if hint.range_ms > 0 { hint.range_ms.min(hint.step_ms) } else { hint.step_ms };
    let fits = |l: &Level| l.resolution_ms.saturating_mul(BUCKETS_PER_STEP) <= span;
    if !stands_for_samples(hint.function) {
        return 0;
    }
    levels.iter().rposition(fits).unwrap_or(0)
}

/// Whether buckets give what samples would, but for the width of a bucket.
fn stands_for_samples(function: Option<&str>) -> bool {
    matches!(
        function,
        None | Some(
            "rate"
                | "increase"
                | "delta"
                | "min_over_time"
                | "max_over_time"
                | "avg_over_time"
                | "sum_over_time"
                | "count_over_time"
                | "last_over_time"
                | "present_over_time"
                | "absent_over_time"
        )
    )
}

fn answer(hint: &SelectHint<'_>) -> Answer {
    match hint.function {
        _ if hint.range_ms == 0 => Answer::Held,
        Some("min_over_time") => Answer::Min,
        Some("max_over_time") => Answer::Max,
        Some("sum_over_time") => Answer::Sum,
        Some("count_over_time") => Answer::Count,
        Some(
            "avg_over_time" | "quantile_over_time" | "stddev_over_time" | "stdvar_over_time"
            | "mad_over_time",
        ) => Answer::Average,
        Some("last_over_time" | "present_over_time" | "absent_over_time") => Answer::Held,
        _ => Answer::Slope,
    }
}

/// Appends the points that stand for ascending buckets of one resolution, all before `end_ms`.
/// From `weigh_from_ms` on, averages are given as often as there were samples, so that they
/// weigh as much as the samples beside which they stand.
pub fn points(
    buckets: &[Bucket],
    resolution_ms: i64,
    hint: &SelectHint<'_>,
    end_ms: i64,
    weigh_from_ms: i64,
    times_ms: &mut Vec<i64>,
    values: &mut Vec<f64>,
) {
    let mut out = Points { times_ms, values, end_ms };
    let answer = answer(hint);
    let short = hint.range_ms > 0 && hint.range_ms < 2 * resolution_ms;
    let parts = if short { 2 * resolution_ms / hint.range_ms + 1 } else { 1 };
    for (i, bucket) in buckets.iter().enumerate() {
        let next = buckets.get(i + 1);
        match answer {
            Answer::Held => out.hold(bucket, next, resolution_ms, hint),
            Answer::Slope => out.slope(bucket, next, resolution_ms, hint, short),
            _ if bucket.count == 0.0 => {}
            Answer::Min => out.spread(bucket, resolution_ms, parts, bucket.min),
            Answer::Max => out.spread(bucket, resolution_ms, parts, bucket.max),
            Answer::Sum => {
                #[expect(clippy::cast_precision_loss, reason = "a few thousand at most")]
                let share = bucket.sum / parts.min(SPREAD_MAX) as f64;
                out.spread(bucket, resolution_ms, parts, share);
            }
            Answer::Average if bucket.last_ms < weigh_from_ms => {
                out.spread(bucket, resolution_ms, parts, bucket.sum / bucket.count);
            }
            Answer::Average | Answer::Count => {
                #[expect(clippy::cast_possible_truncation, reason = "a count; the cast saturates")]
                let count = bucket.count as i64;
                out.spread(bucket, resolution_ms, count, bucket.sum / bucket.count);
            }
        }
    }
}

/// Where points go.
struct Points<'a> {
    times_ms: &'a mut Vec<i64>,
    values: &'a mut Vec<f64>,
    end_ms: i64,
}

impl Points<'_> {
    fn push(&mut self, at_ms: i64, value: f64) {
        if at_ms < self.end_ms && self.times_ms.last().is_none_or(|last| *last < at_ms) {
            self.times_ms.push(at_ms);
            self.values.push(value);
        }
    }

    /// The bucket's last value at its own time, and again until the next one, as closely as the
    /// query looks back.
    fn hold(&mut self, b: &Bucket, next: Option<&Bucket>, resolution: i64, hint: &SelectHint<'_>) {
        self.push(b.last_ms, b.last);
        let back = if hint.range_ms > 0 { hint.range_ms / 2 } else { HELD_EVERY_MS };
        if is_stale(b.last) || back >= resolution || back == 0 {
            return;
        }
        let longest = bucket_start(b.last_ms, resolution).saturating_add(2 * resolution);
        let until = next.map_or(longest, |n| n.last_ms.min(longest));
        let mut at = b.last_ms.saturating_add(back);
        while at < until && at < self.end_ms {
            self.push(at, b.last);
            at = at.saturating_add(back);
        }
    }

    /// The bucket's last value, and where the range is too short to see two of them, points on
    /// the line to the next.
    fn slope(
        &mut self,
        b: &Bucket,
        next: Option<&Bucket>,
        resolution: i64,
        hint: &SelectHint<'_>,
        short: bool,
    ) {
        self.push(b.last_ms, b.last);
        let Some(next) = next.filter(|n| short && n.last_ms - b.last_ms <= 2 * resolution) else {
            return;
        };
        // A counter that went back was reset somewhere in between; no line shows where.
        let is_gauge = !matches!(hint.function, Some("rate" | "increase" | "irate" | "resets"));
        if is_stale(b.last) || is_stale(next.last) || !(is_gauge || next.last >= b.last) {
            return;
        }
        let every = (hint.range_ms / 3).max(1000);
        #[expect(clippy::cast_precision_loss, reason = "milliseconds of a few hours")]
        let per_ms = (next.last - b.last) / (next.last_ms - b.last_ms) as f64;
        let mut at = b.last_ms.saturating_add(every);
        while at < next.last_ms {
            #[expect(clippy::cast_precision_loss, reason = "milliseconds of a few hours")]
            let value = per_ms.mul_add((at - b.last_ms) as f64, b.last);
            self.push(at, value);
            at = at.saturating_add(every);
        }
    }

    /// The value at `parts` moments of the bucket, or at the last sample's where it is one.
    fn spread(&mut self, b: &Bucket, resolution: i64, parts: i64, value: f64) {
        let parts = parts.clamp(1, SPREAD_MAX).min(resolution);
        if parts == 1 {
            self.push(b.last_ms, value);
            return;
        }
        let start = bucket_start(b.last_ms, resolution);
        for part in 1..=parts {
            self.push(start + part * resolution / parts - 1, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::retention::Retention;
    use crate::rollup::fold;

    const HOUR: i64 = 3_600_000;

    fn hint(from_ms: i64, to_ms: i64, step_ms: i64) -> SelectHint<'static> {
        SelectHint { from_ms, to_ms, step_ms, range_ms: 0, function: None, samples_max: 1_000_000 }
    }

    fn range(function: &'static str, range_ms: i64) -> SelectHint<'static> {
        SelectHint { range_ms, function: Some(function), ..hint(0, 100 * HOUR, 60_000) }
    }

    /// Six hours, a sample every 10 s, counting up by one.
    fn counter() -> Vec<Bucket> {
        let times: Vec<i64> = (0..2160).map(|i| i * 10_000).collect();
        let values: Vec<f64> = (0..2160).map(f64::from).collect();
        fold(&times, &values, HOUR)
    }

    fn draw(buckets: &[Bucket], hint: &SelectHint<'_>) -> Vec<(i64, f64)> {
        let (mut t, mut v) = (Vec::new(), Vec::new());
        points(buckets, HOUR, hint, i64::MAX, i64::MAX, &mut t, &mut v);
        assert!(t.is_sorted_by(|a, b| a < b), "times ascend: {t:?}");
        t.into_iter().zip(v).collect()
    }

    #[test]
    fn levels_meet_without_hole_or_overlap() {
        let retention = Retention::default();
        let oldest = [Some(80 * HOUR), Some(30 * HOUR), Some(0)];
        let all = plan(retention.levels(), &oldest, &hint(10 * HOUR, 100 * HOUR, 60_000));
        let got: Vec<_> = all.iter().map(|s| (s.level, s.from_ms / HOUR, s.to_ms / HOUR)).collect();
        assert_eq!(got, [(2, 10, 30), (1, 30, 80), (0, 80, 100)]);
        assert!(all.windows(2).all(|w| w[0].to_ms == w[1].from_ms));
    }

    #[test]
    fn wide_steps_are_answered_by_roll_ups_even_where_samples_are_kept() {
        let retention = Retention::default();
        let oldest = [Some(80 * HOUR), Some(30 * HOUR), Some(0)];
        let wide = hint(40 * HOUR, 100 * HOUR, HOUR);
        assert_eq!(plan(retention.levels(), &oldest, &wide)[0].level, 1);
        let exact = SelectHint { function: Some("quantile_over_time"), range_ms: HOUR, ..wide };
        let last = plan(retention.levels(), &oldest, &exact).pop().unwrap();
        assert_eq!(last.level, 0, "a quantile needs the samples");
    }

    #[test]
    fn a_level_of_which_there_is_nothing_answers_nothing() {
        let retention = Retention::default();
        let all = plan(retention.levels(), &[Some(0), None, None], &hint(5, 10, 1));
        assert_eq!(all, [Segment { level: 0, from_ms: 5, to_ms: 11 }]);
    }

    #[test]
    fn samples_answer_wide_steps_while_there_is_no_roll_up_yet() {
        let retention = Retention::default();
        let wide = hint(10 * HOUR, 100 * HOUR, 6 * HOUR);
        let young = plan(retention.levels(), &[Some(80 * HOUR), None, None], &wide);
        let (from_ms, to_ms) = (80 * HOUR, 100 * HOUR + 1);
        assert_eq!(young, [Segment { level: 0, from_ms, to_ms }]);
        // A resolution that was added later reaches less far back than what was there before.
        let added = plan(retention.levels(), &[Some(20 * HOUR), None, Some(90 * HOUR)], &wide);
        let got: Vec<_> =
            added.iter().map(|s| (s.level, s.from_ms / HOUR, s.to_ms / HOUR)).collect();
        assert_eq!(got, [(0, 20, 90), (2, 90, 100)]);
    }

    #[test]
    fn an_instant_always_finds_a_value_within_five_minutes() {
        let all = draw(&counter(), &hint(0, 100 * HOUR, 60_000));
        assert!(all.windows(2).all(|w| w[1].0 - w[0].0 <= 300_000));
        assert_eq!(all[0], (3_590_000, 359.0), "a value is never shown before it was seen");
    }

    #[test]
    fn a_short_rate_sees_the_slope_between_buckets() {
        let all = draw(&counter(), &range("rate", 300_000));
        assert!(all.windows(2).all(|w| w[1].0 - w[0].0 <= 150_000));
        let slope = |w: &[(i64, f64)]| (w[1].1 - w[0].1) / (w[1].0 - w[0].0) as f64;
        assert!(all.windows(2).all(|w| (slope(w) - 1e-4).abs() < 1e-9));
    }

    #[test]
    fn sums_and_counts_are_those_of_the_samples() {
        let total: f64 = (0..2160).map(f64::from).sum();
        for range_ms in [300_000, HOUR, 6 * HOUR] {
            let sum: f64 =
                draw(&counter(), &range("sum_over_time", range_ms)).iter().map(|p| p.1).sum();
            assert!((sum - total).abs() < 1e-6 * total, "{sum} {total}");
            assert_eq!(draw(&counter(), &range("count_over_time", range_ms)).len(), 2160);
        }
        let max = draw(&counter(), &range("max_over_time", 6 * HOUR));
        assert_eq!(max.last().map(|p| p.1), Some(2159.0));
    }
}
