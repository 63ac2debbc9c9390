//! The anatomy of one opening: its phases, whose time they were, how sure that is, and why.

use serde::Serialize;

use crate::opening::{Opening, Outcome};

/// One judged opening.
#[derive(Clone, Debug)]
pub struct Handshake {
    /// The facts it rests on.
    pub opening: Opening,
    /// Where the tap stood.
    pub vantage: VantagePoint,
    /// How long each phase took.
    pub phases: Phases,
    /// First SYN to the end of the handshake, in milliseconds.
    pub total_ms: f64,
    /// Whose time it was; they add up to 1.
    pub shares: Shares,
    /// Who made it slow.
    pub blame: Blame,
    /// Between which figures the parts lie.
    pub bounds: Bounds,
    /// The round trip it is measured with, in milliseconds, and where from.
    pub rtt_ref_ms: Option<f64>,
    /// Sentences, each with its figure.
    pub evidence: Vec<String>,
}

/// Where the tap stood between the two.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize)]
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
