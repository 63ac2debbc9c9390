//! Why SYNs to this machine got no SYN-ACK: the kernel's counts, read every second, and its
//! listening sockets, asked for when somebody wants to know.

use std::collections::{BTreeMap, VecDeque};
use std::fs;
use std::net::{IpAddr, UdpSocket};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use whyslow_model::Wall;
use whyslow_sys::sock_diag::{self, Listening};
use whyslow_wire::cause::{Cause, Queue, Snapshot, cause, listen_counts, no_route_count};
use whyslow_wire::event::Unanswered;

/// Counts that are remembered: ten minutes of them, which is longer than SYNs come again.
const COUNTS_MAX: usize = 600;
/// Addresses of which it is remembered whether they are this machine's.
const ADDRESSES_MAX: usize = 4096;
/// For how long an answer of the kernel's is good.
const FRESH: Duration = Duration::from_millis(500);
/// The kernel's count is read so much before and after the SYNs at most.
const COUNT_EVERY: Duration = Duration::from_secs(1);

/// What is known of the kernel's side.
#[derive(Debug, Default)]
pub(super) struct Causes(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    counts: VecDeque<Counts>,
    /// Sockets that were full, and when.
    full: VecDeque<(Wall, Queue)>,
    listeners: Option<(Wall, Option<Vec<Listening>>)>,
    local: BTreeMap<IpAddr, bool>,
    /// It was said that listening sockets cannot be asked for.
    said: bool,
}

/// `ListenOverflows`, `ListenDrops` and `OutNoRoutes` as they stood.
#[derive(Clone, Copy, Debug)]
struct Counts {
    at: Wall,
    overflows: u64,
    drops: u64,
    /// `OutNoRoutes`; 0 where the kernel does not tell.
    no_routes: u64,
}

impl Counts {
    fn read(at: Wall) -> Option<Self> {
        let netstat = fs::read_to_string(NETSTAT).ok()?;
        let (overflows, drops) = listen_counts(&netstat)?;
        let snmp = fs::read_to_string(SNMP).ok();
        let no_routes = snmp.and_then(|text| no_route_count(&text)).unwrap_or(0);
        Some(Self { at, overflows, drops, no_routes })
    }
}

impl Causes {
    /// Reads the kernel's counts.
    pub(super) fn sample(&self, now: Wall) {
        let counts = Counts::read(now);
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.local.clear();
        let Some(counts) = counts else { return };
        let rose = known.counts.back().is_some_and(|last| counts.overflows > last.overflows);
        if known.counts.len() >= COUNTS_MAX {
            known.counts.pop_front();
        }
        known.counts.push_back(counts);
        let oldest = known.counts.front().map_or(now, |first| first.at);
        known.full.retain(|(at, _)| *at >= oldest);
        if rose {
            // Which one it is can be told only while it is full.
            known.listeners = None;
            known.ask(now);
        }
    }

    /// Why; `None` where they were for another machine.
    pub(super) fn of(&self, unanswered: &Unanswered, now: Wall) -> Option<Cause> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !known.is_local(unanswered.flow.server.ip()) {
            return None;
        }
        known.ask(now);
        let snapshot = known.snapshot(unanswered, now);
        drop(known);
        Some(cause(unanswered, &snapshot))
    }
}

/// The counts of this network namespace.
const NETSTAT: &str = "/proc/self/net/netstat";
const SNMP: &str = "/proc/self/net/snmp";

impl Known {
    /// Asks for the listening sockets, where the last answer is old.
    fn ask(&mut self, now: Wall) {
        let is_fresh = |at: Wall| at <= now && now.since(at) < FRESH;
        if self.listeners.as_ref().is_some_and(|(at, _)| is_fresh(*at)) {
            return;
        }
        let listening = sock_diag::listening();
        if let Err(error) = &listening
            && !std::mem::replace(&mut self.said, true)
        {
            let hint = error.hint.unwrap_or("see `whyslow doctor`");
            tracing::warn!("causes of unanswered SYNs are not known: {error}; hint: {hint}");
        }
        let listening = listening.ok();
        for one in listening.iter().flatten().filter(|one| queue(one, None).is_full()) {
            if self.full.len() >= COUNTS_MAX {
                self.full.pop_front();
            }
            self.full.push_back((now, queue(one, owner(one.inode))));
        }
        self.listeners = Some((now, listening));
    }

    fn snapshot(&self, unanswered: &Unanswered, now: Wall) -> Snapshot {
        let (from, to) = (unanswered.first, unanswered.last.after(COUNT_EVERY + FRESH));
        let before = self.counts.iter().rfind(|counts| counts.at <= from);
        // The SYNs of a process that has just begun were counted by nobody before.
        let after = self.counts.iter().find(|counts| counts.at >= unanswered.last);
        let after = after.copied().or_else(|| Counts::read(now));
        let both = before.zip(after);
        let (_, listeners) = self.listeners.clone().unwrap_or((now, None));
        let lasted = |at: Wall| at >= from && (at <= to || at <= now);
        let full = self.full.iter().filter(|(at, _)| lasted(*at)).map(|(_, queue)| queue.clone());
        Snapshot {
            overflows: both.map(|(a, b)| b.overflows.saturating_sub(a.overflows)),
            drops: both.map(|(a, b)| b.drops.saturating_sub(a.drops)),
            no_routes: both.map(|(a, b)| b.no_routes.saturating_sub(a.no_routes)),
            listeners: listeners.map(|all| all.iter().map(|one| queue(one, None)).collect()),
            full: full.rev().collect(),
        }
    }

    /// Whether an address is one of this machine's: a socket can be bound to no other.
    fn is_local(&mut self, ip: IpAddr) -> bool {
        if self.local.len() >= ADDRESSES_MAX {
            self.local.clear();
        }
        *self.local.entry(ip).or_insert_with(|| UdpSocket::bind((ip, 0)).is_ok())
    }
}

fn queue(listening: &Listening, owner: Option<String>) -> Queue {
    let Listening { address, waiting, backlog, .. } = *listening;
    Queue { address, waiting, backlog, owner }
}

/// The process that has a socket open, where we may see it: its name and number.
fn owner(inode: u32) -> Option<String> {
    let wanted = format!("socket:[{inode}]");
    let processes = fs::read_dir("/proc").ok()?.flatten();
    for process in processes {
        let pid = process
            .file_name()
            .into_string()
            .ok()
            .filter(|name| name.bytes().all(|b| b.is_ascii_digit()));
        let Some(pid) = pid else { continue };
        // Those of others may be hidden from us.
        let Ok(files) = fs::read_dir(process.path().join("fd")) else { continue };
        let has = |file: fs::DirEntry| {
            fs::read_link(file.path()).is_ok_and(|link| link.as_os_str() == wanted.as_str())
        };
        if files.flatten().any(has) {
            let name = fs::read_to_string(process.path().join("comm")).unwrap_or_default();
            return Some(format!("{} ({pid})", name.trim_end().escape_default()));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use std::net::{SocketAddr, TcpListener};

    use whyslow_wire::segment::FlowKey;

    use super::*;

    fn syns(server: SocketAddr, at: Wall) -> Unanswered {
        let flow = FlowKey { client: "192.0.2.7:40000".parse().unwrap(), server };
        let (first, last, answered) = (at, at, None);
        Unanswered {
            flow,
            interface: 0,
            first,
            last,
            retries: 0,
            answered,
            refused: false,
            syn_ack_lost: false,
        }
    }

    #[test]
    fn a_cause_is_told_of_this_machine_alone() {
        let causes = Causes::default();
        let now = whyslow_sys::clock::wall();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let there = listener.local_addr().unwrap();
        let elsewhere = "192.0.2.1:443".parse().unwrap();
        assert_eq!(causes.of(&syns(elsewhere, now), now), None);
        if sock_diag::listening().is_err() {
            return;
        }
        drop(listener);
        let cause = causes.of(&syns(there, now), now).unwrap();
        assert_eq!(cause.as_str(), "no_listener");
    }

    #[test]
    fn the_owner_of_a_socket_is_this_process() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let Ok(all) = sock_diag::listening() else { return };
        let own = all.iter().find(|one| one.address == address).unwrap();
        let owner = owner(own.inode).unwrap();
        assert!(owner.ends_with(&format!("({})", std::process::id())), "{owner}");
    }
}
