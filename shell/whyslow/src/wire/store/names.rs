//! Names of addresses in reverse DNS: asked for beside the way of the packets, never waited for, and
//! remembered for a while whatever the answer was. Cohorts are told apart by how clients' names end;
//! evidence has the whole names.

use std::collections::{BTreeSet, VecDeque};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::task::AbortHandle;
use tokio::time::MissedTickBehavior;
use whyslow_dial::Dial;
use whyslow_model::Wall;
use whyslow_model::conversation::{DnsAsk, DnsDone};
use whyslow_model::limits::{
    WIRE_NAMES_MAX, WIRE_NAMES_PER_S_MAX, WIRE_NAMES_WAITING_MAX, WIRE_RDNS_BYTES_MAX,
};
use whyslow_model::seeded::{Seed, SeededMap};
use whyslow_sys::clock;
use whyslow_wire::windows::rdns_suffix;

/// For how long an answer counts, a name or that there is none.
const ANSWER_KEPT: Duration = Duration::from_hours(1);
/// For how long a client is not asked for again where nobody answered.
const FAILURE_KEPT: Duration = Duration::from_mins(5);
/// How long an answer is waited for.
const PATIENCE: Duration = Duration::from_secs(2);

/// What is known of clients' names; cheap to clone.
#[derive(Clone, Debug)]
pub struct Names(Arc<Mutex<Inner>>);

#[derive(Debug)]
struct Inner {
    known: SeededMap<IpAddr, Known>,
    /// The keys of `known`, the oldest first.
    order: VecDeque<IpAddr>,
    waiting: VecDeque<IpAddr>,
    /// Those that wait, and the one that is asked for.
    wanted: BTreeSet<IpAddr>,
    counts: NameCounts,
}

#[derive(Clone, Debug)]
struct Known {
    name: Option<Arc<str>>,
    suffix: Option<Arc<str>>,
    until: Wall,
}

/// What was counted of names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NameCounts {
    /// Clients that have a name.
    pub found: u64,
    /// Clients that have none.
    pub nameless: u64,
    /// Questions that nobody answered.
    pub failed: u64,
    /// Clients that were not asked for, since too many waited.
    pub not_asked: u64,
}

/// What came of asking for one client's name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It has this one.
    Name(String),
    /// It has none.
    Nameless,
    /// Nobody said.
    Failed,
}

impl Names {
    /// No name is known yet.
    pub fn new(seed: Seed) -> Self {
        Self(Arc::new(Mutex::new(Inner {
            known: seed.map(),
            order: VecDeque::new(),
            waiting: VecDeque::new(),
            wanted: BTreeSet::new(),
            counts: NameCounts::default(),
        })))
    }

    /// What a client's name ends with, as far as it is known at `now`; else it is asked for.
    pub fn suffix(&self, client: IpAddr, now: Wall) -> Option<Arc<str>> {
        self.known(client, now).and_then(|known| known.suffix)
    }

    /// The name of an address, as far as it is known at `now`; else it is asked for. It has only
    /// letters that names of machines have.
    pub fn name(&self, address: IpAddr, now: Wall) -> Option<Arc<str>> {
        self.known(address, now).and_then(|known| known.name)
    }

    fn known(&self, client: IpAddr, now: Wall) -> Option<Known> {
        let client = client.to_canonical();
        let mut inner = self.lock();
        let known = inner.known.get(&client).cloned();
        if known.as_ref().is_none_or(|known| known.until <= now) {
            inner.want(client);
        }
        known
    }

    /// The next client whose name is to be asked for.
    pub fn poll(&self) -> Option<IpAddr> {
        self.lock().waiting.pop_front()
    }

    /// Takes what came of asking.
    pub fn handle_answer(&self, client: IpAddr, answer: &Answer, now: Wall) {
        let mut inner = self.lock();
        inner.wanted.remove(&client);
        let known = |name, suffix, kept| Known { name, suffix, until: now.after(kept) };
        let known = match answer {
            Answer::Name(name) => known(sound(name), rdns_suffix(name).map(Arc::from), ANSWER_KEPT),
            Answer::Nameless => known(None, None, ANSWER_KEPT),
            Answer::Failed => {
                let before = inner.known.get(&client).cloned();
                let (name, suffix) = before.map_or((None, None), |k| (k.name, k.suffix));
                known(name, suffix, FAILURE_KEPT)
            }
        };
        match answer {
            Answer::Name(_) => inner.counts.found += 1,
            Answer::Nameless => inner.counts.nameless += 1,
            Answer::Failed => inner.counts.failed += 1,
        }
        inner.remember(client, known);
    }

    /// What was counted.
    pub fn counts(&self) -> NameCounts {
        self.lock().counts
    }

    /// Asks the machine's name servers on the current runtime, one client after the other and at
    /// most so many a second, until the handle is aborted.
    pub(super) fn ask(&self) -> AbortHandle {
        let names = self.clone();
        let asking = tokio::spawn(async move {
            let dial = Dial::new();
            let mut pace = tokio::time::interval(Duration::from_secs(1) / WIRE_NAMES_PER_S_MAX);
            pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                pace.tick().await;
                if let Some(client) = names.poll() {
                    let answer = read(&dial.dns(&question(client)).await);
                    names.handle_answer(client, &answer, clock::wall());
                }
            }
        });
        asking.abort_handle()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn want(&mut self, client: IpAddr) {
        if self.wanted.contains(&client) {
            return;
        }
        if self.waiting.len() >= WIRE_NAMES_WAITING_MAX {
            self.counts.not_asked += 1;
            return;
        }
        self.wanted.insert(client);
        self.waiting.push_back(client);
    }

    fn remember(&mut self, client: IpAddr, known: Known) {
        if self.known.insert(client, known).is_none() {
            self.order.push_back(client);
        }
        while self.known.len() > WIRE_NAMES_MAX {
            let Some(oldest) = self.order.pop_front() else { return };
            self.known.remove(&oldest);
        }
    }
}

/// A name that can stand anywhere: others may have written it to do harm.
fn sound(name: &str) -> Option<Arc<str>> {
    let name = name.trim_end_matches('.');
    let letter = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
    let sound = !name.is_empty() && name.len() <= WIRE_RDNS_BYTES_MAX && name.bytes().all(letter);
    sound.then(|| Arc::from(name.to_ascii_lowercase()))
}

/// The question for a client's name (RFC 1035 section 3.5, RFC 3596 section 2.5).
fn question(client: IpAddr) -> DnsAsk {
    let name = match client {
        IpAddr::V4(a) => {
            let [a, b, c, d] = a.octets();
            format!("{d}.{c}.{b}.{a}.in-addr.arpa")
        }
        IpAddr::V6(a) => {
            let nibbles = a.octets().into_iter().rev().flat_map(|b| [b & 15, b >> 4]);
            let labels: String = nibbles.map(|nibble| format!("{nibble:x}.")).collect();
            format!("{labels}ip6.arpa")
        }
    };
    let (server, source, record) = (None, None, "PTR".to_owned());
    DnsAsk { server, name, record, tcp: false, source, timeout: PATIENCE }
}

fn read(done: &DnsDone) -> Answer {
    let name = done.answers.iter().find_map(|answer| answer.strip_prefix("PTR "));
    match (name, done.rcode.as_deref()) {
        (Some(name), _) => Answer::Name(name.to_owned()),
        (None, Some("NOERROR" | "NXDOMAIN")) => Answer::Nameless,
        (None, _) => Answer::Failed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(n: u32) -> IpAddr {
        IpAddr::V4(n.into())
    }

    #[test]
    fn a_name_is_asked_for_once_and_known_until_it_is_old() {
        let names = Names::new(Seed(1));
        let at = |s: i64| Wall::from_millis(s * 1000);
        let client = "192.0.2.7".parse().unwrap();
        assert_eq!(names.suffix(client, at(0)), None);
        assert_eq!(names.suffix("::ffff:192.0.2.7".parse().unwrap(), at(0)), None);
        assert_eq!((names.poll(), names.poll()), (Some(client), None));
        names.handle_answer(client, &Answer::Name("i-0a3.micro.cumulo.example.".to_owned()), at(1));
        assert_eq!(names.suffix(client, at(2)).as_deref(), Some("*.micro.cumulo.example"));
        assert_eq!(names.name(client, at(2)).as_deref(), Some("i-0a3.micro.cumulo.example"));
        assert_eq!(names.poll(), None);
        // Once old it still counts, and is asked for again; silence does not take it away.
        assert!(names.suffix(client, at(3700)).is_some());
        assert_eq!(names.poll(), Some(client));
        names.handle_answer(client, &Answer::Failed, at(3702));
        assert!(names.suffix(client, at(3703)).is_some());
        let counts = NameCounts { found: 1, failed: 1, ..NameCounts::default() };
        assert_eq!((names.poll(), names.counts()), (None, counts));
    }

    #[test]
    fn neither_those_that_wait_nor_those_that_are_known_grow_without_bound() {
        let names = Names::new(Seed(1));
        let now = Wall::from_millis(0);
        let many = u32::try_from(WIRE_NAMES_WAITING_MAX).unwrap() + 5;
        (0..many).for_each(|n| assert_eq!(names.suffix(address(n), now), None));
        assert_eq!(names.counts().not_asked, 5);
        let more = u32::try_from(WIRE_NAMES_MAX).unwrap() + 10;
        (0..more).for_each(|n| names.handle_answer(address(n), &Answer::Nameless, now));
        // An old one that failed once more keeps one place, not two.
        names.handle_answer(address(more - 1), &Answer::Failed, now);
        let inner = names.lock();
        assert_eq!((inner.known.len(), inner.order.len()), (WIRE_NAMES_MAX, WIRE_NAMES_MAX));
        assert!(!inner.known.contains_key(&address(9)) && inner.known.contains_key(&address(10)));
    }

    #[test]
    fn a_name_written_to_do_harm_is_none() {
        let long = "a.".repeat(150);
        for name in ["", ".", "a b.example", "\u{1b}[2J.example", "a\\000b.example", &long] {
            assert_eq!(sound(name), None, "{name:?}");
        }
        assert_eq!(sound("WWW.Example.").as_deref(), Some("www.example"));
    }

    #[test]
    fn questions_are_put_backwards() {
        assert_eq!(question(address(0x0102_0304)).name, "4.3.2.1.in-addr.arpa");
        let v6 = question("2001:db8::1".parse().unwrap()).name;
        assert!(v6.starts_with("1.0.0.0.") && v6.ends_with("8.b.d.0.1.0.0.2.ip6.arpa"), "{v6}");
        assert_eq!(v6.split('.').count(), 34);
    }
}
