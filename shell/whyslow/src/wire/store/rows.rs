//! What becomes known, as the store keeps it: what is filtered by apart, the whole as a document.

use std::sync::Arc;

use serde::Serialize;
use whyslow_wire::event::{Ending, Unanswered};
use whyslow_wire::handshake::{Blame, Handshake};
use whyslow_wire::opening::Outcome;
use whyslow_wire::report::document::{EndingDocument, HandshakeDocument, UnansweredDocument};
use whyslow_wire::segment::FlowKey;
use whyslow_wire::windows::Client;

use crate::storage::{WireEvent, WireEvidence, WireKind};
use crate::wire::event::Kept;

/// Whether it is slow, or failed: of these all are wanted.
pub(super) fn is_notable(handshake: &Handshake) -> bool {
    let ended = matches!(handshake.opening.outcome, Outcome::Complete | Outcome::CutOff);
    handshake.blame != Blame::None || !ended
}

/// The id of a handshake that is kept.
pub(super) fn id(handshake: &Handshake) -> u64 {
    let FlowKey { client, server } = handshake.opening.flow;
    WireEvent::id_of(WireKind::Handshake, handshake.opening.first, client, server)
}

/// A handshake.
pub(super) fn handshake(tap: &Arc<str>, of: &Handshake, client: &Client) -> WireEvent {
    let opening = &of.opening;
    let complete = opening.outcome == Outcome::Complete;
    WireEvent {
        id: id(of),
        at: opening.first,
        tap: Arc::clone(tap),
        kind: WireKind::Handshake,
        client: opening.flow.client,
        server: opening.flow.server,
        asn: client.asn,
        rdns: client.rdns.clone(),
        total_us: complete.then(|| micros(of.total_ms)),
        word: of.blame.word().to_owned(),
        outcome: Some(opening.outcome.word().to_owned()),
        notable: is_notable(of),
        evidence: None,
        document: json(&HandshakeDocument::from(of)),
    }
}

/// Where the packets of what was told before are.
pub(super) fn evidence(of: &Kept) -> WireEvidence {
    let FlowKey { client, server } = of.flow;
    let kind = if of.handshake.is_some() { WireKind::Handshake } else { WireKind::Unanswered };
    let id = WireEvent::id_of(kind, of.began, client, server);
    WireEvidence { id, at: of.began, file: of.file.clone() }
}

/// SYNs without an answer, and why.
pub(super) fn unanswered(
    tap: &Arc<str>,
    of: &Unanswered,
    cause: &'static str,
    client: &Client,
) -> WireEvent {
    let FlowKey { client: from, server } = of.flow;
    WireEvent {
        id: WireEvent::id_of(WireKind::Unanswered, of.first, from, server),
        at: of.first,
        tap: Arc::clone(tap),
        kind: WireKind::Unanswered,
        client: from,
        server,
        asn: client.asn,
        rdns: client.rdns.clone(),
        total_us: None,
        word: cause.to_owned(),
        outcome: None,
        notable: true,
        evidence: None,
        document: json(&UnansweredDocument::from(of)),
    }
}

/// An ending.
pub(super) fn ending(tap: &Arc<str>, of: &Ending, client: &Client) -> WireEvent {
    let FlowKey { client: from, server } = of.flow;
    WireEvent {
        id: WireEvent::id_of(WireKind::Ending, of.first, from, server),
        at: of.first,
        tap: Arc::clone(tap),
        kind: WireKind::Ending,
        client: from,
        server,
        asn: client.asn,
        rdns: client.rdns.clone(),
        total_us: None,
        word: of.kind.word().to_owned(),
        outcome: None,
        notable: true,
        evidence: None,
        document: json(&EndingDocument::from(of)),
    }
}

/// A document; none of these can fail to be one.
fn json(document: &impl Serialize) -> String {
    serde_json::to_string(document).unwrap_or_else(|_| "{}".to_owned())
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped; as cuts off")]
fn micros(ms: f64) -> u64 {
    (ms * 1000.0).round().clamp(0.0, 1e15) as u64
}
