//! What an operator writes of the evidence that is kept of a recorded interface.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use whyslow_model::Duration;
use whyslow_wire::evidence::Extent;
use whyslow_wire::evidence::slow::Thresholds;
use whyslow_wire::handshake::Phase;

use super::wire::Size;

/// When packets of a connection are written to the data directory, and how much of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Keep {
    /// A TLS handshake that takes so long is kept; 0s: however long it takes, it is not.
    pub slow: Duration,
    /// The same by phase, such as `client_think: 500ms`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub phases: BTreeMap<String, Duration>,
    /// One that takes, whole or in a phase, so often what 99 of 100 take at its server is kept,
    /// from 100 ms on; 0: it is not.
    pub times_p99: u32,
    /// SYNs without a SYN-ACK are kept.
    pub unanswered: bool,
    /// The connections of checks that failed or were slow are kept.
    pub checks: bool,
    /// For how long after it was noticed an incident goes on.
    pub after: Duration,
    /// Payload is kept too; without, handshakes whole and of what follows record headers alone.
    pub payload: bool,
    /// Bytes of one connection that are kept.
    pub connection: Size,
    /// Incidents of one cause that are kept in a minute; others are counted.
    pub rate: u32,
    /// Bytes of the data directory for evidence, all interfaces' together; the oldest goes first.
    pub quota: Size,
}

impl Default for Keep {
    fn default() -> Self {
        Self {
            slow: Duration::from_secs(1),
            phases: BTreeMap::new(),
            times_p99: 4,
            unanswered: true,
            checks: true,
            after: Duration::from_secs(2),
            payload: false,
            connection: Size(1 << 20),
            rate: 10,
            quota: Size(256 << 20),
        }
    }
}

impl Keep {
    /// Whether this is what is kept where nothing is said of it.
    pub(super) fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// From when on a handshake is slow.
    pub fn thresholds(&self) -> Thresholds {
        let phase = |name: &str| Phase::ALL.into_iter().find(|phase| phase.as_str() == name);
        let phases =
            self.phases.iter().filter_map(|(name, limit)| Some((phase(name)?, limit.std())));
        Thresholds {
            total: Some(self.slow.std()).filter(|limit| !limit.is_zero()),
            phases: phases.collect(),
            times_p99: (self.times_p99 > 0).then(|| f64::from(self.times_p99)),
        }
    }

    /// How much of a connection is kept.
    pub const fn extent(&self) -> Extent {
        Extent { connection_bytes: self.connection.0, payload: self.payload }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_out_has_its_usual_value() {
        let keep: Keep = serde_json::from_str("{}").unwrap();
        assert!(keep.is_default());
        let usual = keep.thresholds();
        assert_eq!((usual.total, usual.times_p99), (Some(Duration::from_secs(1).std()), Some(4.0)));
        let text = r#"{"slow": "0s", "times_p99": 0, "phases": {"client_think": "500ms"}}"#;
        let thresholds = serde_json::from_str::<Keep>(text).unwrap().thresholds();
        let think = (Phase::ClientThink, Duration::from_millis(500).std());
        let phases = [think].into();
        assert_eq!(thresholds, Thresholds { total: None, phases, times_p99: None });
    }
}
