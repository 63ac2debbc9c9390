//! What an operator writes about a check and about a path. One struct is at once the
//! configuration, its schema, its documentation and the text of its errors.

use std::collections::BTreeMap;
use std::net::IpAddr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use whyslow_model::Duration;

pub use crate::expect::{BodyRule, Expect, JsonRule, Match, Pattern, StatusSet};
pub use crate::target::{
    HostPort, NotATarget, NotAnAddress, Target, parse_target, parse_target_of,
};

/// How often a check runs where nothing is said.
pub const EVERY: Duration = Duration::from_secs(15);
/// How long a run may take where nothing is said.
pub const TIMEOUT: Duration = Duration::from_secs(5);

/// A kind of check.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// One request over HTTP or HTTPS, redirects followed.
    Http,
    /// A TLS handshake and the certificate shown in it.
    Tls,
    /// A TCP handshake.
    Tcp,
    /// One question to a name server.
    Dns,
    /// A round of ICMP echoes.
    Ping,
}

impl Kind {
    /// The kind's name in configuration, API and pages.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Tls => "tls",
            Self::Tcp => "tcp",
            Self::Dns => "dns",
            Self::Ping => "ping",
        }
    }
}

/// One active measurement: what, how often, what counts as slow or failed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CheckSpec {
    /// The check's name within its service: letters, digits, `-`, `_` and `.`.
    pub name: String,
    /// The kind of check.
    pub kind: Kind,
    /// What it aims at: a URL, `HOST:PORT`, or `NAME[@SERVER]` for dns. `kind:` may stand before it.
    pub target: String,
    /// The service's paths on which it runs; all of them where left out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub paths: Vec<String>,
    /// How often it runs.
    #[serde(default = "default_every")]
    pub every: Duration,
    /// Above this total a run that worked is slow; nothing is slow where left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warn: Option<Duration>,
    /// Above this total a run has failed.
    #[serde(default = "default_timeout")]
    pub timeout: Duration,
    /// Limits for single phases, within `timeout`.
    #[serde(default, skip_serializing_if = "PhaseTimeouts::is_empty")]
    pub timeouts: PhaseTimeouts,

    /// Connect to this address or name instead of the target's; name, SNI and Host stay.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connect_to: Option<HostPort>,
    /// Ask this name server, `IP` or `IP:PORT`, instead of the machine's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resolver: Option<HostPort>,
    /// The name in the Host header (HTTP/2: `:authority`), instead of the target's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// The name asked for in TLS and expected in the certificate, instead of the target's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sni: Option<String>,
    /// The local address to connect from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<IpAddr>,
    /// Which addresses of the name may be used.
    #[serde(default, skip_serializing_if = "Family::is_any")]
    pub family: Family,
    /// Whether one address of the name is measured, or each in turn.
    #[serde(default, skip_serializing_if = "Addresses::is_one")]
    pub addresses: Addresses,

    /// Certificates to trust instead of the built-in and the machine's: a PEM file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<String>,
    /// The certificate we show.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_certificate: Option<ClientCertificate>,
    /// Go on with a certificate that is not trusted; what is wrong with it is still reported.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub insecure: bool,

    /// The request's method; GET where left out, POST where there is a body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// Header fields to send; a value may be `{file: …}` or `{env: …}`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, Text>,
    /// The request's body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<Text>,
    /// Credentials, by reference.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth: Option<Auth>,
    /// Whether redirects are followed, up to 10 of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub follow_redirects: Option<bool>,
    /// Which HTTP is spoken; where left out, what the server chooses by ALPN.
    #[serde(default, skip_serializing_if = "HttpVersion::is_auto")]
    pub http_version: HttpVersion,
    /// Bytes of the answer's body that are read; more is a failure. 4 MiB where left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body_bytes_max: Option<u64>,

    /// The record type asked for, such as `A`, `AAAA`, `MX`, `TXT`; `A` where left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub record: Option<String>,
    /// How the name server is asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transport: Option<DnsTransport>,

    /// Packets in one round of ping, 1 to 100; 5 where left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub packets: Option<u16>,
    /// Time between two packets of a round; 200ms where left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spacing: Option<Duration>,
    /// Bytes of an echo's payload; 56 where left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payload_bytes: Option<u16>,

    /// What the answer must be.
    #[serde(default, skip_serializing_if = "Expect::is_default")]
    pub expect: Expect,
}

const fn default_every() -> Duration {
    EVERY
}

const fn default_timeout() -> Duration {
    TIMEOUT
}

impl CheckSpec {
    /// A check of `target`, everything else as where nothing is said.
    pub fn of(name: &str, target: &Target) -> Self {
        let typed =
            if let Target::Http(url) = target { url.as_str().to_owned() } else { target.shown() };
        Self {
            name: name.to_owned(),
            kind: target.kind(),
            target: typed,
            paths: Vec::new(),
            every: EVERY,
            warn: None,
            timeout: TIMEOUT,
            timeouts: PhaseTimeouts::default(),
            connect_to: None,
            resolver: None,
            host: None,
            sni: None,
            source: None,
            family: Family::default(),
            addresses: Addresses::default(),
            ca_file: None,
            client_certificate: None,
            insecure: false,
            method: None,
            headers: BTreeMap::new(),
            body: None,
            auth: None,
            follow_redirects: None,
            http_version: HttpVersion::default(),
            body_bytes_max: None,
            record: None,
            transport: None,
            packets: None,
            spacing: None,
            payload_bytes: None,
            expect: Expect::default(),
        }
    }

    /// The target, read.
    pub fn parsed_target(&self) -> Result<Target, NotATarget> {
        parse_target_of(self.kind, &self.target)
    }

    /// The check as it runs on one path: what the path says wins, since it is the way in.
    pub fn on_path(&self, path: &PathSpec) -> Self {
        let mut on = self.clone();
        on.connect_to = path.connect_to.clone().or(on.connect_to);
        on.resolver = path.resolver.clone().or(on.resolver);
        on.host = path.host.clone().or(on.host);
        on.sni = path.sni.clone().or(on.sni);
        on.source = path.source.or(on.source);
        on.ca_file = path.ca_file.clone().or(on.ca_file);
        on.insecure |= path.insecure;
        if path.family != Family::Any {
            on.family = path.family;
        }
        on
    }

    /// Every secret the check refers to; the shell reads them before a run.
    pub fn secrets(&self) -> Vec<&SecretRef> {
        let mut all: Vec<&SecretRef> = self.headers.values().filter_map(Text::secret).collect();
        all.extend(self.body.as_ref().and_then(Text::secret));
        match &self.auth {
            Some(Auth::Basic(basic)) => all.push(&basic.password),
            Some(Auth::Bearer(token)) => all.push(token),
            None => {}
        }
        all
    }
}

/// One way into a service. What is said here overrides the check that runs on it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PathSpec {
    /// Connect to this address or name instead of the target's; name, SNI and Host stay.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connect_to: Option<HostPort>,
    /// The service's server at the path's end, so that facts of other planes can be joined.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server: Option<String>,
    /// Ask this name server, `IP` or `IP:PORT`, instead of the machine's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resolver: Option<HostPort>,
    /// The name in the Host header (HTTP/2: `:authority`), instead of the target's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// The name asked for in TLS and expected in the certificate, instead of the target's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sni: Option<String>,
    /// The local address to connect from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<IpAddr>,
    /// Which addresses of the name may be used.
    #[serde(default, skip_serializing_if = "Family::is_any")]
    pub family: Family,
    /// Certificates to trust instead of the built-in and the machine's: a PEM file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<String>,
    /// Go on with a certificate that is not trusted; what is wrong with it is still reported.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub insecure: bool,
}

/// Limits for single phases; one left out is bounded by the check's `timeout` alone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PhaseTimeouts {
    /// Turning the name into addresses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resolve: Option<Duration>,
    /// The TCP handshake.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connect: Option<Duration>,
    /// The TLS handshake.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<Duration>,
    /// Handing the request over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub send: Option<Duration>,
    /// Until the answer's first byte.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait: Option<Duration>,
    /// From the answer's first byte to its last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub receive: Option<Duration>,
}

impl PhaseTimeouts {
    /// Whether nothing is limited.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The limit of one phase.
    pub const fn of(&self, phase: whyslow_model::Phase) -> Option<Duration> {
        use whyslow_model::Phase;
        match phase {
            Phase::Resolve => self.resolve,
            Phase::Connect => self.connect,
            Phase::Tls => self.tls,
            Phase::Send => self.send,
            Phase::Wait => self.wait,
            Phase::Receive => self.receive,
        }
    }
}

/// Which addresses of a name may be used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Family {
    /// Both; the first to answer is used (RFC 8305).
    #[default]
    Any,
    /// IPv4 only.
    Ipv4,
    /// IPv6 only.
    Ipv6,
}

impl Family {
    /// Whether both families may be used.
    pub fn is_any(&self) -> bool {
        *self == Self::Any
    }

    /// Whether `ip` may be used.
    pub const fn allows(self, ip: IpAddr) -> bool {
        match self {
            Self::Any => true,
            Self::Ipv4 => ip.is_ipv4(),
            Self::Ipv6 => ip.is_ipv6(),
        }
    }
}

/// Whether one address of a name is measured, or each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Addresses {
    /// The first that answers.
    #[default]
    One,
    /// Each in turn, one exchange per address; the run fails where one does.
    All,
}

impl Addresses {
    /// Whether a single address is measured.
    pub fn is_one(&self) -> bool {
        *self == Self::One
    }
}

/// Which HTTP is spoken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum HttpVersion {
    /// HTTP/2 where the server offers it by ALPN, HTTP/1.1 otherwise.
    #[default]
    #[serde(rename = "auto")]
    Auto,
    /// HTTP/1.1 only.
    #[serde(rename = "1.1")]
    Http11,
    /// HTTP/2 only; without TLS by prior knowledge (RFC 9113 section 3.3).
    #[serde(rename = "2")]
    Http2,
}

impl HttpVersion {
    /// Whether the server may choose.
    pub fn is_auto(&self) -> bool {
        *self == Self::Auto
    }
}

/// How a name server is asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum DnsTransport {
    /// UDP, and TCP where the answer is cut short (RFC 7766).
    #[default]
    Udp,
    /// TCP only.
    Tcp,
}

/// Where a secret is kept. The value itself never stands in a configuration.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "lowercase")]
pub enum SecretRef {
    /// A file; one line break at its end is dropped.
    File(String),
    /// An environment variable.
    Env(String),
}

/// A text that stands here, or where a secret is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Text {
    /// The text.
    Plain(String),
    /// Where it is kept.
    Secret(SecretRef),
}

impl Text {
    /// Where the text is kept, unless it stands here.
    pub const fn secret(&self) -> Option<&SecretRef> {
        match self {
            Self::Plain(_) => None,
            Self::Secret(at) => Some(at),
        }
    }
}

/// Credentials sent with each request to the target's own origin.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "lowercase")]
pub enum Auth {
    /// User and password (RFC 7617).
    Basic(Basic),
    /// A token (RFC 6750).
    Bearer(SecretRef),
}

/// User and password.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Basic {
    /// The user's name.
    pub user: String,
    /// Where the password is kept.
    pub password: SecretRef,
}

/// The certificate we show to a server that asks for one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ClientCertificate {
    /// A PEM file with our certificate and those that lead to its issuer.
    pub certificate: String,
    /// A PEM file with its private key.
    pub key: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_check_is_read_as_the_contract_writes_it() {
        let text = r#"{"name": "home", "kind": "http", "target": "https://shop.example/",
            "paths": ["cdn", "web1"], "every": "15s", "warn": "2s", "timeout": "5s",
            "headers": {"X-Key": {"env": "SHOP_KEY"}, "Accept": "text/html"},
            "auth": {"basic": {"user": "me", "password": {"file": "/run/pw"}}},
            "expect": {"status": [200, "3xx"], "body": "welcome", "headers": {"server": {"regex": "ng"}},
                       "json": [{"path": "$.ok", "equals": true}]}}"#;
        let check: CheckSpec = serde_json::from_str(text).expect("the contract's example");
        assert_eq!(check.warn, Some(Duration::from_secs(2)));
        let secrets = [SecretRef::Env("SHOP_KEY".into()), SecretRef::File("/run/pw".into())];
        assert_eq!(check.secrets(), secrets.iter().collect::<Vec<_>>());
        let written = serde_json::to_string(&check).expect("a check is plain data");
        assert_eq!(serde_json::from_str::<CheckSpec>(&written).expect("read back"), check);
    }

    #[test]
    fn an_unknown_key_is_refused() {
        let text = r#"{"name": "a", "kind": "tcp", "target": "a:1", "tiemout": "5s"}"#;
        let refused = serde_json::from_str::<CheckSpec>(text).expect_err("a misspelt key");
        assert!(refused.to_string().contains("tiemout"), "{refused}");
    }

    #[test]
    fn a_path_overrides_the_check_that_runs_on_it() {
        let target = parse_target("https://shop.example/?key=1").expect("a URL");
        let mut check = CheckSpec::of("home", &target);
        check.sni = Some("kept.example".to_owned());
        let path: PathSpec =
            serde_json::from_str(r#"{"connect_to": "10.0.0.5:443", "server": "web1"}"#)
                .expect("a path");
        let on = check.on_path(&path);
        assert_eq!(on.connect_to.map(|a| a.to_string()), Some("10.0.0.5:443".to_owned()));
        assert_eq!(on.sni.as_deref(), Some("kept.example"));
        assert_eq!(on.target, "https://shop.example/?key=1");
    }
}
