//! The pictures of `/wire`: single handshakes, and all of them by time and duration.

use maud::{Markup, html};
use whyslow_wire::row::Cell;

use super::{Names, Wire, handshake_path, name};
use crate::web::pages::chart::axis_plot;
use crate::web::pages::chart::edge::{heat_key, heat_of};
use crate::web::pages::chart::wire::{Dot, scatter, scatter_key};
use crate::web::pages::figures::{column_ms, exact_ms, limit};
use crate::web::pages::frame::section;
use crate::web::pages::model::edge::bins::{extent_of, heat_of as cells};
use crate::web::pages::model::edge::lead::big;
use crate::web::pages::model::wire::bins::{Bin, bins};
use crate::web::pages::model::wire::filter::Field;
use crate::web::pages::model::wire::sum::{float, quantile_ms};
use crate::web::pages::when::{Span, rfc3339};

/// Handshakes listed below the picture of single ones.
const LISTED: usize = 50;

/// Single handshakes that are kept, by time and duration.
pub(super) fn scatter_section(wire: &Wire, span: &Span, names: Names<'_>) -> Markup {
    let (newest, slowest) = (&wire.seen.newest, &wire.seen.slowest);
    let events = newest.events.iter().chain(
        slowest.events.iter().filter(|event| newest.events.iter().all(|e| e.id != event.id)),
    );
    let dots: Vec<Dot> = events
        .filter_map(|event| {
            let total_ms = float(event.total_us?) / 1000.0;
            Some(Dot { at_ms: event.at.as_millis(), total_ms, blame: event.word.clone() })
        })
        .collect();
    let mut note = format!(
        "{} of {} that are kept, the newest and the slowest; slow and failed ones are kept, and a \
         sample of the others; log scale",
        big(dots.len() as u64),
        big(newest.of)
    );
    if let Some(oldest) = newest.events.last()
        && (newest.events.len() as u64) < newest.of
    {
        let at = span.clock_s(oldest.at.as_millis());
        note.push_str(&format!("; before {at} the slowest alone"));
    }
    let content = html! {
        @if dots.is_empty() { p.note { "No single handshake is kept of this range." } }
        @else {
            figure.yax data-chart="" data-from=(span.from_ms) data-to=(span.to_ms) {
                (scatter(span, &dots, &wire.seen.limits.lines()))
                (axis_plot(span, 84.0))
            }
            p.note { (wire.seen.limits.sentence()) }
            (list(wire, span, names))
        }
    };
    section("single", "Single handshakes", &note, Some(scatter_key()), &content)
}

/// The slowest ones, each a link to its ladder.
fn list(wire: &Wire, span: &Span, names: Names<'_>) -> Markup {
    let events = wire.seen.slowest.events.iter().take(LISTED);
    html! {
        details.tbl {
            summary { "The slowest as a table" }
            div.tw tabindex="0" role="region" aria-label="The slowest handshakes" { table.wide {
                thead { tr { th { "Began" } th.n { "Total, ms" } th { "Blame" } th { "Outcome" } th { "Client" } th { "Network" } th { "Server" } th { "Packets" } } }
                tbody { @for event in events { tr {
                    th scope="row" { a href=(span.link(&handshake_path(event))) { time datetime=(rfc3339(event.at.as_millis())) { (span.clock_s(event.at.as_millis())) } } }
                    td.n { (event.total_us.map_or_else(|| "–".to_owned(), |us| exact_ms(float(us) / 1000.0))) }
                    td { (if event.word == "none" { "not slow".to_owned() } else { name(&event.word) }) }
                    td { (name(&event.outcome.as_deref().unwrap_or("").replace('_', " "))) }
                    td.mono { (event.client) }
                    td { @if let Some(asn) = event.asn { a href=(span.link(&wire.filter.with(Field::Asn, &asn.to_string()).path("/wire"))) { "AS" (asn) } " " small { (names(asn)) } } }
                    td.mono { (event.server) }
                    td { @if event.evidence.is_some() { "kept" } }
                } } }
            } }
        }
    }
}

/// All handshakes by time and duration.
pub(super) fn heat_section(wire: &Wire, span: &Span) -> Markup {
    let Some(cell) = wire.filter.cell() else { return html! {} };
    let bins = bins(&wire.seen.windows, &cell, span);
    let map = cells(
        bins.iter().map(|b| &b.totals.total),
        extent_of(bins.iter().map(|b| &b.totals.total)),
    );
    let columns: Vec<_> = bins.iter().map(|b| (b.from_ms, b.to_ms, b.is_gap())).collect();
    let lowest = wire.seen.limits.lines().into_iter().next();
    let over_ms = lowest.as_ref().map(|line| line.ms);
    let width = bins.get(1).or_else(|| bins.first()).map_or(0, |b| b.to_ms - b.from_ms);
    let what = if cell == Cell::All { "All handshakes" } else { "Handshakes that fit" };
    let mut note = format!(
        "complete ones, by time and duration; bins of {}, log scale; hatched where nobody saw",
        limit(u64::try_from(width).unwrap_or(0))
    );
    if let Some(line) = lowest {
        note.push_str(&format!("; {}", line.label));
    }
    let content = html! {
        figure.yax data-chart="" data-from=(span.from_ms) data-to=(span.to_ms) {
            (heat_of(span, &columns, &map, over_ms, (what, "handshake")))
            (axis_plot(span, 84.0))
        }
        (table(&bins, what, span))
    };
    section("heat", what, &note, Some(heat_key(over_ms)), &content)
}

/// The table behind the heat map: one row a bin, each a link to its stretch of time.
fn table(bins: &[Bin], what: &str, span: &Span) -> Markup {
    let cell = |ms: Option<f64>| ms.map_or_else(|| "–".to_owned(), column_ms);
    html! {
        details.tbl {
            summary { "The same as a table" }
            div.tw tabindex="0" role="region" aria-label={ (what) " as a table" } { table {
                thead { tr { th { "From" } th.n { "Handshakes" } th.n { "slow" } th.n { "p50, ms" } th.n { "p90, ms" } th.n { "p99, ms" } th.n { "unanswered" } th.n { "packets" } th.n { "dropped" } } }
                tbody { @for bin in bins { tr {
                    th scope="row" { a href={ "?" (span.query_of(bin.from_ms, bin.to_ms)) } { (span.clock_s(bin.from_ms)) } }
                    @if bin.is_gap() { td.n { "not seen" } td colspan="7" { } }
                    @else {
                        td.n { (big(bin.totals.handshakes)) }
                        td.n { (big(bin.totals.slow)) }
                        @for q in [0.5, 0.9, 0.99] { td.n { (cell(quantile_ms(&bin.totals.total, q))) } }
                        td.n { (big(bin.totals.unanswered)) }
                        td.n { (big(bin.capture.packets)) }
                        td.n.bad[bin.capture.drops > 0] { (big(bin.capture.drops)) }
                    }
                } } }
            } }
        }
    }
}
