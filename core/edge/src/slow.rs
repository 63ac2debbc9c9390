//! Slow requests, kept whole.

use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use whyslow_model::{Segment, Wall};

use crate::record::{EdgePhase, Mark};

mod build;
mod keeper;
mod lots;
mod options;

pub use keeper::SlowKeeper;
pub use options::Options;

/// Why a request is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// It took longer than the limit its route, or all, were given.
    OverThreshold,
    /// It took longer than its route's own p99 of the past times a factor.
    OverOwnP99,
}

impl Reason {
    /// Both.
    pub const ALL: [Self; 2] = [Self::OverThreshold, Self::OverOwnP99];

    /// The name in API and pages.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::OverThreshold => "over_threshold",
            Self::OverOwnP99 => "over_own_p99",
        }
    }
}

/// One phase of a kept request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SlowPhase {
    /// Which.
    pub phase: EdgePhase,
    /// How long, in microseconds.
    pub us: u64,
    /// How well that is known; never absent.
    pub mark: Mark,
}

/// A server tried before the one that is named.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SlowAttempt {
    /// Its name or address.
    pub server: String,
    /// What it answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<u16>,
    /// How long it was tried, in microseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub us: Option<u64>,
}

/// One slow request, owned. Text is as the log has it, made UTF-8, cut to
/// [`whyslow_model::limits::EDGE_SLOW_TEXT_BYTES_MAX`] bytes; empty where the format has none.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SlowRow {
    /// Names the request: a hash of source, time, client and request, so that the same line read
    /// twice is kept once.
    pub id: String,
    /// When it arrived by the balancer's clock.
    pub at: Wall,
    /// The log it stands in.
    pub source: Arc<str>,
    /// Who asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client: Option<IpAddr>,
    /// The client's port; 0 where it is not told.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub client_port: u16,
    /// The client's network.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asn: Option<u32>,
    /// The client's country, two letters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub country: Option<String>,
    /// The client's /24 or /48.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefix: Option<IpNet>,
    /// The frontend.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub vip: String,
    /// The pool.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub backend: String,
    /// The server.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub server: String,
    /// The method.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub method: String,
    /// The host the client asked for.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub host: String,
    /// The path without its query.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub path: String,
    /// The route the path belongs to.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub route: String,
    /// The status code; 0 where none was sent.
    pub code: u16,
    /// The balancer's termination or response flags.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub flags: String,
    /// The part of the world the flags point at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blamed: Option<Segment>,
    /// The client left before the end.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub client_aborted: bool,
    /// The phases that are told.
    pub phases: Vec<SlowPhase>,
    /// The balancer's total, in microseconds.
    pub total_us: u64,
    /// How well that is known.
    pub total_mark: Mark,
    /// Bytes sent to the client.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes_out: Option<u64>,
    /// Bytes received from the client.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes_in: Option<u64>,
    /// Connection attempts beyond the first.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub retries: u16,
    /// The last attempt went to another server than the first.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub redispatched: bool,
    /// Servers tried before, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attempts: Vec<SlowAttempt>,
    /// Requests queued before it at the server and at the backend.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queued: Option<(u32, u32)>,
    /// Concurrent requests on this server when it was logged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server_conns: Option<u32>,
    /// The kernel's round-trip time to the client, in microseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_rtt_us: Option<u32>,
    /// Segments retransmitted to the client.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_retransmits: Option<u32>,
    /// The id by which other logs know it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub request_id: String,
    /// The phase that took the most; absent where what is told is less than half of the total.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dominant: Option<EdgePhase>,
    /// Why it is kept.
    pub reason: Reason,
    /// What it was over, in microseconds.
    pub limit_us: u64,
    /// How many requests of its route and reason in its window it stands for: 1 where all were
    /// kept, more where the budget allowed only some, drawn by lot.
    pub stands_for: f64,
}

/// How many slow requests there were of one route in one window, and how many of them are kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SlowCount {
    /// The log they stand in.
    pub source: Arc<str>,
    /// The window's start: seconds since the epoch.
    pub start_s: i64,
    /// The route.
    pub route: Arc<str>,
    /// Why they count as slow.
    pub reason: Reason,
    /// How many there were.
    pub seen: u64,
    /// How many of them are kept; the others found no room in the budget.
    pub kept: u64,
}

const fn is_zero(n: &u16) -> bool {
    *n == 0
}
