//! The elements of `whyslow.wire/1`: what scripts read of a handshake, of a SYN without an answer,
//! and of a connection's end.

use std::borrow::Cow;
use std::net::SocketAddr;

use serde::Serialize;
use whyslow_model::Wall;

use super::SynFate;
use crate::event::{Ending, EndingKind, Unanswered};
use crate::handshake::{Blame, Bounds, Handshake, Phases, Shares, VantagePoint};

mod text;

/// A handshake.
#[derive(Debug, Serialize)]
pub struct HandshakeDocument<'a> {
    client: SocketAddr,
    server: SocketAddr,
    sni: Option<&'a str>,
    alpn: &'a [String],
    ja4: Option<&'a str>,
    version: Option<&'static str>,
    cipher: Option<u16>,
    resumed: Option<bool>,
    /// A `HelloRetryRequest` added a round.
    retry: bool,
    early_data: bool,
    client_auth: Option<bool>,
    started: Wall,
    outcome: &'static str,
    phases_ms: Phases,
    total_ms: f64,
    shares: Shares,
    blame: Blame,
    bounds_ms: Bounds,
    rtt_ref_ms: Option<f64>,
    estimated: bool,
    vantage_point: VantagePoint,
    interface: u32,
    drops: u64,
    incomplete: Vec<&'static str>,
    evidence: &'a [Cow<'static, str>],
}

impl<'a> From<&'a Handshake> for HandshakeDocument<'a> {
    fn from(handshake: &'a Handshake) -> Self {
        let opening = &handshake.opening;
        let tls = opening.tls.as_ref();
        Self {
            client: opening.flow.client,
            server: opening.flow.server,
            sni: tls.and_then(|tls| tls.sni.as_deref()),
            alpn: tls.map_or(&[], |tls| &tls.alpn),
            ja4: tls.and_then(|tls| tls.ja4.as_deref()),
            version: handshake.version(),
            cipher: tls.and_then(|tls| tls.cipher),
            resumed: tls.and_then(|tls| tls.resumed),
            retry: opening.retry.is_some(),
            early_data: tls.is_some_and(|tls| tls.early_data),
            client_auth: tls.and_then(|tls| tls.client_auth),
            started: opening.first,
            outcome: opening.outcome.word(),
            phases_ms: handshake.phases,
            total_ms: handshake.total_ms,
            shares: handshake.shares,
            blame: handshake.blame,
            bounds_ms: handshake.bounds,
            rtt_ref_ms: handshake.rtt_ref_ms,
            estimated: handshake.estimated,
            vantage_point: handshake.vantage,
            interface: opening.interface,
            drops: opening.gaps.drops,
            incomplete: handshake.incomplete(),
            evidence: &handshake.evidence,
        }
    }
}

impl Handshake {
    /// `TLS 1.2` or `TLS 1.3`; older ones by their names too.
    pub fn version(&self) -> Option<&'static str> {
        match self.opening.tls.as_ref()?.version {
            0x0300 => Some("SSL 3.0"),
            0x0301 => Some("TLS 1.0"),
            0x0302 => Some("TLS 1.1"),
            0x0303 => Some("TLS 1.2"),
            0x0304 => Some("TLS 1.3"),
            _ => None,
        }
    }
}

/// SYNs without an answer.
#[derive(Debug, Serialize)]
pub struct UnansweredDocument {
    client: SocketAddr,
    server: SocketAddr,
    first: Wall,
    last: Wall,
    retries: u32,
    /// When an answer came after all.
    answered: Option<Wall>,
    cause: SynFate,
}

impl From<&Unanswered> for UnansweredDocument {
    fn from(of: &Unanswered) -> Self {
        Self {
            client: of.flow.client,
            server: of.flow.server,
            first: of.first,
            last: of.last,
            retries: of.retries,
            answered: of.answered,
            cause: of.cause(),
        }
    }
}

/// A connection's end that no log may show.
#[derive(Debug, Serialize)]
pub struct EndingDocument {
    client: SocketAddr,
    server: SocketAddr,
    first: Wall,
    at: Wall,
    kind: EndingKind,
    /// By RST instead of FIN.
    reset: bool,
    by: &'static str,
    phase: &'static str,
    client_bytes: u64,
    server_bytes: u64,
}

impl From<&Ending> for EndingDocument {
    fn from(of: &Ending) -> Self {
        Self {
            client: of.flow.client,
            server: of.flow.server,
            first: of.first,
            at: of.at,
            kind: of.kind,
            reset: of.reset,
            by: if of.by_client { "client" } else { "server" },
            phase: of.phase,
            client_bytes: of.client_bytes,
            server_bytes: of.server_bytes,
        }
    }
}
