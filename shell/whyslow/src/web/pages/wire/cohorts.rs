//! The tables of handshakes: by client cohort, and by server.

use maud::{Markup, html};
use whyslow_wire::row::{Cell, Dimension, Totals};

use super::{Names, Wire, name};
use crate::web::pages::chart::wire::parts;
use crate::web::pages::figures::{column_ms, percent, scale};
use crate::web::pages::frame::section as framed;
use crate::web::pages::model::edge::lead::big;
use crate::web::pages::model::wire::filter::{COHORTS, Field, Filter, value};
use crate::web::pages::model::wire::lead::cell_words;
use crate::web::pages::model::wire::sum::{Line, most, quantile_ms, share};
use crate::web::pages::when::Span;

/// Lines with the wash; more would mark nothing.
const HOT_MAX: usize = 3;

/// Handshakes by client cohort.
pub(super) fn section(wire: &Wire, span: &Span, names: Names<'_>) -> Markup {
    let asked = wire.filter.cell();
    let by = asked.as_ref().and_then(Cell::dimension).filter(|d| *d != Dimension::Server);
    let by = by.unwrap_or(wire.filter.by);
    let word = COHORTS.into_iter().find(|(d, ..)| *d == by).map_or("cohort", |(.., label)| label);
    let switch = html! {
        nav.range.tabs aria-label="Cohorts by" {
            @for (dimension, _, label) in COHORTS {
                a href=(span.link(&wire.filter.told_by(dimension).path("/wire"))) aria-current=[(dimension == by).then_some("true")] { "by " (label) }
            }
        }
    };
    let note = format!("{}; medians in ms, too few leave none", handshakes(wire));
    let content = html! {
        (switch)
        @if wire.cohorts.is_empty() {
            p.note { @if wire.filter.is_whole() { "No handshake in this range." } @else { "Windows do not tell clients of one server apart; the single handshakes below do." } }
        } @else {
            (table(wire, &wire.cohorts, word, span, names))
        }
    };
    framed("cohorts", "Handshakes by client cohort", &note, Some(key()), &content)
}

/// Handshakes by server.
pub(super) fn servers(wire: &Wire, span: &Span) -> Markup {
    let content = html! {
        @if wire.servers.is_empty() {
            p.note { @if wire.filter.is_whole() { "No handshake in this range." } @else { "Windows do not tell the servers of one cohort apart; the single handshakes below do." } }
        } @else {
            (table(wire, &wire.servers, "server", span, &|_| String::new()))
        }
    };
    framed(
        "servers",
        "By server",
        "the same handshakes, by the address that was asked",
        None,
        &content,
    )
}

fn handshakes(wire: &Wire) -> String {
    match &wire.all {
        None => "not told apart".to_owned(),
        Some(all) => {
            let complete = all.outcomes.get("complete").copied().unwrap_or(0);
            format!("{} handshakes, {} complete", big(all.handshakes), big(complete))
        }
    }
}

fn table(wire: &Wire, lines: &[Line], word: &str, span: &Span, names: Names<'_>) -> Markup {
    let sums = lines.iter().map(|line| medians(&line.totals).into_iter().flatten().sum());
    let top = sums.fold(1.0, f64::max) * 1.02;
    let open: Vec<Filter> = wire
        .seen
        .findings
        .iter()
        .filter(|f| f.closed.is_none())
        .map(|f| Filter::about(&f.cohort, &f.locus))
        .collect();
    let hot = |line: &Line| {
        let own = line.cell.dimension().map(Field::of).zip(value(&line.cell));
        own.is_some_and(|(field, value)| {
            let is = |f: &Filter| f.get(field) == Some(value.as_str());
            open.iter().take(HOT_MAX).any(is)
        })
    };
    html! {
        div.tw tabindex="0" role="region" aria-label={ "Handshakes by " (word) } { table.wide.edge {
            thead { tr {
                th { (word) } th.n { "Handshakes" } th.n { "Slow" } th.n { "of them" } th.n { "server" } th.n { "network" } th.n { "client" }
                th.cw { "0 to " (scale(top)) } th { "Blame of the slow" }
            } }
            tbody {
                @for line in lines { (row(wire, line, hot(line), top, span, names)) }
                @if let (true, Some(all)) = (lines.len() > 1, &wire.all) {
                    tr { th scope="row" { "All" } (figures(all, false, top)) }
                }
            }
        } }
    }
}

fn row(wire: &Wire, line: &Line, hot: bool, top: f64, span: &Span, names: Names<'_>) -> Markup {
    html! {
        tr.hot[hot] {
            th scope="row" { (label(wire, line, span, names)) }
            (figures(&line.totals, hot, top))
        }
    }
}

fn label(wire: &Wire, line: &Line, span: &Span, names: Names<'_>) -> Markup {
    let text = name(&cell_words(&line.cell));
    let known = if let Cell::Asn(asn) = line.cell { names(asn) } else { String::new() };
    let mono = matches!(line.cell, Cell::Server(_) | Cell::Prefix(_) | Cell::Rdns(_));
    let field = line.cell.dimension().map(Field::of).zip(value(&line.cell));
    html! {
        @match field {
            Some((field, value)) if line.folded == 0 => {
                a.mono[mono] href=(span.link(&wire.filter.with(field, &value).path("/wire"))) { (text) }
            }
            _ => (text),
        }
        @if line.folded > 0 { " " small { (big(line.folded as u64)) " in all" } }
        @if !known.is_empty() { " " small { (known) } }
    }
}

fn figures(totals: &Totals, hot: bool, top: f64) -> Markup {
    let medians = medians(totals);
    // What is abnormal may be fewer than half of them, and the middle one none.
    let p90 = |i: usize| quantile_ms([&totals.server, &totals.network, &totals.client][i], 0.9);
    let blame = most(&totals.blame);
    let marked = blame.filter(|_| hot).and_then(|(word, _)| part(word));
    html! {
        td.n { (big(totals.handshakes)) }
        td.n.bad[hot] { (big(totals.slow)) }
        td.n.bad[hot] { @if totals.slow > 0 { (percent(share(totals.slow, totals.handshakes))) } }
        @for (i, ms) in medians.into_iter().enumerate() {
            td.n.bad[marked == Some(i)] {
                (ms.map_or_else(|| "–".to_owned(), column_ms))
                @if let Some(p90) = p90(i).filter(|_| marked == Some(i)) { br; small { "p90 " (column_ms(p90)) } }
            }
        }
        td.cw { (parts(medians, marked, top)) }
        td { @if let Some((word, n)) = blame {
            (name(word)) @if n < totals.slow { " " small { (big(n)) " of " (big(totals.slow)) } }
        } }
    }
}

/// The medians of the parts of a server, the network and a client.
fn medians(totals: &Totals) -> [Option<f64>; 3] {
    [&totals.server, &totals.network, &totals.client].map(|part| quantile_ms(part, 0.5))
}

/// Which of the three a word of blame is.
fn part(word: &str) -> Option<usize> {
    ["server", "network", "client"].iter().position(|part| *part == word)
}

fn key() -> Markup {
    let swatches =
        [("fink", "server"), ("fref", "network"), ("h3", "client"), ("fbad", "abnormal part")];
    html! {
        p.key.end {
            @for (class, word) in swatches {
                span { svg width="10" height="10" aria-hidden="true" { rect class=(class) width="10" height="10" { } } (word) }
            }
        }
    }
}
