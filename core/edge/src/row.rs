//! What a closed window holds: one row a key, plain and mergeable.

use std::collections::BTreeMap;
use std::sync::Arc;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use whyslow_model::Histogram;

use crate::record::{EdgePhase, Mark};

/// The stand-in for everything that found no place of its own; totals reconcile through it.
pub const OTHER: &str = "other";

/// What a row is about. Absent: not told apart by this.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Key {
    /// The frontend.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vip: Option<Arc<str>>,
    /// The pool.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backend: Option<Arc<str>>,
    /// The server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server: Option<Arc<str>>,
    /// The route.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub route: Option<Arc<str>>,
    /// The status code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<u16>,
    /// The client's network.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_asn: Option<ClientAsn>,
    /// The client's /24 or /48.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_prefix: Option<ClientPrefix>,
}

impl Key {
    /// The key of what found no place beside this one: the same but for the route, network or
    /// prefix, which is that of all others. `None` of a key that tells none of them apart.
    #[must_use]
    pub fn of_others(&self) -> Option<Self> {
        let told =
            self.route.is_some() || self.client_asn.is_some() || self.client_prefix.is_some();
        told.then(|| Self {
            route: self.route.as_ref().map(|_| OTHER.into()),
            client_asn: self.client_asn.map(|_| ClientAsn::Other),
            client_prefix: self.client_prefix.map(|_| ClientPrefix::Other),
            ..self.clone()
        })
    }
}

/// A client's network in a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ClientAsn {
    /// A network of this number.
    As(u32),
    /// No table knows the address, or the line names none.
    Unknown,
    /// Networks that found no place of their own.
    Other,
}

/// A client's prefix in a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ClientPrefix {
    /// An IPv4 /24 or an IPv6 /48.
    Net(IpNet),
    /// The line names no client address.
    Unknown,
    /// Prefixes that found no place of their own.
    Other,
}

/// Durations of one kind.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timing {
    /// Microseconds, summed.
    pub sum_us: u64,
    /// The longest, in microseconds.
    pub max_us: u64,
    /// All of them.
    pub histogram: Histogram,
}

impl Timing {
    /// Counts one duration.
    #[inline]
    pub fn observe(&mut self, micros: u64) {
        self.sum_us = self.sum_us.saturating_add(micros);
        self.max_us = self.max_us.max(micros);
        self.histogram.observe(micros);
    }

    /// The same of so many whole milliseconds.
    #[inline]
    pub fn observe_millis(&mut self, millis: u32) {
        let micros = u64::from(millis) * 1000;
        self.sum_us = self.sum_us.saturating_add(micros);
        self.max_us = self.max_us.max(micros);
        self.histogram.observe_millis(millis);
    }

    /// Adds another's durations.
    pub fn merge(&mut self, other: &Self) {
        self.sum_us = self.sum_us.saturating_add(other.sum_us);
        self.max_us = self.max_us.max(other.max_us);
        self.histogram.merge(&other.histogram);
    }
}

/// One phase over many requests.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PhaseTiming {
    /// The durations, of requests whose source tells this phase.
    pub timing: Timing,
    /// How well the worst-told of them is known; `Absent` where none is told.
    pub mark: Mark,
}

/// What was counted of one key in one window.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// Requests.
    pub hits: u64,
    /// The balancer's totals of the requests that are timed.
    pub latency: Timing,
    /// Connecting plus waiting for headers.
    pub server: Timing,
    /// Each phase, in the order of [`EdgePhase::ALL`].
    pub phases: [PhaseTiming; 6],
    /// The kernel's round-trip time to the client at the end of each request whose source tells it:
    /// the client's side by itself, whatever was sent.
    pub client_rtt: Timing,
    /// Requests by status code; 0 where none was sent.
    pub codes: BTreeMap<u16, u64>,
    /// Bytes sent to clients.
    pub bytes_out: u64,
    /// Bytes received from clients.
    pub bytes_in: u64,
    /// Requests whose client left before the end.
    pub client_aborted: u64,
    /// Requests the balancer answered by itself.
    pub local: u64,
    /// Connection attempts beyond each request's first.
    pub retries: u64,
    /// Requests that another server than the first one answered.
    pub redispatched: u64,
    /// Attempts that failed here before another server was tried.
    pub failed_attempts: u64,
    /// Of a row of [`OTHER`] routes, networks or prefixes: how many requests of any one key that is
    /// told apart elsewhere may be in here. 0 where all found a place at once.
    pub hidden_at_most: u64,
    /// Of a row of a route, network or prefix: by how many requests fewer than its row of
    /// [`OTHER`] says it may have missed. Both add up over rows, so that
    /// [`Self::missed_at_most`] is true of any sum.
    pub spared: u64,
    /// Requests of each second of the window, oldest first; empty once windows of different time
    /// are merged.
    pub by_second: Vec<u32>,
    /// The most requests of any one second.
    pub peak_per_s: u32,
}

impl Totals {
    /// How many requests of this key may be in its row of [`OTHER`]: the one with the same key but
    /// for route, network or prefix, added up over the same rows; `None` where there is none.
    pub fn missed_at_most(&self, other: Option<&Self>) -> u64 {
        other.map_or(0, |other| other.hidden_at_most.saturating_sub(self.spared))
    }

    /// One phase.
    pub const fn phase(&self, phase: EdgePhase) -> &PhaseTiming {
        &self.phases[phase as usize]
    }
}

/// One key's window.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    /// The window's start: seconds since the epoch, a multiple of `span_s`.
    pub start_s: i64,
    /// The window's length in seconds: 10 as it is made, longer once rolled up.
    pub span_s: u32,
    /// What it is about.
    pub key: Key,
    /// What was counted.
    pub totals: Totals,
}
