//! What an operator writes of a network interface whose packets are recorded.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::edge::{Network, text};
use super::keep::Keep;
use super::slow::Slow;

/// One network interface whose recent past is held, and whose handshakes are followed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WireTap {
    /// Its name, such as eth0. One that is not there yet is waited for.
    pub interface: String,
    /// TCP ports that are recorded, at either end. Without ports and hosts all traffic is.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ports: Vec<u16>,
    /// Hosts or networks whose TCP is recorded, at either end; everybody's where left out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hosts: Vec<Network>,
    /// The service whose connections these are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    /// Memory of the kernel in which packets are held.
    #[serde(default = "default_ring", skip_serializing_if = "is_default_ring")]
    pub ring: Size,
    /// Ports of whose packets only the first bytes are kept, so that the ring reaches further back.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub snap: Vec<Snap>,
    /// From when on a handshake is slow.
    #[serde(default, skip_serializing_if = "Slow::is_default")]
    pub slow: Slow,
    /// When packets of a connection are written to the data directory, and how much of them.
    #[serde(default, skip_serializing_if = "Keep::is_default")]
    pub keep: Keep,
    /// Whether names are asked for, in reverse DNS: clients', so that those whose names end alike
    /// can be told apart from others, and those of both ends for evidence.
    #[serde(default = "yes", skip_serializing_if = "is_yes")]
    pub rdns: bool,
}

/// Ports of whose packets only the first bytes are kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Snap {
    /// Some of the ports that are recorded; all others where left out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ports: Vec<u16>,
    /// Bytes of each packet, headers included.
    pub bytes: u32,
}

impl WireTap {
    /// What is recorded of an interface of which nothing else is said.
    pub fn of(interface: &str) -> Self {
        Self {
            interface: interface.to_owned(),
            ports: Vec::new(),
            hosts: Vec::new(),
            service: None,
            ring: default_ring(),
            snap: Vec::new(),
            slow: Slow::default(),
            keep: Keep::default(),
            rdns: true,
        }
    }

    /// Whether a recorder of the other one records what this one wants, whatever is slow and is kept
    /// of it.
    pub fn is_recorded_as(&self, other: &Self) -> bool {
        Self { keep: other.keep.clone(), slow: other.slow.clone(), ..self.clone() } == *other
    }
}

const fn yes() -> bool {
    true
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
const fn is_yes(so: &bool) -> bool {
    *so
}

const fn default_ring() -> Size {
    Size(256 << 20)
}

const fn is_default_ring(size: &Size) -> bool {
    size.0 == default_ring().0
}

/// An amount of memory, written `64KiB`, `256MiB` or `2GiB`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Size(pub u64);

/// A text that is no amount of memory.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not an amount of memory, such as 256MiB or 2GiB")]
pub struct NotASize(String);

const UNITS: [(&str, u32); 3] = [("GiB", 30), ("MiB", 20), ("KiB", 10)];

impl FromStr for Size {
    type Err = NotASize;

    fn from_str(text: &str) -> Result<Self, NotASize> {
        let refused = || NotASize(text.chars().take(40).collect());
        let of = |(unit, shift): &(&str, u32)| Some((text.strip_suffix(unit)?.trim_end(), *shift));
        let (number, shift) = UNITS.iter().find_map(of).ok_or_else(refused)?;
        let number: u64 = number.parse().map_err(|_| refused())?;
        number.checked_mul(1 << shift).map(Self).ok_or_else(refused)
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole =
            |(_, shift): &&(&str, u32)| self.0 >= 1 << shift && self.0.is_multiple_of(1 << shift);
        let (unit, shift) = UNITS.iter().find(whole).unwrap_or(&UNITS[2]);
        write!(f, "{}{unit}", self.0 >> shift)
    }
}

text! {
    Size: {
        "type": "string",
        "pattern": "^[0-9]+ ?[KMG]iB$",
        "examples": ["64MiB", "256MiB", "2GiB"],
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_prints_as_it_is_written() {
        for text in ["64KiB", "256MiB", "1025MiB", "2GiB"] {
            assert_eq!(text.parse::<Size>().map(|s| s.to_string()), Ok(text.to_owned()));
        }
        assert_eq!("2 GiB".parse(), Ok(Size(2 << 30)));
        for text in ["", "256", "MiB", "256MB", "-1MiB", "1.5GiB", "99999999999GiB"] {
            assert!(text.parse::<Size>().is_err(), "{text}");
        }
    }

    #[test]
    fn what_is_left_out_has_its_usual_value() {
        let tap: WireTap = serde_json::from_str(r#"{"interface": "eth0"}"#).unwrap();
        assert_eq!(tap, WireTap::of("eth0"));
        assert_eq!(serde_json::to_string(&tap).unwrap(), r#"{"interface":"eth0"}"#);
        let keep = Keep { rate: 1, ..Keep::default() };
        let other = WireTap { keep, ..WireTap::of("eth0") };
        assert!(tap.is_recorded_as(&other) && other != tap);
        let slow = Slow { times_p99: 4, ..Slow::default() };
        assert!(tap.is_recorded_as(&WireTap { slow, ..WireTap::of("eth0") }));
        assert!(!WireTap::of("eth1").is_recorded_as(&tap));
    }
}
