//! What the engine tells, in the order it becomes known.

use serde::Serialize;
use whyslow_model::Wall;

use crate::opening::Opening;
use crate::segment::FlowKey;

/// One thing that became known of a connection.
#[derive(Clone, Debug)]
pub enum Event {
    /// Its opening ended, one way or the other.
    Opening(Box<Opening>),
    /// Its SYNs got no SYN-ACK, for as long as the engine waits or until an answer came after all.
    Unanswered(Unanswered),
    /// It ended, and how it ended is worth telling.
    Ending(Ending),
}

/// SYNs without a SYN-ACK.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unanswered {
    /// Who and to where.
    pub flow: FlowKey,
    /// Which tap saw it.
    pub interface: u32,
    /// The first SYN.
    pub first: Wall,
    /// The last one.
    pub last: Wall,
    /// SYNs after the first.
    pub retries: u32,
    /// When an answer came after all: a SYN-ACK, or a reset.
    pub answered: Option<Wall>,
    /// Whether that answer was a reset: nobody listens, or a firewall rejects.
    pub refused: bool,
    /// A SYN-ACK was seen leaving, and SYNs came again: the way back loses it.
    pub syn_ack_lost: bool,
}

/// How a connection ended that no log may show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ending {
    /// Who and to where.
    pub flow: FlowKey,
    /// Which tap saw it.
    pub interface: u32,
    /// Its first packet.
    pub first: Wall,
    /// Its end.
    pub at: Wall,
    /// What kind of ending.
    pub kind: EndingKind,
    /// By RST instead of FIN.
    pub reset: bool,
    /// Whether the client ended it.
    pub by_client: bool,
    /// Payload bytes from the client.
    pub client_bytes: u64,
    /// Payload bytes from the server.
    pub server_bytes: u64,
    /// The phase it ended in: `connect`, `hello`, `server_flight`, `client_think`, `request`,
    /// `response`.
    pub phase: &'static str,
}

/// What kind of ending.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum EndingKind {
    /// Opened, never used: no byte of payload. Health checks do this.
    Unused,
    /// The handshake did not end.
    HandshakeUnfinished,
    /// The handshake ended, no request came.
    BeforeRequest,
    /// A request came, the client went before the first byte of a response.
    RequestAbandoned,
    /// The server ended it before a response.
    RequestRefused,
    /// An established connection was reset while data was under way.
    ResetMidway,
}
