//! What the prober is to do: which checks, from which vantage.

use std::sync::{Arc, Mutex, PoisonError};

use whyslow_model::sample::stale_nan;
use whyslow_probe::metrics::Reading;
use whyslow_probe::schedule::Planned;
use whyslow_probe::spec::{CheckSpec, Target};

use crate::config::{Config, PlannedCheck, Vantage};
use crate::storage::Columns;

/// Which checks run, and from where.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan {
    /// The vantage that runs them.
    pub vantage: Vantage,
    /// Every check on every one of its paths.
    pub checks: Vec<PlannedCheck>,
}

impl Plan {
    /// What a configuration asks for.
    pub fn of(config: &Config) -> Self {
        Self { vantage: config.vantage.clone(), checks: config.planned_checks() }
    }
}

/// One check on one path, ready to be run again and again.
#[derive(Debug)]
pub(super) struct Checked {
    /// `service:check:path`.
    pub(super) id: Arc<str>,
    pub(super) planned: PlannedCheck,
    pub(super) vantage: Vantage,
    pub(super) spec: Arc<CheckSpec>,
    /// The labels that all its series bear, names ascending.
    common: Vec<(&'static str, String)>,
    /// The series that the newest run wrote.
    alive: Mutex<Vec<Series>>,
}

/// What tells one series of a check from its others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Series {
    metric: &'static str,
    /// The label of its own.
    label: Option<(&'static str, &'static str)>,
}

impl Checked {
    pub(super) fn new(planned: PlannedCheck, vantage: Vantage) -> Self {
        let id = Arc::from(planned.id.to_string());
        let spec = Arc::clone(&planned.spec);
        let common = common(&planned, &vantage);
        Self { id, planned, vantage, spec, common, alive: Mutex::default() }
    }

    /// As the schedule wants it.
    pub(super) fn planned(&self) -> Planned {
        let target = Arc::from(burdened(&self.spec));
        Planned { id: Arc::clone(&self.id), target, every: self.spec.every.std() }
    }

    /// Writes the samples of one run. A series that the run before wrote and this one does not is
    /// ended, so that nobody takes its last value for today's.
    pub(super) fn write(&self, readings: &[Reading], at_ms: i64, columns: &mut Columns) {
        let of = |reading: &Reading| Series { metric: reading.name, label: reading.label };
        for reading in readings {
            self.sample(of(reading), at_ms, reading.value, columns);
        }
        let mut alive = self.alive.lock().unwrap_or_else(PoisonError::into_inner);
        if alive.iter().copied().eq(readings.iter().map(of)) {
            return;
        }
        let before = std::mem::replace(&mut *alive, readings.iter().map(of).collect());
        for gone in before.into_iter().filter(|series| !alive.contains(series)) {
            self.sample(gone, at_ms, stale_nan(), columns);
        }
    }

    /// Ends all its series, since the check is no more.
    pub(super) fn end(&self, at_ms: i64, columns: &mut Columns) {
        let mut alive = self.alive.lock().unwrap_or_else(PoisonError::into_inner);
        for series in std::mem::take(&mut *alive) {
            self.sample(series, at_ms, stale_nan(), columns);
        }
    }

    fn sample(&self, series: Series, at_ms: i64, value: f64, columns: &mut Columns) {
        let own = series.label.map_or("", |(name, _)| name);
        let split = self.common.partition_point(|(name, _)| *name < own);
        let (before, after) = self.common.split_at(split);
        let metric = [(whyslow_model::labels::NAME, series.metric)].into_iter();
        let labels = metric.chain(before.iter().map(pair));
        columns.series(labels.chain(series.label).chain(after.iter().map(pair)));
        columns.point(at_ms, value);
    }
}

fn pair<'a>((name, value): &'a (&'static str, String)) -> (&'a str, &'a str) {
    (name, value)
}

/// The labels that all series of a check bear, names ascending.
fn common(planned: &PlannedCheck, vantage: &Vantage) -> Vec<(&'static str, String)> {
    let id = &planned.id;
    let pairs = [
        ("asn", vantage.asn.map(|n| n.to_string()).unwrap_or_default()),
        ("check", id.check.clone()),
        ("country", vantage.country.clone().unwrap_or_default()),
        ("path", id.path.clone()),
        ("service", id.service.clone()),
        ("vantage", vantage.name.clone()),
    ];
    pairs.into_iter().filter(|(_, value)| !value.is_empty()).collect()
}

/// Whom a check burdens: the host it connects to, by name or address.
fn burdened(spec: &CheckSpec) -> String {
    if let Some(instead) = &spec.connect_to {
        return instead.host.clone();
    }
    match spec.parsed_target() {
        Ok(Target::Http(url)) => url.host_str().unwrap_or_default().to_owned(),
        Ok(Target::Tls { host, .. } | Target::Tcp { host, .. } | Target::Ping { host }) => host,
        Ok(Target::Dns { name, server }) => {
            server.or_else(|| spec.resolver.clone()).map_or(name, |server| server.host)
        }
        Err(_) => spec.target.clone(),
    }
}

#[cfg(test)]
mod tests {
    use whyslow_model::Labels;
    use whyslow_store::batch::Entry;

    use super::*;

    fn checked(country: Option<&str>) -> Checked {
        let config: Config = serde_json::from_str(
            r#"{"vantage": {"name": "lon1", "asn": 64500}, "services": {"shop": {"checks": [
                {"name": "home", "kind": "http", "target": "https://shop.example:8443/?a=1"}]}}}"#,
        )
        .unwrap();
        let mut plan = Plan::of(&config);
        plan.vantage.country = country.map(str::to_owned);
        Checked::new(plan.checks.remove(0), plan.vantage)
    }

    fn reading(name: &'static str, phase: &'static str) -> Reading {
        Reading { name, label: Some(("phase", phase)), value: 1.5 }
    }

    /// Series, time and value of each sample.
    fn written(columns: &Columns) -> Vec<(Labels, i64, f64)> {
        let sample = |e: Entry<'_>| (Labels::from_pairs(e.labels()), e.times_ms[0], e.values[0]);
        columns.entries().map(sample).collect()
    }

    fn run(check: &Checked, readings: &[Reading], at_ms: i64) -> Vec<(Labels, i64, f64)> {
        let mut columns = Columns::default();
        check.write(readings, at_ms, &mut columns);
        written(&columns)
    }

    #[test]
    fn a_sample_says_which_check_on_which_path_from_where() {
        let samples = run(&checked(Some("GB")), &[reading("probe_x", "tls")], 7);
        assert_eq!(
            samples[0].0.to_string(),
            r#"probe_x{asn="64500",check="home",country="GB",path="direct",phase="tls",service="shop",vantage="lon1"}"#
        );
        assert_eq!((samples[0].1, samples[0].2), (7, 1.5));
        let samples = run(&checked(None), &[reading("probe_x", "tls")], 7);
        assert_eq!(samples[0].0.value("country"), None);
    }

    #[test]
    fn labels_are_written_in_the_order_in_which_series_are_named() {
        for label in [None, Some(("phase", "tls")), Some(("stat", "max")), Some(("version", "1"))] {
            let mut columns = Columns::default();
            checked(Some("GB")).write(&[Reading { name: "x", label, value: 1.0 }], 1, &mut columns);
            let entry = columns.entries().next().unwrap();
            assert!(entry.labels().map(|(name, _)| name).is_sorted(), "{label:?}");
        }
    }

    #[test]
    fn a_series_that_a_run_no_longer_writes_is_ended_once() {
        let check = checked(None);
        run(&check, &[reading("a", "tls"), reading("a", "wait")], 1);
        let second = run(&check, &[reading("a", "tls")], 2);
        assert_eq!(second.len(), 2);
        assert!(whyslow_model::sample::is_stale(second[1].2));
        assert_eq!(second[1].0.value("phase"), Some("wait"));
        assert_eq!(run(&check, &[reading("a", "tls")], 3).len(), 1);
        let mut columns = Columns::default();
        check.end(4, &mut columns);
        check.end(5, &mut columns);
        assert_eq!(columns.len(), 1);
    }

    #[test]
    fn the_rate_cap_counts_by_the_host_that_is_connected_to() {
        assert_eq!(&*checked(None).planned().target, "shop.example");
        let mut spec = (*checked(None).spec).clone();
        spec.connect_to = Some("10.0.0.5:443".parse().unwrap());
        assert_eq!(burdened(&spec), "10.0.0.5");
    }
}
