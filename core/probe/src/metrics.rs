//! What one run adds to the series: blackbox_exporter's names where it has them, ours beside.
//!
//! A series that a run has nothing to say about is not written, as that exporter does it.

use whyslow_model::Phase;

use crate::run::{Exchange, Outcome, PhasesMs, PingFacts, Run};

/// One value for one series.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Reading {
    /// The metric's name.
    pub name: &'static str,
    /// A label of its own, beside those that say which check on which path from where.
    pub label: Option<(&'static str, &'static str)>,
    /// The value, in the unit that the name ends in.
    pub value: f64,
}

/// One metric, for `/api/v1/metadata` and the documentation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Metric {
    /// Its name.
    pub name: &'static str,
    /// What it says.
    pub help: &'static str,
}

/// Every metric that a run can write; all are gauges.
pub const ALL: &[Metric] = &[
    metric("probe_success", "1 where the run worked, slow ones too; 0 where it failed"),
    metric("probe_duration_seconds", "The run's total; of a ping, resolving and mean round trip"),
    metric("whyslow_check_slow", "1 where the run worked above its warn threshold"),
    metric("whyslow_check_phase_seconds", "Time of one phase, all exchanges added"),
    metric("whyslow_self_probe_lateness_seconds", "How late the run began; our own doing"),
    metric("probe_dns_lookup_time_seconds", "Time of the resolve phase"),
    metric("probe_ip_protocol", "4 or 6"),
    metric("probe_http_duration_seconds", "Time by phase, all exchanges added"),
    metric("probe_http_status_code", "The last answer's status"),
    metric("probe_http_version", "The last answer's HTTP version"),
    metric("probe_http_redirects", "Redirects followed"),
    metric("probe_http_ssl", "1 where the last exchange spoke TLS"),
    metric("probe_http_uncompressed_body_length", "Bytes of the last answer's body that were read"),
    metric("probe_failed_due_to_regex", "1 where the body did not hold what was expected"),
    metric("probe_ssl_earliest_cert_expiry", "When the chain's first certificate ends, Unix time"),
    metric("probe_tls_version_info", "1, with the version agreed on"),
    metric("probe_dns_duration_seconds", "Time by phase"),
    metric("probe_dns_answer_rrs", "Records in the answer section"),
    metric("probe_dns_query_succeeded", "1 where an answer came back"),
    metric("probe_icmp_duration_seconds", "Time by phase; rtt is the mean of the round"),
    metric("whyslow_ping_sent", "Echoes sent in the round"),
    metric("whyslow_ping_received", "Echoes answered in time"),
    metric("whyslow_ping_duplicates", "Answers beyond the first to the same echo"),
    metric("whyslow_ping_rtt_seconds", "Round-trip times of the round by stat"),
    metric("whyslow_tcp_rtt_seconds", "The kernel's smoothed round-trip time at the end"),
    metric("whyslow_tcp_min_rtt_seconds", "The smallest round-trip time the kernel saw"),
    metric("whyslow_tcp_retransmits", "Segments sent again, SYNs included"),
];

const fn metric(name: &'static str, help: &'static str) -> Metric {
    Metric { name, help }
}

/// What `run` says, in the order of [`ALL`] by kind; no two readings name the same series.
pub fn of(run: &Run) -> Vec<Reading> {
    let mut readings = Readings(Vec::with_capacity(24));
    readings.common(run);
    match run.kind.as_str() {
        "http" => readings.http(run),
        "dns" => readings.dns(run),
        "ping" => readings.ping(run),
        _ => {}
    }
    if let Some(last) = run.exchanges.last() {
        readings.connection(last);
    }
    readings.0
}

struct Readings(Vec<Reading>);

impl Readings {
    fn add(&mut self, name: &'static str, value: impl Into<Option<f64>>) {
        self.0.extend(value.into().map(|value| Reading { name, label: None, value }));
    }

    fn add_by(
        &mut self,
        name: &'static str,
        label: (&'static str, &'static str),
        value: Option<f64>,
    ) {
        self.0.extend(value.map(|value| Reading { name, label: Some(label), value }));
    }

    fn common(&mut self, run: &Run) {
        self.add("probe_success", truth(run.outcome != Outcome::Failed));
        self.add("probe_duration_seconds", run.total_ms / 1000.0);
        self.add("whyslow_check_slow", truth(run.outcome == Outcome::Slow));
        for phase in Phase::ALL {
            let label = ("phase", phase.as_str());
            self.add_by("whyslow_check_phase_seconds", label, s(run.phases_ms.of(phase)));
        }
        if run.kind != "dns" {
            self.add("probe_dns_lookup_time_seconds", s(run.phases_ms.resolve));
        }
    }

    fn http(&mut self, run: &Run) {
        let p = &run.phases_ms;
        let processing = [p.send, p.wait].into_iter().flatten().reduce(|a, b| a + b);
        let phases = [
            ("resolve", p.resolve),
            ("connect", p.connect),
            ("tls", p.tls),
            ("processing", processing),
            ("transfer", p.receive),
        ];
        for (name, ms) in phases {
            self.add_by("probe_http_duration_seconds", ("phase", name), s(ms));
        }
        let Some(last) = run.exchanges.last() else { return };
        self.add("probe_http_status_code", last.status.map(f64::from));
        self.add("probe_http_version", last.http_version.as_deref().and_then(version));
        #[expect(clippy::cast_precision_loss, reason = "a handful")]
        self.add("probe_http_redirects", (run.exchanges.len() - 1) as f64);
        self.add("probe_http_ssl", truth(last.tls.is_some()));
        #[expect(clippy::cast_precision_loss, reason = "bodies are below 2^53 bytes")]
        self.add("probe_http_uncompressed_body_length", last.body_bytes.map(|n| n as f64));
        let by_regex = run.failure.as_ref().is_some_and(|f| f.code == "body_mismatch");
        self.add("probe_failed_due_to_regex", truth(by_regex));
    }

    fn dns(&mut self, run: &Run) {
        let PhasesMs { resolve, connect, send, wait, receive, .. } = run.phases_ms;
        let request = [send, wait, receive].into_iter().flatten().reduce(|a, b| a + b);
        for (name, ms) in [("resolve", resolve), ("connect", connect), ("request", request)] {
            self.add_by("probe_dns_duration_seconds", ("phase", name), s(ms));
        }
        let Some(dns) = &run.dns else { return };
        #[expect(clippy::cast_precision_loss, reason = "a handful")]
        self.add("probe_dns_answer_rrs", dns.answers.len() as f64);
        self.add("probe_dns_query_succeeded", truth(dns.rcode.is_some()));
    }

    fn ping(&mut self, run: &Run) {
        let Some(PingFacts { sent, received, duplicates, rtt_ms, .. }) = run.ping else { return };
        let by = ("phase", "resolve");
        self.add_by("probe_icmp_duration_seconds", by, s(run.phases_ms.resolve));
        self.add_by("probe_icmp_duration_seconds", ("phase", "rtt"), s(rtt_ms.avg));
        self.add("whyslow_ping_sent", f64::from(sent));
        self.add("whyslow_ping_received", f64::from(received));
        self.add("whyslow_ping_duplicates", f64::from(duplicates));
        let stats = [
            ("min", rtt_ms.min),
            ("avg", rtt_ms.avg),
            ("max", rtt_ms.max),
            ("stddev", rtt_ms.stddev),
        ];
        for (name, ms) in stats {
            self.add_by("whyslow_ping_rtt_seconds", ("stat", name), s(ms));
        }
    }

    fn connection(&mut self, last: &Exchange) {
        if let Some(remote) = &last.remote {
            let v6 = remote.starts_with('[') || remote.matches(':').count() > 1;
            self.add("probe_ip_protocol", if v6 { 6.0 } else { 4.0 });
        }
        if let Some(tls) = &last.tls {
            #[expect(clippy::cast_precision_loss, reason = "seconds since 1970 are below 2^53")]
            let ends = tls.not_after.map(|t| t.as_millis().div_euclid(1000) as f64);
            self.add("probe_ssl_earliest_cert_expiry", ends);
            if let Some(version) = tls.version.as_deref().and_then(tls_version) {
                self.add_by("probe_tls_version_info", ("version", version), Some(1.0));
            }
        }
        if let Some(tcp) = &last.tcp {
            self.add("whyslow_tcp_rtt_seconds", s(tcp.rtt_ms));
            self.add("whyslow_tcp_min_rtt_seconds", s(tcp.min_rtt_ms));
            self.add("whyslow_tcp_retransmits", tcp.retransmits.map(f64::from));
        }
    }
}

fn s(ms: Option<f64>) -> Option<f64> {
    ms.map(|ms| ms / 1000.0)
}

fn truth(yes: bool) -> f64 {
    f64::from(u8::from(yes))
}

fn version(text: &str) -> Option<f64> {
    text.strip_prefix("HTTP/")?.parse().ok()
}

fn tls_version(text: &str) -> Option<&'static str> {
    ["TLS 1.2", "TLS 1.3"].into_iter().find(|known| *known == text)
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use whyslow_model::Wall;

    use super::*;
    use crate::run::{RttMs, SCHEMA, TcpFacts, TlsFacts};

    fn run(kind: &str) -> Run {
        Run {
            schema: SCHEMA.to_owned(),
            target: String::new(),
            kind: kind.to_owned(),
            vantage: "lon1".to_owned(),
            started: Wall::from_millis(0),
            outcome: Outcome::Ok,
            warnings: Vec::new(),
            failure: None,
            phases_ms: PhasesMs::default(),
            warn_ms: None,
            timeout_ms: None,
            total_ms: 30.0,
            exchanges: Vec::new(),
            ping: None,
            dns: None,
            transcript: None,
            belongs: BTreeMap::new(),
        }
    }

    fn exchange() -> Exchange {
        Exchange {
            url: "https://shop.example/".to_owned(),
            status: Some(200),
            remote: Some("[2001:db8::1]:443".to_owned()),
            local: None,
            phases_ms: PhasesMs::default(),
            total_ms: 30.0,
            http_version: Some("HTTP/2".to_owned()),
            tls: Some(TlsFacts {
                version: Some("TLS 1.3".to_owned()),
                not_after: Some(Wall::from_millis(1_800_000_000_500)),
                ..TlsFacts::default()
            }),
            tcp: Some(TcpFacts { min_rtt_ms: Some(4.0), ..TcpFacts::default() }),
            body_bytes: Some(1234),
            reused_connection: false,
        }
    }

    fn value(readings: &[Reading], name: &str, label: Option<&str>) -> Option<f64> {
        let mut hits =
            readings.iter().filter(|r| r.name == name && r.label.map(|(_, v)| v) == label);
        let value = hits.next().map(|r| r.value);
        assert!(hits.next().is_none(), "{name} twice");
        value
    }

    #[test]
    fn an_http_run_speaks_as_blackbox_exporter_does() {
        let mut run = run("http");
        run.phases_ms.send = Some(1.0);
        run.phases_ms.wait = Some(20.0);
        run.exchanges = vec![exchange(), exchange()];
        let r = of(&run);
        assert_eq!(value(&r, "probe_success", None), Some(1.0));
        assert_eq!(value(&r, "probe_duration_seconds", None), Some(0.03));
        assert_eq!(value(&r, "probe_http_duration_seconds", Some("processing")), Some(0.021));
        assert_eq!(value(&r, "probe_http_duration_seconds", Some("transfer")), None);
        assert_eq!(value(&r, "whyslow_check_phase_seconds", Some("wait")), Some(0.02));
        assert_eq!(value(&r, "probe_http_version", None), Some(2.0));
        assert_eq!(value(&r, "probe_http_redirects", None), Some(1.0));
        assert_eq!(value(&r, "probe_ip_protocol", None), Some(6.0));
        let ends = value(&r, "probe_ssl_earliest_cert_expiry", None);
        assert_eq!(ends, Some(1_800_000_000.0));
        assert_eq!(value(&r, "probe_tls_version_info", Some("TLS 1.3")), Some(1.0));
        assert_eq!(value(&r, "whyslow_tcp_min_rtt_seconds", None), Some(0.004));
        assert_eq!(value(&r, "whyslow_tcp_rtt_seconds", None), None);
    }

    #[test]
    fn a_ping_run_gives_loss_and_spread() {
        let mut run = run("ping");
        let rtt_ms = RttMs { min: Some(1.0), avg: Some(2.0), max: Some(3.0), stddev: Some(0.5) };
        run.ping = Some(PingFacts { sent: 5, received: 4, duplicates: 0, late: 1, rtt_ms });
        let r = of(&run);
        assert_eq!(value(&r, "whyslow_ping_sent", None), Some(5.0));
        assert_eq!(value(&r, "whyslow_ping_received", None), Some(4.0));
        assert_eq!(value(&r, "whyslow_ping_rtt_seconds", Some("max")), Some(0.003));
        assert_eq!(value(&r, "probe_icmp_duration_seconds", Some("rtt")), Some(0.002));
    }

    #[test]
    fn every_metric_is_in_the_list_once() {
        let listed: BTreeSet<&str> = ALL.iter().map(|m| m.name).collect();
        assert_eq!(listed.len(), ALL.len());
        for kind in ["http", "tls", "tcp", "dns", "ping"] {
            let mut run = run(kind);
            run.exchanges = vec![exchange()];
            for reading in of(&run) {
                assert!(listed.contains(reading.name), "{}", reading.name);
            }
        }
    }
}
