//! What an operator writes of when a handshake is slow.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use whyslow_model::Duration;
use whyslow_wire::anatomy::{Judge, SLOW};

/// From when on a handshake is slow: then it is blamed on somebody, counted as slow and kept by
/// itself. 0s: by that it is never.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Slow {
    /// As a whole.
    pub total: Duration,
    /// The server's part of it, however short the whole is.
    pub server: Duration,
    /// The network's part.
    pub network: Duration,
    /// The client's part.
    pub client: Duration,
    /// By how often it is what 99 of 100 take at its server, as a whole or in somebody's part, from
    /// 100 ms on; 0: what is usual is not looked at.
    pub times_p99: u32,
}

impl Default for Slow {
    fn default() -> Self {
        let never = Duration::from_millis(0);
        let total = Duration::from_millis(u64::try_from(SLOW.as_millis()).unwrap_or(u64::MAX));
        Self { total, server: never, network: never, client: never, times_p99: 0 }
    }
}

impl Slow {
    /// Whether this is what holds where nothing is said of it.
    pub(super) fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// What openings are judged by, and by how often the usual.
    pub fn judge(&self) -> (Judge, Option<f64>) {
        let limit = |limit: Duration| Some(limit.std()).filter(|limit| !limit.is_zero());
        let judge = Judge {
            slow: limit(self.total).unwrap_or(std::time::Duration::MAX),
            server: limit(self.server),
            network: limit(self.network),
            client: limit(self.client),
            ..Judge::default()
        };
        (judge, (self.times_p99 > 0).then(|| f64::from(self.times_p99)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_out_has_its_usual_value() {
        let slow: Slow = serde_json::from_str("{}").unwrap();
        assert!(slow.is_default());
        assert_eq!(slow.judge(), (Judge::default(), None));
        let text = r#"{"total": "0s", "client": "400ms", "times_p99": 4}"#;
        let (judge, times) = serde_json::from_str::<Slow>(text).unwrap().judge();
        let client = Some(std::time::Duration::from_millis(400));
        let wanted = Judge { slow: std::time::Duration::MAX, client, ..Judge::default() };
        assert_eq!((judge, times), (wanted, Some(4.0)));
    }
}
