//! A handshake as a ladder: client left, server right, time downwards, the gap that matters marked.

use maud::{Markup, html};

use crate::web::pages::figures::{exact_ms, percent, visible};
use crate::web::pages::model::wire::ladder::{Before, Ladder, words};

const CLIENT: &str = "27%";
const SERVER: &str = "74%";
const FIRST: f64 = 44.0;
const STEP: f64 = 28.0;
/// How much lower a message arrives than it left.
const SLOPE: f64 = 14.0;
/// What the gap that matters takes, whatever it lasted.
const GAP: f64 = 132.0;

/// Draws a ladder; `total_ms` is the whole handshake.
pub fn draw(ladder: &Ladder, total_ms: f64) -> Markup {
    let mut y = FIRST - STEP;
    let mut gap = None;
    let mut places = Vec::new();
    for step in &ladder.steps {
        y += STEP;
        if let Some(before) = step.before.as_ref().filter(|before| before.matters) {
            // Below where the message before it arrived.
            let top = y - STEP + SLOPE + 6.0;
            gap = Some((before, top));
            y += GAP;
        }
        places.push(y);
    }
    let height = y + SLOPE + 14.0;
    html! {
        svg.p width="100%" height=(height) role="img" aria-label=(says(ladder)) {
            @if let Some((_, top)) = gap { rect.gapw x="0" width="100%" y=(top) height=(GAP) { } }
            @for side in [CLIENT, SERVER] { line.life x1=(side) x2=(side) y1="28" y2=(height - 4.0) { } }
            text.lt x=(CLIENT) y="20" text-anchor="middle" { "client" }
            text.lt x=(SERVER) y="20" text-anchor="middle" { "server" }
            text x="0" y="20" { "whose ms" }
            text x="100%" y="20" text-anchor="end" { "at, ms" }
            @for (step, y) in ladder.steps.iter().zip(&places) {
                (arrow(step.from_client, *y))
                text.lt.halo x="50.5%" y=(*y) text-anchor="middle" { (step.label) }
                @let seen = if step.from_client { *y + SLOPE } else { *y };
                text x="100%" y=(seen + 4.0) text-anchor="end" { (exact(step.at_ms)) }
                @if let Some(before) = step.before.as_ref().filter(|b| !b.matters && b.ms >= 0.005) {
                    text x="0" y=(*y) { (visible(&before.whose)) " " (exact(before.ms)) }
                }
            }
            @if let Some((before, top)) = gap { (marked(before, top, total_ms)) }
        }
    }
}

/// The gap that matters.
fn marked(before: &Before, top: f64, total_ms: f64) -> Markup {
    let side = if before.whose == "server" { SERVER } else { CLIENT };
    let middle = top + GAP / 2.0;
    html! {
        @if before.whose != "network" { line.glife x1=(side) x2=(side) y1=(top) y2=(top + GAP) { } }
        text.gt x="50.5%" y=(middle - 4.0) text-anchor="middle" { (words(before.phase)) ", " (exact_ms(before.ms)) "\u{a0}ms" }
        @if total_ms > 0.0 {
            text.lt x="50.5%" y=(middle + 16.0) text-anchor="middle" { (percent(before.ms / total_ms)) " of the whole" }
        }
        text.tb x="0" y=(middle + 6.0) { (visible(&before.whose)) " " (exact_ms(before.ms)) }
    }
}

fn arrow(from_client: bool, y: f64) -> Markup {
    let (from, to) = if from_client { (CLIENT, SERVER) } else { (SERVER, CLIENT) };
    let head = if from_client { "M-8 -5L0 0L-8 3.5" } else { "M8 -5L0 0L8 3.5" };
    html! {
        line.msg x1=(from) y1=(y) x2=(to) y2=(y + SLOPE) { }
        svg x=(to) y=(y + SLOPE) overflow="visible" { path.msg d=(head) { } }
    }
}

/// A figure with two decimals, so that what is short can be read too.
fn exact(ms: f64) -> String {
    format!("{ms:.2}")
}

/// The ladder in a sentence.
fn says(ladder: &Ladder) -> String {
    let last = ladder.steps.last().map_or(0.0, |step| step.at_ms);
    let whole = format!("Ladder of one handshake of {} ms", exact_ms(last));
    match ladder.gap() {
        Some((gap, from, to)) => format!(
            "{whole}: the gap that matters is {}, from {} to {} ms, {} ms",
            words(gap.phase),
            exact(from),
            exact(to),
            exact_ms(gap.ms)
        ),
        None => format!("{whole}, without a gap that matters"),
    }
}
