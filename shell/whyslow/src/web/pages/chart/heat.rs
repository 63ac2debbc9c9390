//! All runs by time and duration: a heat map on a logarithmic scale, failures in their own row.

use maud::{Markup, html};

use super::{count_f64, gaps, mark_lines, place, plot, rectangle};
use crate::web::pages::figures::{counted, scale, time};
use crate::web::pages::model::bins::{Bin, Heat};
use crate::web::pages::model::changes::Mark;
use crate::web::pages::when::Span;

const ROW: f64 = 9.0;

/// From how many runs on a cell takes the next shade.
fn shades(heat: &Heat) -> [usize; 4] {
    let most = heat.worked.iter().flatten().chain(&heat.failed).copied().max().unwrap_or(1);
    match most {
        0..5 => [1, 2, 3, 4],
        m => [1, 2, (m / 6).max(3), (m / 2).max(4)],
    }
}

fn shade(shades: [usize; 4], n: usize) -> usize {
    shades.iter().rposition(|from| n >= *from).unwrap_or(0)
}

/// The key: how many runs each shade stands for.
pub fn key(heat: &Heat) -> Markup {
    let shades = shades(heat);
    let text = |i: usize| match shades.get(i + 1) {
        Some(next) if *next == shades[i] + 1 => shades[i].to_string(),
        Some(next) => format!("{}–{}", shades[i], next - 1),
        None => format!("{}+ runs", shades[i]),
    };
    let swatch = |class: String, text: String| {
        html! {
            span { svg width="10" height="10" aria-hidden="true" { rect class=(class) width="10" height="10" { } } (text) }
        }
    };
    html! {
        p.key.end {
            @for i in 0..4 { (swatch(format!("h{}", i + 1), text(i))) }
            (swatch("g3".to_owned(), "over the limit, or failed".to_owned()))
        }
    }
}

/// Draws the map; rows from `warn_ms` on are orange.
pub fn draw(
    span: &Span,
    bins: &[Bin],
    heat: &Heat,
    warn_ms: Option<f64>,
    marks: &[Mark],
) -> Markup {
    let shades = shades(heat);
    let height = ROW * count_f64(heat.edges_ms.len() + 1);
    // Two rows of names for eight shades: blue below the limit, orange above it.
    let mut paths: [[String; 4]; 2] = Default::default();
    let mut cell = |over: bool, n: usize, left: f64, top: f64, width: f64| {
        if n > 0 {
            let d = &mut paths[usize::from(over)][shade(shades, n)];
            rectangle(d, left, top, (width - 0.8).max(0.8), ROW - 1.0);
        }
    };
    for (i, bin) in bins.iter().enumerate() {
        let (left, width) = place(span, bin);
        cell(true, heat.failed[i], left, 0.0, width);
        for (row, n) in heat.worked[i].iter().enumerate() {
            let over = warn_ms.is_some_and(|w| heat.edges_ms[row] >= w * 0.999);
            cell(over, *n, left, ROW * count_f64(row + 1), width);
        }
    }
    let stretched = html! {
        @for (kind, shaded) in ["h", "g"].iter().zip(&paths) {
            @for (i, d) in shaded.iter().enumerate() {
                @if !d.is_empty() { path class={ (kind) (i + 1) } d=(d) { } }
            }
        }
        (mark_lines(span, marks, height))
    };
    let upright = html! {
        (gaps(span, bins, height))
        text.y x="0" y="8" { "failed" }
        @for (row, edge) in heat.edges_ms.iter().enumerate().skip(1).step_by(4) {
            text.y x="0" y=(ROW * count_f64(row + 2)) { (scale(*edge)) }
        }
    };
    plot(height, &says(heat), &stretched, &upright)
}

fn says(heat: &Heat) -> String {
    let rows = heat.edges_ms.len();
    let per_row: Vec<usize> = (0..rows).map(|r| heat.worked.iter().map(|c| c[r]).sum()).collect();
    let failed: usize = heat.failed.iter().sum();
    let most = per_row.iter().enumerate().max_by_key(|(_, n)| **n).filter(|(_, n)| **n > 0);
    let band = most.map_or_else(
        || "no run worked".to_owned(),
        |(row, _)| {
            format!(
                "most runs take {} to {}",
                time(heat.edges_ms[row]),
                time(heat.edges_ms[row] * std::f64::consts::SQRT_2)
            )
        },
    );
    format!(
        "Heat map of run times on a logarithmic scale: {band}; {} failed",
        counted(failed, "run")
    )
}
