//! One fact from one agent, in the shape in which agents post it and the store keeps it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::phase::Phase;
use crate::time::Wall;

/// Where a fact was seen from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Plane {
    /// Active measurements from outside or inside.
    Probe,
    /// The balancer's request log.
    Edge,
    /// Packets.
    Wire,
    /// Kernel counters and processes.
    Host,
    /// A change somebody made and wrote down.
    Mark,
}

/// Who was measured or served. An absent field means "not told apart by this".
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the contract's own words")]
pub struct Cohort {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub check: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vantage: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub country: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asn: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rdns: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<Phase>,
}

/// What in the world a fact is about, or what is at fault.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the contract's own words")]
pub struct Locus {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asn: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vantage: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resolver: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cdn: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub edge: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backend: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub route: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hop: Option<u8>,
}

/// What kind of proof an [`Evidence`] points at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EvidenceKind {
    /// The transcript of one run of a check.
    Run,
    /// A path trace.
    Trace,
    /// Log rows.
    Rows,
    /// Packets.
    Pcapng,
    /// A stored series.
    Series,
    /// A mark.
    Mark,
}

/// A pointer to proof.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Evidence {
    /// What it points at.
    pub kind: EvidenceKind,
    /// Its name in whyslow's own store.
    #[serde(rename = "ref")]
    pub reference: String,
    /// When what it shows began.
    pub from: Wall,
    /// When what it shows ended.
    pub to: Wall,
}

/// A stretch of time in which the agent saw nothing, or less than all.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gap {
    /// When sight was lost.
    pub from: Wall,
    /// When it came back.
    pub to: Wall,
    /// How many events are known to be missing; absent where nobody can tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lost: Option<u64>,
    /// Why.
    pub reason: String,
}

/// One fact from one agent. Sending it twice is the same as sending it once.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Observation {
    /// Names the fact; a second one with the same id is the same fact.
    pub id: String,
    /// When it was seen, by the agent's clock.
    pub at: Wall,
    /// The most by which the agent's clock may be wrong, in milliseconds; absent: unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clock_error_ms: Option<f64>,
    /// Where it was seen from.
    pub plane: Plane,
    /// Who saw it.
    pub agent: String,
    /// Who was measured or served.
    #[serde(default)]
    pub cohort: Cohort,
    /// What it is about.
    #[serde(default)]
    pub locus: Locus,
    /// Figures, each name ending in its unit (`total_ms`).
    #[serde(default)]
    pub values: BTreeMap<String, f64>,
    /// Words that are no figures (`outcome`, `code`, a mark's `text`).
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub words: BTreeMap<String, String>,
    /// Proof.
    #[serde(default)]
    pub evidence: Vec<Evidence>,
    /// What was not seen.
    #[serde(default)]
    pub gaps: Vec<Gap>,
}
