//! One handshake: its ladder, how sure the judgment is, and its packets.

use maud::{Markup, html};

use super::{Names, Wire, handshake_path, name, packets_of};
use crate::storage::WireEvent;
use crate::web::pages::chart::ladder::draw;
use crate::web::pages::figures::{exact_ms, percent, visible};
use crate::web::pages::frame::{Frame, page, section, shape};
use crate::web::pages::model::edge::lead::big;
use crate::web::pages::model::wire::document::{Handshake, read};
use crate::web::pages::model::wire::filter::{Field, Filter};
use crate::web::pages::model::wire::ladder::Ladder;
use crate::web::pages::model::wire::sum::{float, of};
use crate::web::pages::when::{Span, rfc3339};

/// Sentences of evidence that are shown.
const SENTENCES: usize = 24;
/// The bounds that are shown, with their words.
const BOUNDS: [(&str, &str); 5] = [
    ("server", "server"),
    ("network", "network"),
    ("client", "client"),
    ("client_think", "client think"),
    ("ack_delay", "held-back ACK"),
];

/// The slowest handshake of the range.
pub(super) fn slowest(wire: &Wire, span: &Span, names: Names<'_>) -> Markup {
    let slow = |e: &&WireEvent| e.word != "none" && e.outcome.as_deref() == Some("complete");
    let events = &wire.seen.slowest.events;
    let Some(event) = events.iter().find(slow).or_else(|| events.first()) else {
        return html! {};
    };
    let Some(handshake) = read::<Handshake>(&event.document) else { return html! {} };
    let alike = event.asn.and_then(|asn| {
        let cell = Filter::default().with(Field::Asn, &asn.to_string()).cell()?;
        let totals = of(&wire.seen.windows, &cell);
        (totals.handshakes > 0).then(|| {
            format!(
                "{} of {} from AS{asn} were slow in this range",
                big(totals.slow),
                big(totals.handshakes)
            )
        })
    });
    let heading = if event.word == "none" {
        "The slowest handshake"
    } else {
        "The slowest of the slow handshakes"
    };
    html! {
        div.cols.w {
            (ladder_section(event, &handshake, heading, true, span))
            (sure_section(event, &handshake, alike.as_deref(), names))
        }
    }
}

/// The page of one handshake.
pub(super) fn page_of(event: &WireEvent, frame: &Frame<'_>, names: Names<'_>) -> Markup {
    let span = frame.span;
    let at = event.at.as_millis();
    let handshake: Option<Handshake> = read(&event.document);
    let slow = event.word != "none";
    let state = if slow { shape("degraded", "Slow") } else { shape("ok", "Not slow") };
    let content = html! {
        div.verdict {
            p {
                (state)
                span.ink2 {
                    span.mono { (event.client) } " to " span.mono { (event.server) } ", "
                    time datetime=(rfc3339(at)) { (span.clock_s(at)) } " on " (name(&event.tap))
                }
            }
            h1 { (sentence(event, handshake.as_ref())) }
            p.lead { (story(event, handshake.as_ref(), span, names)) }
        }
        @match &handshake {
            Some(handshake) => div.cols.w {
                (ladder_section(event, handshake, "Ladder", false, span))
                (sure_section(event, handshake, None, names))
            },
            None => p.note { "What was kept of it cannot be read." },
        }
    };
    page(frame, None, &content)
}

fn sentence(event: &WireEvent, handshake: Option<&Handshake>) -> String {
    let total = event.total_us.map(|us| format!("{}\u{a0}ms", exact_ms(float(us) / 1000.0)));
    let took = total.map_or_else(|| "It did not end".to_owned(), |ms| format!("It took {ms}"));
    let gap = handshake.map(Ladder::of).and_then(|ladder| {
        let (gap, ..) = ladder.gap()?;
        let words = crate::web::pages::model::wire::ladder::words(gap.phase);
        Some(format!(": the gap that matters is {words}, {}\u{a0}ms", exact_ms(gap.ms)))
    });
    let outcome = event.outcome.as_deref().filter(|outcome| *outcome != "complete");
    let ended = outcome.map_or_else(String::new, |o| format!("; {}", o.replace('_', " ")));
    visible(&format!("{took}{}{ended}.", gap.unwrap_or_default()))
}

/// Whom it came from, and links to those like it.
fn story(
    event: &WireEvent,
    handshake: Option<&Handshake>,
    span: &Span,
    names: Names<'_>,
) -> Markup {
    let like = |field, value: &str| span.link(&Filter::default().with(field, value).path("/wire"));
    html! {
        @if let Some(asn) = event.asn { "From " a href=(like(Field::Asn, &asn.to_string())) { "AS" (asn) " " (names(asn)) } ". " }
        @if let Some(rdns) = &event.rdns { "Its name ends in " a.mono href=(like(Field::Rdns, rdns)) { (name(rdns)) } ". " }
        @if let Some(sni) = handshake.and_then(|h| h.sni.as_deref()) { "It asked for " span.mono { (name(sni)) } ". " }
        a href=(like(Field::Server, &event.server.to_string())) { "All of this server" }
    }
}

fn ladder_section(
    event: &WireEvent,
    handshake: &Handshake,
    heading: &str,
    link: bool,
    span: &Span,
) -> Markup {
    let at = event.at.as_millis();
    let kind = kind(handshake);
    let note = format!("{}, {}{kind}", event.client, span.clock_s(at));
    let end = html! {
        p.end.meta {
            @if link { a href=(span.link(&handshake_path(event))) { "This handshake" } " \u{a0} " }
            @match &event.evidence {
                Some(file) => (packets_of(file)),
                None => "its packets are not kept",
            }
        }
    };
    let ladder = Ladder::of(handshake);
    let s = handshake.shares;
    let parts = [
        ("server", s.server),
        ("network", s.network),
        ("client", s.client),
        ("unknown", s.unknown),
    ];
    let parts: Vec<String> = parts
        .into_iter()
        .filter(|(_, share)| *share > 0.0005)
        .map(|(word, share)| format!("{word} {}", exact_ms(handshake.total_ms * share)))
        .collect();
    let content = html! {
        figure {
            (draw(&ladder, handshake.total_ms))
            figcaption.note {
                (exact_ms(handshake.total_ms)) "\u{a0}ms: " (parts.join(", ")) ". Time runs downwards, not to scale: the figures are exact, "
                (seen_from(&handshake.vantage_point))
                @if ladder.gap().is_some() { "; the shaded gap is drawn at one size" } "."
            }
        }
        (phases_table(&ladder))
    };
    section("ladder", heading, &note, Some(end), &content)
}

fn phases_table(ladder: &Ladder) -> Markup {
    html! {
        details.tbl {
            summary { "The same as a table" }
            div.tw tabindex="0" role="region" aria-label="The ladder as a table" { table {
                thead { tr { th { "Message" } th { "From" } th.n { "At, ms" } th { "After" } th.n { "ms" } th { "Whose" } } }
                tbody { @for step in &ladder.steps { tr {
                    th scope="row" { (step.label) }
                    td { (if step.from_client { "client" } else { "server" }) }
                    td.n { (format!("{:.2}", step.at_ms)) }
                    @match &step.before {
                        Some(before) => {
                            td { (crate::web::pages::model::wire::ladder::words(before.phase)) }
                            td.n.bad[before.matters] { (format!("{:.2}", before.ms)) }
                            td { (visible(&before.whose)) }
                        }
                        None => { td { } td.n { } td { } }
                    }
                } } }
            } }
        }
    }
}

/// What kind of handshake it was.
fn kind(handshake: &Handshake) -> String {
    let mut words = Vec::new();
    words.extend(handshake.version.clone());
    words.extend(handshake.resumed.map(|r| if r { "resumed" } else { "new session" }.to_owned()));
    words.extend(handshake.retry.then(|| "after a HelloRetryRequest".to_owned()));
    words.extend(handshake.early_data.then(|| "early data".to_owned()));
    words.extend((handshake.client_auth == Some(true)).then(|| "client certificate".to_owned()));
    if words.is_empty() { String::new() } else { visible(&format!("; {}", words.join(", "))) }
}

fn seen_from(point: &str) -> &'static str {
    match point {
        "server" => "as seen at the server",
        "client" => "as seen at the client",
        "middle" => "as seen between the two",
        _ => "where they were seen cannot be told",
    }
}

/// What the judgment rests on.
fn sure_section(
    event: &WireEvent,
    handshake: &Handshake,
    alike: Option<&str>,
    names: Names<'_>,
) -> Markup {
    let known = |key: &str| handshake.bounds_ms.get(key).copied().flatten();
    let bounds = BOUNDS.into_iter().filter_map(|(key, word)| Some((word, known(key)?)));
    let blamed = match event.word.as_str() {
        "none" => "nobody: it was not slow".to_owned(),
        word => {
            let s = handshake.shares;
            let share = match word {
                "server" => s.server,
                "network" => s.network,
                "client" => s.client,
                _ => s.unknown,
            };
            format!("{}, {} of the time", name(word), percent(share))
        }
    };
    let line = |label: &str, text: &str| html! { li { span.l { (label) } span { (text) } } };
    let content = html! {
        ul.plain {
            (line("blame", &blamed))
            @for (word, (lo, hi)) in bounds {
                (line(word, &format!("between {} and {}\u{a0}ms", exact_ms(lo), exact_ms(hi))))
            }
            @for sentence in handshake.evidence.iter().take(SENTENCES) { (line("seen", &visible(sentence))) }
            @if handshake.estimated { (line("estimated", "the acknowledgment came with the answer: its own time is an estimate")) }
            (line("capture", &missing(handshake)))
            @if let Some(alike) = alike { (line("same source", alike)) }
            @if let Some(asn) = event.asn { (line("network", format!("AS{asn} {}", names(asn)).trim_end())) }
            @if let Some(sni) = &handshake.sni { (line("asked for", &name(sni))) }
            @if let Some(ja4) = &handshake.ja4 { (line("client's JA4", &name(ja4))) }
        }
    };
    section("sure", "How sure", "", None, &content)
}

fn missing(handshake: &Handshake) -> String {
    let dropped = match handshake.drops {
        0 => "0 packets dropped while it lasted".to_owned(),
        n => format!("{} packets dropped while it lasted", big(n)),
    };
    match handshake.incomplete.as_slice() {
        [] => dropped,
        reasons => visible(&format!("{dropped}; incomplete: {}", reasons.join(", "))),
    }
}
