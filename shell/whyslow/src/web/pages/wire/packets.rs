//! What the taps gave and lost, and how many packets are kept for good.

use maud::{Markup, html};

use super::{Wire, name};
use crate::web::pages::figures::{counted, lasted, percent, visible};
use crate::web::pages::frame::{section as framed, shape};
use crate::web::pages::model::edge::lead::big;
use crate::web::pages::model::wire::filter::Field;
use crate::web::pages::model::wire::rings::{Ring, rate, size};
use crate::web::pages::model::wire::sum::Capture;
use crate::web::pages::when::Span;

/// The section.
pub(super) fn section(wire: &Wire, span: &Span) -> Markup {
    let capture = wire.capture;
    let note = match taps(wire).count() {
        0 => "no tap in this range".to_owned(),
        n => format!(
            "{}, {} to {}",
            counted(n, "tap"),
            span.clock_s(span.from_ms),
            span.clock_s(span.to_ms)
        ),
    };
    let content = html! {
        dl.kv {
            div { dt { "Seen" } dd { (big(capture.packets)) " packets" } }
            div { dt { "Dropped" } dd.bad[capture.drops > 0] { (big(capture.drops)) " of " (big(capture.packets + capture.drops)) } }
            div { dt { "Data complete" } dd.bad[!capture.is_whole()] { (complete(capture)) } }
            div { dt { "Kept for good" } dd { "packets of " (big(wire.seen.with_packets)) (if wire.seen.with_packets == 1 { " connection" } else { " connections" }) } }
        }
        @if taps(wire).count() > 1 { (by_tap(wire)) }
    };
    html! {
        div.cols {
            (framed("packets", "Packets", &note, None, &content))
            (rings(&wire.seen.rings, span))
        }
    }
}

/// The taps that are looked at.
fn taps(wire: &Wire) -> impl Iterator<Item = &String> {
    let chosen = wire.filter.get(Field::Tap);
    wire.seen.taps.iter().filter(move |tap| chosen.is_none_or(|chosen| chosen == **tap))
}

/// The recorders' rings as they are now.
fn rings(rings: &[Ring], span: &Span) -> Markup {
    let content = html! {
        @if rings.is_empty() { p.note { "No interface is recorded by this process now. What is shown above was stored before, or was replayed." } }
        @for ring in rings { (one_ring(ring, span)) }
    };
    framed("ring", "Packet ring", "as it is now", None, &content)
}

fn one_ring(ring: &Ring, span: &Span) -> Markup {
    let depth = ring.depth_ms().map_or_else(|| "nothing held".to_owned(), lasted);
    let (held, all) = (size(ring.bytes.0), size(ring.bytes.1));
    let says = format!("The ring of {} holds {held} of {all}, {depth}", name(&ring.interface));
    html! {
        h3.first { (name(&ring.interface)) @if let Some(service) = &ring.service { " " small { (visible(service)) } } }
        @if let Some(problem) = &ring.problem { p.note { (shape("blind", "Blind")) " " (visible(problem)) } }
        @if let Some((from, to)) = ring.held_ms {
            svg.p.sum width="100%" height="30" role="img" aria-label=(says) {
                rect.fline width="100%" height="8" { }
                rect.fok width=(format!("{:.1}%", ring.filled() * 100.0)) height="8" { }
                text x="0" y="25" { (span.clock_s(from)) }
                text x="100%" y="25" text-anchor="end" { (span.clock_s(to)) }
            }
        }
        dl.kv {
            div { dt { "Depth now" } dd { (depth) } }
            div { dt { "Held" } dd { (held) " of " (all) @if let Some(bits) = ring.bits_per_s() { " at " (rate(bits)) } } }
            div { dt { "Dropped since it started" } dd.bad[ring.packets.1 > 0] {
                (big(ring.packets.1)) " of " (big(ring.packets.0 + ring.packets.1)) @if ring.freezes > 0 { ", full " (big(ring.freezes)) " times" }
            } }
        }
    }
}

fn complete(capture: Capture) -> String {
    if capture.windows == 0 {
        return "not seen".to_owned();
    }
    let seen = if capture.drops == 0 {
        format!("{} of the packets", percent(1.0))
    } else {
        // Never called whole by rounding.
        let share = (capture.completeness() * 1e4).floor() / 1e4;
        format!("{:.2}\u{a0}% of the packets", (share * 100.0).min(99.99))
    };
    match capture.blind {
        0 => seen,
        n => format!("{seen}; {} of {} windows blind", big(n), big(capture.windows)),
    }
}

fn by_tap(wire: &Wire) -> Markup {
    html! {
        div.tw tabindex="0" role="region" aria-label="Packets by tap" { table {
            thead { tr { th { "Tap" } th.n { "Packets" } th.n { "Dropped" } th.n { "Blind windows" } } }
            tbody { @for tap in taps(wire) {
                @let own = wire.seen.windows.iter().filter(|(of, _)| **of == **tap);
                @let capture = Capture::of(own.map(|(_, window)| window));
                tr {
                    th scope="row" { (name(tap)) }
                    td.n { (big(capture.packets)) }
                    td.n.bad[capture.drops > 0] { (big(capture.drops)) }
                    td.n.bad[capture.blind > 0] { (big(capture.blind)) }
                }
            } }
        } }
    }
}
