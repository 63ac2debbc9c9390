//! The sentence that a plane's page opens with.

use super::standing::State;

/// What stands above everything else.
#[derive(Clone, Debug, PartialEq)]
pub struct Lead {
    /// The state.
    pub state: State,
    /// Since when, of a finding.
    pub since_ms: Option<i64>,
    /// The service it is about, where a finding names one.
    pub service: Option<String>,
    /// The sentence.
    pub sentence: String,
    /// What else has to be known.
    pub more: Vec<String>,
}
