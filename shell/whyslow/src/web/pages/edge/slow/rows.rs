//! The list of slow requests, each with its phases and all its fields.

use maud::{Markup, html};
use whyslow_edge::record::Mark;
use whyslow_edge::slow::{Reason, SlowRow};

use super::{SlowSeen, address};
use crate::web::pages::edge::Names;
use crate::web::pages::edge::charts::phase_key;
use crate::web::pages::edge::parts::name;
use crate::web::pages::figures::{exact_ms, time, visible};
use crate::web::pages::frame::section as framed;
use crate::web::pages::model::edge::filter::{Field, Filter};
use crate::web::pages::model::edge::phases::mark_words;
use crate::web::pages::model::edge::sum::float;
use crate::web::pages::when::{Span, rfc3339};

/// The list.
pub(super) fn section(seen: &SlowSeen, filter: &Filter, span: &Span, names: &Names<'_>) -> Markup {
    let note = if seen.slowest {
        "slowest first; phases on one scale"
    } else {
        "newest first; phases on one scale"
    };
    let longest = seen.rows.iter().map(|row| row.total_us).max().unwrap_or(1).max(1);
    let content = html! {
        nav.range.tabs aria-label="Order" {
            a href=(span.link(&address(filter, false, None))) aria-current=[(!seen.slowest).then_some("true")] { "Newest" }
            a href=(span.link(&address(filter, true, None))) aria-current=[seen.slowest.then_some("true")] { "Slowest" }
        }
        @if seen.rows.is_empty() { p.note { "No kept request of this range fits." } }
        @else {
            div.tw tabindex="0" role="region" aria-label="Slow requests" { table.runs.slow {
                thead { tr {
                    th { "Arrived" } th.n { "Total" } th { "Phases" } th { "Server" } th { "Request" } th.n { "Code" } th { "Flags" } th { "Client" }
                } }
                tbody { @for row in &seen.rows { (one(row, longest, filter, span, names)) } }
            } }
        }
        @if let Some(next) = &seen.next {
            p.more { a.btn href=(span.link(&address(filter, seen.slowest, Some(next)))) { "Further requests" } }
        }
    };
    framed("requests", "Requests", note, Some(phase_key()), &content)
}

fn one(row: &SlowRow, longest: u64, filter: &Filter, span: &Span, names: &Names<'_>) -> Markup {
    let at = row.at.as_millis();
    let by = |field: Field, value: &str| span.link(&filter.with(field, value).path("/edge/slow"));
    html! {
        tr {
            th scope="row" { time datetime=(rfc3339(at)) { (span.day_clock_ms(at)) } }
            td.n { b { (at_least(row.total_mark)) (time(float(row.total_us) / 1000.0)) } }
            td.ph { (bar(row, longest)) @if let Some(phase) = row.dominant { small { a href=(by(Field::Phase, phase.as_str())) { (phase.as_str()) } } } }
            td { @if row.server.is_empty() { span.meta { "not told" } } @else { a href=(by(Field::Server, &row.server)) { (name(&row.server)) } }
                @if !row.backend.is_empty() { " " small { (name(&row.backend)) } } }
            td.tg {
                @if row.path.is_empty() { span.meta { "not told" } } @else {
                    span.mono { (name(&row.method)) " " (name(&row.path)) }
                }
                (detail(row, span, names))
            }
            td.n { @if row.code == 0 { span.meta { "none" } } @else { a href=(by(Field::Code, &row.code.to_string())) { (row.code) } } }
            td { @if row.flags.is_empty() { span.meta { "not told" } } @else { span.mono { (name(&row.flags)) } } }
            td { @match row.client {
                Some(client) => span.mono { (client.to_string()) },
                None => span.meta { "not told" },
            }
            @if let Some(asn) = row.asn { " " small { a href=(by(Field::Asn, &asn.to_string())) { (names.of(Field::Asn, &asn.to_string())) } } } }
        }
    }
}

const fn at_least(mark: Mark) -> &'static str {
    match mark {
        Mark::Bound => "≥ ",
        Mark::Exact | Mark::Mixed | Mark::Absent => "",
    }
}

/// The phases that are told, on a scale that all rows share; what is not told stays empty.
fn bar(row: &SlowRow, longest: u64) -> Markup {
    let mut at = 0.0;
    let mut parts = Vec::new();
    for phase in &row.phases {
        let width = float(phase.us) * 100.0 / float(longest);
        parts.push((phase.phase.as_str(), at, width));
        at += width;
    }
    let total = float(row.total_us) * 100.0 / float(longest);
    let rest = total - at;
    html! {
        svg.p width="100%" height="12" role="img" aria-label=(sentence(row)) {
            @if rest > 0.2 { rect.fline x={ (format!("{at:.2}")) "%" } width={ (format!("{rest:.2}")) "%" } y="3" height="6" { } }
            @for (class, left, width) in parts {
                rect class=(class) x={ (format!("{left:.2}")) "%" } width={ (format!("{:.2}", (width - 0.3).max(0.2))) "%" } height="12" { }
            }
        }
    }
}

fn sentence(row: &SlowRow) -> String {
    let parts = row
        .phases
        .iter()
        .map(|p| format!("{} {}", p.phase.as_str(), exact_ms(float(p.us) / 1000.0)));
    let parts: Vec<String> = parts.collect();
    if parts.is_empty() {
        "No phase is told".to_owned()
    } else {
        format!("Phases: {} ms", parts.join(", "))
    }
}

/// Everything that is known of one request.
fn detail(row: &SlowRow, span: &Span, names: &Names<'_>) -> Markup {
    let facts = facts(row, names);
    html! {
        details.tbl {
            summary { "All fields" }
            dl.kv {
                @for phase in &row.phases {
                    div { dt { (phase.phase.as_str()) } dd { (exact_ms(float(phase.us) / 1000.0)) " ms, " (mark_words(phase.mark)) } }
                }
                @for (what, value) in &facts { div { dt { (what) } dd { (visible(value)) } } }
                div { dt { "kept because" } dd { (reason(row)) } }
                @for attempt in &row.attempts {
                    div { dt { "tried before" } dd {
                        (name(&attempt.server))
                        @if let Some(code) = attempt.code { ", answered " (code) }
                        @if let Some(us) = attempt.us { ", " (time(float(us) / 1000.0)) }
                    } }
                }
                div { dt { "around it" } dd {
                    a href=(around(row, span)) { "all requests of that minute" }
                } }
            }
        }
    }
}

fn around(row: &SlowRow, span: &Span) -> String {
    let at = row.at.as_millis();
    format!("/edge?{}", span.query_of(at - 30_000, at + 30_000))
}

fn facts(row: &SlowRow, names: &Names<'_>) -> Vec<(&'static str, String)> {
    let text = |t: &str| (!t.is_empty()).then(|| t.to_owned());
    let number = |n: Option<u64>| n.map(|n| n.to_string());
    let all = [
        (
            "total",
            Some(format!(
                "{} ms, {}",
                exact_ms(float(row.total_us) / 1000.0),
                mark_words(row.total_mark)
            )),
        ),
        ("route", text(&row.route)),
        ("host", text(&row.host)),
        ("vip", text(&row.vip)),
        ("source", text(&row.source)),
        ("client port", (row.client_port > 0).then(|| row.client_port.to_string())),
        ("client network", row.asn.map(|asn| names.of(Field::Asn, &asn.to_string()))),
        ("client prefix", row.prefix.map(|p| p.to_string())),
        ("client country", row.country.clone()),
        ("flags blame", row.blamed.map(|s| s.as_str().to_owned())),
        ("client left", row.client_aborted.then(|| "before the end".to_owned())),
        ("bytes sent", number(row.bytes_out)),
        ("bytes received", number(row.bytes_in)),
        ("retries", (row.retries > 0).then(|| row.retries.to_string())),
        ("redispatched", row.redispatched.then(|| "another server was tried first".to_owned())),
        (
            "queued before it",
            row.queued.map(|(s, b)| format!("{s} at the server, {b} at the backend")),
        ),
        ("at the server then", row.server_conns.map(|n| format!("{n} requests"))),
        ("round trip to the client", row.client_rtt_us.map(|us| time(f64::from(us) / 1000.0))),
        ("sent again to the client", row.client_retransmits.map(|n| format!("{n} segments"))),
        ("request id", text(&row.request_id)),
    ];
    all.into_iter().filter_map(|(what, value)| Some((what, value?))).collect()
}

fn reason(row: &SlowRow) -> String {
    let limit = time(float(row.limit_us) / 1000.0);
    let stands = if row.stands_for > 1.0 {
        format!("; drawn by lot, stands for {:.1}", row.stands_for)
    } else {
        String::new()
    };
    match row.reason {
        Reason::OverThreshold => format!("over its limit of {limit}{stands}"),
        Reason::OverOwnP99 => format!("over {limit}, by its route's own p99{stands}"),
    }
}
