//! Shares of a total.

use std::collections::BTreeMap;

use super::Kind::{Any, NodeOrTag, SeriesList};
use super::call::NodeOrTag as Place;
use super::combine::{aligned, combined, expressions, quotient};
use super::group::{grouped, key_of};
use super::{Answer, Call, Function, Parameter, needed};
use crate::error::RenderError;
use crate::series::Series;

const PARAMETERS: &[Parameter] = &[
    needed("seriesList", SeriesList),
    needed("total", Any).optional(),
    needed("nodes", NodeOrTag).optional().many(),
];

pub(super) const FUNCTIONS: &[Function] = &[
    Function {
        name: "asPercent",
        group: "Combine",
        description: "Each series in percent of the sum of all, of a number, or of other series.",
        parameters: PARAMETERS,
        run: as_percent,
    },
    Function {
        name: "pct",
        group: "Combine",
        description: "Short for asPercent.",
        parameters: PARAMETERS,
        run: as_percent,
    },
];

fn as_percent(call: &mut Call<'_, '_>) -> Answer {
    let nodes = call.nodes(2)?;
    let series = call.series(0)?;
    let number = if call.has(1) { call.as_number(1) } else { None };
    if !nodes.is_empty() {
        if number.is_some() {
            return Err(call.bad("with nodes, the total must be series or None"));
        }
        return by_nodes(call, series, &nodes);
    }
    if let Some(total) = number {
        return Ok(series.into_iter().map(|s| of_number(s, total)).collect());
    }
    if !call.has(1) {
        let text = format!("sumSeries({})", expressions(&series));
        let Some(mut total) = combined(series.clone(), "sum") else { return Ok(series) };
        total.name = text;
        return series.into_iter().map(|s| share(call, s, &total)).collect();
    }
    let mut totals = call.series(1)?;
    if let [total] = &totals[..] {
        return series.into_iter().map(|s| share(call, s, total)).collect();
    }
    if totals.len() != series.len() {
        let (n, m) = (totals.len(), series.len());
        return Err(call.bad(format!("{n} totals for {m} series: give one, or one for each")));
    }
    let mut series = series;
    series.sort_by(|a, b| a.name.cmp(&b.name));
    totals.sort_by(|a, b| a.name.cmp(&b.name));
    series.into_iter().zip(&totals).map(|(s, total)| share(call, s, total)).collect()
}

fn of_number(mut series: Series, total: f64) -> Series {
    series.values.iter_mut().for_each(|v| *v = quotient(*v, total) * 100.0);
    series.rename(format!("asPercent({},{total})", series.name));
    series
}

fn share(call: &mut Call<'_, '_>, series: Series, total: &Series) -> Result<Series, RenderError> {
    call.charge(series.values.len())?;
    let name = format!("asPercent({},{})", series.name, total.name);
    let table = aligned(vec![series, total.clone()]);
    let values = table.rows().map(|row| quotient(row[0], row[1]) * 100.0).collect();
    Ok(Series::of_values(name, table.start_s, table.step_s, values))
}

/// Each series of the total that has its nodes; series and totals without the other are nothing.
fn by_nodes(call: &mut Call<'_, '_>, series: Vec<Series>, nodes: &[Place]) -> Answer {
    let groups = grouped(series, |s| key_of(s, nodes));
    let given = if call.has(1) { Some(call.series(1)?) } else { None };
    let totals: Vec<(String, Vec<Series>)> = match given {
        Some(totals) => grouped(totals, |s| key_of(s, nodes)),
        None => groups.clone(),
    };
    let order: Vec<String> = totals.iter().map(|(key, _)| key.clone()).collect();
    let mut totals: BTreeMap<String, Series> = totals
        .into_iter()
        .filter_map(|(key, mut some)| {
            let one = if some.len() == 1 { some.pop() } else { combined(some, "sum") };
            Some((key, one?))
        })
        .collect();
    let mut all = Vec::new();
    let mut used = Vec::new();
    for (key, group) in groups {
        for one in group {
            all.push(match totals.get(&key) {
                Some(total) => share(call, one, total)?,
                None => missing(one, |name| format!("asPercent({name},MISSING)")),
            });
        }
        used.push(key);
    }
    let unused = order.iter().filter(|key| !used.contains(key));
    let rest = unused.filter_map(|key| totals.remove(key));
    all.extend(rest.map(|t| missing(t, |name| format!("asPercent(MISSING,{name})"))));
    Ok(all)
}

fn missing(mut series: Series, name: impl Fn(&str) -> String) -> Series {
    series.rename(name(&series.name));
    series.values.fill(f64::NAN);
    series
}
