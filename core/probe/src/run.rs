//! The result of one check run: the `whyslow.check/1` document.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use whyslow_model::{Phase, Segment, Wall};

/// The name and version of the document.
pub const SCHEMA: &str = "whyslow.check/1";

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// Within every limit.
    Ok,
    /// It worked, above the `warn` threshold.
    Slow,
    /// It did not work.
    Failed,
}

impl Outcome {
    /// The outcome's name in JSON, API and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Slow => "slow",
            Self::Failed => "failed",
        }
    }
}

/// Why a run failed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Failure {
    /// The phase in which it failed; `None` where the target itself could not be used.
    pub phase: Option<Phase>,
    /// One of the documented codes, such as `connect_refused`.
    pub code: String,
    /// Where to look first. A hint from one row, never a verdict.
    pub segment_hint: Option<Segment>,
    /// A sentence for a person.
    pub message: String,
}

/// Milliseconds of each phase; `None` where the phase was never reached or not needed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PhasesMs {
    /// Turning the name into addresses.
    pub resolve: Option<f64>,
    /// The TCP handshake.
    pub connect: Option<f64>,
    /// The TLS handshake.
    pub tls: Option<f64>,
    /// Handing the request over.
    pub send: Option<f64>,
    /// Until the answer's first byte.
    pub wait: Option<f64>,
    /// Until the answer's last byte.
    pub receive: Option<f64>,
}

impl PhasesMs {
    /// The time of one phase.
    pub const fn of(&self, phase: Phase) -> Option<f64> {
        match phase {
            Phase::Resolve => self.resolve,
            Phase::Connect => self.connect,
            Phase::Tls => self.tls,
            Phase::Send => self.send,
            Phase::Wait => self.wait,
            Phase::Receive => self.receive,
        }
    }

    /// The place of one phase, to be written.
    pub const fn of_mut(&mut self, phase: Phase) -> &mut Option<f64> {
        match phase {
            Phase::Resolve => &mut self.resolve,
            Phase::Connect => &mut self.connect,
            Phase::Tls => &mut self.tls,
            Phase::Send => &mut self.send,
            Phase::Wait => &mut self.wait,
            Phase::Receive => &mut self.receive,
        }
    }

    /// The sum of the phases that were reached.
    pub fn total(&self) -> f64 {
        // The sum of nothing is -0.0, which reads oddly; adding 0.0 mends it.
        Phase::ALL.iter().filter_map(|p| self.of(*p)).sum::<f64>() + 0.0
    }

    /// Adds another exchange's phases; a phase reached in neither stays `None`.
    pub fn add(&mut self, other: &Self) {
        for phase in Phase::ALL {
            if let Some(more) = other.of(phase) {
                let mine = self.of_mut(phase);
                *mine = Some(mine.unwrap_or(0.0) + more);
            }
        }
    }
}

/// What TLS agreed on, and the certificate it was shown.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TlsFacts {
    /// `TLS 1.2` or `TLS 1.3`.
    pub version: Option<String>,
    /// The cipher suite's IANA name.
    pub cipher: Option<String>,
    /// The protocol chosen by ALPN.
    pub alpn: Option<String>,
    /// Whether an earlier session was resumed.
    pub resumed: Option<bool>,
    /// The end of the chain's earliest-ending certificate.
    pub not_after: Option<Wall>,
    /// Whole days until then, negative once past.
    pub days_left: Option<i64>,
    /// Whether the chain is trusted and bears the name; `None` where none was shown.
    pub chain_ok: Option<bool>,
    /// `expired`, `wrong_name`, `unknown_issuer`, … where it is not.
    pub chain_problem: Option<String>,
    /// The chain as shown, leaf first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub chain: Vec<Certificate>,
}

/// One certificate of a chain.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Certificate {
    /// The subject, as RFC 4514 writes it.
    pub subject: String,
    /// The issuer, as RFC 4514 writes it.
    pub issuer: String,
    /// DNS names and addresses it is for.
    pub names: Vec<String>,
    /// When it begins to be valid.
    pub not_before: Wall,
    /// When it ends.
    pub not_after: Wall,
    /// SHA-256 over its DER bytes, in hexadecimal.
    pub sha256: String,
}

/// What the kernel says of the connection at the end of the exchange.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TcpFacts {
    /// The smoothed round-trip time.
    pub rtt_ms: Option<f64>,
    /// The smallest round-trip time seen.
    pub min_rtt_ms: Option<f64>,
    /// Segments we had to send again, the SYN included.
    pub retransmits: Option<u32>,
    /// Of these, SYNs.
    #[serde(default)]
    pub syn_retransmits: Option<u32>,
}

/// One request and its answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Exchange {
    /// The address asked, without query values.
    pub url: String,
    /// The HTTP status; `None` before an answer and for kinds without one.
    pub status: Option<u16>,
    /// The peer as `ip:port`.
    pub remote: Option<String>,
    /// Our own end of the connection; `None` where there was none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub local: Option<String>,
    /// This exchange's own phases.
    pub phases_ms: PhasesMs,
    /// Their sum.
    pub total_ms: f64,
    /// `HTTP/1.1` or `HTTP/2`.
    pub http_version: Option<String>,
    /// `None` where no TLS was spoken.
    pub tls: Option<TlsFacts>,
    /// `None` where no connection was made.
    pub tcp: Option<TcpFacts>,
    /// Bytes of the answer's body that were read; `None` before an answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body_bytes: Option<u64>,
    /// Whether the connection of the exchange before was used again.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub reused_connection: bool,
}

/// Round-trip times of a ping run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RttMs {
    /// The smallest.
    pub min: Option<f64>,
    /// The mean.
    pub avg: Option<f64>,
    /// The largest.
    pub max: Option<f64>,
    /// The standard deviation.
    pub stddev: Option<f64>,
}

/// What a ping run counted.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct PingFacts {
    /// Packets sent.
    pub sent: u16,
    /// Answers that came in time.
    pub received: u16,
    /// Answers beyond the first to the same packet.
    #[serde(default)]
    pub duplicates: u16,
    /// Answers that came too late to count.
    #[serde(default)]
    pub late: u16,
    /// Times of those.
    pub rtt_ms: RttMs,
}

/// What a name server answered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DnsFacts {
    /// `NOERROR`, `NXDOMAIN`, …; `None` where no answer came.
    pub rcode: Option<String>,
    /// Records as text, each `TYPE value`.
    pub answers: Vec<String>,
    /// The server asked, as `ip:port`.
    pub server: String,
}

/// One line of a transcript: when, and what happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TranscriptLine {
    /// Milliseconds since the run began.
    pub at_ms: f64,
    /// What happened, from outside and therefore untrusted; escape it where it is shown.
    pub text: String,
    /// Whether the line shows what went wrong.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub notable: bool,
}

/// What is kept of a slow or failed run, secrets and query values removed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Transcript {
    /// What happened, in order.
    pub lines: Vec<TranscriptLine>,
    /// The start of the last body, at most 2 KiB, secrets redacted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body_excerpt: Option<String>,
}

/// The result of one run of one check.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// Always [`SCHEMA`].
    pub schema: String,
    /// The target as configured, without query values.
    pub target: String,
    /// The check kind's name.
    pub kind: String,
    /// The vantage that ran it.
    pub vantage: String,
    /// When it began.
    pub started: Wall,
    /// How it ended.
    pub outcome: Outcome,
    /// Sentences about what is not wrong yet, such as a certificate within 14 days of its end.
    pub warnings: Vec<String>,
    /// `None` unless the outcome is failed.
    pub failure: Option<Failure>,
    /// The sum over all exchanges.
    pub phases_ms: PhasesMs,
    /// Above this total a run that worked is slow; `None` where nothing is slow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warn_ms: Option<f64>,
    /// Above this total the run would have failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<f64>,
    /// From start to end; of a ping, resolving and the mean round trip.
    pub total_ms: f64,
    /// One per request, redirects included.
    pub exchanges: Vec<Exchange>,
    /// Ping only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ping: Option<PingFacts>,
    /// DNS only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dns: Option<DnsFacts>,
    /// Slow and failed runs only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transcript: Option<Transcript>,
    /// Which service, path and check it belongs to, and further facts by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub belongs: BTreeMap<String, String>,
}
