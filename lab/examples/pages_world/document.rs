//! The documents of the made-up runs: exchanges, certificates, transcripts.

use std::collections::BTreeMap;

use whyslow_model::{Phase, Segment, Wall};
use whyslow_probe::run::{
    Certificate, Exchange, Failure, Outcome, PhasesMs, Run, SCHEMA, TcpFacts, TlsFacts, Transcript,
    TranscriptLine,
};

use super::{Kind, now_ms};

/// The whole document of a run whose phases take `parts` milliseconds.
pub(crate) fn of(kind: &Kind, at: i64, parts: [f64; 6], fails: bool) -> Run {
    let mut phases = PhasesMs::default();
    for (phase, ms) in Phase::ALL.into_iter().zip(parts) {
        if fails && phase > Phase::Connect {
            break;
        }
        let ms = if fails && phase == Phase::Connect { 5000.0 - parts[0] } else { ms };
        if ms > 0.0 {
            *phases.of_mut(phase) = Some(ms);
        }
    }
    let total_ms = phases.total();
    let warn = if kind.service == "books" { 1000.0 } else { 2000.0 };
    let outcome = match () {
        () if fails => Outcome::Failed,
        () if total_ms > warn => Outcome::Slow,
        () => Outcome::Ok,
    };
    let again = u32::from(phases.connect.is_some_and(|c| c > 1000.0));
    let url = format!("https://{}.example/", kind.service);
    let failure = fails.then(|| Failure {
        phase: Some(Phase::Connect),
        code: "connect_timeout".into(),
        segment_hint: Some(Segment::Host),
        message: "no answer to 3 SYNs in 5 s".into(),
    });
    let transcript = (outcome != Outcome::Ok).then(|| transcript(kind, &phases, fails, again > 0));
    Run {
        schema: SCHEMA.into(),
        target: url.clone(),
        kind: "http".into(),
        vantage: "lon1".into(),
        started: Wall::from_millis(at),
        outcome,
        warnings: Vec::new(),
        failure,
        phases_ms: phases,
        total_ms,
        exchanges: vec![exchange(kind, url, phases, fails, again)],
        ping: None,
        dns: None,
        transcript,
        timeout_ms: Some(5000.0),
        warn_ms: Some(warn),
        belongs: BTreeMap::new(),
    }
}

fn exchange(kind: &Kind, url: String, phases_ms: PhasesMs, fails: bool, again: u32) -> Exchange {
    let end = Wall::from_millis(now_ms() + 61 * 86_400_000);
    let certificate = Certificate {
        subject: "CN=leaf".into(),
        issuer: "CN=Example CA 3".into(),
        names: vec![format!("{}.example", kind.service)],
        not_before: Wall::from_millis(now_ms() - 29 * 86_400_000),
        not_after: end,
        sha256: "00".repeat(32),
    };
    Exchange {
        url,
        status: (!fails).then_some(200),
        remote: Some(kind.remote.into()),
        local: None,
        phases_ms,
        total_ms: phases_ms.total(),
        http_version: (!fails).then(|| "HTTP/2".into()),
        tls: (!fails).then(|| TlsFacts {
            version: Some("TLS 1.3".into()),
            cipher: Some("TLS13_AES_128_GCM_SHA256".into()),
            alpn: Some("h2".into()),
            resumed: Some(false),
            not_after: Some(end),
            days_left: Some(61),
            chain_ok: Some(true),
            chain_problem: None,
            chain: vec![certificate],
        }),
        tcp: (!fails).then_some(TcpFacts {
            rtt_ms: Some(phases_ms.connect.unwrap_or(10.0).min(210.0)),
            min_rtt_ms: Some(9.6),
            retransmits: Some(again),
            syn_retransmits: Some(again),
        }),
        reused_connection: false,
        body_bytes: (!fails).then_some(18_264),
    }
}

fn transcript(kind: &Kind, phases: &PhasesMs, fails: bool, again: bool) -> Transcript {
    let line = |at_ms: f64, text: &str, notable: bool| TranscriptLine {
        at_ms,
        text: text.into(),
        notable,
    };
    let resolved = phases.resolve.unwrap_or(0.0);
    let mut lines = vec![
        line(0.0, &format!("resolve {}.example A by 192.0.2.53", kind.service), false),
        line(resolved, &format!("connect {}", kind.remote), false),
    ];
    if fails {
        lines.push(line(resolved + 1000.0, "SYN sent again", true));
        lines.push(line(resolved + 3000.0, "SYN sent again", true));
        lines.push(line(5000.0, "gave up", true));
        return Transcript { lines, body_excerpt: None };
    }
    if again {
        lines.push(line(resolved + 1020.0, "SYN sent again", true));
    }
    let connected = resolved + phases.connect.unwrap_or(0.0);
    let secured = connected + phases.tls.unwrap_or(0.0);
    lines.push(line(connected, "connected", false));
    lines.push(line(secured, "TLS 1.3, h2, certificate valid", false));
    lines.push(line(
        secured + 0.2,
        "> GET / HTTP/2\nhost: books.example\nuser-agent: whyslow",
        false,
    ));
    lines.push(line(
        secured + phases.wait.unwrap_or(0.0),
        "< HTTP/2 200\ncontent-type: text/html\nx-evil: <script>alert(1)</script>\u{1b}[31m",
        false,
    ));
    Transcript { lines, body_excerpt: Some("<!doctype html><title>Books</title>".into()) }
}
