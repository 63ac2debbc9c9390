//! `/wire`: who waited in slow handshakes, by client cohort and server; one of them as a ladder;
//! SYNs without an answer and endings that no log shows.

mod charts;
mod cohorts;
mod handlers;
mod one;
mod packets;
pub mod read;
mod silence;
mod start;
mod triggers;

use maud::{Markup, html};
use whyslow_model::reading::{Finding, Reading};
use whyslow_wire::row::{Cell, Dimension, Totals};

use super::edge::findings;
use super::figures::{shortened, visible};
use super::frame::{Frame, page};
use super::model::edge::lead::cells;
use super::model::lead::Lead;
use super::model::wire::filter::{Field, Filter};
use super::model::wire::lead::{Facts, lead, worst_first};
use super::model::wire::limits::Limits;
use super::model::wire::rings::Ring;
use super::model::wire::sum::{Capture, Line, Taken, lines, of};
use super::plane::{self, Chip};
use super::when::{Span, escaped};
use crate::storage::{WireEvent, WireEventPage};
use crate::wire::evidence::TriggerStatus;

pub use handlers::router;
pub use start::start;

/// Lines of the first table.
const COHORTS_LISTED: usize = 12;
/// Lines of the table of servers.
const SERVERS_LISTED: usize = 12;
/// Characters of a name that are shown.
const NAME_SHOWN: usize = 60;

/// What was read for the page.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// Windows of the range, of one tap or of all.
    pub windows: Vec<Taken>,
    /// The taps of the range.
    pub taps: Vec<String>,
    /// The newest handshakes that are kept.
    pub newest: WireEventPage,
    /// The slowest ones.
    pub slowest: WireEventPage,
    /// SYNs without an answer.
    pub unanswered: WireEventPage,
    /// Endings.
    pub endings: WireEventPage,
    /// How many events' packets are kept for good.
    pub with_packets: u64,
    /// The recorders' rings as they are now.
    pub rings: Vec<Ring>,
    /// From when on handshakes of the taps are slow.
    pub limits: Limits,
    /// The logs in which incidents are looked for, as they are now.
    pub triggers: Vec<TriggerStatus>,
    /// Findings of the range.
    pub findings: Vec<Finding>,
    /// Readings of the range.
    pub readings: Vec<Reading>,
}

/// What the page is made from.
#[derive(Clone, Debug)]
pub struct Wire {
    filter: Filter,
    seen: Seen,
    lead: Lead,
    /// What was counted of what is asked for; `None` where windows do not tell it apart.
    all: Option<Totals>,
    cohorts: Vec<Line>,
    servers: Vec<Line>,
    capture: Capture,
}

/// The name of a network; empty where no table knows it.
pub type Names<'a> = &'a dyn Fn(u32) -> String;

impl Wire {
    /// Works out everything the page says.
    pub fn of(mut seen: Seen, filter: Filter) -> Self {
        seen.findings = worst_first(std::mem::take(&mut seen.findings));
        seen.readings = cells(&seen.readings).into_iter().cloned().collect();
        let cell = filter.cell();
        let all = cell.as_ref().map(|cell| of(&seen.windows, cell));
        let told = |dimension: Dimension, most| -> Vec<Line> {
            match &cell {
                Some(Cell::All) => lines(&seen.windows, dimension, most),
                Some(one) if one.dimension() == Some(dimension) => {
                    vec![Line { cell: one.clone(), folded: 0, totals: of(&seen.windows, one) }]
                }
                _ => Vec::new(),
            }
        };
        let own = cell.as_ref().and_then(Cell::dimension).filter(|d| *d != Dimension::Server);
        let (cohorts, servers) = (
            told(own.unwrap_or(filter.by), COHORTS_LISTED),
            told(Dimension::Server, SERVERS_LISTED),
        );
        let capture = Capture::of(seen.windows.iter().map(|(_, window)| window));
        let nothing = Totals::default();
        let lead = lead(&Facts {
            findings: &seen.findings,
            cells: &seen.readings,
            all: all.as_ref().unwrap_or(&nothing),
            cohorts: &cohorts,
            capture,
        });
        Self { filter, lead, all, cohorts, servers, capture, seen }
    }

    /// The page.
    pub fn page(&self, frame: &Frame<'_>, names: Names<'_>) -> Markup {
        let span = frame.span;
        let content = html! {
            (plane::lead(&self.lead, "wire", span))
            (self.narrowed(span, names))
            (cohorts::section(self, span, names))
            (cohorts::servers(self, span))
            (one::slowest(self, span, names))
            (charts::scatter_section(self, span, names))
            (charts::heat_section(self, span))
            (silence::unanswered(self, span))
            (silence::endings(self, span))
            (packets::section(self, span))
            (triggers::section(&self.seen.triggers, span))
            (findings::section(&self.seen.findings, &self.seen.readings, &address_of, span))
        };
        page(frame, None, &content)
    }

    /// The taps to choose from, and the filters in force, each a link that takes it away.
    fn narrowed(&self, span: &Span, names: Names<'_>) -> Markup {
        let chosen = self.filter.get(Field::Tap);
        let others = self.filter.all().filter(|(field, _)| *field != Field::Tap);
        let chips = others.map(|(field, value)| Chip {
            words: field.words(),
            value: value_words(field, value, names),
            without: self.filter.without(field).path("/wire"),
        });
        html! {
            @if self.seen.taps.len() > 1 {
                nav.range.tabs aria-label="Tap" {
                    a href=(span.link(&self.filter.without(Field::Tap).path("/wire"))) aria-current=[chosen.is_none().then_some("true")] { "All taps" }
                    @for tap in &self.seen.taps {
                        a href=(span.link(&self.filter.with(Field::Tap, tap).path("/wire")))
                            aria-current=[(chosen == Some(tap)).then_some("true")] { (name(tap)) }
                    }
                }
            }
            @if !self.filter.is_whole() {
                (plane::chips(chips, "/wire", span))
                @if self.all.is_none() {
                    p.note { "Windows tell servers, client networks, prefixes and reverse DNS apart, each by itself. Single handshakes tell all of them: those below fit." }
                }
            }
        }
    }
}

/// Where what a finding is about is shown.
fn address_of(finding: &Finding) -> String {
    Filter::about(&finding.cohort, &finding.locus).path("/wire")
}

/// A name from outside, fit for a line.
fn name(text: &str) -> String {
    shortened(&visible(text), NAME_SHOWN)
}

/// A filter's value as a page shows it.
fn value_words(field: Field, value: &str, names: Names<'_>) -> String {
    match (field, value.parse::<u32>()) {
        (Field::Asn, Ok(asn)) => format!("AS{asn} {}", names(asn)).trim_end().to_owned(),
        (_, _) if value == "unknown" => "not known".to_owned(),
        _ => name(value),
    }
}

/// Where a file of packets is to be had.
fn packets_of(file: &str) -> Markup {
    html! { a href={ "/api/v1/wire/evidence/" (escaped(file)) } download="" { "Packets" } }
}

/// The address of one handshake's page.
fn handshake_path(event: &WireEvent) -> String {
    format!("/wire/handshakes/{:016x}", event.id)
}

#[cfg(test)]
mod tests;
