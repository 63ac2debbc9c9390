//! What is sent to, and taken from, other systems.

use std::borrow::Cow;
use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use url::Url;
use whyslow_model::matcher::Matcher;
use whyslow_probe::spec::{HostPort, SecretRef};

use super::edge::{Network, text};
use crate::edge_out::Template;

/// Graphite's plaintext: lines taken, and lines sent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Graphite {
    /// Where lines of other senders are taken, over TCP; nowhere where left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub listen: Option<SocketAddr>,
    /// Networks that may send lines; only this machine where left out.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub from: Vec<Network>,
    /// A Graphite that gets the values of balancers' windows; port 2003 where none is named.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub send_to: Option<HostPort>,
    /// How those values are called. A node whose field is not told apart is left out.
    pub template: Template,
    /// Whether the same values are kept here too, so that dashboards made for Graphite find them;
    /// some minutes after their window, when it cannot change any more.
    pub keep: bool,
}

/// A receiver of stored samples by Prometheus remote write.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RemoteWrite {
    /// Where requests are posted.
    pub url: RemoteUrl,
    /// What is shown as bearer token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<SecretRef>,
    /// Which series are sent: those that any of these selectors finds; all where left out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub select: Vec<Selector>,
    /// Room in the data directory for samples that wait while the receiver is away, in MiB, beyond
    /// those of the last hours, which are there anyway; the oldest go first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue_mib: Option<u32>,
}

/// MiB that wait where nothing else is said: some thirty million samples.
const QUEUE_MIB: u32 = 256;

impl RemoteWrite {
    /// Bytes of samples that may wait.
    pub fn queue_bytes(&self) -> u64 {
        u64::from(self.queue_mib.unwrap_or(QUEUE_MIB)) << 20
    }
}

/// An `http` or `https` address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemoteUrl(pub Url);

/// A text that is no such address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "'{0}' is not an address to write to; write http://HOST:PORT/api/v1/write, and a token as \
         `token: {{file: …}}`"
)]
pub struct NotAUrl(String);

impl RemoteUrl {
    /// The address without its query, in which secrets may stand.
    pub fn shown(&self) -> String {
        let mut url = self.0.clone();
        url.set_query(None);
        url.to_string()
    }
}

impl FromStr for RemoteUrl {
    type Err = NotAUrl;

    fn from_str(text: &str) -> Result<Self, NotAUrl> {
        let refused =
            || NotAUrl(text.split('@').next_back().unwrap_or("").chars().take(80).collect());
        let url: Url = text.parse().map_err(|_| refused())?;
        let sound = matches!(url.scheme(), "http" | "https")
            && url.host_str().is_some()
            && url.username().is_empty()
            && url.password().is_none();
        if sound { Ok(Self(url)) } else { Err(refused()) }
    }
}

impl fmt::Display for RemoteUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A selector of series as PromQL writes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selector(String);

/// A text that selects no series.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "'{text}' selects no series: {why}; write a selector such as {{__name__=~\"whyslow_edge_.*\"}}"
)]
pub struct NotASelector {
    text: String,
    why: String,
}

impl Selector {
    /// The conditions.
    pub fn matchers(&self) -> Vec<Matcher> {
        // It was read once when the configuration was.
        whyslow_promql::parse_selector(&self.0).unwrap_or_default()
    }
}

impl FromStr for Selector {
    type Err = NotASelector;

    fn from_str(text: &str) -> Result<Self, NotASelector> {
        match whyslow_promql::parse_selector(text) {
            Ok(_) => Ok(Self(text.to_owned())),
            Err(error) => Err(NotASelector {
                text: text.chars().take(80).collect(),
                why: error.to_string().replace(';', ","),
            }),
        }
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

text! {
    Template: {
        "type": "string",
        "examples": ["edge.<vip>.<backend>.<server>.<route>.<metric>", "lb.<source>.<vip>.<metric>"],
    },
    RemoteUrl: {
        "type": "string",
        "examples": ["http://prometheus.lan:9090/api/v1/write"],
    },
    Selector: {
        "type": "string",
        "examples": ["{__name__=~\"whyslow_edge_.*\"}", "probe_success{service=\"shop\"}"],
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_with_a_secret_in_it_is_refused_and_not_shown() {
        let error = "http://user:hunter2@x/write".parse::<RemoteUrl>().unwrap_err().to_string();
        assert!(!error.contains("hunter2"), "{error}");
        for bad in ["x", "ftp://a/b", "http:", ""] {
            assert!(bad.parse::<RemoteUrl>().is_err(), "{bad}");
        }
        let url: RemoteUrl = "https://a/w?key=hunter2".parse().unwrap();
        assert_eq!(url.shown(), "https://a/w");
    }

    #[test]
    fn a_selector_is_read_as_promql_reads_it() {
        let selector: Selector = "up{job=~\"a|b\"}".parse().unwrap();
        assert_eq!(selector.matchers().len(), 2);
        assert!("rate(up[5m])".parse::<Selector>().is_err());
    }
}
