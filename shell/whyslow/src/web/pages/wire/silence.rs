//! What no log shows: SYNs without an answer, and endings before a request or a response.

use maud::{Markup, html};
use whyslow_wire::row::Totals;

use super::{Wire, name};
use crate::web::pages::figures::{counted, percent};
use crate::web::pages::frame::section;
use crate::web::pages::model::edge::lead::big;
use crate::web::pages::model::wire::document::{Ending, read};
use crate::web::pages::model::wire::filter::Field;
use crate::web::pages::model::wire::silence::{Kept, Silent, cause_words, ending_words, servers};
use crate::web::pages::model::wire::sum::share;
use crate::web::pages::when::Span;

/// Servers listed.
const SERVERS_LISTED: usize = 10;
/// Endings listed one by one.
const ENDINGS_LISTED: usize = 50;
/// What health checks do.
const HEALTH_CHECKS: &str = "unused";

/// SYNs without an answer, by server.
pub(super) fn unanswered(wire: &Wire, span: &Span) -> Markup {
    let nothing = Totals::default();
    let all = wire.all.as_ref().unwrap_or(&nothing);
    let events = &wire.seen.unanswered.events;
    let of = wire.seen.unanswered.of;
    let mut note =
        "connections, not packets; a SYN that was answered on a later try counts too".to_owned();
    if (events.len() as u64) < of {
        note.push_str(&format!(
            "; clients and times of the newest {} of {}",
            big(events.len() as u64),
            big(of)
        ));
    }
    let asked = wire.filter.get(Field::Server);
    let by_server = wire.filter.without(Field::Server).is_whole();
    let rows: Vec<Silent> = if by_server {
        let rows = servers(&wire.seen.windows, events, usize::MAX);
        let wanted = |row: &Silent| asked.is_none_or(|server| row.server.to_string() == server);
        rows.into_iter().filter(wanted).take(SERVERS_LISTED).collect()
    } else {
        Vec::new()
    };
    let content = html! {
        @if all.unanswered == 0 && of == 0 {
            p.note { @if all.asked() == 0 { "No connection was asked for." } @else { "Every SYN was answered within a second." } }
        } @else {
            div.tw tabindex="0" role="region" aria-label="SYNs without an answer" { table.wide {
                thead { tr { th { "Server" } th.n { "Connections" } th.n { "Unanswered" } th { "Cause, where the kernel says" } th { "Clients" } th { "First to last" } } }
                tbody {
                    @for row in &rows { (server(wire, row, span)) }
                    @if rows.is_empty() {
                        tr {
                            th scope="row" { "all that fit" } td.n { (big(all.asked())) } td.n.bad[all.unanswered > 0] { (big(all.unanswered)) }
                            td { (causes(all.causes.iter().map(|(w, n)| (w.as_ref(), *n)), all.unanswered)) } (kept(&Kept::of(events), span))
                        }
                    }
                }
            } }
        }
    };
    section("unanswered", "SYNs without an answer", &note, None, &content)
}

fn server(wire: &Wire, row: &Silent, span: &Span) -> Markup {
    let address = row.server.to_string();
    html! {
        tr {
            th.mono scope="row" { a href=(span.link(&wire.filter.with(Field::Server, &address).path("/wire"))) { (address) } }
            td.n { (big(row.asked)) }
            td.n.bad[row.unanswered > 0] { (big(row.unanswered)) }
            td { (causes(row.causes.iter().map(|(w, n)| (w.as_ref(), *n)), row.unanswered)) }
            (kept(&row.kept, span))
        }
    }
}

fn causes<'a>(causes: impl Iterator<Item = (&'a str, u64)>, all: u64) -> String {
    let mut causes: Vec<(&str, u64)> = causes.collect();
    causes.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
    let one = |(word, n): &(&str, u64)| {
        format!("{}, {} of {}", name(&cause_words(word)), big(*n), big(all))
    };
    causes.iter().map(one).collect::<Vec<_>>().join("; ")
}

fn kept(kept: &Kept, span: &Span) -> Markup {
    html! {
        td { @if kept.events > 0 {
            (big(kept.addresses as u64)) (if kept.addresses == 1 { " address in " } else { " addresses in " }) (counted(kept.networks, "network"))
            @if kept.answered > 0 { "; " (big(kept.answered)) " answered in the end" }
        } }
        td { @if let Some((first, last)) = kept.span_ms { (span.clock_s(first)) " to " (span.clock_s(last)) } }
    }
}

/// Endings that no log shows, by kind; health checks apart.
pub(super) fn endings(wire: &Wire, span: &Span) -> Markup {
    let nothing = Totals::default();
    let all = wire.all.as_ref().unwrap_or(&nothing);
    let mut kinds: Vec<(&str, u64)> =
        all.endings.iter().map(|(kind, n)| (kind.as_ref(), *n)).collect();
    kinds.sort_by(|a, b| {
        let rank = |kind: &(&str, u64)| (kind.0 == HEALTH_CHECKS, std::cmp::Reverse(kind.1));
        rank(a).cmp(&rank(b))
    });
    let asked = all.asked();
    let content = html! {
        @if kinds.is_empty() && wire.seen.endings.events.is_empty() {
            p.note { "Every connection that was seen ended after a response." }
        } @else {
            div.tw tabindex="0" role="region" aria-label="Endings in no log" { table {
                thead { tr { th { "What happened" } th.n { "Connections" } th.n { "of all" } th { "Trouble" } } }
                tbody { @for (kind, n) in &kinds { tr {
                    th scope="row" { (name(&ending_words(kind))) }
                    td.n { (big(*n)) }
                    td.n { (percent(share(*n, asked))) }
                    td { (if *kind == HEALTH_CHECKS { "no, kept out of every alarm" } else { "nobody logs it" }) }
                } } }
            } }
            (listed(wire, span))
        }
    };
    section(
        "endings",
        "Endings in no log",
        "connections that ended before a request or a response",
        None,
        &content,
    )
}

fn listed(wire: &Wire, span: &Span) -> Markup {
    let page = &wire.seen.endings;
    let shown = page.events.iter().filter(|e| e.word != HEALTH_CHECKS).take(ENDINGS_LISTED);
    html! {
        @if page.events.iter().any(|e| e.word != HEALTH_CHECKS) {
            details.tbl {
                summary { "The newest, one by one" }
                div.tw tabindex="0" role="region" aria-label="Endings one by one" { table.wide {
                    thead { tr { th { "Began" } th { "What happened" } th { "By" } th { "In" } th { "Client" } th { "Server" } th.n { "Bytes from client" } th.n { "from server" } } }
                    tbody { @for event in shown {
                        @let ending: Ending = read(&event.document).unwrap_or_default();
                        tr {
                            th scope="row" { (span.clock_s(event.at.as_millis())) }
                            td { (name(&ending_words(&event.word))) }
                            td { (name(&ending.by)) @if ending.reset { ", reset" } }
                            td { (name(&ending.phase.replace('_', " "))) }
                            td.mono { (event.client) }
                            td.mono { (event.server) }
                            td.n { (big(ending.client_bytes)) }
                            td.n { (big(ending.server_bytes)) }
                        }
                    } }
                } }
            }
        }
    }
}
