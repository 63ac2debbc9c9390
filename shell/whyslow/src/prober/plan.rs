//! What the prober is to do: which checks, from which vantage.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use whyslow_model::{Labels, Sample};
use whyslow_probe::metrics::Reading;
use whyslow_probe::schedule::Planned;
use whyslow_probe::spec::{CheckSpec, Target};

use crate::config::{Config, PlannedCheck, Vantage};

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
    series: Mutex<Series>,
}

/// The series of one check, their label sets made once.
#[derive(Debug, Default)]
struct Series {
    known: BTreeMap<Key, Labels>,
    /// Those the newest run wrote.
    alive: Vec<Key>,
}

/// A metric's name and the value of its own label.
type Key = (&'static str, &'static str);

impl Checked {
    pub(super) fn new(planned: PlannedCheck, vantage: Vantage) -> Self {
        let id = Arc::from(planned.id.to_string());
        let spec = Arc::new(planned.spec.clone());
        Self { id, planned, vantage, spec, series: Mutex::default() }
    }

    /// As the schedule wants it.
    pub(super) fn planned(&self) -> Planned {
        let target = Arc::from(burdened(&self.spec));
        Planned { id: Arc::clone(&self.id), target, every: self.spec.every.std() }
    }

    /// The samples of one run. A series that the run before wrote and this one does not is ended,
    /// so that nobody takes its last value for today's.
    pub(super) fn samples(&self, readings: &[Reading], at_ms: i64) -> Vec<Sample> {
        let mut series = self.series.lock().unwrap_or_else(PoisonError::into_inner);
        let mut written = Vec::with_capacity(readings.len());
        let mut samples = Vec::with_capacity(readings.len());
        for reading in readings {
            let key = (reading.name, reading.label.map_or("", |(_, value)| value));
            let labels = series.known.entry(key).or_insert_with(|| self.labels(reading)).clone();
            samples.push(Sample { labels, at_ms, value: reading.value });
            written.push(key);
        }
        let before = std::mem::replace(&mut series.alive, written);
        let gone = before.iter().filter(|key| !series.alive.contains(key));
        samples.extend(gone.filter_map(|key| ended(series.known.get(key)?, at_ms)));
        samples
    }

    /// Ends all its series, since the check is no more.
    pub(super) fn ended(&self, at_ms: i64) -> Vec<Sample> {
        let mut series = self.series.lock().unwrap_or_else(PoisonError::into_inner);
        let alive = std::mem::take(&mut series.alive);
        alive.iter().filter_map(|key| ended(series.known.get(key)?, at_ms)).collect()
    }

    fn labels(&self, reading: &Reading) -> Labels {
        let id = &self.planned.id;
        let asn = self.vantage.asn.map(|n| n.to_string());
        let mut pairs = vec![
            (whyslow_model::labels::NAME, reading.name),
            ("service", id.service.as_str()),
            ("path", &id.path),
            ("check", &id.check),
            ("vantage", &self.vantage.name),
            ("country", self.vantage.country.as_deref().unwrap_or("")),
            ("asn", asn.as_deref().unwrap_or("")),
        ];
        pairs.extend(reading.label);
        Labels::from_pairs(pairs)
    }
}

fn ended(labels: &Labels, at_ms: i64) -> Option<Sample> {
    let value = whyslow_model::sample::stale_nan();
    Some(Sample { labels: labels.clone(), at_ms, value })
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

    #[test]
    fn a_sample_says_which_check_on_which_path_from_where() {
        let samples = checked(Some("GB")).samples(&[reading("probe_x", "tls")], 7);
        assert_eq!(
            samples[0].labels.to_string(),
            r#"probe_x{asn="64500",check="home",country="GB",path="direct",phase="tls",service="shop",vantage="lon1"}"#
        );
        assert_eq!((samples[0].at_ms, samples[0].value), (7, 1.5));
        let samples = checked(None).samples(&[reading("probe_x", "tls")], 7);
        assert_eq!(samples[0].labels.value("country"), None);
    }

    #[test]
    fn a_series_that_a_run_no_longer_writes_is_ended_once() {
        let check = checked(None);
        check.samples(&[reading("a", "tls"), reading("a", "wait")], 1);
        let second = check.samples(&[reading("a", "tls")], 2);
        assert_eq!(second.len(), 2);
        assert!(whyslow_model::sample::is_stale(second[1].value));
        assert_eq!(second[1].labels.value("phase"), Some("wait"));
        assert_eq!(check.samples(&[reading("a", "tls")], 3).len(), 1);
        assert_eq!(check.ended(4).len(), 1);
        assert_eq!(check.ended(5).len(), 0);
    }

    #[test]
    fn the_rate_cap_counts_by_the_host_that_is_connected_to() {
        assert_eq!(&*checked(None).planned().target, "shop.example");
        let mut spec = (*checked(None).spec).clone();
        spec.connect_to = Some("10.0.0.5:443".parse().unwrap());
        assert_eq!(burdened(&spec), "10.0.0.5");
    }
}
