//! A part of a request's time.

use serde::{Deserialize, Serialize};

/// One of the six contiguous parts of a request's time, in the order in which they happen.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    schemars::JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// Turning the name into addresses.
    Resolve,
    /// From the first SYN to the established connection.
    Connect,
    /// The TLS handshake.
    Tls,
    /// Handing the request to the kernel.
    Send,
    /// From the request's last byte to the answer's first.
    Wait,
    /// From the answer's first byte to its last.
    Receive,
}

impl Phase {
    /// All phases, in the order in which they happen.
    pub const ALL: [Self; 6] =
        [Self::Resolve, Self::Connect, Self::Tls, Self::Send, Self::Wait, Self::Receive];

    /// The phase's name in configuration, API and pages.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Resolve => "resolve",
            Self::Connect => "connect",
            Self::Tls => "tls",
            Self::Send => "send",
            Self::Wait => "wait",
            Self::Receive => "receive",
        }
    }
}
