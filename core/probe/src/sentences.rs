//! What a run means, in sentences for a person. They may quote what came from outside, so
//! whoever shows them escapes them.

use whyslow_model::{Phase, Segment};

use crate::codes;
use crate::run::{Exchange, Outcome, Run};

/// A SYN sent again shows as a second or more, the kernel's first wait for an answer
/// (RFC 6298 section 2).
const FIRST_RTO_MS: f64 = 900.0;
/// The share of the total from which on one phase is called the slow one.
const DOMINANT_SHARE: f64 = 0.5;

/// How the run went, in one sentence after its outcome's word:
/// `1 912.4 ms, warn 1 s: the first SYN was lost, connect took 1 042.6 ms`.
pub fn headline(run: &Run) -> String {
    let total = ms_text(run.total_ms);
    match (run.outcome, &run.failure) {
        (_, Some(failure)) => format!("{}: {}", failure.code, failure.message),
        (Outcome::Slow, None) => {
            let warn = run.warn_ms.map(|ms| format!(", warn {}", round_text(ms)));
            format!("{total}{}: {}", warn.unwrap_or_default(), why_slow(run))
        }
        (Outcome::Ok | Outcome::Failed, None) => match run.warnings.as_slice() {
            [] => total,
            some => format!("{total}; {}", some.join("; ")),
        },
    }
}

/// Which phase took the time, and what is known of why.
pub fn why_slow(run: &Run) -> String {
    let phases = Phase::ALL.iter().filter_map(|p| Some((*p, run.phases_ms.of(*p)?)));
    let Some((phase, ms)) = phases.max_by(|a, b| a.1.total_cmp(&b.1)) else {
        return "nothing was reached".to_owned();
    };
    let took = format!("{} took {}", phase.as_str(), ms_text(ms));
    let lost = phase == Phase::Connect && run.exchanges.iter().any(lost_its_syn);
    if lost {
        return format!("the first SYN was lost, {took}");
    }
    let again: u32 = run.exchanges.iter().filter_map(|e| e.tcp?.retransmits).sum();
    let with = if again > 0 { format!(", {again} segments sent again") } else { String::new() };
    if ms >= DOMINANT_SHARE * run.total_ms {
        format!("{took}{with}")
    } else {
        format!("no phase stands out, {took}{with}")
    }
}

/// What stands beside one phase of an exchange; `None` where there is nothing to say.
pub fn note(exchange: &Exchange, phase: Phase) -> Option<String> {
    let retransmits = exchange.tcp.and_then(|tcp| tcp.retransmits).unwrap_or(0);
    match phase {
        Phase::Connect if lost_its_syn(exchange) => {
            let again = exchange.tcp.and_then(|tcp| tcp.syn_retransmits).unwrap_or(0);
            let times = if again > 1 { format!(" {again} times") } else { String::new() };
            Some(format!("SYN sent again{times}"))
        }
        Phase::Tls => {
            let problem = exchange.tls.as_ref()?.chain_problem.as_ref()?;
            Some(format!("certificate: {}", problem.replace('_', " ")))
        }
        Phase::Receive if retransmits > 0 => Some(format!("{retransmits} segments sent again")),
        Phase::Resolve | Phase::Connect | Phase::Send | Phase::Wait | Phase::Receive => None,
    }
}

/// Where to look first, and what to look at; `None` unless the run failed.
pub fn hint(run: &Run) -> Option<Hint> {
    let failure = run.failure.as_ref()?;
    let code = codes::by_name(&failure.code)?;
    Some(Hint { segment: failure.segment_hint, advice: code.advice })
}

/// Where to look first, and what to look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hint {
    /// The part of the world; a hint from one run, never a verdict.
    pub segment: Option<Segment>,
    /// What to look at.
    pub advice: &'static str,
}

fn lost_its_syn(exchange: &Exchange) -> bool {
    let again = exchange.tcp.and_then(|tcp| tcp.syn_retransmits).unwrap_or(0);
    again > 0 && exchange.phases_ms.connect.is_some_and(|ms| ms >= FIRST_RTO_MS)
}

/// `187.4 ms`, `1 912.4 ms`.
pub fn ms_text(ms: f64) -> String {
    let text = format!("{ms:.1}");
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, "0"));
    let mut grouped = String::with_capacity(text.len() + 3);
    for (i, digit) in whole.chars().enumerate() {
        if i > 0 && (whole.len() - i).is_multiple_of(3) {
            grouped.push(' ');
        }
        grouped.push(digit);
    }
    format!("{grouped}.{fraction} ms")
}

/// `250 ms`, `1 s`, `1.5 s`.
fn round_text(ms: f64) -> String {
    if ms >= 1000.0 { format!("{} s", ms / 1000.0) } else { format!("{ms} ms") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::{Failure, PhasesMs, SCHEMA, TcpFacts};
    use whyslow_model::Wall;

    fn run(phases_ms: PhasesMs, syn_retransmits: u32) -> Run {
        let tcp = TcpFacts {
            retransmits: Some(syn_retransmits),
            syn_retransmits: Some(syn_retransmits),
            ..TcpFacts::default()
        };
        let exchange = Exchange {
            url: "https://books.example/".to_owned(),
            status: Some(200),
            remote: None,
            local: None,
            phases_ms,
            total_ms: phases_ms.total(),
            http_version: None,
            tls: None,
            tcp: Some(tcp),
            body_bytes: None,
            reused_connection: false,
        };
        Run {
            schema: SCHEMA.to_owned(),
            target: exchange.url.clone(),
            kind: "http".to_owned(),
            vantage: "here".to_owned(),
            started: Wall::default(),
            outcome: Outcome::Slow,
            warnings: Vec::new(),
            failure: None,
            phases_ms,
            warn_ms: Some(1000.0),
            timeout_ms: Some(5000.0),
            total_ms: phases_ms.total(),
            exchanges: vec![exchange],
            ping: None,
            dns: None,
            transcript: None,
            belongs: Default::default(),
        }
    }

    #[test]
    fn a_slow_run_says_where_the_time_went() {
        let connect = PhasesMs { connect: Some(1042.6), wait: Some(388.6), ..PhasesMs::default() };
        let cases = [
            (connect, 1, "1 431.2 ms, warn 1 s: the first SYN was lost, connect took 1 042.6 ms"),
            (connect, 0, "1 431.2 ms, warn 1 s: connect took 1 042.6 ms"),
            (
                PhasesMs { tls: Some(400.0), wait: Some(401.0), receive: Some(399.0), ..connect },
                0,
                "2 242.6 ms, warn 1 s: no phase stands out, connect took 1 042.6 ms",
            ),
        ];
        for (phases, again, sentence) in cases {
            assert_eq!(headline(&run(phases, again)), sentence);
        }
    }

    #[test]
    fn a_failed_run_names_its_code_and_where_to_look() {
        let mut failed = run(PhasesMs { connect: Some(5000.0), ..PhasesMs::default() }, 2);
        failed.failure = Some(Failure {
            phase: Some(Phase::Connect),
            code: "connect_timeout".to_owned(),
            segment_hint: Some(Segment::Host),
            message: "no answer to 3 SYNs in 5 s".to_owned(),
        });
        assert_eq!(headline(&failed), "connect_timeout: no answer to 3 SYNs in 5 s");
        assert_eq!(hint(&failed).and_then(|h| h.segment), Some(Segment::Host));
        assert_eq!(
            note(&failed.exchanges[0], Phase::Connect).as_deref(),
            Some("SYN sent again 2 times")
        );
    }

    #[test]
    fn milliseconds_are_grouped_by_thousands() {
        let cases = [
            (0.04, "0.0 ms"),
            (187.44, "187.4 ms"),
            (1912.4, "1 912.4 ms"),
            (1e6, "1 000 000.0 ms"),
        ];
        for (ms, text) in cases {
            assert_eq!(ms_text(ms), text);
        }
    }
}
