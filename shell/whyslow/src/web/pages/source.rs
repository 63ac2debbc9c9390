//! Where pages get their figures: the store, the configuration, the address tables.
//!
//! Everything here blocks, so handlers call it where blocking is allowed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use whyslow_model::labels::NAME;
use whyslow_model::limits::{OBSERVATIONS_PER_PAGE_MAX, QUERY_SAMPLES_MAX};
use whyslow_model::matcher::{MatchOp, Matcher};
use whyslow_model::observation::Plane;
use whyslow_model::read::{ReadError, SelectHint, SeriesPoints, SeriesReader};
use whyslow_model::sample::is_stale;
use whyslow_model::{Labels, Observation, Phase, Wall};
use whyslow_probe::expect::CERTIFICATE_DAYS;
use whyslow_probe::run::Run;

use super::model::changes::Mark;
use super::model::{Plan, Point, Track};
use super::when::{NAMED, Span};
use crate::asn::Tables;
use crate::config::{Config, PlannedCheck};
use crate::edge::Edge;
use crate::storage::{Db, ObservationFilter, PageRequest, StorageError};
use crate::wire::Wire;
use crate::wire::evidence::Evidence;

/// What a page is made from. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Material {
    /// The store.
    pub db: Db,
    /// The balancers' logs that are read.
    pub edge: Arc<Edge>,
    /// The interfaces that are recorded.
    pub wire: Arc<Wire>,
    /// The packets of what was noticed on them.
    pub evidence: Arc<Evidence>,
    /// The configuration as it is now.
    pub config: Arc<Config>,
    /// Whose addresses are.
    pub asn: Arc<Tables>,
    /// Services that a page added, and a page may remove.
    pub added: BTreeSet<String>,
    /// What the operator has to know first, such as a file that was refused on reload.
    pub banner: Option<String>,
}

/// Why a page could not be made. The text is for the operator.
#[derive(Debug, thiserror::Error)]
pub enum Broken {
    /// A series could not be read.
    #[error("figures of this range could not be read: {0}")]
    Series(#[from] ReadError),
    /// A fact or a run could not be read.
    #[error("runs of this range could not be read: {0}")]
    Facts(#[from] StorageError),
    /// The page asked for does not exist.
    #[error("{0}")]
    NotFound(String),
}

/// Which tracks are wanted; an absent field wants all.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wanted<'a> {
    /// The service.
    pub service: Option<&'a str>,
    /// The check.
    pub check: Option<&'a str>,
    /// The path.
    pub path: Option<&'a str>,
    /// The vantage.
    pub vantage: Option<&'a str>,
}

/// Service, check, path, vantage.
type Key = [String; 4];

impl Material {
    /// Every track with a run in the range or a place in the configuration, by name.
    pub fn tracks(&self, wanted: Wanted<'_>, span: &Span) -> Result<Vec<Track>, Broken> {
        let mut tracks: BTreeMap<Key, Track> = BTreeMap::new();
        for series in self.select("probe_duration_seconds", wanted, span)? {
            let track = tracks.entry(key(&series.labels)).or_default();
            for (at_ms, value) in values(&series) {
                let phases_ms = [f64::NAN; 6];
                track.points.push(Point { at_ms, total_ms: value * 1000.0, ok: true, phases_ms });
            }
        }
        for track in tracks.values_mut() {
            // Labels that changed on the way (a vantage that moved) leave several series.
            track.points.sort_by_key(|p| p.at_ms);
        }
        for series in self.select("probe_success", wanted, span)? {
            let failed = values(&series).filter(|(_, v)| *v == 0.0);
            fill(&mut tracks, &series.labels, failed, |p, _| p.ok = false);
        }
        for series in self.select("whyslow_check_phase_seconds", wanted, span)? {
            let phase = series.labels.value("phase");
            let Some(at) = Phase::ALL.iter().position(|p| Some(p.as_str()) == phase) else {
                continue;
            };
            fill(&mut tracks, &series.labels, values(&series), |p, v| p.phases_ms[at] = v * 1000.0);
        }
        for series in self.select("probe_ssl_earliest_cert_expiry", wanted, span)? {
            let newest = values(&series).last();
            if let (Some(track), Some((at_ms, ends_s))) =
                (tracks.get_mut(&key(&series.labels)), newest)
            {
                let of_newest_run = track.points.last().is_some_and(|p| p.at_ms == at_ms);
                #[expect(clippy::cast_possible_truncation, reason = "it saturates")]
                let ends_ms = (ends_s * 1000.0) as i64;
                track.certificate_ends_ms = of_newest_run.then_some(ends_ms);
            }
        }
        Ok(self.named(tracks, wanted))
    }

    /// Adds what the configuration knows, and checks that have no run yet.
    fn named(&self, mut tracks: BTreeMap<Key, Track>, wanted: Wanted<'_>) -> Vec<Track> {
        let own = self.vantage();
        let planned = self.planned(wanted);
        for (ours, _) in &planned {
            let measured = tracks.keys().any(|k| k[..3] == ours[..]);
            if !measured && wanted.vantage.is_none_or(|v| v == own) {
                let [service, check, path] = ours.clone();
                tracks.insert([service, check, path, own.clone()], Track::default());
            }
        }
        let alone = |key: &Key, all: &[Key]| all.iter().filter(|k| k[..3] == key[..3]).count() == 1;
        let keys: Vec<Key> = tracks.keys().cloned().collect();
        let tracks = tracks.into_iter().map(|(key, track)| {
            let alone = alone(&key, &keys);
            let plan =
                planned.iter().find(|(ours, _)| ours[..] == key[..3]).map(|(_, p)| p.clone());
            let [service, check, path, vantage] = key;
            let label = if alone { path.clone() } else { format!("{path} from {vantage}") };
            Track { service, check, path, vantage, label, plan, ..track }
        });
        tracks.collect()
    }

    fn planned(&self, wanted: Wanted<'_>) -> Vec<([String; 3], Plan)> {
        let is = |given: Option<&str>, name: &str| given.is_none_or(|g| g == name);
        let all = self.config.planned_checks().into_iter().filter(|p| {
            is(wanted.service, &p.id.service)
                && is(wanted.check, &p.id.check)
                && is(wanted.path, &p.id.path)
        });
        let plan = |p: PlannedCheck| {
            let added_here = self.added.contains(&p.id.service);
            let plan = Plan {
                kind: p.spec.kind.as_str().to_owned(),
                target: without_query(&p.spec.target),
                every_ms: p.spec.every.as_millis(),
                warn_ms: p.spec.warn.map(|w| w.as_millis()),
                timeout_ms: p.spec.timeout.as_millis(),
                certificate_days: p.spec.expect.certificate_days.unwrap_or(CERTIFICATE_DAYS),
                way: way(&p),
                added_here,
            };
            ([p.id.service, p.id.check, p.id.path], plan)
        };
        all.map(plan).collect()
    }

    /// This process's own vantage.
    pub fn vantage(&self) -> String {
        self.config.vantage.name.clone()
    }

    /// Who looks after a service.
    pub fn owner(&self, service: &str) -> Option<&str> {
        self.config.services.get(service)?.owner.as_deref()
    }

    fn select(
        &self,
        metric: &str,
        wanted: Wanted<'_>,
        span: &Span,
    ) -> Result<Vec<SeriesPoints>, Broken> {
        let mut matchers = vec![Matcher::equal(NAME, metric)];
        let named = [("service", wanted.service), ("check", wanted.check), ("path", wanted.path)];
        matchers.extend(wanted.vantage.map(|v| Matcher::equal("vantage", v)));
        for (label, value) in named {
            match value {
                Some(value) => matchers.push(Matcher::equal(label, value)),
                // Series of other exporters may bear the same metric name, but no service.
                None => matchers.extend(Matcher::new(label, MatchOp::NotEqual, "").ok()),
            }
        }
        let hint = SelectHint {
            from_ms: span.from_ms,
            to_ms: span.to_ms,
            step_ms: 0,
            range_ms: 0,
            function: None,
            samples_max: QUERY_SAMPLES_MAX,
        };
        Ok(self.db.reader().select(&matchers, &hint)?)
    }

    /// Runs as observations, newest first, and the cursor of the next page.
    pub fn runs(
        &self,
        wanted: Wanted<'_>,
        outcomes: &[&str],
        span: &Span,
        page: &PageRequest,
    ) -> Result<(Vec<Observation>, Option<String>), Broken> {
        let filter = ObservationFilter {
            service: wanted.service.map(str::to_owned),
            check: wanted.check.map(str::to_owned),
            path: wanted.path.map(str::to_owned),
            vantage: wanted.vantage.map(str::to_owned),
            plane: Some(Plane::Probe),
            outcomes: outcomes.iter().map(|o| (*o).to_owned()).collect(),
            from: Some(Wall::from_millis(span.from_ms)),
            // A run that began in the last millisecond of the range belongs to it.
            to: Some(Wall::from_millis(span.to_ms.saturating_add(1))),
        };
        let page = self.db.observations(&filter, page)?;
        Ok((page.observations, page.next))
    }

    /// Marks of the range, oldest first: of `service` and of all services.
    pub fn marks(&self, service: Option<&str>, span: &Span) -> Result<Vec<Mark>, Broken> {
        let filter = ObservationFilter {
            plane: Some(Plane::Mark),
            from: Some(Wall::from_millis(span.from_ms)),
            to: Some(Wall::from_millis(span.to_ms)),
            ..ObservationFilter::default()
        };
        let page = PageRequest { limit: OBSERVATIONS_PER_PAGE_MAX, after: None };
        let mut marks: Vec<Mark> = self
            .db
            .observations(&filter, &page)?
            .observations
            .into_iter()
            .map(|o| Mark {
                at_ms: o.at.as_millis(),
                service: o.cohort.service.unwrap_or_default(),
                text: o.words.get("text").cloned().unwrap_or_default(),
            })
            .filter(|m| service.is_none_or(|s| m.service.is_empty() || m.service == s))
            .collect();
        marks.reverse();
        Ok(marks)
    }

    /// Since when anything is known, looking back a day: to within one named range.
    pub fn oldest_ms(&self, now_ms: i64) -> Option<i64> {
        let matchers = [Matcher::equal(NAME, "probe_success")];
        let reader = self.db.reader();
        let known = |back: i64, until: i64| {
            let found = reader.series(&matchers, now_ms - back, now_ms - until);
            found.is_ok_and(|series| !series.is_empty())
        };
        let lengths = NAMED[..4].iter().map(|(_, _, length)| *length);
        let mut oldest = None;
        let mut until = 0;
        for length in lengths {
            if known(length, until) {
                oldest = Some(now_ms - length);
            }
            until = length;
        }
        oldest
    }

    /// The document of one run; `None` where it is not kept.
    pub fn run(&self, id: &str) -> Result<Option<Run>, Broken> {
        let Some(json) = self.db.run(id)? else { return Ok(None) };
        Ok(serde_json::from_str(&json).ok())
    }

    /// The name of an autonomous system, where the tables know it.
    pub fn name_of(&self, asn: u32) -> String {
        super::figures::visible(self.asn.networks.name_of(asn).unwrap_or_default())
    }

    /// The configured sources of the edge as they are now.
    pub fn edge_sources(&self) -> Vec<super::model::edge::sources::Source> {
        self.edge.sources().iter().map(super::edge::read::source).collect()
    }

    /// `AS64500 Example Net, GB` of an `ip:port`; empty where nothing is known.
    pub fn owner_of(&self, remote: &str) -> String {
        super::figures::visible(&self.asn.owner_of_text(remote).to_string())
    }
}

/// Finds the point of each value by its time and changes it.
fn fill(
    tracks: &mut BTreeMap<Key, Track>,
    labels: &Labels,
    values: impl Iterator<Item = (i64, f64)>,
    change: impl Fn(&mut Point, f64),
) {
    let Some(track) = tracks.get_mut(&key(labels)) else { return };
    let mut from = 0;
    for (at_ms, value) in values {
        from += track.points[from..].partition_point(|p| p.at_ms < at_ms);
        // Two vantage labels may share a time; then all of them are meant.
        for point in track.points[from..].iter_mut().take_while(|p| p.at_ms == at_ms) {
            change(point, value);
        }
    }
}

fn values(series: &SeriesPoints) -> impl Iterator<Item = (i64, f64)> {
    let pairs = series.times_ms.iter().copied().zip(series.values.iter().copied());
    pairs.filter(|(_, v)| !is_stale(*v))
}

fn key(labels: &Labels) -> Key {
    ["service", "check", "path", "vantage"].map(|l| labels.value(l).unwrap_or("").to_owned())
}

/// Query values may be secrets, so pages show where they were and not what.
fn without_query(target: &str) -> String {
    target.split_once('?').map_or_else(|| target.to_owned(), |(before, _)| format!("{before}?…"))
}

/// What a path does differently, in a few words.
fn way(planned: &PlannedCheck) -> String {
    let path = &planned.path;
    let mut words = Vec::new();
    if let Some(server) = &path.server {
        words.push(format!("straight to {server}"));
    }
    if let Some(to) = &path.connect_to {
        words.push(format!("connects to {to}"));
    }
    if let Some(resolver) = &path.resolver {
        words.push(format!("asks resolver {resolver}"));
    }
    if words.is_empty() {
        words.push("the way the name leads".to_owned());
    }
    words.join(", ")
}
