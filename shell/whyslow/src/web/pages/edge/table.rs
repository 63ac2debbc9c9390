//! The tables of `/edge`: by vip, backend and server; one server against its twins.

use maud::{Markup, html};

use super::parts::name;
use super::{Edge, SLOWER, Subject};
use crate::web::pages::chart::edge::spark;
use crate::web::pages::figures::column_ms;
use crate::web::pages::frame;
use crate::web::pages::model::RUNS_TO_JUDGE;
use crate::web::pages::model::edge::filter::{Field, Filter};
use crate::web::pages::model::edge::lead::big;
use crate::web::pages::model::edge::sources::{Complete, complete};
use crate::web::pages::model::edge::sum::{Sum, float, quantile_ms};
use crate::web::pages::model::edge::tree::{Level, Line, NO_SERVER};
use crate::web::pages::when::Span;

/// Names listed of those that share a line.
const OTHERS_NAMED: usize = 6;

/// The table.
pub(super) fn section(edge: &Edge, span: &Span) -> Markup {
    let tree = &edge.tree;
    let note = format!(
        "{} to {}; latency in ms; {}",
        span.clock_s(span.from_ms),
        span.clock_s(span.to_ms),
        completeness(edge)
    );
    let csv = span.link(&edge.filter.path("/api/v1/edge.csv"));
    let json = span.link(&edge.filter.path("/api/v1/edge"));
    let slow = span.link(&edge.filter.path("/edge/slow"));
    let end = html! { p.end.meta { a href=(slow) { "Slow requests" } " \u{a0} " a href=(csv) { "CSV" } " \u{a0} " a href=(json) { "JSON" } } };
    let lines = tree.lines.iter().flat_map(|line| &line.p99_ms).chain(&tree.all_p99_ms);
    let top = lines.flatten().copied().fold(0.0, f64::max) * 1.1;
    let content = html! {
        div.tw tabindex="0" role="region" aria-label="By vip, backend, server" { table.edge {
            thead { tr {
                th { "Key" } th.n { "Hits" } th.n { "req/s" } th.n { "max/s" } th.n { "p50" } th.n { "p90" }
                th.n { "p99" } th.n { "server p99" } th { "p99 over time" } th.n { "2xx %" } th.n { "4xx" } th.n { "5xx" }
            } }
            tbody {
                @for line in &tree.lines { (row(line, tree.seconds, top, span)) }
                tr {
                    th scope="row" { "All" }
                    (figures(&tree.all, tree.peak_per_s, tree.seconds, false, &spark(&tree.all_p99_ms, top, false)))
                }
            }
        } }
        @if tree.lines.is_empty() && !tree.all.is_empty() {
            p.note { "The source names no vip, backend or server." }
        }
        @if edge.missed_at_most > 0 {
            p.note { "Windows tell the most frequent apart. Up to " (big(edge.missed_at_most)) " more requests that fit may be counted as " em { "other" } "." }
        }
        @if tree.all.is_empty() { p.note { (nothing(&edge.filter)) } }
    };
    frame::section("by-server", "By vip, backend, server", &note, Some(end), &content)
}

/// How much of what was sent the figures hold, in one clause.
fn completeness(edge: &Edge) -> String {
    match complete(&edge.sources) {
        None => "no source is configured now".to_owned(),
        Some(Complete::Counted { seen, sent }) if seen >= sent => {
            format!("{} lines seen of {} sent, none sampled", big(seen), big(sent))
        }
        Some(Complete::Counted { seen, sent }) => {
            format!("incomplete: {} lines seen of {} sent", big(seen), big(sent))
        }
        Some(Complete::Unknown { seen, missing: 0 }) => {
            format!(
                "{} lines seen; how many were sent is not told: the source does not number its lines",
                big(seen)
            )
        }
        Some(Complete::Unknown { seen, missing }) => {
            format!("incomplete: {} lines seen, at least {} missing", big(seen), big(missing))
        }
    }
}

/// Why the table is empty.
fn nothing(filter: &Filter) -> String {
    let fields: Vec<&str> =
        filter.all().map(|(f, _)| f).filter(|f| f.in_rows()).map(Field::words).collect();
    match fields.as_slice() {
        [] => "No request in this range.".to_owned(),
        [one] => format!("No request in this range has this {one}."),
        many => format!(
            "No request in this range fits, or {} are not told apart together: windows tell vip and \
             backend apart with server and route, or with one of code, client network and client \
             prefix. The slow requests tell all of them.",
            many.join(" and ")
        ),
    }
}

fn row(line: &Line, seconds: i64, top: f64, span: &Span) -> Markup {
    let class = match line.level {
        Level::Vip => "l0",
        Level::Backend => "l1",
        Level::Server => "l2",
    };
    let class = if line.hot { format!("{class} hot") } else { class.to_owned() };
    html! {
        tr class=(class) {
            th scope="row" { (label(line, span)) }
            (figures(&line.sum, line.peak_per_s, seconds, line.hot, &spark(&line.p99_ms, top, line.hot)))
        }
    }
}

fn label(line: &Line, span: &Span) -> Markup {
    let word = match line.level {
        Level::Vip => "vip ",
        Level::Backend => "backend ",
        Level::Server => "",
    };
    let Some(text) = &line.name else {
        let named: Vec<String> = line.others.iter().take(OTHERS_NAMED).map(|n| name(n)).collect();
        let more = if line.others.len() > OTHERS_NAMED { ", …" } else { "" };
        return html! { (big(line.others.len() as u64)) " others " small { (named.join(", ")) (more) } };
    };
    let text = if text == NO_SERVER {
        "no server chosen".to_owned()
    } else {
        format!("{word}{}", name(text))
    };
    html! {
        @match &line.filter {
            Some(filter) => a href=(span.link(&filter.path("/edge"))) { (text) },
            None => (text),
        }
        @if line.name.as_deref() == Some(NO_SERVER) { " " small { "NOSRV" } }
    }
}

fn figures(sum: &Sum, peak: Option<u32>, seconds: i64, hot: bool, spark: &Markup) -> Markup {
    let latency = &sum.totals.latency;
    let timed = latency.histogram.count();
    let seconds = float(u64::try_from(seconds).unwrap_or(1));
    html! {
        td.n { (big(sum.totals.hits)) }
        td.n { (rate(float(sum.totals.hits) / seconds)) }
        td.n { @match peak { Some(n) => (big(u64::from(n))), None => span.meta { "not told" } } }
        @if timed >= RUNS_TO_JUDGE as u64 {
            @for q in [0.5, 0.9] { td.n { (cell(quantile_ms(latency, q))) } }
            td.n.bad[hot] { (cell(quantile_ms(latency, 0.99))) }
            td.n.bad[hot] { (cell(quantile_ms(&sum.totals.server, 0.99))) }
        } @else {
            td.n.meta colspan="4" { (untimed(sum, timed)) }
        }
        td { (spark) }
        td.n { (sum.good_percent().map_or_else(|| "not told".to_owned(), |p| format!("{p:.2}"))) }
        td.n { (big(sum.codes(4))) }
        td.n { (big(sum.codes(5))) }
    }
}

/// Why there are no percentiles.
fn untimed(sum: &Sum, timed: u64) -> String {
    match timed {
        0 if sum.totals.hits == 0 => "not seen".to_owned(),
        0 if sum.totals.local == sum.totals.hits => {
            "answered by the balancer, not timed".to_owned()
        }
        0 => "not timed".to_owned(),
        n => format!("{n} timed, {RUNS_TO_JUDGE} are needed to judge"),
    }
}

/// A figure of a column in ms; where it cannot be told, nothing is made up.
fn cell(ms: Option<f64>) -> String {
    ms.map_or_else(|| "–".to_owned(), column_ms)
}

/// Requests a second.
fn rate(per_s: f64) -> String {
    match per_s {
        r if r >= 99.5 =>
        {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "a rate above 99, rounded"
            )]
            big(r.round() as u64)
        }
        r if r >= 9.95 => format!("{r:.0}"),
        r if r >= 0.0995 => format!("{r:.1}"),
        r => format!("{r:.3}"),
    }
}

/// One server against its twins, by route.
pub(super) fn twins(subject: &Subject, filter: &Filter, span: &Span) -> Markup {
    let twins = &subject.twins;
    let server = name(&twins.server);
    let heading = format!("{server} against its {}, by route", twin_word(twins.twins));
    let table = html! {
        div.tw tabindex="0" role="region" aria-label=(heading) { table {
            thead { tr {
                th { "Route" } th.n { "Hits on " (server) } th.n { "p50 " (server) } th.n { "p50 twins" } th.n { "p90 " (server) }
                th.n { "p90 twins" } th.n { "p99 " (server) } th.n { "p99 twins" } th.n { "p90 ratio" }
            } }
            tbody { @for route in &twins.routes {
                @let ratio = route.p90_ratio();
                @let slower = ratio.is_some_and(|r| r >= SLOWER);
                tr.hot[slower] {
                    th.mono scope="row" { a href=(span.link(&filter.with(Field::Server, &twins.server).with(Field::Route, &route.route).path("/edge"))) { (name(&route.route)) } }
                    td.n { (big(route.here.totals.hits)) }
                    @for q in [0.5, 0.9, 0.99] {
                        td.n { (cell(quantile_ms(&route.here.totals.latency, q))) }
                        td.n { (cell(quantile_ms(&route.there.totals.latency, q))) }
                    }
                    td.n.bad[slower] { @match ratio { Some(r) => b { (format!("{r:.1}")) " ×" }, None => span.meta { "too few" } } }
                }
            } }
        } }
    };
    frame::section("twins", &heading, "the same stretch of time; ms", None, &table)
}

/// `twin`, or `11 twins`.
pub(super) fn twin_word(twins: usize) -> String {
    if twins == 1 { "twin".to_owned() } else { format!("{twins} twins") }
}
