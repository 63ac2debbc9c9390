//! The logs in which incidents are looked for: what each gave, and what stands in its way.

use maud::{Markup, html};

use super::{name, packets_of};
use crate::web::pages::figures::{counted, exact_ms, shortened, visible};
use crate::web::pages::frame::{section as framed, shape};
use crate::web::pages::model::edge::lead::big;
use crate::web::pages::when::{Span, rfc3339};
use crate::wire::evidence::{Became, Match, TriggerStatus};

/// Characters of a log's address that are shown.
const INPUT_SHOWN: usize = 60;
/// Characters of a line that are shown.
const LINE_SHOWN: usize = 240;

/// The section.
pub(super) fn section(triggers: &[TriggerStatus], span: &Span) -> Markup {
    let blind = triggers.iter().filter(|t| t.problem.is_some()).count();
    let note = match (triggers.len(), blind) {
        (0, _) => "none is followed now".to_owned(),
        (n, 0) => format!("{}, each since it is followed", counted(n, "log")),
        (n, b) => format!("{}, each since it is followed; {b} cannot be read", counted(n, "log")),
    };
    let content = html! {
        @if triggers.is_empty() {
            p.note { "A log that says which connection was slow or broke has its packets kept, from before the line was written on. Name it under " code { "triggers:" } " in the configuration." }
        } @else {
            div.tw tabindex="0" role="region" aria-label="Logs that tell of it" { table.wide {
                thead { tr {
                    th { "Trigger" } th { "State" } th { "Reads" } th.n { "Lines" } th.n { "Matched" } th.n { "Kept" } th.n { "Not kept" } th { "Last match" } th.n { "Connections" }
                } }
                tbody { @for trigger in triggers { (row(trigger, span)) } }
            } }
            @for trigger in triggers.iter().filter(|t| t.odd.is_some()) { (odd(trigger)) }
            @for trigger in triggers.iter().filter(|t| !t.recent.is_empty()) { (matches(trigger, span)) }
        }
    };
    framed("triggers", "Logs that tell of it", &note, None, &content)
}

fn row(of: &TriggerStatus, span: &Span) -> Markup {
    let counts = of.counts;
    let lines = counts.matched + counts.faster + counts.odd + counts.other + counts.unreadable;
    let not_kept: u64 = of.fates.not_kept.values().sum();
    html! {
        tr {
            th scope="row" { (name(&of.name)) @if of.cause != "log" { br; small { (name(&of.cause)) } } }
            td.tg { (state(of, span)) }
            td.tg { span.mono { (shortened(&visible(&of.input), INPUT_SHOWN)) } }
            td.n { (big(lines)) @if counts.unreadable > 0 { br; small { (big(counts.unreadable)) " unreadable" } } }
            td.n { (big(counts.matched)) @if counts.faster > 0 { br; small { "and " (big(counts.faster)) " faster" } } }
            td.n { (big(of.fates.kept)) }
            td.n { span.bad[not_kept > 0] { (big(not_kept)) } @for why in why_not_kept(of) { br; small { (why) } } }
            @match of.recent.last() {
                Some(last) => {
                    td { time datetime=(rfc3339(last.noticed.as_millis())) { (span.clock_s(last.noticed.as_millis())) } }
                    td.n { (candidates(last)) }
                },
                None => { td { span.meta { "none yet" } } td { } },
            }
        }
    }
}

/// Whether it is followed, and what may have been lost on the way.
fn state(of: &TriggerStatus, span: &Span) -> Markup {
    let lost = match (of.counts.gaps, of.counts.dropped) {
        (0, _) => None,
        (gaps, 0) => Some(format!("lines may be missing at {} places", big(gaps))),
        (_, dropped) => Some(format!("journald dropped {} lines", big(dropped))),
    };
    html! {
        @match &of.problem {
            Some(problem) => { (shape("blind", "Blind")) br; (visible(problem)) },
            None => { "followed since " (span.clock_s(of.since.as_millis())) },
        }
        @if let Some(lost) = lost { br; small { (lost) } }
    }
}

/// Why nothing was written, with how often where there is more than one reason.
fn why_not_kept(of: &TriggerStatus) -> Vec<String> {
    let all: Vec<_> = of.fates.not_kept.iter().filter(|(_, n)| **n > 0).collect();
    match all.as_slice() {
        [(why, _)] => vec![reason(why)],
        all => all.iter().map(|(why, n)| format!("{} {}", big(**n), reason(why))).collect(),
    }
}

/// Why nothing was written, in words.
fn reason(word: &str) -> String {
    match word {
        "rate" => "beyond the limit of a minute",
        "waiting" => "while too many waited",
        "no_packets" => "not in the ring",
        "quota" => "too large for the quota",
        "disk" => "the disk took none",
        other => return name(&other.replace('_', " ")),
    }
    .to_owned()
}

/// How many connections a line may have meant, where packets of them were found.
fn candidates(of: &Match) -> String {
    match &of.became {
        Became::Kept { candidates, .. } => big(*candidates),
        Became::Waiting | Became::NotKept(_) => "–".to_owned(),
    }
}

/// The files of an incident, or why there are none.
fn packets(of: &Match) -> Markup {
    html! {
        @match &of.became {
            Became::Kept { files, .. } => @for file in files { (packets_of(file)) " " },
            Became::Waiting => "not written yet",
            Became::NotKept(why) => (reason(why)),
        }
    }
}

/// The last line that said what cannot be: most often the expression names the wrong group.
fn odd(of: &TriggerStatus) -> Markup {
    let line = of.odd.as_deref().unwrap_or_default();
    html! {
        p.note {
            (name(&of.name)) ": " (counted(usize::try_from(of.counts.odd).unwrap_or(usize::MAX), "line")) " matched and said what cannot be, the last "
            code { (shortened(&visible(line), LINE_SHOWN)) }
        }
    }
}

/// The last lines that told of incidents, the newest first.
fn matches(of: &TriggerStatus, span: &Span) -> Markup {
    let what = format!("{}, the last matches", name(&of.name));
    html! {
        details.tbl {
            summary { (what) }
            div.tw tabindex="0" role="region" aria-label=(what) { table.wide {
                thead { tr { th { "Noticed" } th.n { "Took, ms" } th { "Client" } th { "Server" } th.n { "Connections" } th { "Packets" } th { "Line" } } }
                tbody { @for one in of.recent.iter().rev() { tr {
                    th scope="row" { (span.clock_s(one.noticed.as_millis())) }
                    td.n { (one.duration.map_or_else(|| "–".to_owned(), |took| exact_ms(took.as_secs_f64() * 1000.0))) }
                    td.mono { (one.ends.client_text().unwrap_or_default()) }
                    td.mono { (one.ends.server_text().unwrap_or_default()) }
                    td.n { (candidates(one)) }
                    td { (packets(one)) }
                    td.tg { code { (shortened(&visible(&one.line), LINE_SHOWN)) } }
                } } }
            } }
        }
    }
}
