//! What an operator writes of a balancer's log: where it comes from and how it is read.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;

use ipnet::IpNet;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use whyslow_model::Duration;

/// One balancer's log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EdgeSource {
    /// Its name, the `source` of its figures.
    pub name: String,
    /// Where its lines come from.
    pub input: Input,
    /// How its lines are read: a format's name, auto, or the balancer's own format string.
    #[serde(default = "auto")]
    pub format: String,
    /// The service whose requests these are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    /// Globs of paths that are told apart, first match first; paths outside are templated.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub routes: Vec<String>,
    /// Requests that take longer are kept whole. Left out: those beyond their route's own usual.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slow: Option<Duration>,
    /// Such limits for routes, by glob; the longest glob that fits counts.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub slow_routes: BTreeMap<String, Duration>,
    /// The time zone of dates that name none: local, UTC, +02:00, or a name such as Europe/Paris.
    #[serde(default, skip_serializing_if = "Zone::is_local")]
    pub time_zone: Zone,
    /// Networks that may send to syslog-udp and syslog-tcp; everybody where left out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub from: Vec<Network>,
    /// Where files that are there at the first start are read from.
    #[serde(default, skip_serializing_if = "ReadFrom::is_beginning")]
    pub read_from: ReadFrom,
    /// Sockets that share a syslog-udp address, each with a thread of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shards: Option<usize>,
    /// Access rights of a unix socket, in octal digits; 0666, as of /dev/log, where left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<SocketMode>,
}

fn auto() -> String {
    "auto".to_owned()
}

/// Where lines come from.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Input {
    /// Files, followed through rotation; the last part of the name may hold `*` and `?`.
    Files(PathBuf),
    /// The standard input.
    Stdin,
    /// Syslog datagrams.
    SyslogUdp(SocketAddr),
    /// Syslog or plain lines over TCP.
    SyslogTcp(SocketAddr),
    /// A datagram socket at a path.
    UnixDgram(PathBuf),
    /// A stream socket at a path.
    UnixStream(PathBuf),
    /// A unit's messages in the journal; everything where empty.
    Journald(String),
}

/// A text that names no input.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not an input; write {INPUT_FORMS}")]
pub struct NotAnInput(String);

const INPUT_FORMS: &str = "file:/var/log/haproxy*.log, stdin:, syslog-udp:IP:PORT, \
     syslog-tcp:IP:PORT, unix-dgram:PATH, unix-stream:PATH or journald:UNIT";

impl FromStr for Input {
    type Err = NotAnInput;

    fn from_str(text: &str) -> Result<Self, NotAnInput> {
        let refused = || NotAnInput(text.chars().take(80).collect());
        let (kind, rest) = text.split_once(':').ok_or_else(refused)?;
        let path = || if rest.is_empty() { Err(refused()) } else { Ok(PathBuf::from(rest)) };
        let address = || rest.parse().map_err(|_| refused());
        match kind {
            "file" => Ok(Self::Files(path()?)),
            "stdin" if rest.is_empty() => Ok(Self::Stdin),
            "syslog-udp" => Ok(Self::SyslogUdp(address()?)),
            "syslog-tcp" => Ok(Self::SyslogTcp(address()?)),
            "unix-dgram" => Ok(Self::UnixDgram(path()?)),
            "unix-stream" => Ok(Self::UnixStream(path()?)),
            "journald" if unit(rest) => Ok(Self::Journald(rest.to_owned())),
            _ => Err(refused()),
        }
    }
}

/// Whether a text may be a unit's name (systemd.unit(5)); it becomes an argument of journalctl.
fn unit(text: &str) -> bool {
    let letter = |b: u8| b.is_ascii_alphanumeric() || b":-_.\\@*".contains(&b);
    text.bytes().all(letter) && !text.starts_with('-')
}

impl fmt::Display for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Files(path) => write!(f, "file:{}", path.display()),
            Self::Stdin => f.write_str("stdin:"),
            Self::SyslogUdp(address) => write!(f, "syslog-udp:{address}"),
            Self::SyslogTcp(address) => write!(f, "syslog-tcp:{address}"),
            Self::UnixDgram(path) => write!(f, "unix-dgram:{}", path.display()),
            Self::UnixStream(path) => write!(f, "unix-stream:{}", path.display()),
            Self::Journald(unit) => write!(f, "journald:{unit}"),
        }
    }
}

/// Where files that are there at the first start are read from.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum ReadFrom {
    /// From their beginning: what they hold is counted too.
    #[default]
    Beginning,
    /// From their end: only what is written from now on.
    End,
}

impl ReadFrom {
    const fn is_beginning(&self) -> bool {
        matches!(self, Self::Beginning)
    }
}

/// The time zone of dates that name none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Zone {
    /// This machine's.
    #[default]
    Local,
    /// Always so many seconds east of UTC.
    Fixed(i32),
    /// A zone of the system's database, summer time included.
    Named(String),
}

/// A text that names no time zone.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not a time zone; write local, UTC, +02:00 or a name such as Europe/Paris")]
pub struct NotAZone(String);

impl Zone {
    const fn is_local(&self) -> bool {
        matches!(self, Self::Local)
    }
}

impl FromStr for Zone {
    type Err = NotAZone;

    fn from_str(text: &str) -> Result<Self, NotAZone> {
        let refused = || NotAZone(text.chars().take(40).collect());
        if text == "local" {
            return Ok(Self::Local);
        }
        if text.eq_ignore_ascii_case("utc") {
            return Ok(Self::Fixed(0));
        }
        if text.starts_with(['+', '-']) {
            return offset(text).map(Self::Fixed).ok_or_else(refused);
        }
        let zone = jiff::tz::TimeZone::get(text).map_err(|_| refused())?;
        let _ = zone;
        Ok(Self::Named(text.to_owned()))
    }
}

/// `+HH:MM`, in seconds.
fn offset(text: &str) -> Option<i32> {
    let (sign, rest) = text.split_at_checked(1)?;
    let (hours, minutes) = rest.split_once(':')?;
    let two = |part: &str| {
        let sound = part.len() == 2 && part.bytes().all(|b| b.is_ascii_digit());
        sound.then(|| part.parse::<i32>().ok()).flatten()
    };
    let (hours, minutes) = (two(hours)?, two(minutes)?);
    let seconds = (hours <= 15 && minutes < 60).then_some(hours * 3600 + minutes * 60)?;
    Some(if sign == "-" { -seconds } else { seconds })
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Local => f.write_str("local"),
            Self::Fixed(0) => f.write_str("UTC"),
            Self::Fixed(s) => {
                let (sign, s) = (if *s < 0 { '-' } else { '+' }, s.abs());
                write!(f, "{sign}{:02}:{:02}", s / 3600, s / 60 % 60)
            }
            Self::Named(name) => f.write_str(name),
        }
    }
}

/// Access rights of a unix socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SocketMode(pub u32);

/// A text that is no access right.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not a mode; write three or four octal digits in quotes, such as '0660'")]
pub struct NotAMode(String);

impl FromStr for SocketMode {
    type Err = NotAMode;

    fn from_str(text: &str) -> Result<Self, NotAMode> {
        let refused = || NotAMode(text.chars().take(40).collect());
        let digits = matches!(text.len(), 3 | 4) && text.bytes().all(|b| matches!(b, b'0'..=b'7'));
        let mode = u32::from_str_radix(text, 8).map_err(|_| refused())?;
        if digits && mode <= 0o777 { Ok(Self(mode)) } else { Err(refused()) }
    }
}

impl fmt::Display for SocketMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04o}", self.0)
    }
}

/// A network, or one address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network(pub IpNet);

/// A text that is no network.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not a network; write an address or ADDRESS/BITS, such as 10.0.0.0/8")]
pub struct NotANetwork(String);

impl FromStr for Network {
    type Err = NotANetwork;

    fn from_str(text: &str) -> Result<Self, NotANetwork> {
        let address = || text.parse::<IpAddr>().map(IpNet::from);
        let network = text.parse::<IpNet>().or_else(|_| address());
        network.map(Self).map_err(|_| NotANetwork(text.chars().take(60).collect()))
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Lets a type that is parsed and printed stand as a text in the configuration and its schema.
macro_rules! text {
    ($($type:ident: $schema:tt,)*) => {$(
        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                s.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                String::deserialize(d)?.parse().map_err(serde::de::Error::custom)
            }
        }

        impl JsonSchema for $type {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> Cow<'static, str> {
                Cow::Borrowed(stringify!($type))
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!($schema)
            }
        }
    )*};
}

pub(super) use text;

text! {
    Input: {
        "type": "string",
        "examples": [
            "file:/var/log/haproxy*.log", "stdin:", "syslog-udp:0.0.0.0:5514",
            "syslog-tcp:127.0.0.1:5514", "unix-dgram:/run/whyslow/lb.dgram",
            "unix-stream:/run/whyslow/lb.sock", "journald:haproxy.service",
        ],
    },
    Zone: {
        "type": "string",
        "examples": ["local", "UTC", "+02:00", "Europe/Paris"],
    },
    SocketMode: {
        "type": "string",
        "pattern": "^[0-7]{3,4}$",
        "examples": ["0660", "0666"],
    },
    Network: {
        "type": "string",
        "examples": ["10.0.0.0/8", "192.0.2.7", "2001:db8::/32"],
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_input_prints_as_it_is_written() {
        for text in [
            "file:/var/log/haproxy*.log",
            "stdin:",
            "syslog-udp:0.0.0.0:5514",
            "syslog-tcp:[::1]:601",
            "unix-dgram:/run/lb.dgram",
            "unix-stream:/run/lb.sock",
            "journald:haproxy@main.service",
            "journald:",
        ] {
            assert_eq!(text.parse::<Input>().map(|i| i.to_string()), Ok(text.to_owned()));
        }
        for text in
            ["/var/log/x", "file:", "stdin:x", "syslog-udp:5514", "journald:--all", "tcp:1.2.3.4:5"]
        {
            assert!(text.parse::<Input>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_zone_prints_as_it_is_written() {
        for text in ["local", "UTC", "+02:00", "-05:30"] {
            assert_eq!(text.parse::<Zone>().map(|z| z.to_string()), Ok(text.to_owned()));
        }
        for text in ["", "Nowhere/Land", "+2:00", "+25:00", "+02:60", "02:00"] {
            assert!(text.parse::<Zone>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_mode_is_octal() {
        assert_eq!("0660".parse(), Ok(SocketMode(0o660)));
        assert_eq!("666".parse(), Ok(SocketMode(0o666)));
        for text in ["", "66", "0688", "1777", "rw-rw----"] {
            assert!(text.parse::<SocketMode>().is_err(), "{text}");
        }
        assert_eq!(serde_json::to_string(&SocketMode(0o660)).unwrap(), "\"0660\"");
    }
}
