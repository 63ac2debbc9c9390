//! Small pictures, drawn by the server. All strips of a page share one time axis.

pub mod bars;
pub mod edge;
pub mod heat;
pub mod ladder;
pub mod phases;
pub mod spark;
pub mod wire;

use std::fmt::Write as _;

use maud::{Markup, html};

use super::model::bins::Bin;
use super::model::changes::Mark;
use super::when::Span;

/// Width of a plot's own coordinates; it is stretched to the width it gets.
const WIDTH: f64 = 1000.0;

/// Where a time stands on a plot, 0 to 1000.
pub(super) fn x(span: &Span, at_ms: i64) -> f64 {
    let part = as_f64(at_ms - span.from_ms) / as_f64(span.length_ms().max(1));
    (part * WIDTH).clamp(0.0, WIDTH)
}

/// One rectangle of a path.
fn rectangle(d: &mut String, x: f64, y: f64, w: f64, h: f64) {
    let _ = write!(d, "M{x:.1} {y:.1}h{w:.1}v{h:.1}h-{w:.1}z");
}

/// The left edge and the width of a bin.
fn place(span: &Span, bin: &Bin) -> (f64, f64) {
    place_of(span, bin.from_ms, bin.to_ms)
}

fn place_of(span: &Span, from_ms: i64, to_ms: i64) -> (f64, f64) {
    let left = x(span, from_ms);
    (left, (x(span, to_ms) - left).max(0.5))
}

/// Hatch over every stretch in which nothing was seen.
fn gaps(span: &Span, bins: &[Bin], height: f64) -> Markup {
    gaps_of(bins.iter().filter(|b| b.is_gap()).map(|b| place(span, b)), height)
}

/// The same over places: left edge and width.
fn gaps_of(places: impl Iterator<Item = (f64, f64)>, height: f64) -> Markup {
    let mut stretches: Vec<(f64, f64)> = Vec::new();
    for (left, width) in places {
        match stretches.last_mut() {
            Some((from, w)) if (*from + *w - left).abs() < 0.6 => *w = left + width - *from,
            _ => stretches.push((left, width)),
        }
    }
    // Outside the stretched picture, so that the lines keep their slant.
    html! {
        @for (left, width) in stretches {
            rect.gap x={ (format!("{:.2}", left / 10.0)) "%" } width={ (format!("{:.2}", width / 10.0)) "%" }
                height=(height) fill="url(#hatch)" { }
        }
    }
}

/// Thin lines through the strip at each mark.
fn mark_lines(span: &Span, marks: &[Mark], height: f64) -> Markup {
    let mut d = String::new();
    for mark in marks {
        let _ = write!(d, "M{:.1} -6V{:.1}", x(span, mark.at_ms), height + 6.0);
    }
    html! { @if !d.is_empty() { path.mk d=(d) { } } }
}

/// One strip: name and note at the left, plot, reading at the right.
pub fn strip(
    name: &str,
    note: &str,
    plot: &Markup,
    value: &str,
    reading: &str,
    bad: bool,
) -> Markup {
    html! {
        li.strip {
            div { b { (name) } @if !note.is_empty() { small { (note) } } }
            (plot)
            div.val.bad[bad] { b { (value) } @if !reading.is_empty() { small { (reading) } } }
        }
    }
}

/// A plot: a stretched picture inside, and text that keeps its shape beside it.
pub fn plot(height: f64, says: &str, stretched: &Markup, upright: &Markup) -> Markup {
    let box_ = format!("0 0 1000 {height}");
    html! {
        svg.p width="100%" height=(height) role="img" aria-label=(says) {
            svg viewBox=(box_) width="100%" height=(height) preserveAspectRatio="none" { (stretched) }
            (upright)
        }
    }
}

/// The marks' own strip, with their texts.
pub fn marks(span: &Span, marks: &[Mark]) -> Markup {
    let says = match marks {
        [] => "No marks in this range".to_owned(),
        some => some
            .iter()
            .map(|m| format!("{} at {}", m.text, span.clock(m.at_ms)))
            .collect::<Vec<_>>()
            .join("; "),
    };
    let upright = html! {
        @for (i, mark) in marks.iter().rev().take(3).enumerate() {
            @let left = x(span, mark.at_ms) / 10.0;
            @let right_side = left < 50.0;
            text.ti x={ (format!("{left:.2}")) "%" } dx=(if right_side { 6 } else { -6 }) y=(12 + i * 12)
                text-anchor=(if right_side { "start" } else { "end" }) {
                (super::figures::shortened(&super::figures::visible(&mark.text), 40)) ", " (span.clock(mark.at_ms))
            }
        }
    };
    let plot = plot(40.0, &says, &mark_lines(span, marks, 40.0), &upright);
    strip("Marks", "what people changed", &plot, &marks.len().to_string(), "", false)
}

/// The time axis under the strips.
pub fn axis(span: &Span) -> Markup {
    html! { div.axisrow { div { } (axis_plot(span, 92.0)) div { } } }
}

/// The time axis by itself; ticks up to `until` per cent leave room for the last time.
pub fn axis_plot(span: &Span, until: f64) -> Markup {
    html! {
        svg.p width="100%" height="16" aria-hidden="true" {
            @for (at, text) in span.ticks() {
                @let left = x(span, at) / 10.0;
                @let anchor = if left < 3.0 { "start" } else { "middle" };
                @if left < until {
                    text x={ (format!("{left:.2}")) "%" } y="11" text-anchor=(anchor) { (text) }
                }
            }
            text x="100%" y="11" text-anchor="end" { (span.clock(span.to_ms)) }
        }
    }
}

/// A round figure not below `value`, for the top of a scale.
fn round_up(value: f64) -> f64 {
    let power = 10_f64.powf(value.max(0.01).log10().floor());
    [1.0, 1.2, 1.6, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0]
        .map(|m| m * power)
        .into_iter()
        .find(|r| *r >= value)
        .unwrap_or(value)
}

#[expect(clippy::cast_precision_loss, reason = "milliseconds of a range are far below 2^53")]
const fn as_f64(n: i64) -> f64 {
    n as f64
}

#[expect(clippy::cast_precision_loss, reason = "counts of runs are far below 2^53")]
const fn count_f64(n: usize) -> f64 {
    n as f64
}
