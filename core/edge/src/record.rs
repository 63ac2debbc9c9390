//! One request as a balancer saw it: the shape into which every format is read.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use whyslow_model::Segment;

/// How well a source tells one phase of a request.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Mark {
    /// The source measures just this.
    Exact,
    /// The figure holds time of another owner too.
    Mixed,
    /// The figure is a bound: the phase took at most (a lower bound where the log was written
    /// before the end) this long.
    Bound,
    /// The source does not tell.
    #[default]
    Absent,
}

/// A phase's length and how well it is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    /// Microseconds; zero and without meaning where absent.
    pub micros: u64,
    /// How well it is known.
    pub mark: Mark,
}

impl Span {
    /// The source does not tell.
    pub const ABSENT: Self = Self { micros: 0, mark: Mark::Absent };

    /// The source measures just this.
    pub const fn exact(micros: u64) -> Self {
        Self { micros, mark: Mark::Exact }
    }

    /// The figure holds time of another owner too.
    pub const fn mixed(micros: u64) -> Self {
        Self { micros, mark: Mark::Mixed }
    }

    /// The figure is a bound.
    pub const fn bound(micros: u64) -> Self {
        Self { micros, mark: Mark::Bound }
    }

    /// The length, where the source tells one.
    pub const fn micros(self) -> Option<u64> {
        match self.mark {
            Mark::Absent => None,
            Mark::Exact | Mark::Mixed | Mark::Bound => Some(self.micros),
        }
    }
}

/// A stretch of a request's stay at the balancer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EdgePhase {
    /// Receiving the request from the client.
    ClientIn,
    /// Waiting for a free server.
    Queue,
    /// Connecting to the server.
    Connect,
    /// Waiting for the server's response headers.
    Wait,
    /// Receiving the server's response body (mixed: the client's reading of it too).
    Body,
    /// Sending what was left of the response to the client.
    ClientOut,
}

impl EdgePhase {
    /// In the order in which they follow each other.
    pub const ALL: [Self; 6] =
        [Self::ClientIn, Self::Queue, Self::Connect, Self::Wait, Self::Body, Self::ClientOut];

    /// The name in configuration, API and pages.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ClientIn => "client_in",
            Self::Queue => "queue",
            Self::Connect => "connect",
            Self::Wait => "wait",
            Self::Body => "body",
            Self::ClientOut => "client_out",
        }
    }
}

/// How a request's time was spent; never filled by assumption.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Phases {
    spans: [Span; 6],
}

impl Phases {
    /// One phase.
    pub const fn of(&self, phase: EdgePhase) -> Span {
        self.spans[phase as usize]
    }

    /// Says what one phase took.
    pub const fn set(&mut self, phase: EdgePhase, span: Span) {
        self.spans[phase as usize] = span;
    }
}

/// A server that was tried before the last one: it gets the blame for its own failure only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attempt<'a> {
    /// The server's name or address.
    pub server: &'a [u8],
    /// What it answered; `None` where it answered nothing.
    pub code: Option<u16>,
    /// How long it was tried, in microseconds.
    pub micros: Option<u64>,
}

/// How a request ended, from the balancer's termination or response flags.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct End<'a> {
    /// The flags as they stand in the log (`sH--`, `UF,URX`); empty where the format has none.
    pub flags: &'a [u8],
    /// The part of the world the flags point at; `None` of an ordinary end or an ambiguous one.
    pub blames: Option<Segment>,
    /// The client left before it had the whole answer.
    pub client_aborted: bool,
    /// The balancer answered by itself (denied, redirected, an error page, a cache): not timed.
    pub local: bool,
}

/// One request. Everything borrowed is as it stands in the log, unescaped, and hostile.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record<'a> {
    /// When the request arrived by the balancer's clock, in microseconds since the epoch; `None`
    /// where the line holds no time at all.
    pub at_us: Option<i64>,
    /// Who asked.
    pub client: Option<IpAddr>,
    /// The client's port; 0 where it is not told.
    pub client_port: u16,
    /// The frontend, listener or virtual server; empty where the format has none.
    pub vip: &'a [u8],
    /// The pool that was chosen; empty where the format has none.
    pub backend: &'a [u8],
    /// The server that the answer came from or the last attempt went to; `<NOSRV>` where none was
    /// chosen, empty where the format has none.
    pub server: &'a [u8],
    /// A number that only requests with this frontend, backend and server have among those read
    /// with the same [`crate::format::Scratch`]; 0 where the parser gives none.
    pub place: u32,
    /// The request's method; empty of a request that was not understood.
    pub method: &'a [u8],
    /// The host the client asked for; empty where the format has none.
    pub host: &'a [u8],
    /// The path, its query cut off; `<BADREQ>` of a request that was not understood; empty where
    /// the format has none (plain TCP).
    pub path: &'a [u8],
    /// The status code; 0 where none was sent.
    pub code: u16,
    /// Bytes sent to the client.
    pub bytes_out: Option<u64>,
    /// Bytes received from the client.
    pub bytes_in: Option<u64>,
    /// How the time was spent.
    pub phases: Phases,
    /// The balancer's total. Absent where it measures none, a bound where the line was written
    /// before the end.
    pub total: Span,
    /// How it ended.
    pub end: End<'a>,
    /// Connection attempts beyond the first.
    pub retries: u16,
    /// The last attempt went to another server than the first: the logged one did not cause it.
    pub redispatched: bool,
    /// Servers tried before the logged one, oldest first; at most
    /// [`whyslow_model::limits::EDGE_ATTEMPTS_MAX`].
    pub attempts: Vec<Attempt<'a>>,
    /// Requests queued before this one at the server and at the backend.
    pub queued: Option<(u32, u32)>,
    /// Concurrent requests on this server, this one included, when it was logged.
    pub server_conns: Option<u32>,
    /// The balancer's own sequence number (`HAProxy`'s `%lc`), by which missing lines are counted.
    pub sequence: Option<u64>,
    /// The kernel's round-trip time to the client, in microseconds (`fc_rtt`, `tcpinfo_rtt`).
    pub client_rtt_us: Option<u32>,
    /// Segments retransmitted to the client.
    pub client_retransmits: Option<u32>,
    /// The client's network as the source itself names it.
    pub client_asn: Option<u32>,
    /// The client's country as the source itself names it, two letters.
    pub client_country: Option<[u8; 2]>,
    /// The id by which other logs know the request; empty where the format has none.
    pub request_id: &'a [u8],
    /// The line was cut by a length limit, so that trailing fields may be missing.
    pub truncated: bool,
}

impl Record<'_> {
    /// Whether its total may enter latency figures: it was measured, and by a server's work.
    pub const fn timed(&self) -> bool {
        matches!(self.total.mark, Mark::Exact | Mark::Mixed) && !self.end.local
    }

    /// What the server's side took: connecting and waiting for headers.
    pub fn server_micros(&self) -> Option<u64> {
        let wait = self.phases.of(EdgePhase::Wait).micros()?;
        Some(wait.saturating_add(self.phases.of(EdgePhase::Connect).micros().unwrap_or(0)))
    }
}
