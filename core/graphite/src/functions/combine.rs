//! Many series into one.

use std::collections::BTreeMap;

use super::Kind::{AggFunc, Boolean, Float, SeriesList};
use super::{Answer, Call, Function, Parameter, Run, needed, short};
use crate::consolidate::{Reduction, percentile};
use crate::error::RenderError;
use crate::series::Series;

const MANY: &[Parameter] = &[needed("seriesLists", SeriesList).many()];

const fn of_many(name: &'static str, description: &'static str, run: Run) -> Function {
    Function { name, group: "Combine", description, parameters: MANY, run }
}

pub(super) const FUNCTIONS: &[Function] = &[
    of_many("sumSeries", "The sum of all series at each time.", |c| all(c, "sum")),
    of_many("sum", "The sum of all series at each time.", |c| all(c, "sum")),
    of_many("averageSeries", "The average of all series at each time.", |c| all(c, "average")),
    of_many("avg", "The average of all series at each time.", |c| all(c, "average")),
    of_many("maxSeries", "The largest of all series at each time.", |c| all(c, "max")),
    of_many("minSeries", "The smallest of all series at each time.", |c| all(c, "min")),
    of_many("stddevSeries", "The standard deviation of all series at each time.", |c| {
        all(c, "stddev")
    }),
    of_many("rangeOfSeries", "The largest less the smallest of all series at each time.", |c| {
        all(c, "rangeOf")
    }),
    of_many("diffSeries", "The first series less all others.", |c| all(c, "diff")),
    of_many("multiplySeries", "The product of all series at each time.", multiply),
    of_many("countSeries", "How many series there are.", count),
    of_many("group", "All series, as they are, in one list.", |c| c.series(0)),
    Function {
        name: "aggregate",
        group: "Combine",
        description: "All series into one by the aggregation function named.",
        parameters: &[needed("seriesList", SeriesList), needed("func", AggFunc)],
        run: |c| {
            let (name, _) = c.reduction(1, Reduction::Average)?;
            all(c, name.strip_suffix("Series").unwrap_or(&name))
        },
    },
    Function {
        name: "percentileOfSeries",
        group: "Combine",
        description: "The n-th percentile of all series at each time.",
        parameters: &[
            needed("seriesList", SeriesList),
            needed("n", Float),
            needed("interpolate", Boolean).or("false"),
        ],
        run: percentile_of_series,
    },
    Function {
        name: "divideSeries",
        group: "Combine",
        description: "Each series divided by one other.",
        parameters: &[
            needed("dividendSeriesList", SeriesList),
            needed("divisorSeries", SeriesList),
        ],
        run: divide,
    },
];

fn all(call: &mut Call<'_, '_>, name: &str) -> Answer {
    let series = call.series(0)?;
    Ok(combined(series, name).into_iter().collect())
}

/// The one series that `name`, an aggregation function, makes of many; `None` of none.
pub(super) fn combined(series: Vec<Series>, name: &str) -> Option<Series> {
    let reduction: Reduction = name.parse().unwrap_or(Reduction::Average);
    let tags = common_tags(&series)?;
    let named = format!("{name}Series({})", expressions(&series));
    let table = aligned(series);
    let values = table.rows().map(|row| reduction.of_some(&row)).collect();
    let mut one = Series::of_values(named, table.start_s, table.step_s, values);
    for (tag, value) in tags {
        one.tags.insert(tag, value);
    }
    one.tags.insert("aggregatedBy".to_owned(), name.to_owned());
    Some(one)
}

/// The tags that all series have alike; `None` of no series.
fn common_tags(series: &[Series]) -> Option<BTreeMap<String, String>> {
    let mut tags = series.first()?.tags.clone();
    for one in series {
        tags.retain(|tag, value| one.tags.get(tag) == Some(value));
    }
    Some(tags)
}

/// What the series came from, each once.
pub(super) fn expressions(series: &[Series]) -> String {
    let mut all: Vec<&str> = Vec::new();
    for one in series {
        if !all.contains(&one.expression.as_str()) {
            all.push(&one.expression);
        }
    }
    all.join(",")
}

/// Series side by side at the same times.
pub(super) struct Table {
    pub(super) start_s: i64,
    pub(super) step_s: i64,
    pub(super) columns: Vec<Vec<f64>>,
}

impl Table {
    /// The values of each time.
    pub(super) fn rows(&self) -> impl Iterator<Item = Vec<f64>> {
        let length = self.columns.first().map_or(0, Vec::len);
        (0..length).map(|i| self.columns.iter().map(|c| c[i]).collect())
    }
}

/// Lays series side by side, at the smallest step that is a multiple of all of theirs.
pub(super) fn aligned(series: Vec<Series>) -> Table {
    let step_s = series.iter().map(|s| s.step_s).fold(1, common_step);
    let series: Vec<Series> = series.into_iter().map(|s| at_step(s, step_s)).collect();
    let start_s = series.iter().map(|s| s.start_s).min().unwrap_or(0);
    let end_s = series.iter().map(Series::end_s).max().unwrap_or(0);
    let length = usize::try_from((end_s - start_s) / step_s).unwrap_or(0);
    let column = |s: Series| {
        let before = usize::try_from((s.start_s - start_s) / step_s).unwrap_or(0).min(length);
        let mut column = vec![f64::NAN; before];
        column.extend(s.values);
        column.resize(length, f64::NAN);
        column
    };
    Table { start_s, step_s, columns: series.into_iter().map(column).collect() }
}

/// A century: beyond that two steps have no multiple worth having.
const STEP_MAX_S: i64 = 100 * 366 * 86_400;

/// The least common multiple.
fn common_step(a: i64, b: i64) -> i64 {
    let (mut x, mut y) = (a, b);
    while y != 0 {
        (x, y) = (y, x % y);
    }
    (a / x).checked_mul(b).filter(|s| *s <= STEP_MAX_S).unwrap_or_else(|| a.max(b))
}

/// The series at a step that is a multiple of its own, its values at whole steps.
fn at_step(series: Series, step_s: i64) -> Series {
    let n = step_s / series.step_s;
    if n <= 1 {
        return series;
    }
    let start_s = series.start_s.div_euclid(step_s) * step_s;
    let missing = (series.start_s - start_s) / series.step_s;
    let n = usize::try_from(n).unwrap_or(1);
    let first = n.saturating_sub(usize::try_from(missing).unwrap_or(0)).min(series.values.len());
    let (head, rest) = series.values.split_at(if first == n { 0 } else { first });
    let mut values = Vec::with_capacity(rest.len() / n + 2);
    if !head.is_empty() {
        values.push(series.reduction.of_some(head));
    }
    values.extend(rest.chunks(n).map(|some| series.reduction.of_some(some)));
    Series { start_s, step_s, values, ..series }
}

fn multiply(call: &mut Call<'_, '_>) -> Answer {
    let series = call.series(0)?;
    if series.len() == 1 {
        return Ok(series);
    }
    Ok(combined(series, "multiply").into_iter().collect())
}

fn count(call: &mut Call<'_, '_>) -> Answer {
    let series = call.series(0)?;
    #[expect(clippy::cast_precision_loss, reason = "far fewer series than 2^53")]
    let n = series.len() as f64;
    let name = format!("countSeries({})", expressions(&series));
    let table = aligned(series);
    let length = table.columns.first().map_or(0, Vec::len);
    if length == 0 {
        return Ok(Vec::new());
    }
    Ok(vec![Series::of_values(name, table.start_s, table.step_s, vec![n; length])])
}

fn percentile_of_series(call: &mut Call<'_, '_>) -> Answer {
    let n = call.needed_number(1)?;
    if n <= 0.0 {
        return Err(call.bad("n must be greater than 0"));
    }
    let interpolate = call.is_true(2);
    let series = call.series(0)?;
    let Some(first) = series.first() else { return Ok(series) };
    let name = format!("percentileOfSeries({},{})", first.expression, short(n));
    let table = aligned(series);
    let values = table.rows().map(|row| percentile(&row, n, interpolate)).collect();
    Ok(vec![Series::of_values(name, table.start_s, table.step_s, values)])
}

fn divide(call: &mut Call<'_, '_>) -> Answer {
    let dividends = call.series(0)?;
    let mut divisors = call.series(1)?;
    if divisors.len() > 1 {
        return Err(call.bad(format!("the divisor must be one series, not {}", divisors.len())));
    }
    let Some(divisor) = divisors.pop() else {
        let nothing = |mut s: Series| {
            s.rename(format!("divideSeries({},MISSING)", s.name));
            s.values.fill(f64::NAN);
            s
        };
        return Ok(dividends.into_iter().map(nothing).collect());
    };
    dividends.into_iter().map(|s| ratio(call, s, &divisor)).collect()
}

fn ratio(call: &mut Call<'_, '_>, series: Series, divisor: &Series) -> Result<Series, RenderError> {
    call.charge(series.values.len())?;
    let name = format!("divideSeries({},{})", series.name, divisor.name);
    let table = aligned(vec![series, divisor.clone()]);
    let values = table.rows().map(|row| quotient(row[0], row[1])).collect();
    Ok(Series::of_values(name, table.start_s, table.step_s, values))
}

/// Nothing where the divisor is zero.
pub(super) fn quotient(dividend: f64, divisor: f64) -> f64 {
    if divisor == 0.0 { f64::NAN } else { dividend / divisor }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(start_s: i64, step_s: i64, values: &[f64]) -> Series {
        Series::of_values("x".into(), start_s, step_s, values.to_vec())
    }

    #[test]
    fn series_of_different_steps_meet_at_whole_multiples() {
        let table = aligned(vec![series(70, 10, &[1.0; 11]), series(120, 60, &[5.0, 6.0])]);
        assert_eq!((table.start_s, table.step_s), (60, 60));
        // 70 to 170 in steps of 60: five values, then six, and none after 180.
        assert_eq!(table.columns[0][..2], [1.0, 1.0]);
        assert!(table.columns[0][2].is_nan() && table.columns[1][0].is_nan());
        assert_eq!(table.columns[1][1..], [5.0, 6.0]);
    }

    #[test]
    fn steps_without_a_sensible_multiple_take_the_longer() {
        assert_eq!(common_step(10, 15), 30);
        assert_eq!(common_step(i64::MAX - 1, 86_399), i64::MAX - 1);
    }
}
