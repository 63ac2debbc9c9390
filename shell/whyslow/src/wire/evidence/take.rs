//! Copies an incident's packets out of the rings, and writes them.

use std::fmt::Write;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use whyslow_model::Wall;
use whyslow_model::limits::{WIRE_CANDIDATES_MAX, WIRE_COPY_BYTES_MAX};
use whyslow_model::seeded::Seed;
use whyslow_sys::clock;
use whyslow_wire::capture::Statistics;
use whyslow_wire::evidence::{self, Candidates, spool::cause_of};
use whyslow_wire::packet::{Captured, LinkType};

use super::counted::{DISK, NO_PACKETS, QUOTA};
use super::incident::{Became, Incident};
use super::spool::{About, NotWritten};
use super::{Shared, Tapped};
use crate::wire::{Copied, Past};

/// What became of an incident.
#[derive(Clone, Debug, Default)]
pub struct Taken {
    /// A file for each interface that saw it.
    pub files: Vec<TakenFile>,
    /// Connections that matched, on all interfaces.
    pub candidates: u64,
    /// Why there are not more files.
    pub problems: Vec<String>,
}

/// One file that was written.
#[derive(Clone, Debug)]
pub struct TakenFile {
    /// Its name.
    pub name: String,
    /// The interface whose packets these are.
    pub interface: String,
    /// Bytes of the file.
    pub bytes: u64,
    /// Packets in it.
    pub packets: u64,
    /// Connections that matched there.
    pub candidates: u64,
}

/// Writes the packets of an incident that were seen until `now`; `left_out` incidents of its cause
/// before it were not.
pub(super) fn take(shared: &Shared, incident: &Incident, now: Wall, left_out: u64) -> Taken {
    let mut taken = Taken::default();
    let tapped = shared.tapped();
    let wanted = tapped.iter().filter(|(name, _)| {
        incident.interface.as_deref().is_none_or(|wanted| wanted == name.as_str())
    });
    for (interface, tap) in wanted {
        let Some(past) = shared.wire.past(interface) else { continue };
        let to = incident.to.map_or(now, |to| to.min(now));
        let ends = incident.ends;
        let copied = past.copy_where(incident.from, to, WIRE_COPY_BYTES_MAX, |a, b| ends.fit(a, b));
        let one = One { shared, incident, interface, tap, past: &past, copied: &copied, left_out };
        one.write(&mut taken);
    }
    if !taken.files.is_empty() {
        let files = taken.files.iter().map(|file| file.name.clone()).collect();
        incident.fate.is(Became::Kept { files, candidates: taken.candidates });
    } else if taken.problems.is_empty() {
        shared.not_kept(incident, NO_PACKETS);
    }
    taken
}

/// An incident on one interface.
struct One<'a> {
    shared: &'a Shared,
    incident: &'a Incident,
    interface: &'a str,
    tap: &'a Tapped,
    past: &'a Past,
    copied: &'a Copied,
    left_out: u64,
}

impl One<'_> {
    fn write(&self, taken: &mut Taken) {
        let packets = self.packets();
        let fits = |client, server| self.incident.ends.fit_in_order(client, server);
        let found = evidence::candidates(&packets, WIRE_CANDIDATES_MAX, fits);
        if found.packets.is_empty() {
            return;
        }
        taken.candidates += found.all;
        let made = self.evidence(&found);
        let (incident, counted) = (self.incident, &self.shared.counted);
        let (at, interface) = (incident.at, self.interface);
        // Several connections at once are nobody's in particular.
        let client = self.incident.ends.client().or(match &*found.connections {
            [(first, _)] => Some(*first),
            _ => None,
        });
        let (trigger, cause) = (incident.trigger, incident.cause.as_deref());
        let about = About { at, trigger, cause, interface, client };
        match self.shared.spool.write(about, &made.bytes, self.shared.quota()) {
            Ok((name, gone)) => {
                counted.kept(incident.cause());
                gone.iter().filter_map(|gone| cause_of(gone)).for_each(|c| counted.evicted(c));
                tracing::info!("kept {name}: {}", self.incident.text);
                let (bytes, packets) = (made.bytes.len() as u64, made.packets);
                let (interface, candidates) = (interface.to_owned(), found.all);
                taken.files.push(TakenFile { name, interface, bytes, packets, candidates });
            }
            Err(error) => {
                let why = match error {
                    NotWritten::TooLarge { .. } => QUOTA,
                    NotWritten::Io { .. } => DISK,
                };
                self.shared.not_kept(incident, why);
                tracing::error!("evidence of {interface} is not kept: {error}");
                taken.problems.push(format!("{interface}: {error}"));
            }
        }
    }

    fn packets(&self) -> Vec<Captured<'_>> {
        let link = self.copied.link.unwrap_or(LinkType::Ethernet);
        let all = self.copied.packets.iter().map(|packet| Captured {
            at: packet.at,
            interface: 0,
            link,
            outgoing: Some(packet.outgoing),
            original_len: packet.original_len,
            bytes: &packet.bytes,
        });
        all.collect()
    }

    fn evidence(&self, found: &Candidates<'_>) -> evidence::Evidence {
        let names = self.names(found);
        let names: Vec<(IpAddr, &str)> = names.iter().map(|(ip, name)| (*ip, &**name)).collect();
        let tap = self.shared.wire.taps().into_iter().find(|tap| tap.interface == self.interface);
        let statistics = Statistics {
            interface: 0,
            at: clock::wall(),
            received: tap.as_ref().map(|tap| tap.counts.packets),
            dropped_by_interface: None,
            dropped_by_system: tap.map(|tap| tap.counts.drops),
        };
        let (text, extent) = (self.text(found), self.tap.keep.extent());
        let incident = evidence::Incident {
            text: &text,
            application: concat!("whyslow ", env!("CARGO_PKG_VERSION")),
            interface: self.interface,
            link: self.copied.link.unwrap_or(LinkType::Ethernet),
            statistics,
            names: &names,
        };
        evidence::evidence(&incident, &found.packets, extent, Seed(self.shared.seed))
    }

    /// What is said of the whole file.
    fn text(&self, found: &Candidates<'_>) -> String {
        let Incident { text, at, ends, from, quote, .. } = self.incident;
        let mut said = format!("{} at {at}: {text}.", self.incident.cause());
        let mut say = |more: std::fmt::Arguments<'_>| {
            // Writing to a text does not fail.
            let _ = write!(said, "\n{more}");
        };
        if let Some(quote) = quote {
            say(format_args!("The line: {quote}"));
        }
        match found.all {
            1 if ends.is_exact() && quote.is_none() => {}
            1 => say(format_args!("1 connection matched what is known of it: {ends}.")),
            n => say(format_args!("{n} connections matched what is known of it: {ends}.")),
        }
        if found.all > found.connections.len() as u64 {
            say(format_args!("Of these, the first {} are here.", found.connections.len()));
        }
        let depth = self.past.depth().map(|depth| depth.from);
        if let Some(held) = self.copied.held_from.or(depth).filter(|held| held > from) {
            say(format_args!("The ring began at {held}: what was before is missing."));
        }
        if self.copied.missed_blocks + self.copied.beyond_limit > 0 {
            let (blocks, packets) = (self.copied.missed_blocks, self.copied.beyond_limit);
            say(format_args!(
                "Missing: {blocks} blocks that were given up meanwhile, {packets} packets beyond \
                 the limit of one copy."
            ));
        }
        if !self.tap.keep.payload {
            say(format_args!("Behind handshakes, record headers alone are kept."));
        }
        if self.left_out > 0 {
            let n = self.left_out;
            say(format_args!("{n} incidents of this cause before it were not kept."));
        }
        said
    }

    /// What the configuration calls the addresses, else reverse DNS.
    fn names(&self, found: &Candidates<'_>) -> Vec<(IpAddr, Arc<str>)> {
        let ends = found.connections.iter().flat_map(|(a, b)| [*a, *b]);
        let name = |end: SocketAddr| {
            let name = self.tap.names.name(end);
            if *name != *end.to_string() {
                return Some((end.ip(), name));
            }
            let name = self.tap.rdns.then(|| self.shared.rdns_name(end.ip())).flatten();
            name.map(|name| (end.ip(), name))
        };
        let mut names: Vec<(IpAddr, Arc<str>)> = ends.filter_map(name).collect();
        names.sort();
        names.dedup();
        names
    }
}
