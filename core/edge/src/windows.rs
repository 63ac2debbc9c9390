//! Records into windows of ten seconds, by the balancer's own time.
//!
//! A window is given out once the **watermark**, the latest time a record bore, has left it
//! behind. A request is logged at its end under the time it began, so records go on arriving for
//! older windows; such a window is given out again, whole, with the next revision number. That
//! goes on for the lateness bound, which should be the longest timeout. What arrives later still
//! changes no window, but is counted ([`Counters::beyond`]).
//!
//! One record with a wild date must not close every window. A time that lies ahead of the
//! caller's clock moves the watermark only when `AHEAD_RUN` records in a row bear such times;
//! until then they wait in windows of their own.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use whyslow_model::Wall;
use whyslow_model::asn::AsnTable;
use whyslow_model::limits::{EDGE_NAMES_MAX, EDGE_ROUTES_OPEN_MAX, EDGE_WINDOWS_OPEN_MAX};
use whyslow_model::seeded::Seed;

use crate::names::Names;
use crate::record::Record;
use crate::routes::{RouteTable, Routes};
use crate::row::{Key, Row};

mod clients;
mod table;

use table::{Leaf, Room, Table};

/// Seconds a window waits for records after its end before it is given out.
const GRACE_S: i64 = 2;
/// Seconds a time may lie ahead of the caller's clock without being doubted.
const AHEAD_S: i64 = 600;
/// Routes that are held before one looks which of them no open window has any more.
const ROUTES_HELD: usize = 10_000;
/// Doubted times in a row that prove the balancer's clock to be ahead.
const AHEAD_RUN: u32 = 16;

/// What one worker's windows are made by.
#[derive(Clone, Debug)]
pub struct Options {
    /// Seconds of a window.
    pub span_s: u32,
    /// How paths become routes.
    pub routes: Routes,
    /// Whose an address is; without it only networks that the source names are told apart.
    pub asn: Option<Arc<AsnTable>>,
    /// The hash seed.
    pub seed: Seed,
    /// Seconds for which late records change a window after its end.
    pub lateness_s: u32,
}

/// A window as it stands. A later one of the same start replaces it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClosedWindow {
    /// The window's start: seconds since the epoch, a multiple of the span.
    pub start_s: i64,
    /// 0 where it is given out for the first time.
    pub revision: u32,
    /// One row per key of each of these groupings: vip; vip + backend; vip + backend with each
    /// of server, route, code, client network, client prefix; and vip + backend + server +
    /// route. The rows of one grouping sum to the window's requests; of routes and clients the
    /// most frequent have rows, and [`Totals::missed_at_most`](crate::row::Totals::missed_at_most)
    /// says what those may have missed.
    pub rows: Vec<Row>,
}

/// The groupings of a window's rows, by what a key of theirs tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Grouping {
    /// The vip alone.
    Vip,
    /// Vip and backend.
    Backend,
    /// Vip, backend, server.
    Server,
    /// Vip, backend, route.
    Route,
    /// Vip, backend, code.
    Code,
    /// Vip, backend, server, route: the finest with latencies, for metrics and Graphite.
    Leaf,
    /// Vip, backend, client network.
    ClientAsn,
    /// Vip, backend, client prefix.
    ClientPrefix,
}

impl Grouping {
    /// The grouping a row's key is of; `None` of a key that no window gives.
    pub const fn of(key: &Key) -> Option<Self> {
        if key.vip.is_none() {
            return None;
        }
        let told = (
            key.backend.is_some(),
            key.server.is_some(),
            key.route.is_some(),
            key.code.is_some(),
            key.client_asn.is_some(),
            key.client_prefix.is_some(),
        );
        match told {
            (false, false, false, false, false, false) => Some(Self::Vip),
            (true, false, false, false, false, false) => Some(Self::Backend),
            (true, true, false, false, false, false) => Some(Self::Server),
            (true, false, true, false, false, false) => Some(Self::Route),
            (true, false, false, true, false, false) => Some(Self::Code),
            (true, true, true, false, false, false) => Some(Self::Leaf),
            (true, false, false, false, true, false) => Some(Self::ClientAsn),
            (true, false, false, false, false, true) => Some(Self::ClientPrefix),
            _ => None,
        }
    }
}

/// What became of the records; the first three sum to the records that came in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Records that found their window open for the first time.
    pub on_time: u64,
    /// Records that changed a window already given out.
    pub late: u64,
    /// Records too late for any window: in no row.
    pub beyond: u64,
    /// Records without a time, put where the caller's clock stood.
    pub undated: u64,
    /// Records whose time lay ahead of the caller's clock by more than ten minutes.
    pub ahead: u64,
    /// Names that found no place and went to `other`.
    pub names_to_other: u64,
    /// Records whose route gave way to more frequent ones, or found no place, and went to `other`.
    pub routes_to_other: u64,
    /// Records whose key found no place in its window and went to `other`.
    pub keys_to_other: u64,
    /// Records whose client's network or prefix gave way to more frequent ones and went to `other`.
    pub clients_to_other: u64,
}

/// One worker's windows.
#[derive(Debug)]
pub struct Windows {
    options: Options,
    vips: Names,
    backends: Names,
    servers: Names,
    routes: RouteTable,
    /// With so many routes one looks which of them no open window has any more.
    routes_held: usize,
    room: Room,
    open: BTreeMap<i64, Window>,
    /// The latest trusted time of a record, in seconds; `i64::MIN` before the first.
    watermark_s: i64,
    /// Every window that starts before is gone.
    gone_before_s: i64,
    /// The caller's clock when the watermark moved last.
    moved_at: Wall,
    ahead_run: u32,
    counters: Counters,
    closed: VecDeque<ClosedWindow>,
}

#[derive(Debug)]
struct Window {
    table: Table,
    /// How often it was given out.
    given: u32,
    /// Whether it holds what was not given out.
    changed: bool,
}

impl Windows {
    /// No records yet.
    pub fn new(options: Options) -> Self {
        let seed = options.seed;
        let names = || Names::new(EDGE_NAMES_MAX, seed);
        Self {
            routes: RouteTable::new(options.routes.clone(), EDGE_ROUTES_OPEN_MAX, seed),
            routes_held: ROUTES_HELD,
            room: Room::LIMITS,
            options: Options { span_s: options.span_s.max(1), ..options },
            vips: names(),
            backends: names(),
            servers: names(),
            open: BTreeMap::new(),
            watermark_s: i64::MIN,
            gone_before_s: i64::MIN,
            moved_at: Wall::default(),
            ahead_run: 0,
            counters: Counters::default(),
            closed: VecDeque::new(),
        }
    }

    /// Counts one request. `now` is the caller's clock: it dates records without a time, and
    /// bounds what is believed of the others.
    pub fn handle_record(&mut self, record: &Record<'_>, now: Wall) {
        let second = self.second_of(record, now);
        let span_s = i64::from(self.options.span_s);
        let start_s = second.div_euclid(span_s) * span_s;
        if start_s < self.gone_before_s {
            self.counters.beyond += 1;
            return;
        }
        if self.routes.len() >= self.routes_held {
            self.forget_routes();
        }
        let leaf = Leaf {
            vip: self.vips.number(record.vip),
            backend: self.backends.number(record.backend),
            server: self.servers.number(record.server),
            route: self.routes.number(record.path),
            code: record.code,
        };
        let window = self.open.entry(start_s).or_insert_with(|| Window {
            table: Table::new(self.options.seed, self.options.span_s, self.room),
            given: 0,
            changed: false,
        });
        let late = window.given > 0;
        self.counters.on_time += u64::from(!late);
        self.counters.late += u64::from(late);
        window.changed = true;
        let within = usize::try_from(second - start_s).unwrap_or(0);
        window.table.count(leaf, record, within, self.options.asn.as_deref());
        for attempt in &record.attempts {
            let server = self.servers.number(attempt.server);
            window.table.count_failed_attempt(Leaf { server, ..leaf });
        }
        self.advance(second, now);
    }

    /// Lets time pass without records, so that the last windows are given out too.
    pub fn handle_timeout(&mut self, now: Wall) {
        if self.watermark_s == i64::MIN {
            return;
        }
        let idle_s = i64::try_from(now.since(self.moved_at).as_secs()).unwrap_or(0);
        if idle_s > 0 {
            self.move_watermark(self.watermark_s.saturating_add(idle_s), now);
        }
    }

    /// Gives out everything that is held: the input has ended.
    pub fn finish(&mut self) {
        self.give_out(i64::MAX);
    }

    /// Every window that starts before is gone: nothing changes it any more.
    pub const fn gone_before_s(&self) -> i64 {
        self.gone_before_s
    }

    /// Says that every window that starts before is closed for good: another worker's watermark
    /// has left it behind, or an earlier process gave it out.
    pub fn handle_gone_before(&mut self, start_s: i64) {
        self.give_out(start_s);
        self.let_go_before(start_s);
    }

    /// The next window, oldest first, that is complete or was revised.
    pub fn poll_window(&mut self) -> Option<ClosedWindow> {
        self.closed.pop_front()
    }

    /// What became of the records so far.
    pub fn counters(&self) -> Counters {
        let names = [&self.vips, &self.backends, &self.servers];
        Counters {
            names_to_other: names.iter().map(|n| n.overflowed()).sum(),
            routes_to_other: self.counters.routes_to_other + self.routes.overflowed(),
            ..self.counters
        }
    }

    /// Lets go of routes that no open window has any more.
    fn forget_routes(&mut self) {
        let mut noted = BTreeSet::new();
        self.open.values().for_each(|window| window.table.note_routes(&mut noted));
        self.routes.keep(|route| noted.contains(&route));
        self.routes_held = (2 * self.routes.len()).max(ROUTES_HELD);
    }

    /// When the record counts, in seconds since the epoch.
    fn second_of(&mut self, record: &Record<'_>, now: Wall) -> i64 {
        record.at_us.map_or_else(
            || {
                self.counters.undated += 1;
                now.as_nanos().div_euclid(1_000_000_000)
            },
            |us| us.div_euclid(1_000_000),
        )
    }

    /// Moves the watermark to a record's time, unless that time is not to be believed yet.
    fn advance(&mut self, second: i64, now: Wall) {
        let now_s = now.as_nanos().div_euclid(1_000_000_000);
        if second > now_s.saturating_add(AHEAD_S) {
            self.counters.ahead += 1;
            self.ahead_run += 1;
            if self.ahead_run < AHEAD_RUN {
                self.bound_open();
                return;
            }
        } else {
            self.ahead_run = 0;
        }
        if second > self.watermark_s {
            self.move_watermark(second, now);
        }
    }

    fn move_watermark(&mut self, second: i64, now: Wall) {
        let span_s = i64::from(self.options.span_s);
        let before = self.watermark_s.saturating_sub(GRACE_S).div_euclid(span_s);
        self.watermark_s = second;
        self.moved_at = now;
        if second.saturating_sub(GRACE_S).div_euclid(span_s) != before {
            self.give_out(second.saturating_sub(GRACE_S));
            self.forget(second);
        }
        self.bound_open();
    }

    /// Gives out every window that ended at `until_s` and has something new.
    fn give_out(&mut self, until_s: i64) {
        let span_s = i64::from(self.options.span_s);
        let names = table::NameTables {
            vips: &self.vips,
            backends: &self.backends,
            servers: &self.servers,
            routes: &self.routes,
        };
        for (start_s, window) in &mut self.open {
            if start_s.saturating_add(span_s) > until_s {
                break;
            }
            if window.changed {
                let rows = window.table.rows(*start_s, &names);
                self.closed.push_back(ClosedWindow {
                    start_s: *start_s,
                    revision: window.given,
                    rows,
                });
                window.given += 1;
                window.changed = false;
            }
        }
    }

    /// Lets go of windows beyond the lateness bound, which have been given out.
    fn forget(&mut self, watermark_s: i64) {
        let span_s = i64::from(self.options.span_s);
        let bound =
            watermark_s.saturating_sub(i64::from(self.options.lateness_s) + GRACE_S + span_s);
        let keep_from = bound.div_euclid(span_s).saturating_add(1).saturating_mul(span_s);
        self.let_go_before(keep_from);
    }

    /// Keeps the number of open windows bounded: the oldest go first.
    fn bound_open(&mut self) {
        while self.open.len() > EDGE_WINDOWS_OPEN_MAX {
            let Some(second_oldest) = self.open.keys().nth(1).copied() else { return };
            self.give_out(second_oldest);
            self.let_go_before(second_oldest);
        }
    }

    fn let_go_before(&mut self, start_s: i64) {
        if start_s > self.gone_before_s {
            self.gone_before_s = start_s;
            let kept = self.open.split_off(&start_s);
            for window in std::mem::replace(&mut self.open, kept).into_values() {
                self.counters.keys_to_other += window.table.keys_to_other();
                self.counters.routes_to_other += window.table.routes_to_other();
                self.counters.clients_to_other += window.table.clients_to_other();
            }
            if self.routes.len() >= EDGE_ROUTES_OPEN_MAX {
                self.forget_routes();
            }
        }
    }
}

#[cfg(test)]
mod tests;
