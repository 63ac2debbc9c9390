//! Some series of many, and some values of each.

use super::Kind::{AggFunc, Float, Integer, SeriesList, String as Text};
use super::{Answer, Call, Function, Parameter, Run, needed, short};
use crate::consolidate::{Reduction, percentile};
use crate::series::Series;

const LIST: Parameter = needed("seriesList", SeriesList);
const N: &[Parameter] = &[LIST, needed("n", Integer).or("1")];
const FLOAT: &[Parameter] = &[LIST, needed("n", Float)];
const PATTERN: &[Parameter] = &[LIST, needed("pattern", Text)];

const fn filter(
    name: &'static str,
    parameters: &'static [Parameter],
    description: &'static str,
    run: Run,
) -> Function {
    Function { name, group: "Filter Series", description, parameters, run }
}

pub(super) const FUNCTIONS: &[Function] = &[
    filter(
        "highest",
        &[LIST, needed("n", Integer).or("1"), needed("func", AggFunc).or("\"average\"")],
        "The n series with the highest value of a function.",
        |c| {
            let (_, reduction) = c.reduction(2, Reduction::Average)?;
            extreme(c, reduction, true)
        },
    ),
    filter("highestAverage", N, "The n series with the highest average.", |c| {
        extreme(c, Reduction::Average, true)
    }),
    filter("highestCurrent", N, "The n series with the highest last value.", |c| {
        extreme(c, Reduction::Last, true)
    }),
    filter("highestMax", N, "The n series with the highest peak.", |c| {
        extreme(c, Reduction::Max, true)
    }),
    filter(
        "lowest",
        &[LIST, needed("n", Integer).or("1"), needed("func", AggFunc).or("\"average\"")],
        "The n series with the lowest value of a function.",
        |c| {
            let (_, reduction) = c.reduction(2, Reduction::Average)?;
            extreme(c, reduction, false)
        },
    ),
    filter("lowestAverage", N, "The n series with the lowest average.", |c| {
        extreme(c, Reduction::Average, false)
    }),
    filter("lowestCurrent", N, "The n series with the lowest last value.", |c| {
        extreme(c, Reduction::Last, false)
    }),
    filter("limit", &[LIST, needed("n", Integer)], "The first n series.", |c| {
        let n = c.count(1, 0)?;
        let mut series = c.series(0)?;
        series.truncate(n);
        Ok(series)
    }),
    filter("exclude", PATTERN, "Series whose name a regular expression does not match.", |c| {
        let pattern = c.pattern(1)?;
        keep(c, |s| !pattern.is_match(&s.name))
    }),
    filter("grep", PATTERN, "Series whose name a regular expression matches.", |c| {
        let pattern = c.pattern(1)?;
        keep(c, |s| pattern.is_match(&s.name))
    }),
    filter("averageAbove", FLOAT, "Series whose average lies above a number.", |c| {
        beyond(c, Reduction::Average, |v, n| v > n)
    }),
    filter("averageBelow", FLOAT, "Series whose average lies at or below a number.", |c| {
        beyond(c, Reduction::Average, |v, n| v <= n)
    }),
    filter("currentAbove", FLOAT, "Series whose last value lies above a number.", |c| {
        beyond(c, Reduction::Last, |v, n| v > n)
    }),
    filter("currentBelow", FLOAT, "Series whose last value lies at or below a number.", |c| {
        beyond(c, Reduction::Last, |v, n| v <= n)
    }),
    filter("maximumAbove", FLOAT, "Series whose peak lies above a number.", |c| {
        beyond(c, Reduction::Max, |v, n| v > n)
    }),
    filter("maximumBelow", FLOAT, "Series whose peak lies at or below a number.", |c| {
        beyond(c, Reduction::Max, |v, n| v <= n)
    }),
    filter("minimumAbove", FLOAT, "Series whose smallest value lies above a number.", |c| {
        beyond(c, Reduction::Min, |v, n| v > n)
    }),
    filter("minimumBelow", FLOAT, "Series whose smallest value lies at or below a number.", |c| {
        beyond(c, Reduction::Min, |v, n| v <= n)
    }),
    filter("removeEmptySeries", &[LIST], "Series with a value at least.", |c| {
        keep(c, |s| s.values.iter().any(|v| !v.is_nan()))
    }),
    Function {
        name: "removeAbovePercentile",
        group: "Filter Data",
        description: "Without values above the n-th percentile of their series.",
        parameters: FLOAT,
        run: |c| cut(c, "removeAbovePercentile", |v, p| v > p),
    },
    Function {
        name: "removeBelowPercentile",
        group: "Filter Data",
        description: "Without values below the n-th percentile of their series.",
        parameters: FLOAT,
        run: |c| cut(c, "removeBelowPercentile", |v, p| v < p),
    },
];

fn keep(call: &mut Call<'_, '_>, wanted: impl Fn(&Series) -> bool) -> Answer {
    let mut series = call.series(0)?;
    series.retain(|s| wanted(s));
    Ok(series)
}

fn beyond(call: &mut Call<'_, '_>, reduction: Reduction, is: impl Fn(f64, f64) -> bool) -> Answer {
    let n = call.needed_number(1)?;
    keep(call, |s| is(reduction.of(&s.values), n))
}

fn extreme(call: &mut Call<'_, '_>, reduction: Reduction, highest: bool) -> Answer {
    let n = call.count(1, 1)?;
    let mut series = sorted(call.series(0)?, reduction, highest);
    series.truncate(n);
    Ok(series)
}

/// By a value of each series; one without any counts as lowest.
pub(super) fn sorted(series: Vec<Series>, reduction: Reduction, descending: bool) -> Vec<Series> {
    let value = |s: Series| {
        let value = reduction.of(&s.values);
        (if value.is_nan() { f64::NEG_INFINITY } else { value }, s)
    };
    let mut keyed: Vec<(f64, Series)> = series.into_iter().map(value).collect();
    keyed.sort_by(|a, b| if descending { b.0.total_cmp(&a.0) } else { a.0.total_cmp(&b.0) });
    keyed.into_iter().map(|(_, s)| s).collect()
}

fn cut(call: &mut Call<'_, '_>, name: &str, is: impl Fn(f64, f64) -> bool) -> Answer {
    let n = call.needed_number(1)?;
    let mut series = call.series(0)?;
    for one in &mut series {
        let bound = percentile(&one.values, n, false);
        one.values.iter_mut().filter(|v| is(**v, bound)).for_each(|v| *v = f64::NAN);
        one.rename(format!("{name}({}, {})", one.name, short(n)));
    }
    Ok(series)
}
