//! Which requests are slow, and which of them are kept within the budget.
//!
//! A request is slow over its route's limit, or over its route's own p99 of the past times a
//! factor. Where more are slow than the budget has room for, each route and reason gets a fair
//! part: every slow request draws a lot, and the route and reason that holds the most gives up the
//! one with the highest lot. What one route and reason keeps is so a sample in which each of its
//! requests is as likely as any other, and the rest is counted.

use std::collections::{BTreeSet, BinaryHeap, VecDeque};
use std::sync::Arc;

use ipnet::IpNet;
use whyslow_model::asn::Country;
use whyslow_model::limits::EDGE_ROUTES_MAX;
use whyslow_model::seeded::SeededMap;

use super::build::{Place, row_of};
use super::lots::{Drawn, Stratum, next_lot};
use super::options::Options;
use super::{Reason, SlowCount, SlowRow};
use crate::client::{network_of, prefix_of};
use crate::grouping::Grouping;
use crate::record::{Mark, Record};
use crate::routes::{RouteTable, matches};
use crate::row::{ClientAsn, ClientPrefix, OTHER, Row, Timing};

/// Seconds of a window of the budget.
const WINDOW_S: u64 = 10;
const WINDOWS_PER_DAY: u64 = 86_400 / WINDOW_S;
/// Part of a day's bytes that may be used at once.
const BURST: u64 = 24;
/// Bytes of a kept request beside its texts, with its place in the store's indices: measured over a
/// million of them.
const ROW_BYTES: u64 = 800;
/// Requests whose p99 means something.
const P99_REQUESTS_MIN: u64 = 1000;
/// Windows over which a route's p99 is taken.
const P99_WINDOWS: u32 = 60;

/// One route's limits.
#[derive(Clone, Debug)]
struct Limits {
    threshold_us: u64,
    own_us: u64,
    /// Of windows since `own_us` was last set.
    learning: Timing,
    /// By reason.
    strata: [Option<usize>; 2],
}

/// One worker's keeper of slow requests. Several share a budget by taking a part of it each.
#[derive(Debug)]
pub struct SlowKeeper {
    options: Options,
    table: RouteTable,
    routes: SeededMap<Arc<str>, Limits>,
    /// No request below is slow, whatever its route.
    least_us: u64,
    strata: Vec<Stratum>,
    /// How many each stratum keeps, and its place, so that the largest is found.
    sizes: BTreeSet<(usize, usize)>,
    kept: usize,
    room: usize,
    /// Bytes that may still be kept.
    bytes: u64,
    lots: u64,
    windows: u32,
    rows: VecDeque<SlowRow>,
    counts: VecDeque<SlowCount>,
}

impl SlowKeeper {
    /// A keeper of nothing yet.
    pub fn new(options: Options) -> Self {
        let bytes = options.bytes_per_day / BURST;
        let mut keeper = Self {
            table: RouteTable::new(options.routes.clone(), EDGE_ROUTES_MAX, options.seed),
            routes: options.seed.map(),
            least_us: 0,
            strata: Vec::new(),
            sizes: BTreeSet::new(),
            kept: 0,
            room: 0,
            bytes,
            lots: options.seed.0,
            windows: 0,
            rows: VecDeque::new(),
            counts: VecDeque::new(),
            options,
        };
        keeper.set_least();
        keeper.set_room();
        keeper
    }

    /// Requests that take less are surely not slow: a caller may spare itself the call.
    pub const fn least_us(&self) -> u64 {
        self.least_us
    }

    /// Looks at a request, and keeps it if it is slow and there is room.
    #[inline]
    pub fn handle_record(&mut self, record: &Record<'_>) {
        // What the balancer answered by itself waited on nobody.
        let judged = record.total.mark != Mark::Absent && !record.end.local;
        if judged && record.total.micros >= self.least_us {
            self.handle_candidate(record);
        }
    }

    fn handle_candidate(&mut self, record: &Record<'_>) {
        let number = self.table.number(record.path);
        let name = self.table.name(number);
        let limits = limits_of(&mut self.routes, &self.options, &name);
        let total = record.total.micros;
        let (reason, limit_us) = if total >= limits.threshold_us {
            (Reason::OverThreshold, limits.threshold_us)
        } else if total >= limits.own_us {
            (Reason::OverOwnP99, limits.own_us)
        } else {
            return;
        };
        let place = limits.strata[reason as usize];
        let stratum = place.unwrap_or(self.strata.len());
        if place.is_none() {
            limits.strata[reason as usize] = Some(stratum);
            let kept = BinaryHeap::new();
            self.strata.push(Stratum { route: name, reason, seen: 0, below: u64::MAX, kept });
            self.sizes.insert((0, stratum));
        }
        self.draw(stratum, limit_us, record);
    }

    fn draw(&mut self, stratum: usize, limit_us: u64, record: &Record<'_>) {
        let lot = next_lot(&mut self.lots);
        let of = &mut self.strata[stratum];
        of.seen += 1;
        if lot >= of.below || self.room == 0 {
            return;
        }
        let asn = match network_of(record, self.options.asn.as_deref()) {
            ClientAsn::As(n) => Some(n),
            ClientAsn::Unknown | ClientAsn::Other => None,
        };
        let prefix: Option<IpNet> = match prefix_of(record.client) {
            ClientPrefix::Net(net) => Some(net),
            ClientPrefix::Unknown | ClientPrefix::Other => None,
        };
        let country = record.client_country.map_or_else(
            || self.country_of(record).map(|c| c.as_str().to_owned()),
            |two| Some(String::from_utf8_lossy(&two).into_owned()),
        );
        let of = &mut self.strata[stratum];
        let source = Arc::clone(&self.options.source);
        let place =
            Place { source, route: &of.route, reason: of.reason, limit_us, asn, prefix, country };
        let row = row_of(record, place);
        self.sizes.remove(&(of.kept.len(), stratum));
        of.kept.push(Drawn { lot, row });
        self.sizes.insert((of.kept.len(), stratum));
        self.kept += 1;
        if self.kept > self.room {
            self.give_up_one();
        }
    }

    fn country_of(&self, record: &Record<'_>) -> Option<Country> {
        self.options.asn.as_ref()?.lookup(record.client?)?.country
    }

    /// The largest stratum gives up the request with the highest lot.
    fn give_up_one(&mut self) {
        let Some((size, largest)) = self.sizes.pop_last() else { return };
        let stratum = &mut self.strata[largest];
        if let Some(drawn) = stratum.kept.pop() {
            stratum.below = drawn.lot;
            self.kept -= 1;
        }
        self.sizes.insert((size - 1, largest));
    }

    /// Learns routes' own p99 from a window's rows.
    pub fn handle_rows(&mut self, rows: &[Row]) {
        if self.options.own_p99_factor.is_none() {
            return;
        }
        let groupings = rows.iter().map(|row| Grouping::of(&row.key));
        let Some(cover) = Grouping::ROUTE.cover(groupings) else { return };
        for row in rows.iter().filter(|row| Grouping::of(&row.key) == cover) {
            let Some(route) = &row.key.route else { continue };
            limits_of(&mut self.routes, &self.options, route).learning.merge(&row.totals.latency);
        }
        self.windows += 1;
        if self.windows >= P99_WINDOWS {
            self.windows = 0;
            self.learn();
        }
    }

    fn learn(&mut self) {
        let factor = self.options.own_p99_factor.unwrap_or(f64::INFINITY);
        for limits in self.routes.values_mut() {
            if limits.learning.histogram.count() < P99_REQUESTS_MIN {
                continue;
            }
            let learned = std::mem::take(&mut limits.learning);
            let p99_s = learned.histogram.quantile(0.99).unwrap_or(0.0);
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "a cast of floats saturates"
            )]
            let own_us = (p99_s * factor * 1e6).ceil() as u64;
            limits.own_us = own_us.max(1);
        }
        self.set_least();
    }

    /// Ends the window under way, `start_s` being its start by the caller's clock: what was kept
    /// is given out.
    pub fn handle_window_end(&mut self, start_s: i64) {
        for stratum in self.strata.drain(..) {
            let kept = stratum.kept.len() as u64;
            for drawn in stratum.kept {
                let mut row = drawn.row;
                row.stands_for = ratio(stratum.seen, kept);
                self.bytes = self.bytes.saturating_sub(bytes_of(&row));
                self.rows.push_back(row);
            }
            self.counts.push_back(SlowCount {
                source: Arc::clone(&self.options.source),
                start_s,
                route: stratum.route,
                reason: stratum.reason,
                seen: stratum.seen,
                kept,
            });
        }
        self.sizes.clear();
        self.kept = 0;
        self.routes.values_mut().for_each(|limits| limits.strata = [None; 2]);
        let burst = self.options.bytes_per_day / BURST;
        let refill = (self.options.bytes_per_day - burst) / WINDOWS_PER_DAY;
        self.bytes = self.bytes.saturating_add(refill).min(burst);
        self.set_room();
    }

    /// The next request that is kept; only after its window has ended.
    pub fn poll_kept(&mut self) -> Option<SlowRow> {
        self.rows.pop_front()
    }

    /// The next count of slow requests, those that were not kept included.
    pub fn poll_count(&mut self) -> Option<SlowCount> {
        self.counts.pop_front()
    }

    fn set_room(&mut self) {
        let affordable =
            usize::try_from(self.bytes / (ROW_BYTES + ROW_BYTES / 4)).unwrap_or(usize::MAX);
        self.room = affordable.min(self.options.rows_per_window);
    }

    fn set_least(&mut self) {
        let given = self.options.route_limits.iter().map(|(_, us)| *us);
        let learned = self.routes.values().map(|limits| limits.own_us);
        let least = given.chain(learned).chain(self.options.limit_us).min();
        self.least_us = least.unwrap_or(u64::MAX);
    }
}

/// A route's limits; beyond the most routes there may be, those of all others.
fn limits_of<'a>(
    routes: &'a mut SeededMap<Arc<str>, Limits>,
    options: &Options,
    name: &Arc<str>,
) -> &'a mut Limits {
    let full = routes.len() > EDGE_ROUTES_MAX && !routes.contains_key(name);
    let name: Arc<str> = if full { OTHER.into() } else { Arc::clone(name) };
    routes.entry(Arc::clone(&name)).or_insert_with(|| {
        let is = |(glob, _): &&(String, u64)| {
            **glob == *name || matches(glob.as_bytes(), name.as_bytes())
        };
        let given = options.route_limits.iter().find(is).map(|(_, us)| *us);
        let threshold_us = given.or(options.limit_us).unwrap_or(u64::MAX);
        let strata = [None; 2];
        Limits { threshold_us, own_us: u64::MAX, learning: Timing::default(), strata }
    })
}

/// About how many bytes a kept request takes in the store.
fn bytes_of(row: &SlowRow) -> u64 {
    let texts = [&row.vip, &row.backend, &row.server, &row.host, &row.path, &row.route];
    let texts: usize = texts.iter().map(|t| t.len()).sum();
    ROW_BYTES + texts as u64 + row.request_id.len() as u64
}

fn ratio(seen: u64, kept: u64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "requests of ten seconds are far below 2^53")]
    let ratio = seen as f64 / kept.max(1) as f64;
    ratio
}

#[cfg(test)]
mod tests;
