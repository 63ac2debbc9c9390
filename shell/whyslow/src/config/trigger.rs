//! What an operator writes of a log in which incidents are looked for.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use whyslow_model::Duration;
use whyslow_wire::evidence::Trigger;

use super::edge::{Input, Zone};

/// A log whose lines tell of connections that went wrong: their packets are kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LogTrigger {
    /// Its name, the `trigger` of its figures.
    pub name: String,
    /// The log: file:PATH, whose last part may hold `*` and `?`, or journald:UNIT.
    pub input: Input,
    /// Of a journal only entries with these values in these fields, such as PRIORITY: "4".
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub fields: BTreeMap<String, String>,
    /// What a line must match. Its groups client_ip (needed), client_port, server_ip and
    /// server_port say whose connection it was; duration_ms, duration_s or duration_us how long it
    /// took; began and ended when, where the line says it.
    pub regex: String,
    /// Lines with a shorter duration are left alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slow: Option<Duration>,
    /// The cause under which incidents are counted and limited; log where left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
    /// How long before its beginning and after its end packets still belong to an incident.
    #[serde(default = "usual_window", skip_serializing_if = "is_usual_window")]
    pub window: Duration,
    /// The interface it is looked for on; all that are recorded where left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interface: Option<String>,
    /// The time zone of dates that name none: local, UTC, +02:00, or a name such as Europe/Paris.
    #[serde(default, skip_serializing_if = "is_local")]
    pub time_zone: Zone,
}

impl LogTrigger {
    /// The cause under which its incidents are counted.
    pub fn cause(&self) -> &str {
        self.cause.as_deref().unwrap_or(Trigger::Log.as_str())
    }
}

const fn usual_window() -> Duration {
    Duration::from_secs(5)
}

fn is_usual_window(window: &Duration) -> bool {
    *window == usual_window()
}

fn is_local(zone: &Zone) -> bool {
    *zone == Zone::Local
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_out_has_its_usual_value() {
        let text = r#"{"name":"slow","input":"journald:lb.service","regex":"(?<client_ip>.*)"}"#;
        let trigger: LogTrigger = serde_json::from_str(text).unwrap();
        assert_eq!((trigger.cause(), trigger.window), ("log", Duration::from_secs(5)));
        assert_eq!(serde_json::to_string(&trigger).unwrap(), text);
    }
}
