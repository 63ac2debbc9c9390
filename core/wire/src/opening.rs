//! What was seen of one connection's opening, before anybody judges it: facts, times and the
//! traces of loss. Letters in parentheses are those of the time points t0 to t9.

use whyslow_model::Wall;

use crate::segment::FlowKey;

/// One connection from its first SYN to the end of its handshake, or to what ended it before.
#[derive(Clone, Debug)]
pub struct Opening {
    /// Who and to where.
    pub flow: FlowKey,
    /// Which tap saw it.
    pub interface: u32,
    /// Whether the tapped machine is the server; absent where the capture does not tell directions.
    pub server_is_local: Option<bool>,
    /// The first packet of it that was seen.
    pub first: Wall,
    /// The last packet of it that belongs to the opening.
    pub last: Wall,
    /// The client's SYNs (t0, t0n).
    pub syns: Repeated,
    /// The server's SYN-ACKs up to the client's acknowledgment (t1).
    pub syn_acks: Repeated,
    /// First acknowledgment of the SYN-ACK by the client (t2).
    pub acked: Option<Wall>,
    /// The `ClientHello` that got the answer: the second one after a `HelloRetryRequest` (t3a, t3b).
    pub hello: Option<Span>,
    /// The server's first flight: `ServerHello` to its last byte (t4a, t4b).
    pub flight: Option<Flight>,
    /// The client's second flight: what completes the handshake on its side (t6a, t6b).
    pub reply: Option<Flight>,
    /// The server's second flight in TLS 1.2 full: (ticket,) `ChangeCipherSpec`, Finished (t7a, t7b).
    pub closing: Option<Span>,
    /// First byte of the client's application data, after its Finished (t8).
    pub client_data: Option<Wall>,
    /// First byte of the server's application data (t9); `None` when the opening was told before it.
    pub server_data: Option<Wall>,
    /// The round that a `HelloRetryRequest` added.
    pub retry: Option<Retry>,
    /// What the TLS messages said; `None` for a plain TCP opening.
    pub tls: Option<Tls>,
    /// Round trips matched by timestamps (TSval to TSecr, RFC 7323) or by unretransmitted ranges,
    /// seen from the tap towards the client, before (t6): the least of them, in nanoseconds.
    pub rtt_client_ns: Option<u64>,
    /// The same towards the server.
    pub rtt_server_ns: Option<u64>,
    /// What happened to the client's and the server's bytes on the way.
    pub client_side: Side,
    /// The server's.
    pub server_side: Side,
    /// How it ended.
    pub outcome: Outcome,
    /// What the capture is known to have missed of it.
    pub gaps: Gaps,
}

/// A segment that may have been sent more than once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Repeated {
    /// When the first was seen.
    pub first: Option<Wall>,
    /// When the last was seen.
    pub last: Option<Wall>,
    /// How many were seen.
    pub count: u32,
}

/// From the first to the last byte of something, by when each was *first seen in full order*: a
/// byte that filled a hole counts when the hole was filled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// First byte.
    pub first: Wall,
    /// Last byte.
    pub last: Wall,
    /// Bytes.
    pub bytes: u32,
}

/// One side's flight and its acknowledgment by the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flight {
    /// From its first to its last byte.
    pub span: Span,
    /// First packet of the peer whose acknowledgment covers its last byte (t5 for the server's).
    pub acked: Option<Wall>,
    /// Whether that packet carried no data: only then it bounds the peer's own time from below.
    pub acked_alone: bool,
    /// Time, in nanoseconds, that the sender waited for acknowledgments inside the flight: the sum
    /// of pauses each of which ended less than 1 ms after an incoming acknowledgment.
    pub window_wait_ns: u64,
    /// Longest pause inside the flight that no acknowledgment ended, in nanoseconds.
    pub writer_pause_ns: u64,
    /// Segments it took, retransmissions left out.
    pub segments: u32,
    /// Whether the peer's window was zero or full at some time between its first byte and its
    /// acknowledgment.
    pub zero_window: bool,
}

/// The round that a `HelloRetryRequest` (RFC 8446, section 4.1.4) added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retry {
    /// The first `ClientHello`.
    pub hello: Span,
    /// The `HelloRetryRequest`.
    pub request: Span,
}

/// What the messages of the handshake said in the clear.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tls {
    /// The version agreed on: 0x0303, 0x0304; that of the `ClientHello` while none is.
    pub version: u16,
    /// The cipher suite agreed on.
    pub cipher: Option<u16>,
    /// The server name asked for (RFC 6066), control bytes and length bounded.
    pub sni: Option<String>,
    /// The protocols offered (RFC 7301), first ones first.
    pub alpn: Vec<String>,
    /// The JA4 fingerprint of the first `ClientHello`; absent when it was cut.
    pub ja4: Option<String>,
    /// Resumed: by ticket or session id (1.2), by a chosen pre-shared key (1.3).
    pub resumed: Option<bool>,
    /// The client sent early data (0-RTT).
    pub early_data: bool,
    /// The client showed a certificate, as far as it can be told without keys.
    pub client_auth: Option<bool>,
    /// Bytes of the server's certificate message in TLS 1.2, or of the encrypted flight in 1.3.
    pub certificate_bytes: Option<u32>,
    /// The alert that was sent in the clear, and whether the client sent it.
    pub alert: Option<(u8, bool)>,
}

/// One side's segments, for the proofs of loss and the clock.
#[derive(Clone, Debug, Default)]
pub struct Side {
    /// Its segments in the order seen, the first [`whyslow_model::limits::WIRE_SEEN_PER_SIDE_MAX`]
    /// of them, from its SYN on.
    pub seen: Vec<Seen>,
    /// Segments beyond those that were kept.
    pub more: u32,
    /// Ranges that were missing when a later one was seen, and were filled: lost, or overtaken,
    /// before the tap.
    pub holes: Vec<Hole>,
    /// Segments whose bytes the tap had seen before: lost behind the tap, or their acknowledgment.
    pub again: u32,
    /// When the first such segment was seen.
    pub again_first: Option<Wall>,
    /// Duplicate acknowledgments, with or without SACK blocks, that this side sent.
    pub duplicate_acks: u32,
    /// D-SACK blocks (RFC 2883) this side sent.
    pub dsacks: u32,
}

/// What is remembered of one segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    /// When.
    pub at: Wall,
    /// Its IPv4 identification.
    pub ip_id: Option<u16>,
    /// Its TSval.
    pub tsval: Option<u32>,
    /// Its sequence number less the side's first one (the SYN is 0).
    pub seq: u32,
    /// Bytes of payload.
    pub len: u32,
    /// What it acknowledged less the peer's first number, if anything.
    pub ack: Option<u32>,
    /// The tap had seen all of its bytes before.
    pub again: bool,
    /// It filled a hole.
    pub filled: bool,
}

/// Bytes that were missing for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hole {
    /// Offset of the first byte from the side's first number.
    pub from: u32,
    /// Offset of the first byte behind it.
    pub to: u32,
    /// When a later byte was seen first.
    pub noticed: Wall,
    /// When it was filled; never, if absent.
    pub filled: Option<Wall>,
}

/// How an opening ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// TLS: both Finished were seen. Plain TCP: the first data, either way.
    Complete,
    /// RST, by the client or by the server.
    Reset {
        /// Whether the client sent it.
        by_client: bool,
    },
    /// FIN before the end.
    Closed {
        /// Whether the client sent it first.
        by_client: bool,
    },
    /// A TLS alert in the clear, or one told by its size, ended it.
    Alert {
        /// Whether the client sent it.
        by_client: bool,
    },
    /// Nothing more came for as long as the engine waits.
    TimedOut,
    /// Not TLS: the first bytes of the client are something else, or the server spoke first.
    Plain,
    /// The capture ended, or the table was full, before it was decided.
    CutOff,
}

/// What the capture is known to have missed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Gaps {
    /// No SYN was seen: the connection was older than the capture.
    pub no_syn: bool,
    /// Only one direction was seen.
    pub one_sided: bool,
    /// Some packet was cut by the snap length before the bytes that matter.
    pub cut: bool,
    /// Bytes that the peer acknowledged and the tap never saw.
    pub unseen_bytes: u64,
    /// Packets that the capture itself lost while the opening lasted.
    pub drops: u64,
    /// A limit of the engine was reached for this connection.
    pub limit: bool,
}
