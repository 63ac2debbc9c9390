//! One window's counts: a cell per (vip, backend, server, route, code) and one per client
//! network and prefix of a backend. All other groupings are added up from them when asked.

use std::collections::BTreeMap;

use whyslow_model::asn::AsnTable;
use whyslow_model::limits::{EDGE_CLIENTS_PER_BACKEND_MAX, EDGE_KEYS_PER_WINDOW_MAX};
use whyslow_model::seeded::{Seed, SeededMap};

use crate::client::{network_of, prefix_of};
use crate::names::{Names, OTHER_NUMBER};
use crate::record::Record;
use crate::routes::RouteTable;
use crate::row::{ClientAsn, ClientPrefix, Key, Row, Totals};

/// A leaf's key in numbers of the name tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Leaf {
    pub(super) vip: u32,
    pub(super) backend: u32,
    pub(super) server: u32,
    pub(super) route: u32,
    pub(super) code: u16,
}

impl Leaf {
    /// Where a leaf goes that finds no place of its own; there are no more of these than codes.
    const fn of_others(code: u16) -> Self {
        Self {
            vip: OTHER_NUMBER,
            backend: OTHER_NUMBER,
            server: OTHER_NUMBER,
            route: OTHER_NUMBER,
            code,
        }
    }
}

/// What the numbers in keys mean.
pub(super) struct NameTables<'a> {
    pub(super) vips: &'a Names,
    pub(super) backends: &'a Names,
    pub(super) servers: &'a Names,
    pub(super) routes: &'a RouteTable,
}

/// The window's cells.
#[derive(Debug)]
pub(super) struct Table {
    span_s: u32,
    leaves: SeededMap<Leaf, Totals>,
    /// Attempts that failed at a server before another one was tried; codes are 0.
    failed: SeededMap<Leaf, u64>,
    clients: SeededMap<(u32, u32), Clients>,
    keys_to_other: u64,
    clients_to_other: u64,
}

/// The clients of one backend.
#[derive(Debug, Default)]
struct Clients {
    networks: BTreeMap<ClientAsn, Totals>,
    prefixes: BTreeMap<ClientPrefix, Totals>,
}

impl Table {
    pub(super) fn new(seed: Seed, span_s: u32) -> Self {
        Self {
            span_s,
            leaves: seed.map(),
            failed: seed.map(),
            clients: seed.map(),
            keys_to_other: 0,
            clients_to_other: 0,
        }
    }

    pub(super) fn count(
        &mut self,
        leaf: Leaf,
        record: &Record<'_>,
        second: usize,
        asn: Option<&AsnTable>,
    ) {
        let empty = || Totals { by_second: vec![0; self.span_s as usize], ..Totals::default() };
        let full = self.leaves.len() >= EDGE_KEYS_PER_WINDOW_MAX;
        let mut leaf = leaf;
        if full && !self.leaves.contains_key(&leaf) {
            self.keys_to_other += 1;
            leaf = Leaf::of_others(leaf.code.min(CODE_MAX));
        }
        self.leaves.entry(leaf).or_insert_with(empty).observe(record, second);

        let clients = self.clients.entry((leaf.vip, leaf.backend)).or_default();
        let (mut network, mut prefix) = (network_of(record, asn), prefix_of(record.client));
        if !has_room(&clients.networks, &network) {
            self.clients_to_other += 1;
            network = ClientAsn::Other;
        }
        if !has_room(&clients.prefixes, &prefix) {
            self.clients_to_other += 1;
            prefix = ClientPrefix::Other;
        }
        clients.networks.entry(network).or_insert_with(empty).observe(record, second);
        clients.prefixes.entry(prefix).or_insert_with(empty).observe(record, second);
    }

    pub(super) fn count_failed_attempt(&mut self, leaf: Leaf) {
        let mut leaf = Leaf { code: 0, ..leaf };
        if self.failed.len() >= EDGE_KEYS_PER_WINDOW_MAX && !self.failed.contains_key(&leaf) {
            leaf = Leaf::of_others(0);
        }
        *self.failed.entry(leaf).or_default() += 1;
    }

    pub(super) const fn keys_to_other(&self) -> u64 {
        self.keys_to_other
    }

    pub(super) const fn clients_to_other(&self) -> u64 {
        self.clients_to_other
    }

    /// All groupings' rows, ordered by key.
    pub(super) fn rows(&self, start_s: i64, names: &NameTables<'_>) -> Vec<Row> {
        let mut sums: BTreeMap<Key, Totals> = BTreeMap::new();
        for (leaf, totals) in &self.leaves {
            for key in keys_of(*leaf, names) {
                sums.entry(key).or_default().merge(totals);
            }
        }
        for (leaf, n) in &self.failed {
            for key in keys_of(*leaf, names).into_iter().filter(|k| k.code.is_none()) {
                sums.entry(key).or_default().failed_attempts += n;
            }
        }
        for ((vip, backend), clients) in &self.clients {
            let beside = Key {
                vip: Some(names.vips.name(*vip)),
                backend: Some(names.backends.name(*backend)),
                ..Key::default()
            };
            for (network, totals) in &clients.networks {
                let key = Key { client_asn: Some(*network), ..beside.clone() };
                sums.entry(key).or_default().merge(totals);
            }
            for (prefix, totals) in &clients.prefixes {
                let key = Key { client_prefix: Some(*prefix), ..beside.clone() };
                sums.entry(key).or_default().merge(totals);
            }
        }
        let span_s = self.span_s;
        sums.into_iter().map(|(key, totals)| Row { start_s, span_s, key, totals }).collect()
    }
}

/// The largest status code told apart once a window is full.
const CODE_MAX: u16 = 1000;

fn has_room<K: Ord>(cells: &BTreeMap<K, Totals>, key: &K) -> bool {
    cells.len() < EDGE_CLIENTS_PER_BACKEND_MAX || cells.contains_key(key)
}

/// The keys of all groupings a leaf belongs to.
fn keys_of(leaf: Leaf, names: &NameTables<'_>) -> [Key; 6] {
    let vip = Key { vip: Some(names.vips.name(leaf.vip)), ..Key::default() };
    let backend = Key { backend: Some(names.backends.name(leaf.backend)), ..vip.clone() };
    let server = Key { server: Some(names.servers.name(leaf.server)), ..backend.clone() };
    let route = Some(names.routes.name(leaf.route));
    [
        Key { code: Some(leaf.code), ..backend.clone() },
        Key { route: route.clone(), ..backend.clone() },
        Key { route, ..server.clone() },
        vip,
        backend,
        server,
    ]
}
