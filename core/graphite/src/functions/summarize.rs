//! Longer steps.

use super::Kind::{AggFunc, Boolean, Interval, SeriesList};
use super::{Answer, Call, Function, Parameter, needed};
use crate::consolidate::Reduction;
use crate::error::RenderError;
use crate::render::Window;
use crate::series::Series;

const LIST: Parameter = needed("seriesList", SeriesList);
const INTERVAL: Parameter = needed("intervalString", Interval).such_as(&["10min", "1h", "1d"]);

pub(super) const FUNCTIONS: &[Function] = &[
    Function {
        name: "summarize",
        group: "Transform",
        description: "The values of each longer step as one.",
        parameters: &[
            LIST,
            INTERVAL,
            needed("func", AggFunc).or("\"sum\""),
            needed("alignToFrom", Boolean).or("false"),
        ],
        run: summarize,
    },
    Function {
        name: "smartSummarize",
        group: "Transform",
        description: "The values of each longer step, counted from the start, as one.",
        parameters: &[LIST, INTERVAL, needed("func", AggFunc).or("\"sum\"")],
        run: smart_summarize,
    },
    Function {
        name: "hitcount",
        group: "Transform",
        description: "How much a rate per second makes in each longer step.",
        parameters: &[LIST, INTERVAL, needed("alignToInterval", Boolean).or("false")],
        run: hitcount,
    },
];

fn step_of(call: &Call<'_, '_>) -> Result<i64, RenderError> {
    let step_s = call.interval(1)?.abs();
    if step_s == 0 { Err(call.bad("the interval must not be zero")) } else { Ok(step_s) }
}

fn summarize(call: &mut Call<'_, '_>) -> Answer {
    let step_s = step_of(call)?;
    let text = call.needed_text(1)?;
    let (func, reduction) = call.reduction(2, Reduction::Sum)?;
    let from_start = call.is_true(3);
    let mut all = Vec::new();
    for one in call.series(0)? {
        let (start_s, end_s) = if from_start {
            (one.start_s, one.end_s())
        } else {
            let end_s = one.end_s();
            (
                one.start_s - one.start_s.rem_euclid(step_s),
                end_s - end_s.rem_euclid(step_s) + step_s,
            )
        };
        let values = gathered(call, &one, reduction, step_s, start_s, end_s)?;
        let aligned = if from_start { ", true" } else { "" };
        let name = format!("summarize({}, \"{text}\", \"{func}\"{aligned})", one.name);
        all.push(renewed(one, name, start_s, step_s, values));
    }
    Ok(all)
}

fn smart_summarize(call: &mut Call<'_, '_>) -> Answer {
    let step_s = step_of(call)?;
    let text = call.needed_text(1)?;
    let (func, reduction) = call.reduction(2, Reduction::Sum)?;
    let mut all = Vec::new();
    for one in call.series(0)? {
        let (start_s, end_s) = (one.start_s, one.end_s());
        let values = gathered(call, &one, reduction, step_s, start_s, end_s)?;
        let name = format!("smartSummarize({}, \"{text}\", \"{func}\")", one.name);
        all.push(renewed(one, name, start_s, step_s, values));
    }
    Ok(all)
}

fn renewed(one: Series, name: String, start_s: i64, step_s: i64, values: Vec<f64>) -> Series {
    let mut renewed = Series { start_s, step_s, values, ..one };
    renewed.rename(name);
    renewed
}

/// The values of each step of `step_s` as one.
fn gathered(
    call: &mut Call<'_, '_>,
    series: &Series,
    reduction: Reduction,
    step_s: i64,
    start_s: i64,
    end_s: i64,
) -> Result<Vec<f64>, RenderError> {
    let steps = usize::try_from((end_s - start_s + step_s - 1) / step_s).unwrap_or(0);
    call.charge(steps)?;
    let place = |i: usize| {
        let at_s = series.start_s + series.step_s * i64::try_from(i).unwrap_or(i64::MAX);
        usize::try_from((at_s - start_s) / step_s).unwrap_or(0)
    };
    let mut values = vec![f64::NAN; steps];
    let mut i = 0;
    while i < series.values.len() {
        let own = place(i);
        let mut next = i + 1;
        while next < series.values.len() && place(next) == own {
            next += 1;
        }
        if let Some(slot) = values.get_mut(own) {
            *slot = reduction.of_some(&series.values[i..next]);
        }
        i = next;
    }
    Ok(values)
}

fn hitcount(call: &mut Call<'_, '_>) -> Answer {
    let step_s = step_of(call)?;
    let text = call.needed_text(1)?;
    let aligned = call.is_true(2);
    let mut window = call.window;
    if aligned {
        let unit = [86_400, 3600, 60].into_iter().find(|unit| step_s >= *unit).unwrap_or(1);
        window = Window { from_s: window.from_s - window.from_s.rem_euclid(unit), ..window };
    }
    let mut all = Vec::new();
    for one in call.series_within(0, window)? {
        let end_s = if aligned {
            let whole = (one.end_s() - one.start_s) / step_s;
            one.start_s + whole * step_s + step_s
        } else {
            one.end_s()
        };
        let steps = usize::try_from((end_s - one.start_s + step_s - 1) / step_s).unwrap_or(0);
        call.charge(steps)?;
        let start_s = end_s - step_s * i64::try_from(steps).unwrap_or(0);
        let values = hits(&one, start_s, step_s, steps);
        let flag = if aligned { ", true" } else { "" };
        let name = format!("hitcount({}, \"{text}\"{flag})", one.name);
        all.push(renewed(one, name, start_s, step_s, values));
    }
    Ok(all)
}

/// Each value times its seconds, spread over the steps in which they lie.
fn hits(series: &Series, start_s: i64, step_s: i64, steps: usize) -> Vec<f64> {
    let mut values = vec![f64::NAN; steps];
    for (i, value) in series.values.iter().enumerate().filter(|(_, v)| !v.is_nan()) {
        let mut at_s = series.start_s + series.step_s * i64::try_from(i).unwrap_or(0) - start_s;
        let end_s = at_s + series.step_s;
        while at_s < end_s {
            let Some(place) = usize::try_from(at_s / step_s).ok().filter(|p| *p < steps) else {
                break;
            };
            let next = ((at_s / step_s) + 1) * step_s;
            let until = next.min(end_s);
            #[expect(clippy::cast_precision_loss, reason = "a step is far below 2^53 s")]
            let more = value * (until - at_s) as f64;
            values[place] = if values[place].is_nan() { more } else { values[place] + more };
            at_s = until;
        }
    }
    values
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hits_are_spread_over_the_steps_they_lie_in() {
        let s = Series::of_values("x".into(), 50, 20, vec![1.0, f64::NAN, 3.0]);
        // 50 to 70, nothing, 90 to 110.
        assert_eq!(hits(&s, 50, 30, 2), [20.0, 60.0]);
        assert_eq!(hits(&s, 40, 30, 3), [20.0, 30.0, 30.0]);
    }
}
