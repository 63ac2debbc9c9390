//! A report over a capture: handshakes by client network and by server, the slowest ones whole,
//! SYNs without an answer, and connections that ended without a trace in any log.
//!
//! Everything is counted as it comes and nothing grows with the capture: tables have limits, and
//! what finds no place in them is in `other`.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use whyslow_model::asn::AsnTable;
use whyslow_model::limits::{
    WIRE_REPORT_COHORTS_MAX, WIRE_REPORT_LISTED_MAX, WIRE_REPORT_SERVERS_MAX, WIRE_REPORT_WORST_MAX,
};
use whyslow_model::seeded::Seed;

use crate::event::{Ending, EndingKind, Unanswered};
use crate::handshake::{Handshake, VantagePoint};

mod cell;
pub mod document;
mod fuzz;
mod groups;
mod headline;
mod silence;

#[cfg(test)]
mod tests;

pub use cell::Cell;
pub use fuzz::fuzz_wire_report;
use groups::Groups;
pub use headline::headline;
pub use silence::{Silence, SynFate};

/// What a report is made by.
#[derive(Clone, Debug)]
pub struct Options {
    /// Whose an address is; without it, or where it does not know, a client goes by its prefix.
    pub asn: Option<Arc<AsnTable>>,
    /// The hash seed.
    pub seed: Seed,
    /// How many of the slowest handshakes are kept whole; at most
    /// [`WIRE_REPORT_WORST_MAX`].
    pub worst: usize,
}

/// Clients that belong together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Cohort {
    /// An autonomous system.
    Asn(u32),
    /// A /24 or /48, where the system is not known.
    Prefix(IpNet),
}

/// A table by one key.
#[derive(Clone, Debug)]
pub struct Table<K> {
    /// Most slow handshakes first, then most handshakes.
    pub rows: Vec<(K, Cell)>,
    /// What found no place.
    pub other: Cell,
}

/// All that a report holds.
#[derive(Debug)]
pub struct Outcome {
    /// All TLS handshakes.
    pub total: Cell,
    /// By client network.
    pub cohorts: Table<Cohort>,
    /// By server.
    pub servers: Table<SocketAddr>,
    /// The slowest ones, slowest first.
    pub worst: Vec<Handshake>,
    /// Connections that are not TLS.
    pub plain_tcp: u64,
    /// Connections that ended before a word was said.
    pub wordless: u64,
    /// Handshakes of which less was seen than there was, by reason.
    pub incomplete: BTreeMap<&'static str, u64>,
    /// Where the tap stood for most.
    pub vantage: VantagePoint,
    /// SYNs without an answer, by server, most first.
    pub silences: Vec<Silence>,
    /// Of those, the first ones one by one.
    pub unanswered: Vec<Unanswered>,
    /// How many there were.
    pub unanswered_count: u64,
    /// Endings that no log may show, the first ones one by one.
    pub endings: Vec<Ending>,
    /// How many there were, by kind; and of those, by a reset.
    pub ending_counts: BTreeMap<EndingKind, (u64, u64)>,
}

/// A report in the making.
#[derive(Debug)]
pub struct Report {
    options: Options,
    total: Cell,
    cohorts: Groups<Cohort>,
    servers: Groups<SocketAddr>,
    /// The slowest ones so far, in no order while it is not full; then the least slow is last.
    worst: Vec<Handshake>,
    plain_tcp: u64,
    wordless: u64,
    incomplete: BTreeMap<&'static str, u64>,
    vantages: BTreeMap<VantagePoint, u64>,
    silences: silence::Silences,
    unanswered: Vec<Unanswered>,
    unanswered_count: u64,
    endings: Vec<Ending>,
    ending_counts: BTreeMap<EndingKind, (u64, u64)>,
}

impl Report {
    /// Nothing seen yet.
    pub fn new(options: Options) -> Self {
        let seed = options.seed;
        let worst = options.worst.min(WIRE_REPORT_WORST_MAX);
        Self {
            options: Options { worst, ..options },
            total: Cell::default(),
            cohorts: Groups::new(WIRE_REPORT_COHORTS_MAX, seed),
            servers: Groups::new(WIRE_REPORT_SERVERS_MAX, seed),
            worst: Vec::new(),
            plain_tcp: 0,
            wordless: 0,
            incomplete: BTreeMap::new(),
            vantages: BTreeMap::new(),
            silences: silence::Silences::new(seed),
            unanswered: Vec::new(),
            unanswered_count: 0,
            endings: Vec::new(),
            ending_counts: BTreeMap::new(),
        }
    }

    /// Counts one judged opening. Only TLS handshakes have figures; other connections are counted.
    pub fn handle_handshake(&mut self, handshake: &Handshake) {
        *self.vantages.entry(handshake.vantage).or_default() += 1;
        if !handshake.is_tls() {
            let spoke = handshake.opening.client_data.or(handshake.opening.server_data).is_some();
            self.plain_tcp += u64::from(spoke);
            self.wordless += u64::from(!spoke);
            return;
        }
        for reason in handshake.incomplete() {
            *self.incomplete.entry(reason).or_default() += 1;
        }
        let flow = handshake.opening.flow;
        self.total.observe(handshake);
        self.cohorts.cell(self.options.cohort(flow.client.ip())).observe(handshake);
        self.servers.cell(flow.server).observe(handshake);
        self.keep_worst(handshake);
    }

    /// Counts SYNs without an answer.
    pub fn handle_unanswered(&mut self, unanswered: Unanswered) {
        self.unanswered_count += 1;
        self.silences.observe(&unanswered);
        if self.unanswered.len() < WIRE_REPORT_LISTED_MAX {
            self.unanswered.push(unanswered);
        }
    }

    /// Counts an ending.
    pub fn handle_ending(&mut self, ending: Ending) {
        let (all, resets) = self.ending_counts.entry(ending.kind).or_default();
        *all += 1;
        *resets += u64::from(ending.reset);
        if self.endings.len() < WIRE_REPORT_LISTED_MAX {
            self.endings.push(ending);
        }
    }

    /// The report.
    pub fn finish(mut self) -> Outcome {
        slowest_first(&mut self.worst);
        self.worst.truncate(self.options.worst);
        let vantage = self.vantages.iter().max_by_key(|(_, n)| **n).map(|(point, _)| *point);
        Outcome {
            total: self.total,
            cohorts: self.cohorts.table(),
            servers: self.servers.table(),
            worst: self.worst,
            plain_tcp: self.plain_tcp,
            wordless: self.wordless,
            incomplete: self.incomplete,
            vantage: vantage.unwrap_or_default(),
            silences: self.silences.rows(),
            unanswered: self.unanswered,
            unanswered_count: self.unanswered_count,
            endings: self.endings,
            ending_counts: self.ending_counts,
        }
    }

    /// Takes it where it is among the slowest. The list is sorted when it has twice its length, so
    /// that each handshake costs a comparison and not a search.
    fn keep_worst(&mut self, handshake: &Handshake) {
        let most = self.options.worst;
        let least = self.worst.get(most.wrapping_sub(1)).map(|least| least.total_ms);
        if most == 0 || least.is_some_and(|least| handshake.total_ms <= least) {
            return;
        }
        self.worst.push(handshake.clone());
        if self.worst.len() >= most * 2 || self.worst.len() == most {
            slowest_first(&mut self.worst);
            self.worst.truncate(most);
        }
    }
}

fn slowest_first(worst: &mut [Handshake]) {
    worst.sort_by(|a, b| b.total_ms.total_cmp(&a.total_ms));
}

impl Options {
    /// Whom a client belongs to.
    fn cohort(&self, client: IpAddr) -> Cohort {
        let asn = self.asn.as_ref().and_then(|table| table.lookup(client)?.asn);
        asn.map_or_else(|| Cohort::Prefix(prefix(client)), Cohort::Asn)
    }
}

/// The /24 or /48 of an address.
fn prefix(client: IpAddr) -> IpNet {
    match client.to_canonical() {
        IpAddr::V4(a) => IpNet::V4(Ipv4Net::new_assert(a, 24).trunc()),
        IpAddr::V6(a) => IpNet::V6(Ipv6Net::new_assert(a, 48).trunc()),
    }
}
