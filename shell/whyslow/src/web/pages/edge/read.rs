//! What the pages of the edge read from the store. It blocks.

use std::collections::{BTreeMap, BTreeSet};

use whyslow_edge::completeness::Witness;
use whyslow_edge::grouping::Grouping;
use whyslow_edge::row::Row;
use whyslow_model::Wall;
use whyslow_model::reading::Finding;

use super::{Seen, subject_server};
use crate::edge::SourceStatus;
use crate::edge::counters::Gauges;
use crate::storage::{EdgeQuery, FindingQuery, ReadingQuery, StorageError};
use crate::web::pages::figures::counted;
use crate::web::pages::model::edge::bins::width_of;
use crate::web::pages::model::edge::filter::{Field, Fields, Filter};
use crate::web::pages::model::edge::shared_traits::DIMENSIONS;
use crate::web::pages::model::edge::sources::{Numbered, Rejects, Source};
use crate::web::pages::model::edge::sum::Sum;
use crate::web::pages::source::{Broken, Material};
use crate::web::pages::when::{NAMED, Span};

/// Seconds of the windows that sources give.
const WINDOW_S: i64 = 10;
/// Readings of a page: several detectors, many cells, the newest of each.
const READINGS: usize = 2000;
/// Findings of a page.
const FINDINGS: usize = 200;
/// How far back the first window is looked for, in milliseconds.
const LOOK_BACK_MS: i64 = NAMED[3].2;

impl Material {
    /// Everything `/edge` shows.
    ///
    /// # Errors
    /// [`Broken`] where the store cannot be read.
    pub fn edge(&self, filter: &Filter, span: &Span) -> Result<Seen, Broken> {
        let findings = self.edge_findings(span)?;
        let mut read = Read { material: self, span, done: BTreeSet::new() };
        let rows = read.finest(filter)?;
        let mut coarse = Vec::new();
        for fields in [&[Field::Vip, Field::Backend][..], &[Field::Vip], &[]] {
            coarse.extend(read.once(filter, fields)?);
        }
        let mut by = BTreeMap::new();
        for field in DIMENSIONS.into_iter().filter(|field| filter.get(*field).is_none()) {
            let rows_tell = rows.first().is_some_and(|row| Fields::of(&row.key).has(field));
            let told = if rows_tell { rows.clone() } else { read.all(filter, &[field])? };
            by.insert(field, told);
        }
        let twins = match subject_server(filter, &findings) {
            Some(_) => {
                let fields = [Field::Vip, Field::Backend, Field::Server, Field::Route];
                read.all(&filter.without(Field::Server), &fields)?
            }
            None => Vec::new(),
        };
        let missed_at_most = read.missed_at_most(filter)?;
        let readings = self.db.readings(&ReadingQuery {
            from: Some(Wall::from_millis(span.from_ms)),
            to: Some(Wall::from_millis(span.to_ms)),
            codes: whyslow_edge::detect::codes(),
            limit: READINGS,
            ..ReadingQuery::default()
        })?;
        let sources = self.edge_sources();
        Ok(Seen { rows, coarse, by, twins, missed_at_most, findings, readings, sources })
    }

    /// Findings that were open in the span.
    fn edge_findings(&self, span: &Span) -> Result<Vec<Finding>, Broken> {
        Ok(self.db.findings(&FindingQuery {
            from: Some(Wall::from_millis(span.from_ms)),
            to: Some(Wall::from_millis(span.to_ms)),
            codes: whyslow_edge::detect::codes(),
            limit: FINDINGS,
            ..FindingQuery::default()
        })?)
    }

    /// When the first window of the last day began, in milliseconds.
    pub fn edge_oldest_ms(&self, now_ms: i64) -> Option<i64> {
        let span = Span {
            from_ms: now_ms - LOOK_BACK_MS,
            to_ms: now_ms,
            now_ms,
            named: None,
            zone_min: 0,
            compare: false,
        };
        let rows = self.edge_rows(&Filter::default(), &[], &span, 300).ok()?;
        rows.first().map(|row| row.start_s * 1000)
    }

    /// The windows of a span that pass a filter, told apart by `fields` and what it filters by.
    ///
    /// # Errors
    /// [`Broken`] where the store cannot be read.
    pub fn edge_rows(
        &self,
        filter: &Filter,
        fields: &[Field],
        span: &Span,
        window_s: i64,
    ) -> Result<Vec<Row>, StorageError> {
        let Some(key) = filter.key() else { return Ok(Vec::new()) };
        let wanted = fields.iter().fold(filter.fields(), |all, field| all.with(*field));
        self.db.edge_rows(&EdgeQuery {
            from_s: span.from_ms.div_euclid(1000),
            to_s: span.to_ms.div_euclid(1000) + 1,
            span_s: u32::try_from(window_s).ok(),
            grouping: grouping(wanted),
            filter: key,
            sources: Vec::new(),
        })
    }
}

/// A page's reading, which reads no grouping twice.
struct Read<'a> {
    material: &'a Material,
    span: &'a Span,
    done: BTreeSet<Fields>,
}

impl Read<'_> {
    /// The rows that tell most about where a request went; some filters leave less to be told.
    fn finest(&mut self, filter: &Filter) -> Result<Vec<Row>, Broken> {
        let wanted: [&[Field]; 4] = [
            &[Field::Vip, Field::Backend, Field::Server],
            &[Field::Vip, Field::Backend],
            &[Field::Vip],
            &[],
        ];
        for fields in wanted {
            let rows = self.once(filter, fields)?;
            if !rows.is_empty() {
                return Ok(rows);
            }
        }
        Ok(Vec::new())
    }

    /// Rows by these fields, if they were not read before.
    fn once(&mut self, filter: &Filter, fields: &[Field]) -> Result<Vec<Row>, Broken> {
        let wanted = fields.iter().fold(filter.fields(), |all, field| all.with(*field));
        if self.done.insert(wanted) { self.all(filter, fields) } else { Ok(Vec::new()) }
    }

    /// How many requests that pass the filter may be among those of `other` routes or clients.
    fn missed_at_most(&self, filter: &Filter) -> Result<u64, Broken> {
        let Some(others) = filter.of_others() else { return Ok(0) };
        let other = Sum::of(&self.all(&others, &[])?);
        let own = Sum::of(&self.all(filter, &[])?);
        Ok(own.totals.missed_at_most(Some(&other.totals)))
    }

    fn all(&self, filter: &Filter, fields: &[Field]) -> Result<Vec<Row>, Broken> {
        let window_s = width_of(self.span, WINDOW_S);
        Ok(self.material.edge_rows(filter, fields, self.span, window_s)?)
    }
}

/// A source's counters as pages show them.
pub fn source(status: &SourceStatus) -> Source {
    let (tally, gauges) = (&status.tally, &status.gauges);
    let sample = |reason: &str| {
        let sample = tally.samples.values().find(|sample| sample.reason == reason);
        sample.map_or_else(String::new, |sample| sample.line.clone())
    };
    let rejects = tally.rejected.iter().map(|(reason, count)| (reason.to_string(), *count));
    let too_long = ("longer than a line may be".to_owned(), tally.too_long);
    let rejects = rejects.chain([too_long]).filter(|(_, count)| *count > 0);
    let format = gauges.format.filter(|found| *found != status.format);
    let lost = [
        ("dropped by the kernel", tally.kernel_dropped),
        ("from networks that may not send", tally.refused),
    ];
    Source {
        name: status.name.clone(),
        service: status.service.clone(),
        input: status.input.clone(),
        format: format
            .map_or_else(|| status.format.clone(), |found| format!("{}: {found}", status.format)),
        state: gauges.problem.clone().unwrap_or_else(|| now(gauges)),
        troubled: gauges.problem.is_some(),
        lines: tally.parsed + tally.rejected(),
        parsed: tally.parsed,
        rejects: rejects
            .map(|(reason, count)| Rejects { sample: sample(&reason), reason, count })
            .collect(),
        numbered: status
            .completeness
            .filter(|c| c.source == Witness::Sequence)
            .map(|c| Numbered { sent: c.expected, seen: c.seen }),
        lost: lost
            .into_iter()
            .filter(|(_, n)| *n > 0)
            .map(|(why, n)| (why.to_owned(), n))
            .collect(),
        last_ms: tally.newest_at_us.map(|us| us / 1000),
    }
}

/// What a source without trouble does.
fn now(gauges: &Gauges) -> String {
    let n = |n: u64, what: &str| counted(usize::try_from(n).unwrap_or(usize::MAX), what);
    match (gauges.files, gauges.connections, gauges.behind_bytes) {
        (0, 0, _) => "listens".to_owned(),
        (0, connections, _) => n(connections, "connection"),
        (files, _, 0) => format!("follows {}", n(files, "file")),
        (files, _, behind) => format!("reads {}, {} behind", n(files, "file"), n(behind, "byte")),
    }
}

/// The store's word for a set of fields.
pub fn grouping(fields: Fields) -> Grouping {
    let pairs = [
        (Field::Vip, Grouping::VIP),
        (Field::Backend, Grouping::BACKEND),
        (Field::Server, Grouping::SERVER),
        (Field::Route, Grouping::ROUTE),
        (Field::Code, Grouping::CODE),
        (Field::Asn, Grouping::CLIENT_ASN),
        (Field::Prefix, Grouping::CLIENT_PREFIX),
    ];
    let told = pairs.into_iter().filter(|(field, _)| fields.has(*field));
    told.fold(Grouping::ALL, |all, (_, one)| all.and(one))
}
