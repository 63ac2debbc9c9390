//! Recorded interfaces: that their names can be such, and their rings be had. Whether an interface
//! is there is no matter of the configuration: it may come later.

use std::time::Duration;

use whyslow_model::limits::{WIRE_FILTER_TERMS_MAX, WIRE_RECORDERS_MAX};
use whyslow_wire::handshake::Phase;
use whyslow_wire::plan::{RING_BYTES_MAX, RING_BYTES_MIN};

use super::super::node::Step;
use super::super::problem::did_you_mean;
use super::super::types::Config;
use super::super::wire::{Size, WireTap};
use super::super::world::World;
use super::Findings;
use crate::wire::Programs;

/// Letters of an interface's name (`IFNAMSIZ` less its end).
const NAME_LETTERS_MAX: usize = 15;
/// With less not even the headers are kept.
const SNAP_BYTES_MIN: u32 = 96;
/// For how long after it was noticed an incident may go on.
const KEEP_AFTER_MAX: Duration = Duration::from_secs(60);

pub(super) fn apply(config: &Config, _: &World<'_>, findings: &mut Findings<'_, '_>) {
    if config.wire.len() > WIRE_RECORDERS_MAX {
        let n = config.wire.len();
        let what = format!("{n} interfaces; at most {WIRE_RECORDERS_MAX} are recorded");
        findings.add(&["wire".into()], what);
    }
    for (index, tap) in config.wire.iter().enumerate() {
        let mut found = |key: &'static str, what: String, hint: Option<String>| {
            let at: [Step<'_>; 3] = ["wire".into(), index.into(), key.into()];
            findings.add(&at, what).hint = hint;
        };
        if config.wire[..index].iter().any(|other| other.interface == tap.interface) {
            let hint = "put its ports together in one entry".to_owned();
            found("interface", format!("{} is recorded already", tap.interface), Some(hint));
        }
        if let Some(service) = &tap.service
            && !config.services.contains_key(service)
        {
            let hint = did_you_mean(service, config.services.keys().map(String::as_str));
            let hint = hint.map(|meant| format!("did you mean '{meant}'?"));
            found("service", format!("there is no service '{service}'"), hint);
        }
        fitting(tap, &mut found);
    }
}

fn fitting(tap: &WireTap, found: &mut impl FnMut(&'static str, String, Option<String>)) {
    let name = &tap.interface;
    let odd = |c: char| c == '/' || c.is_whitespace() || c.is_control();
    if name.is_empty() || name.len() > NAME_LETTERS_MAX || name.contains(odd) {
        let hint = "`ip link` lists them".to_owned();
        found("interface", "no interface can have this name".to_owned(), Some(hint));
    } else if name == "any" {
        let hint = "name each interface in an entry of its own".to_owned();
        found("interface", "one interface is recorded by one ring".to_owned(), Some(hint));
    }
    let ring = tap.ring;
    if ring.0 < RING_BYTES_MIN || ring.0 > RING_BYTES_MAX {
        let (least, most) = (Size(RING_BYTES_MIN), Size(RING_BYTES_MAX));
        found("ring", format!("{ring}; between {least} and {most}"), None);
    }
    let terms =
        tap.ports.len() + tap.hosts.len() + tap.snap.iter().map(|s| s.ports.len()).sum::<usize>();
    if terms > WIRE_FILTER_TERMS_MAX {
        let what = format!("{terms} ports and hosts; at most {WIRE_FILTER_TERMS_MAX}");
        found("ports", what, Some("leave them out: then everything is recorded".to_owned()));
    }
    if let Some(snap) = tap.snap.iter().find(|snap| snap.bytes < SNAP_BYTES_MIN) {
        let what = format!("{} bytes; at least {SNAP_BYTES_MIN}", snap.bytes);
        found("snap", what, Some("headers are needed to follow a connection".to_owned()));
    }
    let strange = tap.snap.iter().flat_map(|snap| &snap.ports).find(|p| !tap.ports.contains(p));
    if let Some(port) = strange {
        let hint = format!("put {port} into `ports` too");
        found("snap", format!("port {port} is not recorded"), Some(hint));
    }
    if let Err(error) = Programs::of(tap) {
        found("hosts", error.to_string(), Some(error.hint().to_owned()));
    }
    let phases = Phase::ALL.map(Phase::as_str);
    if let Some(strange) = tap.keep.phases.keys().find(|name| !phases.contains(&name.as_str())) {
        let hint = did_you_mean(strange, phases).map(|meant| format!("did you mean '{meant}'?"));
        let all = || format!("there are {}", phases.join(", "));
        let what = format!("there is no phase '{strange}'");
        found("keep", what, Some(hint.unwrap_or_else(all)));
    }
    if tap.keep.after.std() > KEEP_AFTER_MAX {
        let what = format!("{} after; at most {}s", tap.keep.after, KEEP_AFTER_MAX.as_secs());
        found("keep", what, Some("rings do not reach back for ever".to_owned()));
    }
    if tap.ports.contains(&0) {
        found("ports", "there is no port 0".to_owned(), None);
    }
}
