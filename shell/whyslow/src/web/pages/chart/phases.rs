//! Where the time goes: the phases of a run, in one bar or stacked over time.

use std::fmt::Write as _;

use maud::{Markup, html};
use whyslow_model::Phase;

use super::{gaps, mark_lines, place, plot, rectangle, round_up, x};
use crate::web::pages::figures::{exact_ms, scale as scale_text, time};
use crate::web::pages::model::Point;
use crate::web::pages::model::bins::Bin;
use crate::web::pages::model::changes::Mark;
use crate::web::pages::when::Span;

const HEIGHT: f64 = 120.0;

/// One bar of a run's phases on a scale of 0 to `scale_ms`; the phases part by a hairline.
pub fn bar(run: &Point, scale_ms: f64, height: u32) -> Markup {
    let mut at = 0.0;
    let mut parts = Vec::new();
    for (phase, ms) in Phase::ALL.into_iter().zip(run.phases_ms).filter(|(_, ms)| ms.is_finite()) {
        parts.push((phase.as_str(), at * 100.0 / scale_ms, ms * 100.0 / scale_ms));
        at += ms;
    }
    html! {
        svg.p width="100%" height=(height) role="img" aria-label=(sentence(run)) {
            @for (phase, left, width) in parts {
                rect class=(phase) x={ (format!("{left:.2}")) "%" }
                    width={ (format!("{:.2}", (width - 0.15).max(0.1))) "%" } height=(height) { }
            }
        }
    }
}

/// `wait 58.2, tls 20.1, … ms`, longest first.
pub fn sentence(run: &Point) -> String {
    let mut seen: Vec<(Phase, f64)> =
        Phase::ALL.into_iter().zip(run.phases_ms).filter(|(_, ms)| ms.is_finite()).collect();
    seen.sort_by(|a, b| b.1.total_cmp(&a.1));
    let parts: Vec<String> =
        seen.iter().map(|(p, ms)| format!("{} {}", p.as_str(), exact_ms(*ms))).collect();
    format!("Phases: {} ms", parts.join(", "))
}

/// The key of the six phases.
pub fn key() -> Markup {
    html! {
        p.key.end {
            @for phase in Phase::ALL {
                span {
                    svg width="10" height="10" aria-hidden="true" {
                        rect class=(phase.as_str()) width="10" height="10" { }
                    }
                    (phase.as_str())
                }
            }
        }
    }
}

/// The phases of the median run of each bin, stacked; `before` is the median of the stretch before.
pub fn stacked(span: &Span, bins: &[Bin], before: &[Bin], marks: &[Mark]) -> Markup {
    let medians = |bins: &[Bin]| -> Vec<f64> {
        bins.iter().filter_map(|b| b.figures.median.map(|p| p.total_ms)).collect()
    };
    let top = scale(&medians(bins)).max(scale(&medians(before)));
    let y = |ms: f64| HEIGHT * (1.0 - (ms / top).min(1.0));
    let mut paths: [String; 6] = Default::default();
    let mut clipped = Vec::new();
    for bin in bins {
        let Some(run) = bin.figures.median else { continue };
        let (left, width) = place(span, bin);
        let mut below = 0.0;
        for (d, ms) in paths.iter_mut().zip(run.phases_ms).filter(|(_, ms)| ms.is_finite()) {
            let height = y(below) - y(below + ms);
            if height >= 0.05 {
                // A hair wider, so that no seam shows between neighbours.
                rectangle(d, left, y(below + ms), width + 0.3, height);
            }
            below += ms;
        }
        if run.total_ms > top {
            clipped.push((left + width / 2.0, run.total_ms));
        }
    }
    let stretched = html! {
        path.gridl d={ "M0 " (y(top / 2.0)) "H1000M0 " (y(top)) "H1000" } { }
        @for (phase, d) in Phase::ALL.into_iter().zip(&paths) {
            @if !d.is_empty() { path class=(phase.as_str()) d=(d) { } }
        }
        @if !before.is_empty() { path.k.ref d=(line_before(span, before, y)) { } }
        path.zero d={ "M0 " (HEIGHT) "H1000" } { }
        (mark_lines(span, marks, HEIGHT))
    };
    let upright = html! {
        (gaps(span, bins, HEIGHT))
        text.y x="0" y="8" { (scale_text(top)) }
        text.y x="0" y=(HEIGHT / 2.0 + 4.0) { (scale_text(top / 2.0)) }
        text.y.z x="0" y=(HEIGHT) { "0" }
        @if let Some((at, ms)) = clipped.iter().max_by(|a, b| a.1.total_cmp(&b.1)) {
            text.tb.halo x={ (format!("{:.2}", at / 10.0)) "%" } y="10" text-anchor="middle" { "▲ " (time(*ms)) }
        }
    };
    plot(HEIGHT, &says(bins), &stretched, &upright)
}

/// The top of the scale; one bin far above the rest is clipped and named instead.
fn scale(medians: &[f64]) -> f64 {
    let mut sorted = medians.to_vec();
    sorted.sort_by(f64::total_cmp);
    let highest = sorted.last().copied().unwrap_or(1.0);
    let usual = whyslow_model::stats::quantile(&sorted, 0.97).unwrap_or(1.0);
    round_up(if highest > usual * 4.0 { usual * 1.5 } else { highest })
}

/// The stretch before, shifted onto this one.
fn line_before(span: &Span, before: &[Bin], y: impl Fn(f64) -> f64) -> String {
    let mut d = String::new();
    let mut drawn = false;
    for bin in before {
        let Some(median) = bin.figures.median else {
            drawn = false;
            continue;
        };
        let shifted = |at| x(span, at + span.length_ms());
        let (left, right) = (shifted(bin.from_ms), shifted(bin.to_ms));
        let step = if drawn { 'L' } else { 'M' };
        let _ = write!(d, "{step}{left:.1} {:.1}H{right:.1}", y(median.total_ms));
        drawn = true;
    }
    d
}

fn says(bins: &[Bin]) -> String {
    let medians = || bins.iter().filter_map(|b| b.figures.median);
    let (low, high) = medians()
        .fold((f64::INFINITY, 0.0), |(l, h): (f64, f64), p| (l.min(p.total_ms), h.max(p.total_ms)));
    let Some(last) = medians().next_back() else { return "No run in this range".to_owned() };
    let most = last
        .longest()
        .map_or(String::new(), |(p, ms)| format!(", {} of it {}", time(ms), p.as_str()));
    format!(
        "Phases of the median run per bin, stacked: {} to {}; last {}{most}",
        time(low),
        time(high),
        time(last.total_ms)
    )
}
