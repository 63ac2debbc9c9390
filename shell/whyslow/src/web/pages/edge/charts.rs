//! The pictures of `/edge`: all requests by time and duration, and the phases.

use maud::{Markup, html};
use whyslow_edge::row::Timing;

use super::Edge;
use super::parts::name;
use super::table::twin_word;
use crate::web::pages::chart::edge::{amount, heat, heat_key, requests_under_way};
use crate::web::pages::chart::{axis_plot, strip};
use crate::web::pages::figures::{column_ms, limit, percent};
use crate::web::pages::frame::section;
use crate::web::pages::model::edge::bins::{Bin, extent, heat as cells};
use crate::web::pages::model::edge::lead::big;
use crate::web::pages::model::edge::phases::{Phase, mark_words, phase_words, phases};
use crate::web::pages::model::edge::sum::{Sum, quantile_ms};
use crate::web::pages::when::Span;

/// All requests by time and duration: those of the server in question beside its twins', or all.
pub(super) fn heat_section(edge: &Edge, span: &Span) -> Markup {
    let over = edge.common.as_ref().map(|c| c.over_ms);
    let Some(subject) = &edge.subject else {
        let what = if edge.filter.is_empty() { "All requests" } else { "Requests that fit" };
        let scale = extent(&edge.bins);
        return one(what, "all", &edge.bins, scale, over, span, true);
    };
    let scale = extent(subject.here.iter().chain(&subject.there));
    // What is usual for its twins, so that the server cannot set its own measure.
    let over = usual_ms(&subject.there).or(over);
    let route = subject.route.as_deref().map_or_else(String::new, |r| format!(", {}", name(r)));
    let here = format!("{}{route}", name(&subject.server));
    let there = format!("Its {}{route}", twin_word(subject.twins.twins));
    html! {
        div.cols {
            (one(&here, "here", &subject.here, scale, over, span, false))
            (one(&there, "there", &subject.there, scale, over, span, true))
        }
    }
}

/// What 95 of 100 requests do not exceed, in milliseconds.
fn usual_ms(bins: &[Bin]) -> Option<f64> {
    let mut all = Timing::default();
    bins.iter().for_each(|bin| all.merge(&bin.sum.totals.latency));
    quantile_ms(&all, 0.95)
}

fn one(
    what: &str,
    id: &str,
    bins: &[Bin],
    scale: (i32, i32),
    over: Option<f64>,
    span: &Span,
    key: bool,
) -> Markup {
    let width = bins.get(1).or_else(|| bins.first()).map_or(0, |b| b.to_ms - b.from_ms);
    let note = format!("bins of {}, log scale", limit(u64::try_from(width).unwrap_or(0)));
    let map = cells(bins, scale);
    let content = html! {
        figure.yax data-chart="" data-from=(span.from_ms) data-to=(span.to_ms) {
            (heat(span, bins, &map, over, what))
            (axis_plot(span, 84.0))
        }
        (bins_table(bins, what, span))
    };
    section(&format!("heat-{id}"), what, &note, key.then(|| heat_key(over)), &content)
}

/// The table behind a heat map: one row a bin, each a link to its stretch of time.
fn bins_table(bins: &[Bin], what: &str, span: &Span) -> Markup {
    let cell = |ms: Option<f64>| ms.map_or_else(|| "–".to_owned(), column_ms);
    html! {
        details.tbl {
            summary { "The same as a table" }
            div.tw tabindex="0" role="region" aria-label={ (what) " as a table" } { table {
                thead { tr {
                    th { "From" } th.n { "Hits" } th.n { "timed" } th.n { "p50, ms" } th.n { "p90, ms" } th.n { "p99, ms" }
                    th.n { "max, ms" } th.n { "4xx" } th.n { "5xx" }
                } }
                tbody { @for bin in bins {
                    @let latency = &bin.sum.totals.latency;
                    tr {
                        th scope="row" { a href={ "?" (span.query_of(bin.from_ms, bin.to_ms)) } { (span.clock_s(bin.from_ms)) } }
                        @if bin.sum.is_empty() {
                            td.n { "not seen" } td colspan="7" { }
                        } @else {
                            td.n { (big(bin.sum.totals.hits)) }
                            td.n { (big(latency.histogram.count())) }
                            @for q in [0.5, 0.9, 0.99] { td.n { (cell(quantile_ms(latency, q))) } }
                            td.n { (longest(&bin.sum)) }
                            td.n { (big(bin.sum.codes(4))) }
                            td.n { (big(bin.sum.codes(5))) }
                        }
                    }
                } }
            } }
        }
    }
}

fn longest(sum: &Sum) -> String {
    let latency = &sum.totals.latency;
    if latency.histogram.count() == 0 {
        "–".to_owned()
    } else {
        column_ms(crate::web::pages::model::edge::sum::float(latency.max_us) / 1000.0)
    }
}

/// Where the time goes, by phase: over time, and as a table that says how well each is known.
pub(super) fn phases_section(edge: &Edge, span: &Span) -> Markup {
    let found = phases(&edge.tree.all);
    if edge.tree.all.is_empty() {
        return html! {};
    }
    let (plot, most) = requests_under_way(span, &edge.bins);
    let content = html! {
        figure data-chart="" data-from=(span.from_ms) data-to=(span.to_ms) {
            ol.strips {
                (strip("Requests under way", "at once, by phase", &plot, &amount(most), "at most", false))
            }
            (crate::web::pages::chart::axis(span))
        }
        div.tw tabindex="0" role="region" aria-label="Phases" { table.wide {
            thead { tr {
                th { "Phase" } th { "Share of all time" } th.n { } th.n { "p50, ms" } th.n { "p90, ms" } th.n { "p99, ms" } th.n { "requests" } th { "How well it is known" }
            } }
            tbody {
                @for phase in &found { (phase_row(phase)) }
                (client_rtt_row(&edge.tree.all.totals.client_rtt))
            }
        } }
    };
    section(
        "phases",
        "Where the time goes",
        "summed over all requests of the table",
        Some(phase_key()),
        &content,
    )
}

fn phase_row(phase: &Phase) -> Markup {
    let cell = |ms: Option<f64>| ms.map_or_else(|| "–".to_owned(), column_ms);
    let word = phase.phase.as_str();
    html! {
        tr {
            th scope="row" { (word) " " small { (phase_words(phase.phase)) } }
            td.fw { @if let Some(share) = phase.share {
                svg.p width="100%" height="10" aria-hidden="true" { rect class=(word) y="1" width=(format!("{:.1}%", share * 100.0)) height="8" { } }
            } }
            @match phase.share {
                None => { td.n.meta colspan="5" { "not told" } }
                Some(share) => {
                    td.n { (percent(share)) }
                    @for ms in [phase.p50_ms, phase.p90_ms, phase.p99_ms] { td.n { (cell(ms)) } }
                    td.n { (big(phase.told)) }
                }
            }
            td.ink2 { (mark_words(phase.mark)) }
        }
    }
}

/// The client's round trips, which are no phase: they go by while phases do.
fn client_rtt_row(timing: &Timing) -> Markup {
    let told = timing.histogram.count();
    html! {
        @if told > 0 {
            tr {
                th scope="row" { "client_rtt " small { "round trip to the client" } }
                td.fw { }
                td.n.meta { "no part" }
                @for q in [0.5, 0.9, 0.99] { td.n { (quantile_ms(timing, q).map_or_else(|| "–".to_owned(), column_ms)) } }
                td.n { (big(told)) }
                td.ink2 { "as the balancer's kernel measured it" }
            }
        }
    }
}

/// The key of the six phases.
pub(super) fn phase_key() -> Markup {
    html! {
        p.key.end {
            @for phase in whyslow_edge::record::EdgePhase::ALL {
                span {
                    svg width="10" height="10" aria-hidden="true" { rect class=(phase.as_str()) width="10" height="10" { } }
                    (phase.as_str())
                }
            }
        }
    }
}
