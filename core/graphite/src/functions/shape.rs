//! Each series along its time.

use super::Kind::{Boolean, Float, Integer, Interval, SeriesList};
use super::{Answer, Call, Function, Parameter, Run, needed};
use crate::consolidate::Reduction;
use crate::render::Window;
use crate::series::Series;

const LIST: Parameter = needed("seriesList", SeriesList);
const BOUNDS: &[Parameter] =
    &[LIST, needed("maxValue", Float).optional(), needed("minValue", Float).optional()];

const fn transform(
    name: &'static str,
    parameters: &'static [Parameter],
    description: &'static str,
    run: Run,
) -> Function {
    Function { name, group: "Transform", description, parameters, run }
}

pub(super) const FUNCTIONS: &[Function] = &[
    transform("derivative", &[LIST], "How much each value differs from the one before.", |c| {
        along(c, "derivative", |s| differences(&s.values))
    }),
    transform(
        "nonNegativeDerivative",
        BOUNDS,
        "How much a counter grew from each value to the next; nothing where it began anew.",
        |c| {
            let bounds = Bounds::of(c)?;
            along(c, "nonNegativeDerivative", |s| bounds.growth(&s.values))
        },
    ),
    transform("perSecond", BOUNDS, "How much a counter grew in a second.", |c| {
        let bounds = Bounds::of(c)?;
        along(c, "perSecond", |s| {
            #[expect(clippy::cast_precision_loss, reason = "a step is far below 2^53 s")]
            let step_s = s.step_s as f64;
            let rounded = |v: f64| (v / step_s * 1e6).round() / 1e6;
            bounds.growth(&s.values).into_iter().map(rounded).collect()
        })
    }),
    transform("integral", &[LIST], "The sum of all values so far.", |c| {
        along(c, "integral", |s| sums(&s.values))
    }),
    transform(
        "keepLastValue",
        &[LIST, needed("limit", Float).or("null")],
        "The last value again where there is none, over gaps of at most so many values.",
        |c| {
            let limit = c.count(1, usize::MAX)?;
            along(c, "keepLastValue", |s| held(&s.values, limit))
        },
    ),
    transform("delay", &[LIST, needed("steps", Integer)], "Each value so many steps later.", delay),
    transform("offsetToZero", &[LIST], "Each value less the smallest of its series.", |c| {
        along(c, "offsetToZero", |s| {
            let least = Reduction::Min.of(&s.values);
            s.values.iter().map(|v| v - least).collect()
        })
    }),
    transform(
        "timeShift",
        &[
            LIST,
            needed("timeShift", Interval).such_as(&["1h", "6h", "12h", "1d", "2d", "7d", "30d"]),
            needed("resetEnd", Boolean).or("true"),
        ],
        "The series as they were some time ago.",
        time_shift,
    ),
];

fn along(call: &mut Call<'_, '_>, function: &str, values: impl Fn(&Series) -> Vec<f64>) -> Answer {
    let mut series = call.series(0)?;
    for one in &mut series {
        one.values = values(one);
        one.rename(format!("{function}({})", one.name));
    }
    Ok(series)
}

fn differences(values: &[f64]) -> Vec<f64> {
    let first = values.first().map(|_| f64::NAN);
    // NaN makes a difference NaN.
    first.into_iter().chain(values.windows(2).map(|two| two[1] - two[0])).collect()
}

/// Between which values a counter may lie.
#[derive(Clone, Copy)]
struct Bounds {
    max: Option<f64>,
    min: Option<f64>,
}

impl Bounds {
    fn of(call: &Call<'_, '_>) -> Result<Self, crate::RenderError> {
        Ok(Self { max: call.number(1)?, min: call.number(2)? })
    }

    fn growth(self, values: &[f64]) -> Vec<f64> {
        let mut before = f64::NAN;
        let mut growth = |value: f64| {
            if self.max.is_some_and(|max| value > max) || self.min.is_some_and(|min| value < min) {
                before = f64::NAN;
                return f64::NAN;
            }
            let last = std::mem::replace(&mut before, value);
            match (self.max, self.min) {
                _ if value.is_nan() || last.is_nan() => f64::NAN,
                _ if value >= last => value - last,
                (Some(max), min) => max + 1.0 + value - last - min.unwrap_or(0.0),
                (None, Some(min)) => value - min,
                (None, None) => f64::NAN,
            }
        };
        values.iter().map(|v| growth(*v)).collect()
    }
}

fn sums(values: &[f64]) -> Vec<f64> {
    let mut sum = 0.0;
    let mut next = |v: f64| {
        if v.is_nan() {
            return v;
        }
        sum += v;
        sum
    };
    values.iter().map(|v| next(*v)).collect()
}

/// Fills gaps of at most `limit` values with the one before.
fn held(values: &[f64], limit: usize) -> Vec<f64> {
    let mut all = values.to_vec();
    let mut last = f64::NAN;
    let mut i = 0;
    while i < all.len() {
        if !all[i].is_nan() {
            last = all[i];
            i += 1;
            continue;
        }
        let gap = all[i..].iter().take_while(|v| v.is_nan()).count();
        if gap <= limit {
            all[i..i + gap].fill(last);
        }
        i += gap;
    }
    all
}

fn delay(call: &mut Call<'_, '_>) -> Answer {
    let steps = call.needed_number(1)?;
    let by = call.count(1, 0)?;
    if steps < 0.0 {
        return Err(call.bad("steps must not be negative"));
    }
    let mut series = call.series(0)?;
    for one in &mut series {
        let length = one.values.len();
        let by = by.min(length);
        one.values.rotate_right(by);
        one.values[..by].fill(f64::NAN);
        one.rename(format!("delay({},{steps})", one.name));
    }
    Ok(series)
}

fn time_shift(call: &mut Call<'_, '_>) -> Answer {
    let text = call.needed_text(1)?;
    // Without a sign it means back.
    let signed = text.starts_with(|c: char| c.is_ascii_digit());
    let text = if signed { format!("-{text}") } else { text.to_owned() };
    let by_s = call.interval(1)?;
    let by_s = if signed { -by_s } else { by_s };
    let window = call.window;
    let then = Window {
        from_s: window.from_s.saturating_add(by_s),
        until_s: window.until_s.saturating_add(by_s),
    };
    let mut series = call.series_within(0, then)?;
    for one in &mut series {
        one.start_s = window.from_s.div_euclid(one.step_s) * one.step_s + one.step_s;
        one.rename(format!("timeShift({}, \"{text}\")", one.name));
    }
    Ok(series)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONE: f64 = f64::NAN;

    fn same(got: &[f64], wanted: &[f64]) {
        let equal = |(a, b): (&f64, &f64)| a == b || (a.is_nan() && b.is_nan());
        let fits = got.len() == wanted.len() && got.iter().zip(wanted).all(equal);
        assert!(fits, "{got:?} {wanted:?}");
    }

    #[test]
    fn a_counter_that_begins_anew_shows_no_growth_there() {
        let plain = Bounds { max: None, min: None };
        same(&plain.growth(&[1.0, 4.0, 2.0, NONE, 3.0, 3.0]), &[NONE, 3.0, NONE, NONE, NONE, 0.0]);
        let wraps = Bounds { max: Some(10.0), min: None };
        same(&wraps.growth(&[9.0, 1.0, 11.0, 2.0]), &[NONE, 3.0, NONE, NONE]);
        let starts = Bounds { max: None, min: Some(1.0) };
        same(&starts.growth(&[9.0, 3.0]), &[NONE, 2.0]);
    }

    #[test]
    fn gaps_are_filled_up_to_their_limit() {
        let values = [NONE, 1.0, NONE, 2.0, NONE, NONE];
        same(&held(&values, usize::MAX), &[NONE, 1.0, 1.0, 2.0, 2.0, 2.0]);
        same(&held(&values, 1), &[NONE, 1.0, 1.0, 2.0, NONE, NONE]);
    }

    #[test]
    fn sums_and_differences_pass_over_what_is_not_there() {
        same(&sums(&[1.0, NONE, 2.0]), &[1.0, NONE, 3.0]);
        same(&differences(&[1.0, 3.0, NONE, 2.0]), &[NONE, 2.0, NONE, NONE]);
        same(&differences(&[]), &[]);
    }
}
