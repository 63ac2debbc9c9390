//! Where the lines come from: each source's state, what it lost, what it could not read.

use maud::{Markup, html};

use crate::web::pages::figures::{counted, shortened, visible};
use crate::web::pages::frame;
use crate::web::pages::model::edge::lead::big;
use crate::web::pages::model::edge::sources::Source;
use crate::web::pages::when::Span;

/// Bytes of a rejected line that are shown.
const SAMPLE_SHOWN: usize = 240;

/// The section.
pub(super) fn section(sources: &[Source], span: &Span) -> Markup {
    let troubled = sources.iter().filter(|s| s.troubled || s.missing() > 0).count();
    let note = match (sources.len(), troubled) {
        (0, _) => "none is configured now".to_owned(),
        (n, 0) => format!("{}, since whyslow started", counted(n, "source")),
        (n, t) => format!("{}, since whyslow started; {t} with trouble", counted(n, "source")),
    };
    let content = html! {
        @if sources.is_empty() { p.note { "What is shown above was stored before." } }
        @else {
            div.tw tabindex="0" role="region" aria-label="Sources" { table.wide {
                thead { tr {
                    th { "Source" } th { "Reads" } th { "Format" } th { "State" } th.n { "Lines" } th.n { "Numbered" } th.n { "Missing" } th.n { "Rejected" } th { "Last line" }
                } }
                tbody { @for source in sources { (row(source, span)) } }
            } }
            @for source in sources.iter().filter(|s| s.rejected() > 0) { (rejects(source)) }
        }
    };
    frame::section("sources", "Sources", &note, None, &content)
}

fn row(source: &Source, span: &Span) -> Markup {
    let lost: Vec<String> = source
        .lost
        .iter()
        .filter(|(_, n)| *n > 0)
        .map(|(why, n)| format!("{} {}", big(*n), visible(why)))
        .collect();
    html! {
        tr.hot[source.missing() > 0] {
            th scope="row" { (visible(&source.name)) @if let Some(service) = &source.service { " " small { (visible(service)) } } }
            td.tg { span.mono { (shortened(&visible(&source.input), 60)) } }
            td { (shortened(&visible(&source.format), 40)) }
            td.bad[source.troubled] { (visible(&source.state)) }
            td.n { (big(source.lines)) }
            td.n { @match source.numbered { Some(n) => { (big(n.seen)) " of " (big(n.sent)) }, None => span.meta { "not told" } } }
            td.n.bad[source.missing() > 0] { (big(source.missing())) @if !lost.is_empty() { " " small { (lost.join(", ")) } } }
            td.n.bad[source.rejected() > 0] { (big(source.rejected())) }
            td { @match source.last_ms { Some(at) => (span.clock_s(at)), None => span.meta { "none yet" } } }
        }
    }
}

fn rejects(source: &Source) -> Markup {
    let share = format!("{} of {} lines were not read", big(source.rejected()), big(source.lines));
    html! {
        details.tbl open[source.rejected() * 10 > source.lines] {
            summary { (visible(&source.name)) ": " (share) }
            div.tw tabindex="0" role="region" aria-label={ "Rejected lines of " (visible(&source.name)) } { table {
                thead { tr { th { "Reason" } th.n { "Lines" } th { "One of them" } } }
                tbody { @for r in &source.rejects { tr {
                    th scope="row" { (visible(&r.reason)) }
                    td.n { (big(r.count)) }
                    td.tg {
                        @if r.sample.is_empty() { span.meta { "not kept" } }
                        @else { code { (shortened(&visible(&r.sample), SAMPLE_SHOWN)) } }
                    }
                } } }
            } }
        }
    }
}
