//! What a check aims at, as typed: a URL, `dns:NAME[@SERVER]`, `tcp:HOST:PORT`, `tls:HOST:PORT`
//! or `ping:HOST`.

use std::borrow::Cow;
use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use url::Url;

use crate::spec::Kind;

/// Bytes of one host name, as DNS has it (RFC 1035 section 2.3.4), the root dot not counted.
const NAME_BYTES_MAX: usize = 253;

/// What a check aims at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// `https://…` or `http://…`.
    Http(Url),
    /// `tls:HOST:PORT`; the port is 443 where none is given.
    Tls {
        /// Name or address.
        host: String,
        /// The TCP port.
        port: u16,
    },
    /// `tcp:HOST:PORT`.
    Tcp {
        /// Name or address.
        host: String,
        /// The TCP port.
        port: u16,
    },
    /// `dns:NAME[@SERVER]`.
    Dns {
        /// The name asked for.
        name: String,
        /// The server asked; the machine's own resolver where absent.
        server: Option<HostPort>,
    },
    /// `ping:HOST`.
    Ping {
        /// Name or address.
        host: String,
    },
}

impl Target {
    /// The check kind that measures it.
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Http(_) => Kind::Http,
            Self::Tls { .. } => Kind::Tls,
            Self::Tcp { .. } => Kind::Tcp,
            Self::Dns { .. } => Kind::Dns,
            Self::Ping { .. } => Kind::Ping,
        }
    }

    /// The target in the form in which it can be typed, query values removed.
    pub fn shown(&self) -> String {
        match self {
            Self::Http(url) => crate::redact::url(url),
            Self::Tls { host, port } => format!("tls:{}", joined(host, *port)),
            Self::Tcp { host, port } => format!("tcp:{}", joined(host, *port)),
            Self::Dns { name, server: None } => format!("dns:{name}"),
            Self::Dns { name, server: Some(server) } => format!("dns:{name}@{server}"),
            Self::Ping { host } => format!("ping:{host}"),
        }
    }
}

/// A text that is no target.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what}")]
pub struct NotATarget {
    /// What is wrong with it.
    pub what: String,
    /// What to write instead.
    pub hint: String,
}

/// Reads a target as typed on the command line, its kind told by its scheme.
pub fn parse_target(text: &str) -> Result<Target, NotATarget> {
    let text = text.trim();
    let Some((scheme, rest)) = text.split_once(':') else {
        return Err(bare(text));
    };
    match scheme.to_ascii_lowercase().as_str() {
        "http" | "https" => http(text),
        "tls" => of_kind(Kind::Tls, rest),
        "tcp" => of_kind(Kind::Tcp, rest),
        "dns" => of_kind(Kind::Dns, rest),
        "ping" => of_kind(Kind::Ping, rest),
        _ => Err(bare(text)),
    }
}

/// Reads a target of a known kind; its `kind:` in front may be left out.
pub fn parse_target_of(kind: Kind, text: &str) -> Result<Target, NotATarget> {
    let text = text.trim();
    let prefix = format!("{}:", kind.as_str());
    let own = text.get(..prefix.len()).is_some_and(|p| p.eq_ignore_ascii_case(&prefix));
    if own && kind != Kind::Http {
        return of_kind(kind, &text[prefix.len()..]);
    }
    of_kind(kind, text)
}

fn of_kind(kind: Kind, text: &str) -> Result<Target, NotATarget> {
    match kind {
        Kind::Http => http(text),
        Kind::Tls => {
            let at = host_port(text)?;
            Ok(Target::Tls { host: at.host, port: at.port.unwrap_or(443) })
        }
        Kind::Tcp => {
            let at = host_port(text)?;
            let port = at.port.ok_or_else(|| {
                refused(format!("tcp target '{}' has no port", clip(text)), "write tcp:HOST:PORT")
            })?;
            Ok(Target::Tcp { host: at.host, port })
        }
        Kind::Dns => dns(text),
        Kind::Ping => {
            let at = host_port(text)?;
            if at.port.is_some() {
                return Err(refused(
                    format!("ping target '{}' has a port", clip(text)),
                    "ping knows no ports: write ping:HOST, or tcp:HOST:PORT",
                ));
            }
            Ok(Target::Ping { host: at.host })
        }
    }
}

fn http(text: &str) -> Result<Target, NotATarget> {
    let hint = "write https://HOST/PATH";
    let url = Url::parse(text)
        .map_err(|e| refused(format!("'{}' is not a URL: {e}", clip(text)), hint))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(refused(format!("'{}' is neither http nor https", clip(text)), hint));
    }
    if url.host_str().is_none_or(str::is_empty) {
        return Err(refused(format!("'{}' has no host", clip(text)), hint));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(refused(
            "the URL carries a user name or password".to_owned(),
            "use auth: {basic: {user: …, password: {file: …}}}; URLs are stored and shown",
        ));
    }
    Ok(Target::Http(url))
}

fn dns(text: &str) -> Result<Target, NotATarget> {
    let (name, server) = match text.split_once('@') {
        Some((name, server)) => (name, Some(host_port(server)?)),
        None => (text, None),
    };
    let plain = name.strip_suffix('.').unwrap_or(name);
    let sized = !name.is_empty() && plain.len() <= NAME_BYTES_MAX;
    let labels = plain.split('.').all(|l| (1..=63).contains(&l.len()));
    if !sized || !(labels || name == ".") || !name.bytes().all(|b| b.is_ascii_graphic()) {
        return Err(refused(
            format!("'{}' is not a DNS name", clip(name)),
            "write dns:NAME or dns:NAME@SERVER; other scripts in their xn-- form",
        ));
    }
    Ok(Target::Dns { name: name.to_owned(), server })
}

fn host_port(text: &str) -> Result<HostPort, NotATarget> {
    text.parse().map_err(|e: NotAnAddress| {
        refused(e.to_string(), "write HOST:PORT; an IPv6 address in brackets: [2001:db8::1]:443")
    })
}

fn bare(text: &str) -> NotATarget {
    let text = clip(text);
    refused(
        format!("'{text}' does not say what to measure"),
        &format!(
            "write https://{text}, or one of dns:NAME[@SERVER] tcp:HOST:PORT tls:HOST:PORT ping:HOST"
        ),
    )
}

fn refused(what: String, hint: &str) -> NotATarget {
    NotATarget { what, hint: hint.to_owned() }
}

fn clip(text: &str) -> String {
    text.chars().take(80).flat_map(char::escape_default).collect()
}

/// `host:port` with an IPv6 address in brackets.
pub fn joined(host: &str, port: u16) -> String {
    if host.parse::<Ipv6Addr>().is_ok() {
        format!("[{host}]:{port}")
    } else {
        format!("{host}:{port}")
    }
}

/// A name or address with a port that may be left out: `10.0.0.5`, `10.0.0.5:443`,
/// `origin.example:8443`, `[2001:db8::1]:443`, `2001:db8::1`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct HostPort {
    /// The name, or the address without brackets.
    pub host: String,
    /// The port, where one was written; never 0.
    pub port: Option<u16>,
}

impl HostPort {
    /// The address, where the host is one.
    pub fn ip(&self) -> Option<IpAddr> {
        self.host.parse().ok()
    }

    /// The address with its port, or with `port` where none was written; `None` for a name.
    pub fn socket(&self, port: u16) -> Option<SocketAddr> {
        self.ip().map(|ip| SocketAddr::new(ip, self.port.unwrap_or(port)))
    }
}

/// A text that is neither a name nor an address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{text}' is not a host: {why}")]
pub struct NotAnAddress {
    text: String,
    why: &'static str,
}

impl FromStr for HostPort {
    type Err = NotAnAddress;

    fn from_str(text: &str) -> Result<Self, NotAnAddress> {
        let refused = |why| NotAnAddress { text: clip(text), why };
        if let Ok(ip) = text.parse::<IpAddr>() {
            return Ok(Self { host: ip.to_string(), port: None });
        }
        let (host, port) = match text.rsplit_once(':') {
            Some((host, port)) => {
                let port =
                    port.parse().map_err(|_| refused("the port is no number up to 65535"))?;
                (host, Some(port))
            }
            None => (text, None),
        };
        if port == Some(0) {
            return Err(refused("port 0 cannot be connected to"));
        }
        let bracketed = host.strip_prefix('[').and_then(|h| h.strip_suffix(']'));
        if let Some(inside) = bracketed {
            let ip: Ipv6Addr =
                inside.parse().map_err(|_| refused("no IPv6 address in the brackets"))?;
            return Ok(Self { host: ip.to_string(), port });
        }
        let name = host.strip_suffix('.').unwrap_or(host);
        let letters = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
        if name.is_empty() || name.len() > NAME_BYTES_MAX || !name.bytes().all(letters) {
            return Err(refused("a name has letters, digits, dots and hyphens (xn-- for others)"));
        }
        if name.split('.').any(|label| label.is_empty() || label.len() > 63) {
            return Err(refused("a part of the name is empty or above 63 letters"));
        }
        Ok(Self { host: host.to_ascii_lowercase(), port })
    }
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.port {
            Some(port) => f.write_str(&joined(&self.host, port)),
            None => f.write_str(&self.host),
        }
    }
}

impl Serialize for HostPort {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for HostPort {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        String::deserialize(d)?.parse().map_err(serde::de::Error::custom)
    }
}

impl schemars::JsonSchema for HostPort {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        Cow::Borrowed("HostPort")
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "examples": ["10.0.0.5:443", "[2001:db8::1]:443", "origin.example"],
        })
    }
}

/// For the fuzzer: no text breaks the parser, and what is shown is read back as the same target.
pub fn fuzz_target(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(target) = parse_target(text) {
        let shown = target.shown();
        let again = parse_target(&shown);
        let same = again.as_ref().is_ok_and(|t| (t.kind(), t.shown()) == (target.kind(), shown));
        assert!(same, "{target:?} is shown as {again:?}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_is_told_by_its_scheme() {
        let cases = [
            ("https://shop.example", "https://shop.example/"),
            ("http://shop.example:8080/a?token=s3cret", "http://shop.example:8080/a?token=…"),
            ("tls:mail.example:465", "tls:mail.example:465"),
            ("tls:mail.example", "tls:mail.example:443"),
            ("tcp:[2001:db8::1]:22", "tcp:[2001:db8::1]:22"),
            ("dns:shop.example", "dns:shop.example"),
            ("dns:shop.example@1.1.1.1", "dns:shop.example@1.1.1.1"),
            ("dns:shop.example@[2001:db8::1]:5353", "dns:shop.example@[2001:db8::1]:5353"),
            ("dns:.", "dns:."),
            ("ping:2001:db8::1", "ping:2001:db8::1"),
            ("PING:Shop.Example", "ping:shop.example"),
        ];
        for (text, shown) in cases {
            assert_eq!(parse_target(text).expect(text).shown(), shown);
        }
    }

    #[test]
    fn a_configured_target_may_leave_its_kind_out() {
        let t = parse_target_of(Kind::Tcp, "db.example:5432").expect("a host and a port");
        assert_eq!(t, parse_target("tcp:db.example:5432").expect("the same"));
        assert_eq!(parse_target_of(Kind::Tcp, "tcp:db.example:5432"), Ok(t));
        assert!(parse_target_of(Kind::Http, "http:x").is_ok());
    }

    #[test]
    fn what_is_no_target_is_refused_with_a_hint() {
        for text in [
            "",
            "shop.example",
            "shop.example:443",
            "ftp://shop.example",
            "https://",
            "https://me:pw@shop.example/",
            "tcp:db.example",
            "tcp:db.example:0",
            "tcp:db.example:70000",
            "tcp::22",
            "tls:a..b:443",
            "ping:host:80",
            "dns:",
            "dns:a b",
            "dns:name@",
            "tcp:[zz]:1",
        ] {
            let refused = parse_target(text).expect_err(text);
            assert!(!refused.hint.is_empty() && !refused.what.is_empty(), "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_text_breaks_the_parser(text in "(https?://|tcp:|tls:|dns:|ping:)?.{0,60}") {
            fuzz_target(text.as_bytes());
        }
    }
}
