//! The rows of a judged window, in the shapes that detectors look at.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use whyslow_model::Wall;
use whyslow_model::limits::EDGE_DETECT_ROWS_MAX;

use super::{Options, WindowOf};
use crate::completeness::Completeness;
use crate::grouping::Grouping;
use crate::row::{ClientAsn, ClientPrefix, Key, Row, Totals};

/// What is told apart by pool, server and route.
const LEAF: Grouping = Grouping::BACKEND.and(Grouping::SERVER).and(Grouping::ROUTE);

/// Windows of one judged window, by source and start.
#[derive(Debug, Default)]
pub(super) struct Pending {
    windows: BTreeMap<(Arc<str>, i64), Kept>,
}

/// What is kept of one window.
#[derive(Debug)]
struct Kept {
    rows: Vec<Row>,
    completeness: Option<Completeness>,
}

impl Pending {
    /// Keeps a window's rows that a detector looks at, in place of those there are.
    pub(super) fn take(&mut self, window: &WindowOf<'_>) {
        let there = |row: &Row| Grouping::of(&row.key);
        let groupings: Vec<Grouping> = window.rows.iter().map(there).collect();
        let covers = |wanted: Grouping| wanted.cover(groupings.iter().copied());
        let wanted = [LEAF, Grouping::CLIENT_ASN, Grouping::CLIENT_PREFIX].map(covers);
        let rows = window.rows.iter().zip(&groupings);
        let kept = rows.filter(|(_, g)| wanted.contains(&Some(**g))).map(|(row, _)| row.clone());
        let rows = kept.take(EDGE_DETECT_ROWS_MAX).collect();
        let place = (Arc::clone(window.source), window.start_s);
        self.windows.insert(place, Kept { rows, completeness: window.completeness });
    }
}

/// One server's part of one route.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Leaf {
    pub(super) backend: Arc<str>,
    pub(super) server: Arc<str>,
    pub(super) route: Arc<str>,
}

/// A judged window.
#[derive(Debug)]
pub(super) struct View {
    pub(super) from: Wall,
    pub(super) to: Wall,
    /// Of the sources that tell, 0 to 1; `None` where none does.
    pub(super) told: Option<f64>,
    /// Whether every source tells.
    pub(super) all_tell: bool,
    /// Each source's own.
    pub(super) sources: BTreeMap<Arc<str>, Option<Completeness>>,
    /// By pool, server and route, over all frontends.
    pub(super) leaves: BTreeMap<Leaf, Totals>,
    /// By pool and route.
    pub(super) routes: BTreeMap<(Arc<str>, Arc<str>), Totals>,
    /// By pool and server.
    pub(super) servers: BTreeMap<(Arc<str>, Arc<str>), Totals>,
    /// By pool.
    pub(super) backends: BTreeMap<Arc<str>, Totals>,
    /// By the client's network, over all pools.
    pub(super) networks: BTreeMap<ClientAsn, Totals>,
    /// By the client's prefix, over all pools.
    pub(super) prefixes: BTreeMap<ClientPrefix, Totals>,
}

impl View {
    pub(super) fn of(start_s: i64, options: &Options, pending: &Pending) -> Self {
        let from = Wall::from_millis(start_s.saturating_mul(1000));
        let window = Duration::from_secs(u64::try_from(options.window_s).unwrap_or(0));
        let mut view = Self {
            from,
            to: from.after(window),
            told: None,
            all_tell: false,
            sources: BTreeMap::new(),
            leaves: BTreeMap::new(),
            routes: BTreeMap::new(),
            servers: BTreeMap::new(),
            backends: BTreeMap::new(),
            networks: BTreeMap::new(),
            prefixes: BTreeMap::new(),
        };
        for ((source, _), kept) in &pending.windows {
            let of_source = view.sources.entry(Arc::clone(source)).or_default();
            *of_source = Completeness::both(*of_source, kept.completeness);
            kept.rows.iter().for_each(|row| view.add(row));
        }
        let told = view.sources.values().copied().fold(None, Completeness::both);
        view.told = told.map(Completeness::share);
        view.all_tell = view.sources.values().all(Option::is_some);
        view
    }

    fn add(&mut self, row: &Row) {
        let Key { backend, server, route, client_asn, client_prefix, .. } = &row.key;
        let totals = &row.totals;
        if let Some(asn) = client_asn {
            self.networks.entry(*asn).or_default().merge_later(totals);
        } else if let Some(prefix) = client_prefix {
            self.prefixes.entry(*prefix).or_default().merge_later(totals);
        } else if let (Some(backend), Some(server), Some(route)) = (backend, server, route) {
            let of = |name: &Arc<str>| Arc::clone(name);
            let leaf = Leaf { backend: of(backend), server: of(server), route: of(route) };
            self.leaves.entry(leaf).or_default().merge_later(totals);
            let by_route = self.routes.entry((of(backend), of(route))).or_default();
            by_route.merge_later(totals);
            let by_server = self.servers.entry((of(backend), of(server))).or_default();
            by_server.merge_later(totals);
            self.backends.entry(of(backend)).or_default().merge_later(totals);
        }
    }
}
