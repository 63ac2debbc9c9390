//! Pictures of window rows: percentile lines, a heat map of all requests, requests under way.

use std::fmt::Write as _;

use maud::{Markup, html};
use whyslow_edge::record::EdgePhase;

use super::{gaps_of, place_of, plot, rectangle, round_up};
use crate::web::pages::figures::{scale, time};
use crate::web::pages::model::edge::bins::{Bin, Heat};
use crate::web::pages::model::edge::lead::big;
use crate::web::pages::model::edge::phases::under_way;
use crate::web::pages::model::edge::sum::float;
use crate::web::pages::when::Span;

const SPARK_HEIGHT: f64 = 18.0;
const ROW: f64 = 11.0;
const UNDER_WAY_HEIGHT: f64 = 96.0;

/// A line of values on a scale from 0 to `top`, one step a bin; nothing where a bin has none.
pub fn spark(values: &[Option<f64>], top: f64, bad: bool) -> Markup {
    let step = 100.0 / float(values.len().max(1) as u64);
    let mut d = String::new();
    let mut drawn = false;
    for (i, value) in values.iter().enumerate() {
        let Some(value) = value else {
            drawn = false;
            continue;
        };
        let y = (SPARK_HEIGHT - 2.0) * (1.0 - (value / top.max(1e-9)).min(1.0)) + 1.0;
        let left = step * float(i as u64);
        let _ = write!(d, "{}{left:.1} {y:.1}H{:.1}", if drawn { 'L' } else { 'M' }, left + step);
        drawn = true;
    }
    html! {
        svg.p.sp width="7rem" height=(SPARK_HEIGHT) viewBox="0 0 100 18" preserveAspectRatio="none" aria-hidden="true" {
            @if !d.is_empty() { path.k.thin.bad[bad] d=(d) { } }
        }
    }
}

/// From how many requests on a cell takes the next shade: each a power of the most.
fn shades(heat: &Heat) -> [u64; 4] {
    let most = heat.cells.iter().flatten().copied().max().unwrap_or(1);
    let part = |n: u32| most.isqrt().isqrt().saturating_pow(n).max(u64::from(n) + 1);
    [1, part(1), part(2), part(3)]
}

/// The key of the heat map's shades.
pub fn heat_key(over_ms: Option<f64>) -> Markup {
    let swatch = |class: &str| {
        html! { svg width="10" height="10" aria-hidden="true" { rect class=(class) width="10" height="10" { } } }
    };
    html! {
        p.key.end {
            span { (swatch("h1")) "few" }
            span { (swatch("h4")) "many" }
            @if let Some(ms) = over_ms { span { (swatch("g3")) "above " (scale(ms)) } }
        }
    }
}

/// Draws the map; rows above `over_ms` are orange.
pub fn heat(span: &Span, bins: &[Bin], heat: &Heat, over_ms: Option<f64>, what: &str) -> Markup {
    let columns: Vec<Column> =
        bins.iter().map(|b| (b.from_ms, b.to_ms, b.sum.is_empty())).collect();
    heat_of(span, &columns, heat, over_ms, (what, "request"))
}

/// A column of a heat map: its start, its end, and whether nothing was seen of it.
pub type Column = (i64, i64, bool);

/// The same of columns; `what` is the map's name and what it counts, one of them.
pub fn heat_of(
    span: &Span,
    columns: &[Column],
    heat: &Heat,
    over_ms: Option<f64>,
    what: (&str, &str),
) -> Markup {
    let shades = shades(heat);
    let height = ROW * float(heat.edges_ms.len() as u64);
    let lower = |row: usize| heat.edges_ms[row] / std::f64::consts::SQRT_2;
    let over = |row: usize| over_ms.is_some_and(|ms| lower(row) >= ms * 0.98);
    let mut paths: [[String; 4]; 2] = Default::default();
    for ((from_ms, to_ms, _), cells) in columns.iter().zip(&heat.cells) {
        let (left, width) = place_of(span, *from_ms, *to_ms);
        for (row, n) in cells.iter().enumerate().filter(|(_, n)| **n > 0) {
            let shade = shades.iter().rposition(|from| n >= from).unwrap_or(0);
            let d = &mut paths[usize::from(over(row))][shade];
            rectangle(d, left, ROW * float(row as u64), (width - 0.8).max(0.8), ROW - 1.0);
        }
    }
    let first_under = (0..heat.edges_ms.len()).find(|row| !over(*row)).unwrap_or(0);
    let line = ROW * float(first_under as u64) - 0.5;
    let stretched = html! {
        @for (kind, shaded) in ["h", "g"].iter().zip(&paths) {
            @for (i, d) in shaded.iter().enumerate() {
                @if !d.is_empty() { path class={ (kind) (i + 1) } d=(d) { } }
            }
        }
        @if first_under > 0 { path.mk d={ "M0 " (line) "H1000" } stroke-dasharray="2 3" { } }
    };
    let empty = columns.iter().filter(|(.., empty)| *empty);
    let upright = html! {
        (gaps_of(empty.map(|(from, to, _)| place_of(span, *from, *to)), height))
        @for (row, edge) in heat.edges_ms.iter().enumerate().step_by(3) {
            text.y x="0" y=(ROW * float(row as u64) + 9.0) { (scale(*edge)) }
        }
    };
    plot(height, &heat_says(heat, what), &stretched, &upright)
}

fn heat_says(heat: &Heat, (what, noun): (&str, &str)) -> String {
    let rows = heat.edges_ms.len();
    let per_row: Vec<u64> = (0..rows).map(|r| heat.cells.iter().map(|c| c[r]).sum()).collect();
    let all: u64 = per_row.iter().sum();
    let most = per_row.iter().enumerate().max_by_key(|(_, n)| **n).filter(|(_, n)| **n > 0);
    most.map_or_else(
        || format!("Heat map of {what}: no timed {noun}"),
        |(row, n)| {
            let edge = heat.edges_ms[row];
            format!(
                "Heat map of {what} on a logarithmic scale: {} of {} {noun}s took {} to {}",
                big(*n),
                big(all),
                time(edge / std::f64::consts::SQRT_2),
                time(edge)
            )
        },
    )
}

/// How many requests were in each phase at once, stacked over time.
pub fn requests_under_way(span: &Span, bins: &[Bin]) -> (Markup, f64) {
    let values: Vec<[f64; 6]> = bins.iter().map(under_way).collect();
    let sums = values.iter().map(|v| v.iter().sum::<f64>());
    let most = sums.fold(0.0, f64::max);
    let top = round_up(most.max(0.01));
    let y = |n: f64| UNDER_WAY_HEIGHT * (1.0 - (n / top).min(1.0));
    let mut paths: [String; 6] = Default::default();
    for (bin, phases) in bins.iter().zip(&values) {
        let (left, width) = place_of(span, bin.from_ms, bin.to_ms);
        let mut below = 0.0;
        for (d, n) in paths.iter_mut().zip(phases) {
            let height = y(below) - y(below + n);
            if height >= 0.05 {
                rectangle(d, left, y(below + n), width + 0.3, height);
            }
            below += n;
        }
    }
    let stretched = html! {
        path.gridl d={ "M0 " (y(top / 2.0)) "H1000M0 " (y(top)) "H1000" } { }
        @for (phase, d) in EdgePhase::ALL.into_iter().zip(&paths) {
            @if !d.is_empty() { path class=(phase.as_str()) d=(d) { } }
        }
        path.zero d={ "M0 " (UNDER_WAY_HEIGHT) "H1000" } { }
    };
    let empty = bins.iter().filter(|b| b.sum.is_empty());
    let upright = html! {
        (gaps_of(empty.map(|b| place_of(span, b.from_ms, b.to_ms)), UNDER_WAY_HEIGHT))
        text.y x="0" y="8" { (amount(top)) }
        text.y x="0" y=(UNDER_WAY_HEIGHT / 2.0 + 4.0) { (amount(top / 2.0)) }
        text.y.z x="0" y=(UNDER_WAY_HEIGHT) { "0" }
    };
    let says = format!("Requests under way at once, by phase, stacked: at most {}", amount(most));
    (plot(UNDER_WAY_HEIGHT, &says, &stretched, &upright), most)
}

/// A small amount with as many decimals as it needs.
pub fn amount(n: f64) -> String {
    let places = match n {
        n if n >= 9.95 || n == 0.0 => 0,
        n if n >= 0.95 => 1,
        n if n >= 0.095 => 2,
        _ => 3,
    };
    format!("{n:.places$}")
}

/// Bars of counts over time, from zero up.
pub fn bars(span: &Span, bins: &[(i64, i64, u64)], what: &str) -> Markup {
    const HEIGHT: f64 = 48.0;
    let most = bins.iter().map(|(_, _, n)| *n).max().unwrap_or(0).max(1);
    let mut d = String::new();
    for (from, to, n) in bins.iter().filter(|(_, _, n)| *n > 0) {
        let (left, width) = place_of(span, *from, *to);
        let height = (HEIGHT - 3.0) * float(*n) / float(most);
        rectangle(&mut d, left, HEIGHT - 1.0 - height, (width - 0.8).max(1.0), height);
    }
    let stretched = html! {
        @if !d.is_empty() { path.fref d=(d) { } }
        path.zero d={ "M0 " (HEIGHT - 0.5) "H1000" } { }
    };
    let upright = html! { text.y x="0" y="9" { (big(most)) } text.y.z x="0" y=(HEIGHT) { "0" } };
    let sum: u64 = bins.iter().map(|(_, _, n)| n).sum();
    let says = format!("{what} over time: {} in all, at most {} in one bin", big(sum), big(most));
    plot(HEIGHT, &says, &stretched, &upright)
}
