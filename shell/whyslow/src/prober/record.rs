//! What one run leaves behind: samples, an observation, its document, an event.

use std::collections::BTreeMap;
use std::time::Duration;

use whyslow_model::observation::{Cohort, Evidence, EvidenceKind, Gap, Locus, Plane};
use whyslow_model::{Observation, Phase, Wall};
use whyslow_probe::metrics::{self, Reading};
use whyslow_probe::run::{Outcome, Run};

use super::plan::Checked;
use crate::config::Vantage;
use crate::live::{BlindEvent, Event, RunEvent};
use crate::storage::{Batch, Columns, StoredRun};

/// Everything that is kept and told of one run, which began `late`.
pub(super) fn of(mut run: Run, check: &Checked, late: Duration) -> (Batch, Event) {
    let id = &check.planned.id;
    let run_id = format!("{}/{}/{}", run.vantage, check.id, run.started.as_nanos());
    let ours = [("service", &id.service), ("check", &id.check), ("path", &id.path)];
    run.belongs.extend(ours.map(|(name, value)| (name.to_owned(), value.clone())));
    run.belongs.insert("late_ms".to_owned(), format!("{:.3}", ms(late)));

    let mut readings = metrics::of(&run);
    let lateness = ("whyslow_self_probe_lateness_seconds", late.as_secs_f64());
    readings.push(Reading { name: lateness.0, label: None, value: lateness.1 });
    let mut columns = Columns::default();
    check.write(&readings, run.started.as_millis(), &mut columns);
    let observation = observation(&run, &run_id, check, late);
    let event = event(&run, &run_id, check, late);
    // Plain data of our own: it always serialises.
    let json = serde_json::to_string(&run).unwrap_or_default();
    let keep_long = run.outcome != Outcome::Ok || !run.warnings.is_empty();
    let stored = StoredRun { id: run_id, at: run.started, keep_long, json };
    let batch =
        Batch { columns, observations: vec![observation], runs: vec![stored], ..Batch::default() };
    (batch, event)
}

/// What is kept and told of a stretch in which this vantage saw nothing.
pub(super) fn of_blindness(
    vantage: &Vantage,
    (from, to): (Wall, Wall),
    missed: u64,
    reason: &str,
) -> (Batch, Event) {
    let reason = reason.to_owned();
    let observation = Observation {
        id: format!("{}/blind/{}", vantage.name, from.as_nanos()),
        at: to,
        clock_error_ms: None,
        plane: Plane::Probe,
        agent: vantage.name.clone(),
        cohort: Cohort {
            vantage: Some(vantage.name.clone()),
            country: vantage.country.clone(),
            asn: vantage.asn,
            ..Cohort::default()
        },
        locus: Locus { vantage: Some(vantage.name.clone()), ..Locus::default() },
        values: BTreeMap::new(),
        words: BTreeMap::from([("outcome".to_owned(), "blind".to_owned())]),
        evidence: Vec::new(),
        gaps: vec![Gap { from, to, lost: Some(missed), reason: reason.clone() }],
    };
    let batch = Batch { observations: vec![observation], ..Batch::default() };
    let blind = BlindEvent { vantage: vantage.name.clone(), from, to, missed, reason };
    (batch, Event::Blind(blind))
}

fn observation(run: &Run, run_id: &str, check: &Checked, late: Duration) -> Observation {
    let id = &check.planned.id;
    let ended = run.started.after(Duration::from_secs_f64(run.total_ms.max(0.0) / 1000.0));
    Observation {
        id: run_id.to_owned(),
        at: run.started,
        clock_error_ms: None,
        plane: Plane::Probe,
        agent: run.vantage.clone(),
        cohort: Cohort {
            service: Some(id.service.clone()),
            path: Some(id.path.clone()),
            check: Some(id.check.clone()),
            vantage: Some(run.vantage.clone()),
            country: check.vantage.country.clone(),
            asn: check.vantage.asn,
            ..Cohort::default()
        },
        locus: Locus {
            server: check.planned.path.server.clone(),
            resolver: check.spec.resolver.as_ref().map(ToString::to_string),
            ..Locus::default()
        },
        values: values(run, late),
        words: words(run),
        evidence: vec![Evidence {
            kind: EvidenceKind::Run,
            reference: run_id.to_owned(),
            from: run.started,
            to: ended,
        }],
        gaps: Vec::new(),
    }
}

fn values(run: &Run, late: Duration) -> BTreeMap<String, f64> {
    let mut values = BTreeMap::new();
    let mut add = |name: &str, value: Option<f64>| {
        values.extend(value.map(|value| (name.to_owned(), value)));
    };
    add("total_ms", Some(run.total_ms));
    add("late_ms", Some(ms(late)));
    for phase in Phase::ALL {
        add(&format!("{}_ms", phase.as_str()), run.phases_ms.of(phase));
    }
    let starved = run.belongs.get(whyslow_probe::starved::STARVED_MS);
    add("starved_ms", starved.and_then(|text| text.parse().ok()));
    if let Some(tcp) = run.exchanges.last().and_then(|e| e.tcp) {
        add("min_rtt_ms", tcp.min_rtt_ms);
        add("retransmits_count", tcp.retransmits.map(f64::from));
    }
    if let Some(ping) = &run.ping {
        add("sent_count", Some(f64::from(ping.sent)));
        add("received_count", Some(f64::from(ping.received)));
        add("rtt_max_ms", ping.rtt_ms.max);
        add("rtt_stddev_ms", ping.rtt_ms.stddev);
    }
    values
}

fn words(run: &Run) -> BTreeMap<String, String> {
    let mut words = BTreeMap::new();
    let mut add = |name: &str, text: Option<String>| {
        words.extend(text.map(|text| (name.to_owned(), text)));
    };
    add("outcome", Some(run.outcome.as_str().to_owned()));
    add("kind", Some(run.kind.clone()));
    if let Some(failure) = &run.failure {
        add("code", Some(failure.code.clone()));
        add("phase", failure.phase.map(|p| p.as_str().to_owned()));
        add("segment_hint", failure.segment_hint.map(|s| s.as_str().to_owned()));
        add("message", Some(failure.message.clone()));
    }
    if let Some(first) = run.warnings.first() {
        add("warning", Some(first.clone()));
    }
    if let Some(last) = run.exchanges.last() {
        add("status", last.status.map(|s| s.to_string()));
        add("remote", last.remote.clone());
    }
    words
}

fn event(run: &Run, run_id: &str, check: &Checked, late: Duration) -> Event {
    let id = &check.planned.id;
    Event::Run(Box::new(RunEvent {
        id: run_id.to_owned(),
        service: id.service.clone(),
        check: id.check.clone(),
        path: id.path.clone(),
        vantage: run.vantage.clone(),
        kind: run.kind.clone(),
        at: run.started,
        outcome: run.outcome,
        late_ms: ms(late),
        total_ms: run.total_ms,
        phases_ms: run.phases_ms,
        code: run.failure.as_ref().map(|f| f.code.clone()),
        message: run.failure.as_ref().map(|f| f.message.clone()),
    }))
}

fn ms(d: Duration) -> f64 {
    d.as_secs_f64() * 1000.0
}

#[cfg(test)]
mod tests {
    use whyslow_model::Segment;
    use whyslow_probe::run::{Failure, PhasesMs, SCHEMA};

    use super::*;
    use crate::config::Config;
    use crate::prober::Plan;

    fn check() -> Checked {
        let config: Config = serde_json::from_str(
            r#"{"vantage": {"name": "lon1"}, "services": {"shop": {
                "paths": {"web1": {"connect_to": "10.0.0.5:443", "server": "web1"}},
                "checks": [{"name": "home", "kind": "http", "target": "https://shop.example/"}]}}}"#,
        )
        .unwrap();
        let mut plan = Plan::of(&config);
        Checked::new(plan.checks.remove(0), plan.vantage)
    }

    fn run(outcome: Outcome) -> Run {
        Run {
            schema: SCHEMA.to_owned(),
            target: "https://shop.example/".to_owned(),
            kind: "http".to_owned(),
            vantage: "lon1".to_owned(),
            started: Wall::from_nanos(1_700_000_000_123_456_789),
            outcome,
            warnings: Vec::new(),
            failure: (outcome == Outcome::Failed).then(|| Failure {
                phase: Some(Phase::Connect),
                code: "connect_refused".to_owned(),
                segment_hint: Some(Segment::Host),
                message: "10.0.0.5:443 refuses the connection".to_owned(),
            }),
            warn_ms: None,
            timeout_ms: None,
            phases_ms: PhasesMs { connect: Some(2.5), ..PhasesMs::default() },
            total_ms: 2.5,
            exchanges: Vec::new(),
            ping: None,
            dns: None,
            transcript: None,
            belongs: BTreeMap::new(),
        }
    }

    #[test]
    fn samples_observation_and_document_of_a_run_share_its_id_and_time() {
        let (batch, event) = of(run(Outcome::Failed), &check(), Duration::from_millis(3));
        let id = "lon1/shop:home:web1/1700000000123456789";
        let [observation] = &batch.observations[..] else { panic!("one observation") };
        let [stored] = &batch.runs[..] else { panic!("one run") };
        assert_eq!((observation.id.as_str(), stored.id.as_str()), (id, id));
        assert_eq!(observation.evidence[0].reference, id);
        assert!(batch.columns.entries().all(|e| e.times_ms == [1_700_000_000_123]));
        assert!(stored.keep_long);
        let words = &observation.words;
        assert_eq!(words["code"], "connect_refused");
        assert_eq!((words["outcome"].as_str(), words["phase"].as_str()), ("failed", "connect"));
        assert_eq!(observation.values["connect_ms"], 2.5);
        assert_eq!(observation.values["late_ms"], 3.0);
        assert_eq!(observation.locus.server.as_deref(), Some("web1"));
        let document: Run = serde_json::from_str(&stored.json).unwrap();
        assert_eq!(document.belongs["path"], "web1");
        let Event::Run(event) = event else { panic!("a run") };
        assert_eq!((event.id.as_str(), event.code.as_deref()), (id, Some("connect_refused")));
    }

    #[test]
    fn a_run_that_went_well_is_not_kept_long() {
        let (batch, _) = of(run(Outcome::Ok), &check(), Duration::ZERO);
        assert!(!batch.runs[0].keep_long);
        let name = ("__name__", "probe_success");
        let success = batch.columns.entries().find(|e| e.labels().any(|label| label == name));
        assert_eq!(success.unwrap().values, [1.0]);
    }

    #[test]
    fn blindness_is_an_observation_with_a_gap() {
        let vantage = Vantage { name: "lon1".to_owned(), ..Vantage::default() };
        let stretch = (Wall::from_millis(1000), Wall::from_millis(61_000));
        let (batch, _) = of_blindness(&vantage, stretch, 40, "the machine slept");
        let [observation] = &batch.observations[..] else { panic!("one observation") };
        assert_eq!(observation.gaps[0].lost, Some(40));
        assert_eq!(observation.words["outcome"], "blind");
    }
}
