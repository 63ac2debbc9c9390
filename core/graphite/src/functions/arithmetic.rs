//! Each value by itself.

use super::Kind::{Float, Integer, SeriesList};
use super::{Answer, Call, Function, Parameter, Run, needed, short};

const LIST: Parameter = needed("seriesList", SeriesList);
const FACTOR: &[Parameter] = &[LIST, needed("factor", Float)];

const BOUND: &[Parameter] = &[LIST, needed("n", Float)];

const fn transform(
    name: &'static str,
    parameters: &'static [Parameter],
    description: &'static str,
    run: Run,
) -> Function {
    Function { name, group: "Transform", description, parameters, run }
}

const fn removal(name: &'static str, description: &'static str, run: Run) -> Function {
    Function { name, group: "Filter Data", description, parameters: BOUND, run }
}

pub(super) const FUNCTIONS: &[Function] = &[
    transform("scale", FACTOR, "Each value times a factor.", |c| {
        with_number(c, "scale", |v, n| v * n)
    }),
    transform("offset", FACTOR, "Each value plus a number.", |c| {
        with_number(c, "offset", |v, n| v + n)
    }),
    transform("add", &[LIST, needed("constant", Float)], "Each value plus a number.", |c| {
        with_number(c, "add", |v, n| v + n)
    }),
    transform("pow", FACTOR, "Each value to the power of a number.", |c| {
        with_number(c, "pow", |v, n| finite(v.powf(n)))
    }),
    transform("absolute", &[LIST], "Each value without its sign.", |c| {
        each(c, |name| format!("absolute({name})"), f64::abs)
    }),
    transform("invert", &[LIST], "One divided by each value.", |c| {
        each(c, |name| format!("invert({name})"), |v| finite(1.0 / v))
    }),
    transform("squareRoot", &[LIST], "The square root of each value.", |c| {
        each(c, |name| format!("squareRoot({name})"), f64::sqrt)
    }),
    transform(
        "log",
        &[LIST, needed("base", Float).or("10")],
        "The logarithm of each value.",
        logarithm,
    ),
    transform(
        "round",
        &[LIST, needed("precision", Integer).or("0")],
        "Each value to so many decimals.",
        round,
    ),
    transform(
        "scaleToSeconds",
        &[LIST, needed("seconds", Integer)],
        "Each value as if its step were so many seconds long.",
        scale_to_seconds,
    ),
    transform(
        "transformNull",
        &[LIST, needed("default", Float).or("0")],
        "A number in place of values that are not there.",
        |c| {
            let default = c.number(1)?.unwrap_or(0.0);
            let name = |name: &str| format!("transformNull({name},{})", short(default));
            each(c, name, |v| if v.is_nan() { default } else { v })
        },
    ),
    transform("isNonNull", &[LIST], "1 where there is a value, 0 where there is none.", |c| {
        let name = |name: &str| format!("isNonNull({name})");
        each(c, name, |v| if v.is_nan() { 0.0 } else { 1.0 })
    }),
    removal("removeBelowValue", "Without values below a number.", |c| {
        let n = c.needed_number(1)?;
        let name = |name: &str| format!("removeBelowValue({name}, {})", short(n));
        each(c, name, |v| if v < n { f64::NAN } else { v })
    }),
    removal("removeAboveValue", "Without values above a number.", |c| {
        let n = c.needed_number(1)?;
        let name = |name: &str| format!("removeAboveValue({name}, {})", short(n));
        each(c, name, |v| if v > n { f64::NAN } else { v })
    }),
];

fn each(
    call: &mut Call<'_, '_>,
    name: impl Fn(&str) -> String,
    value: impl Fn(f64) -> f64,
) -> Answer {
    let mut series = call.series(0)?;
    for one in &mut series {
        one.values.iter_mut().for_each(|v| *v = value(*v));
        one.rename(name(&one.name));
    }
    Ok(series)
}

fn with_number(call: &mut Call<'_, '_>, function: &str, value: impl Fn(f64, f64) -> f64) -> Answer {
    let n = call.needed_number(1)?;
    each(call, |name| format!("{function}({name},{})", short(n)), |v| value(v, n))
}

fn finite(value: f64) -> f64 {
    if value.is_finite() { value } else { f64::NAN }
}

fn logarithm(call: &mut Call<'_, '_>) -> Answer {
    let base = call.number(1)?.unwrap_or(10.0);
    let name = |name: &str| format!("log({name}, {})", short(base));
    each(call, name, |v| if v <= 0.0 { f64::NAN } else { finite(v.log(base)) })
}

fn round(call: &mut Call<'_, '_>) -> Answer {
    let decimals = call.number(1)?;
    let factor = 10f64.powf(decimals.unwrap_or(0.0).clamp(-15.0, 15.0));
    let name = |name: &str| match decimals {
        Some(n) => format!("round({name},{})", short(n)),
        None => format!("round({name})"),
    };
    each(call, name, |v| (v * factor).round_ties_even() / factor)
}

fn scale_to_seconds(call: &mut Call<'_, '_>) -> Answer {
    let seconds = call.needed_number(1)?;
    let mut series = call.series(0)?;
    for one in &mut series {
        #[expect(clippy::cast_precision_loss, reason = "a step is far below 2^53 s")]
        let factor = seconds / one.step_s as f64;
        one.values.iter_mut().for_each(|v| *v *= factor);
        one.rename(format!("scaleToSeconds({},{})", one.name, short(seconds)));
    }
    Ok(series)
}
