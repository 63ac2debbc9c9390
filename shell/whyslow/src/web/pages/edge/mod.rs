//! `/edge`: every request at the balancer, by vip, backend and server, over time, and what stands
//! out; and `/edge/slow`: the slow ones, one by one.

mod charts;
pub mod findings;
mod handlers;
mod parts;
pub mod read;
mod shared_traits;
pub mod slow;
mod sources;
mod start;
mod table;

use std::collections::BTreeMap;

use maud::{Markup, html};
use whyslow_edge::row::Row;
use whyslow_model::reading::{Finding, Reading};

use super::figures::time;
use super::frame::{Frame, page};
use super::model::edge::bins::{Bin, bins, width_s};
use super::model::edge::filter::{Field, Filter};
use super::model::edge::kept;
use super::model::edge::lead::{self, cells};
use super::model::edge::shared_traits::{Common, common};
use super::model::edge::sources::Source;
use super::model::edge::sum::{Sum, quantile_ms};
use super::model::edge::tree::{Tree, tree};
use super::model::edge::twins::{Compared, Twins, twins};
use super::model::lead::Lead;
use super::plane;
use super::when::Span;

pub use handlers::router;
pub use parts::names::Names;
pub use start::start;

/// From how many times its twins' p90 on a route is called slower.
const SLOWER: f64 = 1.5;

/// What was read for the page.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// Window rows of the range that tell vip, backend and server apart, or as much as is told.
    pub rows: Vec<Row>,
    /// Rows of each vip, each backend and the whole, for their peaks.
    pub coarse: Vec<Row>,
    /// Rows that tell one more field apart, over the whole range.
    pub by: BTreeMap<Field, Vec<Row>>,
    /// Rows that tell server and route apart, for the server that is asked for or found.
    pub twins: Vec<Row>,
    /// Requests of the route or client asked for that may be among those of `other` ones.
    pub missed_at_most: u64,
    /// Findings of the range.
    pub findings: Vec<Finding>,
    /// Readings of the range.
    pub readings: Vec<Reading>,
    /// The configured sources as they are now.
    pub sources: Vec<Source>,
}

/// What the page is made from.
#[derive(Clone, Debug)]
pub struct Edge {
    filter: Filter,
    lead: Lead,
    tree: Tree,
    /// All requests that pass the filter, over time.
    bins: Vec<Bin>,
    subject: Option<Subject>,
    common: Option<Common>,
    missed_at_most: u64,
    findings: Vec<Finding>,
    readings: Vec<Reading>,
    sources: Vec<Source>,
}

/// The server that the page looks at beside its twins.
#[derive(Clone, Debug)]
struct Subject {
    server: String,
    route: Option<String>,
    twins: Twins,
    here: Vec<Bin>,
    there: Vec<Bin>,
}

impl Edge {
    /// Works out everything the page says.
    pub fn of(seen: Seen, filter: Filter, span: &Span) -> Self {
        let findings = lead::sorted(seen.findings);
        let hot = lead::hot(&findings);
        let tree = tree(&seen.rows, &seen.coarse, &filter, &hot, span);
        let cells: Vec<Reading> = cells(&seen.readings).into_iter().cloned().collect();
        let cell_refs: Vec<&Reading> = cells.iter().collect();
        let mut lead = lead::lead(&findings, &cell_refs, &seen.sources, &tree.all);
        let subject = subject(&seen.twins, &filter, &findings, span);
        lead.more.splice(0..0, subject.as_ref().and_then(Subject::contrast));
        let all = kept(&seen.rows, &filter, &[]);
        let width = width_s(span, &all);
        Self {
            lead,
            bins: bins(all, span, width),
            subject,
            common: common(&seen.rows, &seen.by, &filter),
            tree,
            missed_at_most: seen.missed_at_most,
            findings,
            readings: cells,
            sources: seen.sources,
            filter,
        }
    }

    /// The page.
    pub fn page(&self, frame: &Frame<'_>, names: &Names<'_>) -> Markup {
        let span = frame.span;
        let content = html! {
            (plane::lead(&self.lead, "edge", span))
            (parts::chips(&self.filter, "/edge", span, names))
            (table::section(self, span))
            (charts::heat_section(self, span))
            @if let Some(subject) = &self.subject { (table::twins(subject, &self.filter, span)) }
            @if let Some(common) = &self.common { (shared_traits::section(common, &self.filter, span, names)) }
            (charts::phases_section(self, span))
            (findings::section(&self.findings, &self.readings, &address_of, span))
            (sources::section(&self.sources, span))
        };
        page(frame, None, &content)
    }
}

/// Where what a finding is about is shown.
fn address_of(finding: &Finding) -> String {
    let named = lead::named(&finding.locus);
    let filter = named.iter().fold(Filter::default(), |f, (field, value)| f.with(*field, value));
    filter.path("/edge")
}

impl Subject {
    /// The server beside its twins over the whole range, in a sentence: the route in question, and
    /// whether its other routes differ too.
    fn contrast(&self) -> Option<String> {
        let routes = &self.twins.routes;
        let asked = |c: &&Compared| self.route.as_ref().is_none_or(|route| c.route == *route);
        let first = routes.iter().find(asked)?;
        let p90 = |sum: &Sum| quantile_ms(&sum.totals.latency, 0.9).map(time);
        let (here, there) = (p90(&first.here)?, p90(&first.there)?);
        let others: Vec<f64> = routes
            .iter()
            .filter(|c| c.route != first.route)
            .filter_map(Compared::p90_ratio)
            .collect();
        let slower = others.iter().filter(|ratio| **ratio >= SLOWER).count();
        let others = match (others.len(), slower) {
            (0, _) => String::new(),
            (_, 0) => " Its other routes are as fast as anywhere.".to_owned(),
            (all, slower) if all == slower => " Its other routes are slower too.".to_owned(),
            (all, slower) => format!(" {slower} of its {all} other routes are slower too."),
        };
        let twins = table::twin_word(self.twins.twins);
        Some(format!(
            "Over this range {here} against {there} (p90) of its {twins} on {}.{others}",
            parts::name(&first.route)
        ))
    }
}

/// The server that was asked for, else the one that the worst open finding names.
pub fn subject_server(filter: &Filter, findings: &[Finding]) -> Option<String> {
    let open = findings.iter().filter(|f| f.closed.is_none());
    let asked = filter.get(Field::Server).map(str::to_owned);
    asked.or_else(|| open.filter_map(|f| f.locus.server.clone()).next())
}

/// That server beside its twins.
fn subject(rows: &[Row], filter: &Filter, findings: &[Finding], span: &Span) -> Option<Subject> {
    let server = subject_server(filter, findings)?;
    let mut about =
        findings.iter().filter(|f| f.closed.is_none() && f.locus.server.as_ref() == Some(&server));
    let named = about.find_map(|finding| finding.locus.route.clone());
    let route = filter.get(Field::Route).map(str::to_owned).or(named);
    let twins = twins(rows, filter, &server)?;
    let filter = filter.without(Field::Server);
    let narrowed = route.as_ref().map_or_else(|| filter.clone(), |r| filter.with(Field::Route, r));
    let both = kept(rows, &narrowed, &[Field::Backend, Field::Server]);
    let width = width_s(span, &both);
    let is_it = |row: &&Row| row.key.server.as_deref() == Some(&server);
    let pools: Vec<_> = both.iter().filter(|r| is_it(r)).map(|r| r.key.backend.clone()).collect();
    let is_twin = |row: &&Row| !is_it(row) && pools.contains(&row.key.backend);
    let of = |rows: Vec<&Row>| bins(rows, span, width);
    let here = of(both.iter().copied().filter(is_it).collect());
    let there = of(both.iter().copied().filter(is_twin).collect());
    Some(Subject { server, route, twins, here, there })
}

#[cfg(test)]
mod tests;
