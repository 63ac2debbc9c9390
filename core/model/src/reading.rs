//! What a detector says of one cell of the world in one window, also when all is normal, and what
//! it says when abnormal readings persist.

use serde::{Deserialize, Serialize};

use crate::observation::{Cohort, Evidence, Locus};
use crate::segment::Segment;
use crate::time::Wall;

/// What a reading found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Looked, and all is as it should be. Only this clears a suspect.
    Normal,
    /// Looked, and it is not.
    Abnormal,
    /// Looked, at too little to tell.
    TooFew,
    /// Could not look.
    Blind,
}

/// What a reading was measured against.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Against {
    /// Others of its kind at the same time.
    Peers,
    /// Its own past.
    Past,
    /// Another way into the same service.
    Path,
}

/// One side of a contrast.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stat {
    /// How many events it rests on.
    pub n: u64,
    /// How many of them were bad; absent where the contrast is of a size, not of a share.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bad: Option<u64>,
    /// The middle, in `unit`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub median: Option<f64>,
    /// The lower end of the 95 % interval of the middle (or of the share).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lo95: Option<f64>,
    /// The upper end of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hi95: Option<f64>,
    /// The unit of the figures: `ms`, `share`, `per_s`.
    pub unit: String,
}

/// What one detector says of one cell in one window.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reading {
    /// The detector's name, from its plane's own list (`edge_server_slower_than_twins`).
    pub code: String,
    /// Who was served.
    pub cohort: Cohort,
    /// What it is about.
    pub locus: Locus,
    /// The window's start, inclusive.
    pub from: Wall,
    /// The window's end, exclusive.
    pub to: Wall,
    /// What was found.
    pub status: Status,
    /// This cell.
    pub here: Stat,
    /// What it was held against.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub there: Option<Stat>,
    /// What kind of thing `there` is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub against: Option<Against>,
    /// The share, 0 to 1, of what happened that the data holds; `None` (`null`) where nobody can
    /// tell. Only what is told can clear a suspect.
    #[serde(default)]
    pub completeness: Option<f64>,
    /// Proof.
    #[serde(default)]
    pub evidence: Vec<Evidence>,
}

/// Abnormal readings that persisted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Finding {
    /// Names the finding: a hash of code, cohort, locus and opening.
    pub id: String,
    /// The detector's name.
    pub code: String,
    /// Who was served.
    pub cohort: Cohort,
    /// What it is about.
    pub locus: Locus,
    /// When the first of its readings began.
    pub opened: Wall,
    /// When the last one ended; absent while it goes on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closed: Option<Wall>,
    /// How many abnormal readings it rests on.
    pub readings: u64,
    /// The parts of the world that can explain it.
    pub implicates: Vec<Segment>,
    /// The finding as a sentence.
    pub text: String,
    /// Proof.
    #[serde(default)]
    pub evidence: Vec<Evidence>,
}
