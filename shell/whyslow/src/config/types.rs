//! What an operator writes. One struct is at once the configuration, its schema, its
//! documentation and the text of its errors.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use whyslow_model::{Duration, limits};
use whyslow_probe::spec::{CheckSpec, PathSpec, SecretRef};

use super::edge::EdgeSource;
use super::links::{Graphite, RemoteWrite};
use super::trigger::LogTrigger;
use super::wire::WireTap;

/// The whole configuration. Every key may be left out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(title = "whyslow configuration")]
pub struct Config {
    /// The place this process measures from.
    pub vantage: Vantage,
    /// The directory for everything that is kept; $XDG_STATE_HOME/whyslow where left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<PathBuf>,
    /// The address of the pages and the API. Beyond loopback a `token` is needed.
    pub listen: SocketAddr,
    /// What a caller must show to be let in: Authorization: Bearer, or the sign-in page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token: Option<SecretRef>,
    /// Names under which browsers reach the listener, besides its address and localhost.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub hosts: Vec<String>,
    /// How long series, and the windows of edge and wire, are kept at which resolution, finest
    /// first.
    pub retention: Vec<Retention>,
    /// Limits and lifetimes of what is stored.
    pub storage: Storage,
    /// What is watched.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub services: BTreeMap<String, Service>,
    /// Balancers' logs, which are read as they are written.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub edge: Vec<EdgeSource>,
    /// Network interfaces whose packets are held for a while and whose handshakes are followed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub wire: Vec<WireTap>,
    /// Logs in which incidents are looked for, whose packets are then kept as evidence.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub triggers: Vec<LogTrigger>,
    /// The local socket on which programs of this machine ask for packets to be kept, with the rights
    /// of its owner alone; keep.sock in the data directory where left out. It is there where an
    /// interface is recorded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keep_socket: Option<PathBuf>,
    /// Graphite's plaintext: lines of other senders taken, values of balancers' windows sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub graphite: Option<Graphite>,
    /// Receivers of what is stored here, by Prometheus remote write.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub remote_write: Vec<RemoteWrite>,
    /// Other whyslow agents, by name, that may post observations and samples here.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub agents: BTreeMap<String, Agent>,
    /// Tables that tell an address's network and country: .mmdb, or CSV of ranges.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub asn: Vec<PathBuf>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            vantage: Vantage::default(),
            data: None,
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 7070)),
            token: None,
            hosts: Vec::new(),
            retention: default_retention(),
            storage: Storage::default(),
            services: BTreeMap::new(),
            edge: Vec::new(),
            wire: Vec::new(),
            triggers: Vec::new(),
            keep_socket: None,
            graphite: None,
            remote_write: Vec::new(),
            agents: BTreeMap::new(),
            asn: Vec::new(),
        }
    }
}

fn default_retention() -> Vec<Retention> {
    let of = |resolution, keep| Retention {
        resolution: Duration::from_secs(resolution),
        keep: Duration::from_secs(keep),
    };
    const DAY: u64 = 86_400;
    vec![of(10, DAY), of(300, 30 * DAY), of(3600, 730 * DAY)]
}

/// A place that measures.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Vantage {
    /// Its name; this machine's host name where left out.
    pub name: String,
    /// Its country: two letters (ISO 3166-1).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub country: Option<String>,
    /// The number of the network it is in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub asn: Option<u32>,
    /// Words by which places are chosen, such as `inside`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
}

/// Something people use.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Service {
    /// Who looks after it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// The machines that answer for it, by name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub servers: BTreeMap<String, Server>,
    /// The ways into it, by name. Without any, checks go the ordinary way, called `direct`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub paths: BTreeMap<String, PathSpec>,
    /// What is measured.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub checks: Vec<CheckSpec>,
}

/// One machine, under all the names by which the planes meet it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Server {
    /// The balancer's backend it belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backend: Option<String>,
    /// Its host name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// The addresses at which it answers, each `IP` or `IP:PORT`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub addresses: Vec<whyslow_probe::spec::HostPort>,
    /// What the balancer's log calls it, each `backend/server`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub edge_names: Vec<String>,
}

/// Another whyslow that sends what it sees.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Agent {
    /// What it shows as bearer token.
    pub token: SecretRef,
}

/// Limits and lifetimes of what is stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Storage {
    /// Active series kept; one more is refused and counted.
    pub series_max: usize,
    /// How far behind a series' newest sample a late one may be.
    pub out_of_order: Duration,
    /// How long observations are kept.
    pub observations: Duration,
    /// How long transcripts of slow and failed runs are kept.
    pub transcripts: Duration,
    /// How long the documents of runs that were fine are kept.
    pub runs: Duration,
}

impl Default for Storage {
    fn default() -> Self {
        let days = |n: u64| Duration::from_secs(n * 86_400);
        Self {
            series_max: limits::SERIES_MAX,
            out_of_order: limits::OUT_OF_ORDER_WINDOW.into(),
            observations: days(90),
            transcripts: days(30),
            runs: days(2),
        }
    }
}

/// One step of retention, written `RESOLUTION:KEPT`, as in `5m:30d`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// The distance between two points.
    pub resolution: Duration,
    /// How long points of this resolution are kept.
    pub keep: Duration,
}

/// A text that is no step of retention.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not RESOLUTION:KEPT, such as 5m:30d")]
pub struct NotARetention(String);

impl FromStr for Retention {
    type Err = NotARetention;

    fn from_str(text: &str) -> Result<Self, NotARetention> {
        let refused = || NotARetention(text.chars().take(40).collect());
        let (resolution, keep) = text.split_once(':').ok_or_else(refused)?;
        let read = |part: &str| part.parse::<Duration>().map_err(|_| refused());
        Ok(Self { resolution: read(resolution)?, keep: read(keep)? })
    }
}

impl fmt::Display for Retention {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.resolution, self.keep)
    }
}

impl Serialize for Retention {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Retention {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        String::deserialize(d)?.parse().map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for Retention {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        Cow::Borrowed("Retention")
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "pattern": "^[0-9.]+[a-z]+:[0-9.]+[a-z]+$",
            "examples": ["10s:24h", "5m:30d", "1h:2y"],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_configuration_is_the_default_one() {
        let config: Config = serde_json::from_str("{}").unwrap();
        assert_eq!(config, Config::default());
        assert_eq!(config.listen.to_string(), "127.0.0.1:7070");
        let steps: Vec<String> = config.retention.iter().map(ToString::to_string).collect();
        assert_eq!(steps, ["10s:24h", "5m:30d", "1h:730d"]);
    }

    #[test]
    fn what_is_written_is_read_back() {
        let text = r#"{"vantage": {"name": "lon1", "country": "GB", "asn": 64500, "tags": ["inside"]},
            "services": {"shop": {"owner": "web",
                "servers": {"web1": {"backend": "app", "host": "web1.lan",
                    "addresses": ["10.0.0.5:443"], "edge_names": ["app/web1"]}},
                "paths": {"cdn": {}, "web1": {"connect_to": "10.0.0.5:443", "server": "web1"}},
                "checks": [{"name": "home", "kind": "http", "target": "https://shop.example/"}]}}}"#;
        let config: Config = serde_json::from_str(text).unwrap();
        let written = serde_json::to_string(&config).unwrap();
        assert_eq!(serde_json::from_str::<Config>(&written).unwrap(), config);
    }

    #[test]
    fn a_step_of_retention_needs_both_halves() {
        for text in ["5m", "5m:", ":30d", "5:30", "a:b"] {
            assert!(text.parse::<Retention>().is_err(), "{text}");
        }
    }
}
