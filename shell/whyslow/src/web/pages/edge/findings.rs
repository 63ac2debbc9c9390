//! Findings and readings: what the detectors say, also where all is normal and where they are blind.

use maud::{Markup, html};
use whyslow_model::reading::{Against, Finding, Reading, Status};

use super::parts::name;
use crate::web::pages::figures::{counted, lasted, percent, visible};
use crate::web::pages::frame;
use crate::web::pages::model::edge::lead::{about, big, code_words, stat_words};
use crate::web::pages::when::{Span, rfc3339};

/// Findings listed.
const FINDINGS_LISTED: usize = 20;
/// Readings listed before the rest is folded away.
const READINGS_LISTED: usize = 12;
/// Readings listed at most.
const READINGS_LISTED_MAX: usize = 300;

/// Where what a finding is about is shown.
pub type Where<'a> = &'a dyn Fn(&Finding) -> String;

/// Both lists.
pub fn section(
    findings: &[Finding],
    readings: &[Reading],
    shown_at: Where<'_>,
    span: &Span,
) -> Markup {
    html! {
        (found(findings, readings.is_empty(), shown_at, span))
        (said(readings, span))
    }
}

fn found(findings: &[Finding], unjudged: bool, shown_at: Where<'_>, span: &Span) -> Markup {
    let open = findings.iter().filter(|f| f.closed.is_none()).count();
    let note = match findings.len() {
        0 => "none in this range".to_owned(),
        n => format!("{}, {open} open; open ones first", counted(n, "finding")),
    };
    let content = html! {
        @if findings.is_empty() && !unjudged { p.note { "No detector saw anything abnormal that lasted." } }
        ul.plain { @for finding in findings.iter().take(FINDINGS_LISTED) { (one(finding, shown_at, span)) } }
        @if findings.len() > FINDINGS_LISTED {
            p.note { (big((findings.len() - FINDINGS_LISTED) as u64)) " more in " a href=(span.link("/api/v1/findings")) { "the API" } "." }
        }
    };
    frame::section("findings", "Findings", &note, None, &content)
}

fn one(finding: &Finding, shown_at: Where<'_>, span: &Span) -> Markup {
    let opened = finding.opened.as_millis();
    let implicates: Vec<&str> = finding.implicates.iter().map(|s| s.as_str()).collect();
    let (word, label) =
        if finding.closed.is_none() { ("degraded", "Open") } else { ("ok", "Over") };
    html! {
        li {
            span.l { (frame::shape(word, label)) }
            span {
                a href=(span.link(&shown_at(finding))) { (visible(&finding.text)) }
                " " small {
                    time datetime=(rfc3339(opened)) { (span.clock_s(opened)) }
                    @match finding.closed {
                        Some(closed) => { " to " (span.clock_s(closed.as_millis())) ", " (lasted(closed.as_millis() - opened)) }
                        None => { ", for " (lasted(span.now_ms - opened)) }
                    }
                    "; " (counted(usize::try_from(finding.readings).unwrap_or(usize::MAX), "reading"))
                    @if !implicates.is_empty() { "; can be " (implicates.join(", ")) }
                }
            }
        }
    }
}

fn said(readings: &[Reading], span: &Span) -> Markup {
    let of = |status| readings.iter().filter(|r| r.status == status).count();
    let note = format!(
        "the newest of each detector and cell: {} abnormal, {} blind, {} too few, {} normal",
        of(Status::Abnormal),
        of(Status::Blind),
        of(Status::TooFew),
        of(Status::Normal)
    );
    // What is normal is quiet: it is counted above, and folded away.
    let trouble = readings.iter().take_while(|r| r.status != Status::Normal).count();
    let (first, rest) = readings.split_at(trouble.min(READINGS_LISTED));
    let rest = &rest[..rest.len().min(READINGS_LISTED_MAX)];
    let content = html! {
        @if readings.is_empty() { p.note { "No detector has looked at this range. Silence clears nobody." } }
        @else if first.is_empty() { p.note { "All of them found things as they should be." } }
        @else { (table(first, span)) }
        @if !rest.is_empty() {
            details.tbl { summary { (if first.is_empty() { counted(rest.len(), "normal reading") } else { counted(rest.len(), "more reading") }) } (table(rest, span)) }
        }
    };
    frame::section("readings", "What the detectors looked at", &note, None, &content)
}

fn table(readings: &[Reading], span: &Span) -> Markup {
    html! {
        div.tw tabindex="0" role="region" aria-label="Readings" { table.wide {
            thead { tr { th { "Status" } th { "Detector" } th { "About" } th { "Here" } th { "Against" } th { "Window" } th.n { "Complete" } } }
            tbody { @for reading in readings { tr {
                td { (status(reading.status)) }
                th scope="row" { (name(&code_words(&reading.code))) }
                td { (name(&about(&reading.cohort, &reading.locus))) }
                td { (stat_words(&reading.here)) }
                td { @match &reading.there {
                    Some(there) => { (against(reading.against)) (stat_words(there)) }
                    None => span.meta { "nothing" },
                } }
                td { (span.clock_s(reading.from.as_millis())) " to " (span.clock_s(reading.to.as_millis())) }
                @match reading.completeness {
                    Some(share) => td.n.bad[share < 0.95] { (percent(share)) },
                    None => td.n.meta { "not told" },
                }
            } } }
        } }
    }
}

fn status(status: Status) -> Markup {
    match status {
        Status::Normal => frame::shape("ok", "Normal"),
        Status::Abnormal => frame::shape("degraded", "Abnormal"),
        Status::TooFew => frame::shape("unknown", "Too few"),
        Status::Blind => frame::shape("blind", "Blind"),
    }
}

const fn against(against: Option<Against>) -> &'static str {
    match against {
        Some(Against::Peers) => "its peers: ",
        Some(Against::Past) => "its past: ",
        Some(Against::Path) => "another path: ",
        None => "",
    }
}
