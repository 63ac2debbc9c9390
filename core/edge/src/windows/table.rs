//! One window's counts: a cell per (vip, backend, server, route, code) and one per client
//! network and prefix of a backend, as far as there is room: the most frequent routes and clients
//! keep it ([`Top`]). All other groupings are added up from them when asked.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use whyslow_model::asn::AsnTable;
use whyslow_model::limits::{
    EDGE_BACKENDS_PER_WINDOW_MAX, EDGE_CLIENTS_PER_BACKEND_MAX, EDGE_KEYS_PER_WINDOW_MAX,
    EDGE_ROUTES_MAX,
};
use whyslow_model::seeded::{Seed, SeededMap};

use crate::client::{network_of, prefix_of};
use crate::names::{Names, OTHER_NUMBER};
use crate::record::Record;
use crate::routes::RouteTable;
use crate::row::{ClientAsn, ClientPrefix, Key, OTHER, Row, Totals};
use crate::top::Top;

use super::clients::Clients;

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

/// How much one window tells apart.
#[derive(Clone, Copy, Debug)]
pub(super) struct Room {
    /// Leaves.
    pub(super) keys: usize,
    /// Vips with a backend.
    pub(super) backends: usize,
    /// Routes that have rows beside each of these.
    pub(super) routes: usize,
    /// Networks, and prefixes, that have rows beside each of these.
    pub(super) clients: usize,
}

impl Room {
    pub(super) const LIMITS: Self = Self {
        keys: EDGE_KEYS_PER_WINDOW_MAX,
        backends: EDGE_BACKENDS_PER_WINDOW_MAX,
        routes: EDGE_ROUTES_MAX,
        clients: EDGE_CLIENTS_PER_BACKEND_MAX,
    };
}

/// The window's cells.
#[derive(Debug)]
pub(super) struct Table {
    seed: Seed,
    room: Room,
    span_s: u32,
    leaves: SeededMap<Leaf, Totals>,
    /// Attempts that failed at a server before another one was tried; codes are 0.
    failed: SeededMap<Leaf, u64>,
    backends: SeededMap<(u32, u32), Beside>,
    /// The leaves take all room there is, though all frequent routes alone are told apart.
    crowded: bool,
    keys_to_other: u64,
    routes_to_other: u64,
}

/// What is told apart beside a backend as far as there is room.
#[derive(Debug)]
struct Beside {
    /// The frequent ones; a leaf of a route that is not in is one of [`OTHER_NUMBER`].
    routes: Top<u32, ()>,
    networks: Clients<ClientAsn>,
    prefixes: Clients<ClientPrefix>,
    /// Requests that count beside no backend, for want of room.
    astray: u64,
    /// Requests whose route had no number.
    unnumbered: u64,
}

impl Table {
    pub(super) fn new(seed: Seed, span_s: u32, room: Room) -> Self {
        Self {
            seed,
            room,
            span_s,
            leaves: seed.map(),
            failed: seed.map(),
            backends: seed.map(),
            crowded: false,
            keys_to_other: 0,
            routes_to_other: 0,
        }
    }

    pub(super) fn count(
        &mut self,
        leaf: Leaf,
        record: &Record<'_>,
        second: usize,
        asn: Option<&AsnTable>,
    ) {
        let mut leaf = leaf;
        if self.leaves.len() >= self.room.keys && !self.leaves.contains_key(&leaf) {
            self.make_room();
            leaf = self.with_room(leaf);
        }
        self.count_route(&mut leaf);
        let (seed, room, span_s) = (self.seed, self.room, self.span_s as usize);
        let empty = || Totals { by_second: vec![0; span_s], ..Totals::default() };
        self.leaves.entry(leaf).or_insert_with(empty).observe(record, second);
        let beside = self.backends.entry((leaf.vip, leaf.backend));
        let beside = beside.or_insert_with(|| Beside::new(seed, room));
        beside.networks.observe(network_of(record, asn), record, second, span_s);
        beside.prefixes.observe(prefix_of(record.client), record, second, span_s);
    }

    pub(super) fn count_failed_attempt(&mut self, leaf: Leaf) {
        let mut leaf = Leaf { code: 0, ..leaf };
        if self.failed.len() >= self.room.keys && !self.failed.contains_key(&leaf) {
            leaf = Leaf::of_others(0);
        }
        *self.failed.entry(leaf).or_default() += 1;
    }

    /// Notes every route that has a number here.
    pub(super) fn note_routes(&self, noted: &mut BTreeSet<u32>) {
        let top = self.backends.values().flat_map(|b| b.routes.cells().map(|(route, _)| *route));
        let leaves = self.leaves.keys().chain(self.failed.keys()).map(|leaf| leaf.route);
        noted.extend(top.chain(leaves));
    }

    pub(super) const fn keys_to_other(&self) -> u64 {
        self.keys_to_other
    }

    /// Requests whose route had a number and is not told apart.
    pub(super) fn routes_to_other(&self) -> u64 {
        let of = |beside: &Beside| {
            let (beyond, _) = beside.routes.beyond(self.room.routes);
            beyond.iter().filter_map(|route| beside.routes.get(route)).map(|c| c.hits).sum::<u64>()
        };
        self.routes_to_other + self.backends.values().map(of).sum::<u64>()
    }

    /// Requests whose client's network or prefix is not told apart.
    pub(super) fn clients_to_other(&self) -> u64 {
        let of = |b: &Beside| b.networks.told(0).other.hits + b.prefixes.told(0).other.hits;
        self.backends.values().map(of).sum()
    }

    /// Counts the leaf's route, and has those that give way to it go to `other`.
    fn count_route(&mut self, leaf: &mut Leaf) {
        let place = (leaf.vip, leaf.backend);
        let full = self.backends.len() >= self.room.backends;
        if full && !self.backends.contains_key(&place) {
            self.keys_to_other += 1;
            *leaf = Leaf::of_others(leaf.code.min(CODE_MAX));
        }
        let place = (leaf.vip, leaf.backend);
        let (seed, room) = (self.seed, self.room);
        let beside = self.backends.entry(place).or_insert_with(|| Beside::new(seed, room));
        if leaf.route == OTHER_NUMBER {
            beside.unnumbered += 1;
            return;
        }
        let mut gone = Vec::new();
        beside.routes.count(leaf.route, || (), |route, _| gone.push(route));
        if !gone.is_empty() {
            self.fold([(place, gone)].into_iter().collect());
        }
    }

    /// The leaf where it has a place of its own, else one that has room.
    fn with_room(&mut self, leaf: Leaf) -> Leaf {
        if self.leaves.len() < self.room.keys {
            return leaf;
        }
        self.keys_to_other += 1;
        if let Some(beside) = self.backends.get_mut(&(leaf.vip, leaf.backend)) {
            beside.astray += 1;
        }
        Leaf::of_others(leaf.code.min(CODE_MAX))
    }

    /// Has the less frequent half of each backend's routes go to `other`.
    fn make_room(&mut self) {
        if self.crowded {
            return;
        }
        let mut gone: BTreeMap<(u32, u32), Vec<u32>> = BTreeMap::new();
        for (place, beside) in &mut self.backends {
            let half = (beside.routes.len() / 2).max(ROUTES_MIN);
            let going = gone.entry(*place).or_default();
            beside.routes.keep(half, |route, _| going.push(route));
        }
        self.fold(gone);
        self.crowded = self.leaves.len() > self.room.keys / 4 * 3;
    }

    /// Adds the leaves of routes that went to those of `other`.
    fn fold(&mut self, mut gone: BTreeMap<(u32, u32), Vec<u32>>) {
        gone.values_mut().for_each(|routes| routes.sort_unstable());
        let went = |leaf: &Leaf| {
            let routes = gone.get(&(leaf.vip, leaf.backend));
            routes.is_some_and(|routes| routes.binary_search(&leaf.route).is_ok())
        };
        let moved: Vec<_> = self.leaves.extract_if(|leaf, _| went(leaf)).collect();
        for (leaf, totals) in moved {
            self.routes_to_other += totals.hits;
            let other = Leaf { route: OTHER_NUMBER, ..leaf };
            self.leaves.entry(other).or_default().merge(&totals);
        }
    }

    /// All groupings' rows, ordered by key.
    pub(super) fn rows(&self, start_s: i64, names: &NameTables<'_>) -> Vec<Row> {
        let mut sums: BTreeMap<Key, Totals> = BTreeMap::new();
        let told: BTreeMap<(u32, u32), RoutesTold> = self
            .backends
            .iter()
            .map(|(place, beside)| (*place, beside.routes_told(self.room.routes)))
            .collect();
        let shown = |leaf: &Leaf| {
            let told = told.get(&(leaf.vip, leaf.backend));
            let is_told = told.is_some_and(|told| told.has(leaf.route));
            Leaf { route: if is_told { leaf.route } else { OTHER_NUMBER }, ..*leaf }
        };
        for (leaf, totals) in &self.leaves {
            for key in keys_of(shown(leaf), names) {
                sums.entry(key).or_default().merge(totals);
            }
        }
        for (leaf, n) in &self.failed {
            for key in keys_of(shown(leaf), names).into_iter().filter(|k| k.code.is_none()) {
                sums.entry(key).or_default().failed_attempts += n;
            }
        }
        for (place, beside) in &self.backends {
            let of_backend = Key {
                vip: Some(names.vips.name(place.0)),
                backend: Some(names.backends.name(place.1)),
                ..Key::default()
            };
            if let Some(told) = told.get(place) {
                bound_routes(&mut sums, &of_backend, beside, told, names.routes);
            }
            beside.networks.add_to(&mut sums, beside.astray, ClientAsn::Other, |network| Key {
                client_asn: Some(network),
                ..of_backend.clone()
            });
            beside.prefixes.add_to(&mut sums, beside.astray, ClientPrefix::Other, |prefix| Key {
                client_prefix: Some(prefix),
                ..of_backend.clone()
            });
        }
        let span_s = self.span_s;
        sums.into_iter().map(|(key, totals)| Row { start_s, span_s, key, totals }).collect()
    }
}

impl Beside {
    fn new(seed: Seed, room: Room) -> Self {
        Self {
            routes: Top::new(room.routes, seed),
            networks: Clients::new(room.clients, seed),
            prefixes: Clients::new(room.clients, seed),
            astray: 0,
            unnumbered: 0,
        }
    }

    /// The routes that have rows.
    fn routes_told(&self, max: usize) -> RoutesTold {
        let (beyond, hidden_at_most) = self.routes.beyond(max);
        let missed = self.routes.cells().map(|(route, cell)| (*route, cell.missed_at_most));
        let mut missed: BTreeMap<u32, u64> = missed.collect();
        for route in &beyond {
            missed.remove(route);
        }
        RoutesTold { missed, hidden_at_most: hidden_at_most + self.unnumbered }
    }
}

/// The routes beside a backend that have rows, each with what it may have missed while it was not
/// in.
struct RoutesTold {
    missed: BTreeMap<u32, u64>,
    hidden_at_most: u64,
}

impl RoutesTold {
    fn has(&self, route: u32) -> bool {
        self.missed.contains_key(&route)
    }
}

/// Says in the rows of a backend's routes what they may have missed.
fn bound_routes(
    sums: &mut BTreeMap<Key, Totals>,
    of_backend: &Key,
    beside: &Beside,
    told: &RoutesTold,
    routes: &RouteTable,
) {
    if told.hidden_at_most == 0 && beside.astray == 0 {
        return;
    }
    let missed: BTreeMap<Arc<str>, u64> =
        told.missed.iter().map(|(route, missed)| (routes.name(*route), *missed)).collect();
    let is_its = |key: &Key| key.vip == of_backend.vip && key.backend == of_backend.backend;
    if beside.astray > 0 {
        let its = sums.range(of_backend.clone()..).take_while(|(key, _)| is_its(key));
        let routes = its.filter(|(key, _)| key.route.is_some()).map(|(key, _)| key.clone());
        let others: BTreeSet<Key> = routes.filter_map(|key| key.of_others()).collect();
        for other in others {
            sums.entry(other).or_default();
        }
    }
    let its = sums.range(of_backend.clone()..).take_while(|(key, _)| is_its(key));
    let of_others = its.filter(|(key, _)| key.route.as_deref() == Some(OTHER));
    // One for all servers together, and one for each server.
    let hidden: BTreeMap<Option<Arc<str>>, u64> = of_others
        .map(|(key, totals)| {
            let hidden = told.hidden_at_most.min(totals.hits).saturating_add(beside.astray);
            (key.server.clone(), hidden)
        })
        .collect();
    let its = sums.range_mut(of_backend.clone()..).take_while(|(key, _)| is_its(key));
    for (key, totals) in its {
        let (Some(route), Some(hidden)) = (&key.route, hidden.get(&key.server)) else { continue };
        if &**route == OTHER {
            totals.hidden_at_most = *hidden;
        } else {
            let missed = missed.get(route).copied().unwrap_or(0) + beside.unnumbered;
            totals.spared = hidden.saturating_sub(missed.saturating_add(beside.astray));
        }
    }
}

/// The largest status code told apart once a window is full.
const CODE_MAX: u16 = 1000;
/// Routes that each backend keeps whatever room there is.
const ROUTES_MIN: usize = 16;

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
