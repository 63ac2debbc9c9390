//! What is kept of single events, read back from their documents: elements of `whyslow.wire/1`.

use std::collections::BTreeMap;

use serde::Deserialize;
use whyslow_model::Wall;

/// A handshake.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
#[expect(missing_docs, reason = "the contract's own words")]
pub struct Handshake {
    pub sni: Option<String>,
    pub alpn: Vec<String>,
    pub ja4: Option<String>,
    pub version: Option<String>,
    pub resumed: Option<bool>,
    pub retry: bool,
    pub early_data: bool,
    pub client_auth: Option<bool>,
    pub outcome: String,
    pub phases_ms: BTreeMap<String, Option<f64>>,
    pub total_ms: f64,
    pub shares: Shares,
    pub blame: String,
    pub bounds_ms: BTreeMap<String, Option<(f64, f64)>>,
    pub rtt_ref_ms: Option<f64>,
    pub estimated: bool,
    pub vantage_point: String,
    pub drops: u64,
    pub incomplete: Vec<String>,
    pub evidence: Vec<String>,
}

/// Whose time it was, 0 to 1 each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
#[expect(missing_docs, reason = "the contract's own words")]
pub struct Shares {
    pub server: f64,
    pub network: f64,
    pub client: f64,
    pub unknown: f64,
}

/// SYNs without an answer.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
#[expect(missing_docs, reason = "the contract's own words")]
pub struct Unanswered {
    pub last: Option<Wall>,
    pub retries: u32,
    pub answered: Option<Wall>,
}

/// A connection's end that no log may show.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
#[expect(missing_docs, reason = "the contract's own words")]
pub struct Ending {
    pub kind: String,
    pub reset: bool,
    pub by: String,
    pub phase: String,
    pub client_bytes: u64,
    pub server_bytes: u64,
}

/// Reads a document; `None` of one that was damaged.
pub fn read<T: for<'a> Deserialize<'a>>(document: &str) -> Option<T> {
    serde_json::from_str(document).ok()
}
