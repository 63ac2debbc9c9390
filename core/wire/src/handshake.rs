//! The anatomy of one opening: its phases, whose time they were, how sure that is, and why.

use std::borrow::Cow;

use serde::Serialize;

use crate::opening::{Opening, Outcome};

/// One judged opening.
#[derive(Clone, Debug)]
pub struct Handshake {
    /// The facts it rests on, which are large and are not moved about.
    pub opening: Box<Opening>,
    /// Where the tap stood.
    pub vantage: VantagePoint,
    /// How long each phase took.
    pub phases: Phases,
    /// Whose most of each phase was, in the order of [`Phase::ALL`]; [`Blame::None`] of one that
    /// was not observed or took no time.
    pub phase_owners: [Blame; Phase::ALL.len()],
    /// First SYN to the end of the handshake, in milliseconds.
    pub total_ms: f64,
    /// Whose time it was; they add up to 1.
    pub shares: Shares,
    /// Who made it slow.
    pub blame: Blame,
    /// Between which figures the parts lie.
    pub bounds: Bounds,
    /// The least round trip that was seen before the client's answer, in milliseconds: that
    /// between tap and client at a server, between tap and server at a client, else both together.
    pub rtt_ref_ms: Option<f64>,
    /// The flight's acknowledgment came with the client's answer, so that when it arrived, and
    /// with it the client's think, are estimates.
    pub estimated: bool,
    /// Sentences, each with its figure.
    pub evidence: Vec<Cow<'static, str>>,
}

impl Handshake {
    /// Whether a TLS handshake was seen at all, or at least its beginning.
    pub const fn is_tls(&self) -> bool {
        self.opening.tls.is_some() || self.opening.hello.is_some()
    }

    /// Why less was seen of it than there was; nothing of a whole one.
    pub fn incomplete(&self) -> Vec<&'static str> {
        let gaps = &self.opening.gaps;
        let reasons = [
            (gaps.drops > 0, "the capture lost packets"),
            (gaps.unseen_bytes > 0, "acknowledged bytes were never seen"),
            (gaps.no_syn, "older than the capture"),
            (gaps.one_sided, "one direction only"),
            (gaps.cut, "packets cut short"),
            (gaps.limit, "too much for one connection"),
            (self.opening.outcome == Outcome::CutOff, "the capture ended"),
        ];
        reasons.into_iter().filter_map(|(so, why)| so.then_some(why)).collect()
    }
}

/// Where the tap stood between the two.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum VantagePoint {
    /// On the server, or within a millisecond of it.
    Server,
    /// On the client.
    Client,
    /// Somewhere between.
    Middle,
    /// Cannot be told.
    #[default]
    Unknown,
}

/// The phases in their order, in milliseconds; `None` where not observed. They add up to the total.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Phases {
    /// First SYN to last SYN.
    pub syn_wait: Option<f64>,
    /// Last SYN to SYN-ACK.
    pub syn_ack: Option<f64>,
    /// SYN-ACK to its acknowledgment: one round trip at a server's tap.
    pub network: Option<f64>,
    /// To the last byte of the `ClientHello` (the second one after a `HelloRetryRequest`).
    pub hello_wait: Option<f64>,
    /// To the first byte of the server's flight.
    pub server_think: Option<f64>,
    /// To its last byte.
    pub server_flight: Option<f64>,
    /// To its acknowledgment.
    pub ack: Option<f64>,
    /// To the first byte of the client's answer.
    pub client_think: Option<f64>,
    /// To the last byte: of the client's answer, or in TLS 1.2 full of the server's.
    pub finish: Option<f64>,
}

/// A part of a handshake's time, in the order in which they follow one another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// See [`Phases::syn_wait`].
    SynWait,
    /// See [`Phases::syn_ack`].
    SynAck,
    /// See [`Phases::network`].
    Network,
    /// See [`Phases::hello_wait`].
    HelloWait,
    /// See [`Phases::server_think`].
    ServerThink,
    /// See [`Phases::server_flight`].
    ServerFlight,
    /// See [`Phases::ack`].
    Ack,
    /// See [`Phases::client_think`].
    ClientThink,
    /// See [`Phases::finish`].
    Finish,
}

impl Phase {
    /// All of them, in their order.
    pub const ALL: [Self; 9] = [
        Self::SynWait,
        Self::SynAck,
        Self::Network,
        Self::HelloWait,
        Self::ServerThink,
        Self::ServerFlight,
        Self::Ack,
        Self::ClientThink,
        Self::Finish,
    ];

    /// The name in JSON and on pages.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SynWait => "syn_wait",
            Self::SynAck => "syn_ack",
            Self::Network => "network",
            Self::HelloWait => "hello_wait",
            Self::ServerThink => "server_think",
            Self::ServerFlight => "server_flight",
            Self::Ack => "ack",
            Self::ClientThink => "client_think",
            Self::Finish => "finish",
        }
    }
}

impl Phases {
    /// How long one phase took, in milliseconds, if it was observed.
    pub const fn of(&self, phase: Phase) -> Option<f64> {
        match phase {
            Phase::SynWait => self.syn_wait,
            Phase::SynAck => self.syn_ack,
            Phase::Network => self.network,
            Phase::HelloWait => self.hello_wait,
            Phase::ServerThink => self.server_think,
            Phase::ServerFlight => self.server_flight,
            Phase::Ack => self.ack,
            Phase::ClientThink => self.client_think,
            Phase::Finish => self.finish,
        }
    }
}

/// Whose time it was; adds up to 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Shares {
    /// The server's.
    pub server: f64,
    /// The network's: round trips, losses, waiting for the window.
    pub network: f64,
    /// The client's.
    pub client: f64,
    /// Nobody can say.
    pub unknown: f64,
}

/// Who made it slow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Blame {
    /// The server.
    Server,
    /// The network.
    Network,
    /// The client.
    Client,
    /// It was slow, and nobody can say.
    Unknown,
    /// It was not slow.
    None,
}

/// Lower and upper bounds, in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Bounds {
    /// The server's time.
    pub server: Option<(f64, f64)>,
    /// The network's.
    pub network: Option<(f64, f64)>,
    /// The client's.
    pub client: Option<(f64, f64)>,
    /// Client think alone: from the acknowledgment at the latest, from the flight less a round trip
    /// at the earliest.
    pub client_think: Option<(f64, f64)>,
    /// How much the acknowledgment was held back at most.
    pub ack_delay: Option<(f64, f64)>,
}

impl Outcome {
    /// The word users read: `complete`, `reset_by_client`, `timed_out`, ….
    pub const fn word(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::Reset { by_client: true } => "reset_by_client",
            Self::Reset { by_client: false } => "reset_by_server",
            Self::Closed { by_client: true } => "closed_by_client",
            Self::Closed { by_client: false } => "closed_by_server",
            Self::Alert { by_client: true } => "alert_by_client",
            Self::Alert { by_client: false } => "alert_by_server",
            Self::TimedOut => "timed_out",
            Self::Plain => "not_tls",
            Self::CutOff => "cut_off",
        }
    }
}
