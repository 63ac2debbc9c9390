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
use whyslow_model::asn::{AsnTable, Country};
use whyslow_model::limits::EDGE_ROUTES_MAX;
use whyslow_model::seeded::{Seed, SeededMap};

use super::build::{Place, row_of};
use super::{Reason, SlowCount, SlowRow};
use crate::client::{network_of, prefix_of};
use crate::grouping::Grouping;
use crate::record::{Mark, Record};
use crate::routes::{RouteTable, Routes, matches};
use crate::row::{ClientAsn, ClientPrefix, OTHER, Row, Timing};

/// What is kept, and how much of it.
#[derive(Clone, Debug)]
pub struct Options {
    /// The log's name.
    pub source: Arc<str>,
    /// How paths become routes; the same as for the windows.
    pub routes: Routes,
    /// Whose an address is.
    pub asn: Option<Arc<AsnTable>>,
    /// Limits by glob of routes, in microseconds; the first glob that matches a route's name
    /// counts.
    pub route_limits: Vec<(String, u64)>,
    /// The limit of all other routes, in microseconds.
    pub limit_us: Option<u64>,
    /// How many times its route's own p99 a request may take; `None` where that is no reason.
    pub own_p99_factor: Option<f64>,
    /// Requests kept in a window of ten seconds.
    pub rows_per_window: usize,
    /// About how many bytes may be kept in a day.
    pub bytes_per_day: u64,
    /// Seeds the hash tables and the lots.
    pub seed: Seed,
}

impl Options {
    /// Everything over three times its route's own p99, within a thousand requests in a window
    /// and 256 MiB a day.
    pub fn new(source: Arc<str>, seed: Seed) -> Self {
        Self {
            source,
            routes: Routes::default(),
            asn: None,
            route_limits: Vec::new(),
            limit_us: None,
            own_p99_factor: Some(3.0),
            rows_per_window: 1000,
            bytes_per_day: 256 << 20,
            seed,
        }
    }
}

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

/// A slow request that drew a lot.
#[derive(Debug)]
struct Drawn {
    lot: u64,
    row: SlowRow,
}

impl PartialEq for Drawn {
    fn eq(&self, other: &Self) -> bool {
        self.lot == other.lot
    }
}

impl Eq for Drawn {}

impl PartialOrd for Drawn {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Drawn {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.lot.cmp(&other.lot)
    }
}

/// The slow requests of one route and reason in the window under way.
#[derive(Debug)]
struct Stratum {
    route: Arc<str>,
    reason: Reason,
    seen: u64,
    /// Lots at or above find no room any more.
    below: u64,
    kept: BinaryHeap<Drawn>,
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

/// The next lot: `SplitMix64` (Steele, Lea, Flood: Fast Splittable Pseudorandom Number
/// Generators, 2014).
const fn next_lot(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::record::{EdgePhase, Span};
    use crate::row::{Key, Totals};

    fn record(path: &str, total_us: u64) -> Record<'_> {
        let mut r = Record {
            at_us: Some(1_700_000_000_000_000),
            client: Some("203.0.113.7".parse().unwrap()),
            vip: b"web",
            server: b"app7",
            method: b"GET",
            path: path.as_bytes(),
            code: 200,
            total: Span::exact(total_us),
            ..Record::default()
        };
        r.phases.set(EdgePhase::Wait, Span::exact(total_us * 3 / 4));
        r.phases.set(EdgePhase::Body, Span::mixed(total_us / 8));
        r
    }

    fn keeper(change: impl FnOnce(&mut Options)) -> SlowKeeper {
        let mut options = Options::new("lb1".into(), Seed(11));
        change(&mut options);
        SlowKeeper::new(options)
    }

    fn drained(keeper: &mut SlowKeeper) -> (Vec<SlowRow>, Vec<SlowCount>) {
        keeper.handle_window_end(1_700_000_000);
        let rows = std::iter::from_fn(|| keeper.poll_kept()).collect();
        (rows, std::iter::from_fn(|| keeper.poll_count()).collect())
    }

    #[test]
    fn a_request_over_its_routes_limit_is_kept_whole() {
        let mut k = keeper(|o| {
            o.limit_us = Some(100_000);
            o.route_limits = vec![("/slow/**".to_owned(), 2_000_000)];
        });
        k.handle_record(&record("/cart/view", 99_999));
        k.handle_record(&record("/slow/report", 1_999_999));
        let mut local = record("/cart/view", 5_000_000);
        local.end.local = true;
        k.handle_record(&local);
        k.handle_record(&record("/cart/view", 100_000));
        let long = format!("/cart/{}\u{e9}", "x".repeat(600));
        k.handle_record(&Record { request_id: b"\xff\x00id", ..record(&long, 300_000) });
        let (mut rows, counts) = drained(&mut k);
        rows.sort_by_key(|r| r.total_us);
        assert_eq!(rows.iter().map(|r| r.total_us).collect::<Vec<_>>(), [100_000, 300_000]);
        let row = &rows[0];
        assert_eq!((row.dominant, row.limit_us), (Some(EdgePhase::Wait), 100_000));
        assert_eq!(row.prefix.map(|p| p.to_string()).as_deref(), Some("203.0.113.0/24"));
        assert_eq!(row.phases.len(), 2, "what is not told is not there");
        assert!(rows[1].path.len() <= whyslow_model::limits::EDGE_SLOW_TEXT_BYTES_MAX);
        assert_eq!(rows[1].request_id, "\u{fffd}\0id");
        let counted: Vec<_> = counts.iter().map(|c| (c.seen, c.kept)).collect();
        assert_eq!(counted, [(1, 1), (1, 1)]);
        assert!(drained(&mut k).0.is_empty());
        let again = serde_json::from_str::<SlowRow>(&serde_json::to_string(row).unwrap()).unwrap();
        assert_eq!(again, *row);
    }

    #[test]
    fn a_requests_name_is_that_of_its_line() {
        let mut k = keeper(|o| o.limit_us = Some(1));
        for us in [10, 10, 11] {
            k.handle_record(&record("/a", us));
        }
        let ids: Vec<String> = drained(&mut k).0.into_iter().map(|r| r.id).collect();
        let distinct: BTreeSet<&String> = ids.iter().collect();
        assert_eq!((ids.len(), distinct.len()), (3, 2));
    }

    #[test]
    fn over_budget_every_route_gets_its_part_and_the_rest_is_counted() {
        let mut k = keeper(|o| {
            o.limit_us = Some(1000);
            o.rows_per_window = 100;
        });
        for n in 0..100_000_u64 {
            k.handle_record(&record("/flood", 1000 + n));
        }
        for n in 0..30 {
            k.handle_record(&record("/rare", 1000 + n));
        }
        let (rows, counts) = drained(&mut k);
        let mut by_route: BTreeMap<&str, Vec<&SlowRow>> = BTreeMap::new();
        rows.iter().for_each(|r| by_route.entry(&r.route).or_default().push(r));
        assert_eq!((by_route["/rare"].len(), by_route["/flood"].len()), (30, 70));
        let sum: f64 = rows.iter().map(|r| r.stands_for).sum();
        assert!((sum - 100_030.0).abs() < 1e-3, "what is kept stands for all: {sum}");
        let flood = counts.iter().find(|c| &*c.route == "/flood").unwrap();
        assert_eq!((flood.seen, flood.kept), (100_000, 70));
        // Drawn from all of them alike: the middle of 70 lies within 4 sigma of the middle.
        let mean = by_route["/flood"].iter().map(|r| r.total_us as f64).sum::<f64>() / 70.0;
        assert!((mean - 51_000.0).abs() < 4.0 * 28_868.0 / 70_f64.sqrt(), "{mean}");
    }

    #[test]
    fn a_days_bytes_last_a_day() {
        let mut k = keeper(|o| {
            o.limit_us = Some(1000);
            o.bytes_per_day = 3 << 20;
        });
        let (mut bytes, mut last) = (0, 0);
        for _ in 0..WINDOWS_PER_DAY {
            (0..20).for_each(|n| k.handle_record(&record("/a", 1000 + n)));
            let (rows, _) = drained(&mut k);
            last = rows.len();
            bytes += rows.iter().map(bytes_of).sum::<u64>();
        }
        assert!(bytes <= 3 << 20, "{bytes}");
        assert!(bytes > 2 << 20 && last > 0, "{bytes}, {last} in the last window");
    }

    #[test]
    fn a_routes_own_p99_is_learned_from_its_past() {
        let mut k = keeper(|_| ());
        assert_eq!(k.least_us(), u64::MAX, "nothing is slow yet");
        let mut totals = Totals::default();
        (0..100).for_each(|n| totals.latency.observe(if n < 98 { 10_000 } else { 50_000 }));
        let key = Key { route: Some("/a".into()), ..Key::default() };
        let row = Row { start_s: 0, span_s: 10, key, totals };
        (0..P99_WINDOWS).for_each(|_| k.handle_rows(std::slice::from_ref(&row)));
        let least = k.least_us();
        assert!((148_000..152_000).contains(&least), "{least}");
        k.handle_record(&record("/a", least));
        k.handle_record(&record("/b", least));
        let (rows, _) = drained(&mut k);
        assert_eq!(rows.len(), 1, "of /b nothing is known");
        assert_eq!(rows[0].reason, Reason::OverOwnP99);
    }

    #[test]
    fn a_flood_of_routes_is_bounded() {
        let mut k = keeper(|o| o.limit_us = Some(1));
        for n in 0..3 * EDGE_ROUTES_MAX {
            k.handle_record(&record(&format!("/x{}y{}", n % 26, "a".repeat(n / 26)), 10));
        }
        assert!(k.routes.len() <= EDGE_ROUTES_MAX + 2);
    }
}
