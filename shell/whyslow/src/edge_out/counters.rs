//! Window rows as counters that only ever grow.
//!
//! A row is the whole of its key's window as it stands; one that is told again replaces what was
//! told before, and the difference is added. What arrives after newer windows were told joins the
//! next samples, so no counter ever goes back, and none is told twice for one time. A new series
//! begins with a zero just after its window's start, so that `increase` sees its first requests.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use whyslow_edge::record::{EdgePhase, Mark};
use whyslow_edge::row::{Key, OTHER, Row};
use whyslow_edge::windows::Grouping;
use whyslow_model::labels::NAME;
use whyslow_model::limits::{EDGE_OUT_KEYS_MAX, EDGE_OUT_ROWS_HELD_MAX, EDGE_WINDOWS_OPEN_MAX};
use whyslow_model::sample::stale_nan;
use whyslow_model::{Labels, Sample, Wall};

use super::buckets::{BOUNDS, Counted, Growing};

/// Seconds without a request after which a key's series end.
const FORGET_S: i64 = 600;
/// Seconds without a window for which counters are still told, unchanged.
const SILENT_S: i64 = 300;
/// Seconds after a window's end before silence is told.
const WAIT_S: i64 = 15;

/// One source's counters.
#[derive(Debug)]
pub(super) struct Counters {
    source: Arc<str>,
    service: Option<Arc<str>>,
    keys: BTreeMap<Key, Grown>,
    /// What was told of windows that may still be revised, by their start.
    held: BTreeMap<i64, BTreeMap<Key, Told>>,
    rows_held: usize,
    /// Windows that were let go of: their revisions can no longer be told from what was told.
    gone_before_s: i64,
    /// The newest window's end, and the end of what samples were given for.
    newest_s: i64,
    told_s: i64,
    span_s: i64,
    /// Rows that found no key of their own.
    pub(super) folded: u64,
    /// Rows of windows no longer held.
    pub(super) too_late: u64,
}

/// What one row told.
#[derive(Clone, Debug)]
enum Told {
    Leaf { codes: Vec<(u16, u64)>, latency: Counted },
    Server { phases: Vec<(EdgePhase, Counted)> },
}

/// One key's counters.
#[derive(Debug, Default)]
struct Grown {
    codes: BTreeMap<u16, (Born, u64)>,
    latency: Option<(Born, Growing)>,
    phases: BTreeMap<EdgePhase, (Born, Growing)>,
    /// The end of the last window with a request.
    active_s: i64,
}

/// Whether a series has begun, and if not, in which window it does.
#[derive(Clone, Copy, Debug)]
struct Born(Option<i64>);

impl Counters {
    pub(super) fn new(source: &str, service: Option<&str>) -> Self {
        Self {
            source: Arc::from(source),
            service: service.map(Arc::from),
            keys: BTreeMap::new(),
            held: BTreeMap::new(),
            rows_held: 0,
            gone_before_s: i64::MIN,
            newest_s: i64::MIN,
            told_s: i64::MIN,
            span_s: 10,
            folded: 0,
            too_late: 0,
        }
    }

    /// Takes the rows of a window; samples come where it is newer than all before.
    pub(super) fn handle_window(&mut self, rows: &[Row]) -> Vec<Sample> {
        for row in rows {
            let end_s = row.start_s.saturating_add(i64::from(row.span_s));
            self.span_s = i64::from(row.span_s).max(1);
            self.newest_s = self.newest_s.max(end_s);
            self.count(row, end_s);
        }
        self.bound_held();
        if self.newest_s > self.told_s { self.tell(self.newest_s) } else { Vec::new() }
    }

    /// Takes rows that an earlier process told: they are revised from here on.
    pub(super) fn resume(&mut self, rows: &[Row]) {
        for row in rows {
            let Some(told) = Told::of(row) else { continue };
            let window = self.held.entry(row.start_s).or_default();
            self.rows_held += usize::from(window.insert(row.key.clone(), told).is_none());
            let end_s = row.start_s.saturating_add(i64::from(row.span_s));
            self.told_s = self.told_s.max(end_s);
            self.newest_s = self.newest_s.max(end_s);
        }
        self.bound_held();
    }

    /// Its requests are of this service from now on. Under another one its series begin anew, with
    /// what windows grow by.
    pub(super) fn handle_service(&mut self, service: Option<&str>) {
        if self.service.as_deref() != service {
            self.service = service.map(Arc::from);
            self.keys.clear();
        }
    }

    /// Tells counters again while no window comes, for a while.
    pub(super) fn handle_timeout(&mut self, now: Wall) -> Vec<Sample> {
        let now_s = now.as_millis().div_euclid(1000);
        if self.newest_s == i64::MIN || now_s.saturating_sub(self.newest_s) > SILENT_S {
            return Vec::new();
        }
        let end_s = (now_s - WAIT_S).div_euclid(self.span_s) * self.span_s;
        if end_s > self.told_s { self.tell(end_s) } else { Vec::new() }
    }

    /// Keys that have counters.
    pub(super) fn keys(&self) -> usize {
        self.keys.len()
    }

    fn count(&mut self, row: &Row, end_s: i64) {
        let Some(told) = Told::of(row) else { return };
        if row.start_s < self.gone_before_s {
            self.too_late += 1;
            return;
        }
        let window = self.held.entry(row.start_s).or_default();
        let before = window.insert(row.key.clone(), told.clone());
        self.rows_held += usize::from(before.is_none());
        let begins_s = row.start_s.max(self.told_s);
        let key = self.place_of(&row.key);
        let grown = self.keys.entry(key).or_default();
        grown.active_s = grown.active_s.max(end_s);
        grown.add(&told, before.as_ref(), begins_s);
    }

    /// The key under which a row is counted: its own, or where there are too many, `other`.
    fn place_of(&mut self, key: &Key) -> Key {
        if self.keys.contains_key(key) || self.keys.len() < EDGE_OUT_KEYS_MAX {
            return key.clone();
        }
        self.folded += 1;
        let other = |is: &Option<Arc<str>>| is.as_ref().map(|_| Arc::from(OTHER));
        Key {
            vip: other(&key.vip),
            backend: other(&key.backend),
            server: other(&key.server),
            route: other(&key.route),
            ..Key::default()
        }
    }

    /// Lets go of the oldest windows: such as no table holds any more, and while more rows are
    /// held than may be.
    fn bound_held(&mut self) {
        let too_many = |s: &Self| {
            s.held.len() > 2 * EDGE_WINDOWS_OPEN_MAX || s.rows_held > EDGE_OUT_ROWS_HELD_MAX
        };
        while too_many(self) && self.held.len() > 1 {
            let Some((start_s, rows)) = self.held.pop_first() else { return };
            self.rows_held -= rows.len();
            self.gone_before_s = start_s.saturating_add(1);
        }
    }

    /// One sample of every series, at `end_s`, and the ends of those long without requests.
    fn tell(&mut self, end_s: i64) -> Vec<Sample> {
        self.told_s = end_s;
        let mut telling = Telling { samples: Vec::new(), at_ms: end_s.saturating_mul(1000) };
        let mut ended = BTreeSet::new();
        for (key, grown) in &mut self.keys {
            let base = base_of(&self.source, self.service.as_ref(), key);
            let is_over = end_s.saturating_sub(grown.active_s) >= FORGET_S;
            grown.tell(&base, is_over, &mut telling);
            if is_over {
                ended.insert(key.clone());
            }
        }
        for key in ended {
            self.keys.remove(&key);
        }
        telling.samples
    }
}

impl Told {
    /// `None` of rows of which no counter is made.
    fn of(row: &Row) -> Option<Self> {
        match Grouping::of(&row.key)? {
            Grouping::Leaf => Some(Self::Leaf {
                codes: row.totals.codes.iter().map(|(code, n)| (*code, *n)).collect(),
                latency: Counted::of(&row.totals.latency),
            }),
            Grouping::Server => {
                let told = EdgePhase::ALL.into_iter().map(|p| (p, row.totals.phase(p)));
                let told = told.filter(|(_, timing)| timing.mark != Mark::Absent);
                let phases = told.map(|(p, timing)| (p, Counted::of(&timing.timing))).collect();
                Some(Self::Server { phases })
            }
            Grouping::Vip
            | Grouping::Backend
            | Grouping::Route
            | Grouping::Code
            | Grouping::ClientAsn
            | Grouping::ClientPrefix => None,
        }
    }
}

impl Grown {
    /// Adds what a row tells beyond what was told of it before.
    fn add(&mut self, told: &Told, before: Option<&Told>, begins_s: i64) {
        let born = || Born(Some(begins_s));
        match told {
            Told::Leaf { codes, latency } => {
                let (codes_before, latency_before) = match before {
                    Some(Told::Leaf { codes, latency }) => (&codes[..], Some(latency)),
                    Some(Told::Server { .. }) | None => (&[][..], None),
                };
                for (code, n) in codes {
                    let was = codes_before.iter().find(|(c, _)| c == code).map_or(0, |(_, n)| *n);
                    self.codes.entry(*code).or_insert((born(), 0)).1 += n.saturating_sub(was);
                }
                let (_, own) = self.latency.get_or_insert_with(|| (born(), Growing::default()));
                own.add_difference(latency, latency_before);
            }
            Told::Server { phases } => {
                let earlier = match before {
                    Some(Told::Server { phases }) => &phases[..],
                    Some(Told::Leaf { .. }) | None => &[][..],
                };
                for (phase, counted) in phases {
                    let was = earlier.iter().find(|(p, _)| p == phase).map(|(_, c)| c);
                    let (_, own) =
                        self.phases.entry(*phase).or_insert_with(|| (born(), Growing::default()));
                    own.add_difference(counted, was);
                }
            }
        }
    }

    fn tell(&mut self, base: &[(Arc<str>, Arc<str>)], is_over: bool, telling: &mut Telling) {
        for (code, (born, n)) in &mut self.codes {
            let more = [label("code", &code.to_string())];
            telling.value("whyslow_edge_requests_total", base, &more, born.0.take(), is_over, *n);
        }
        if let Some((born, latency)) = &mut self.latency {
            let name = "whyslow_edge_request_seconds";
            telling.histogram(name, base, &[], born.0.take(), is_over, latency);
        }
        for (phase, (born, growing)) in &mut self.phases {
            let more = [label("phase", phase.as_str())];
            let name = "whyslow_edge_phase_seconds";
            telling.histogram(name, base, &more, born.0.take(), is_over, growing);
        }
    }
}

/// Samples as they are made.
struct Telling {
    samples: Vec<Sample>,
    at_ms: i64,
}

type Pair = (Arc<str>, Arc<str>);

impl Telling {
    #[expect(clippy::cast_precision_loss, reason = "a count of 2^53 is not reached")]
    fn value(
        &mut self,
        name: &str,
        base: &[Pair],
        more: &[Pair],
        begins_s: Option<i64>,
        is_over: bool,
        n: u64,
    ) {
        self.sample(name, base, more, begins_s, is_over, n as f64);
    }

    fn sample(
        &mut self,
        name: &str,
        base: &[Pair],
        more: &[Pair],
        begins_s: Option<i64>,
        is_over: bool,
        value: f64,
    ) {
        let named = [label(NAME, name)];
        let labels = Labels::from_pairs(base.iter().chain(more).chain(&named).cloned());
        if let Some(begins_s) = begins_s {
            // Just after the start, where the end of an earlier life of the series may stand.
            let at_ms = begins_s.saturating_mul(1000).saturating_add(1);
            self.samples.push(Sample { labels: labels.clone(), at_ms, value: 0.0 });
        }
        let value = if is_over { stale_nan() } else { value };
        self.samples.push(Sample { labels, at_ms: self.at_ms, value });
    }

    fn histogram(
        &mut self,
        name: &str,
        base: &[Pair],
        more: &[Pair],
        begins_s: Option<i64>,
        is_over: bool,
        growing: &Growing,
    ) {
        let counts = growing.up_to_each();
        let bucket = format!("{name}_bucket");
        let mut labels = more.to_vec();
        for (bound, n) in BOUNDS.iter().zip(counts) {
            labels.truncate(more.len());
            labels.push((Arc::from("le"), Arc::clone(bound)));
            self.value(&bucket, base, &labels, begins_s, is_over, n);
        }
        let count = counts.last().copied().unwrap_or(0);
        self.value(&format!("{name}_count"), base, more, begins_s, is_over, count);
        #[expect(clippy::cast_precision_loss, reason = "2^53 µs are 285 years")]
        let seconds = growing.sum_us as f64 / 1e6;
        self.sample(&format!("{name}_sum"), base, more, begins_s, is_over, seconds);
    }
}

fn label(name: &str, value: &str) -> Pair {
    (Arc::from(name), Arc::from(value))
}

/// The labels that all series of a key share.
fn base_of(source: &Arc<str>, service: Option<&Arc<str>>, key: &Key) -> Vec<Pair> {
    let mut base = vec![(Arc::from("source"), Arc::clone(source))];
    let given = [
        ("service", service),
        ("vip", key.vip.as_ref()),
        ("backend", key.backend.as_ref()),
        ("server", key.server.as_ref()),
        ("route", key.route.as_ref()),
    ];
    let there = given.into_iter().filter_map(|(name, value)| Some((name, value?)));
    base.extend(there.map(|(name, value)| (Arc::from(name), Arc::clone(value))));
    base
}

#[cfg(test)]
mod tests {
    use super::*;
    use whyslow_edge::row::Totals;

    fn key(server: &str, route: Option<&str>) -> Key {
        Key {
            vip: Some("www".into()),
            backend: Some("app".into()),
            server: Some(server.into()),
            route: route.map(Into::into),
            ..Key::default()
        }
    }

    /// A leaf row: so many requests of 200, each this long.
    fn row(start_s: i64, hits: u64, us: u64) -> Row {
        let mut totals = Totals { hits, ..Totals::default() };
        (0..hits).for_each(|_| totals.latency.observe(us));
        totals.codes.insert(200, hits);
        Row { start_s, span_s: 10, key: key("web1", Some("/")), totals }
    }

    fn values(samples: &[Sample], name: &str) -> Vec<(i64, f64)> {
        let own = |s: &&Sample| s.labels.metric() == Some(name);
        samples.iter().filter(own).map(|s| (s.at_ms, s.value)).collect()
    }

    const REQUESTS: &str = "whyslow_edge_requests_total";

    #[test]
    fn a_window_is_told_from_a_zero_on_and_the_next_adds_to_it() {
        let mut counters = Counters::new("lb1", Some("shop"));
        let first = counters.handle_window(&[row(100, 3, 1000)]);
        assert_eq!(values(&first, REQUESTS), [(100_001, 0.0), (110_000, 3.0)]);
        let labels = &first.iter().find(|s| s.labels.metric() == Some(REQUESTS)).unwrap().labels;
        let wanted = r#"whyslow_edge_requests_total{backend="app",code="200",route="/",server="web1",service="shop",source="lb1",vip="www"}"#;
        assert_eq!(labels.to_string(), wanted);
        let next = counters.handle_window(&[row(110, 2, 1000)]);
        assert_eq!(values(&next, REQUESTS), [(120_000, 5.0)]);
        assert_eq!(values(&next, "whyslow_edge_request_seconds_count"), [(120_000, 5.0)]);
        assert_eq!(values(&next, "whyslow_edge_request_seconds_sum"), [(120_000, 0.005)]);
    }

    #[test]
    fn a_revision_adds_only_what_it_has_more_and_waits_for_the_next_samples() {
        let mut counters = Counters::new("lb1", None);
        counters.handle_window(&[row(100, 3, 1000)]);
        counters.handle_window(&[row(110, 1, 1000)]);
        assert_eq!(counters.handle_window(&[row(100, 5, 1000)]), []);
        // Told again as it was, and once with less, which cannot be: nothing goes back.
        assert_eq!(counters.handle_window(&[row(100, 5, 1000)]), []);
        assert_eq!(counters.handle_window(&[row(110, 0, 1000)]), []);
        let next = counters.handle_window(&[row(120, 1, 1000)]);
        assert_eq!(values(&next, REQUESTS), [(130_000, 7.0)]);
        let buckets = values(&next, "whyslow_edge_request_seconds_bucket");
        assert_eq!((buckets[0].1, buckets[1].1, buckets[33].1), (0.0, 7.0, 7.0));
    }

    #[test]
    fn silence_is_told_for_a_while_and_a_key_without_requests_ends() {
        let mut counters = Counters::new("lb1", None);
        counters.handle_window(&[row(100, 3, 1000)]);
        let at = |s: i64| Wall::from_millis(s * 1000);
        assert_eq!(counters.handle_timeout(at(120)), []);
        let told = counters.handle_timeout(at(135));
        assert_eq!(values(&told, REQUESTS), [(120_000, 3.0)]);
        assert_eq!(counters.handle_timeout(at(500)), []);
        // Another key's window, much later: the first has ended.
        let mut other = row(800, 1, 1000);
        other.key = key("web2", Some("/"));
        let later = counters.handle_window(&[other]);
        let ends = later.iter().filter(|s| whyslow_model::sample::is_stale(s.value)).count();
        assert_eq!((ends, counters.keys()), (37, 1));
        // It comes back: from zero, after its end.
        let back = counters.handle_window(&[row(810, 2, 1000)]);
        let back = values(&back, REQUESTS);
        assert!(back.contains(&(810_001, 0.0)) && back.contains(&(820_000, 2.0)), "{back:?}");
    }

    #[test]
    fn after_a_restart_only_what_windows_grow_by_is_counted() {
        let mut counters = Counters::new("lb1", None);
        counters.resume(&[row(100, 3, 1000), row(110, 2, 1000)]);
        assert_eq!(counters.handle_window(&[row(110, 6, 1000)]), []);
        let next = counters.handle_window(&[row(120, 1, 1000)]);
        assert_eq!(values(&next, REQUESTS), [(120_001, 0.0), (130_000, 5.0)]);
    }

    #[test]
    fn a_window_that_is_made_anew_after_a_change_of_the_source_is_not_counted_twice() {
        let mut counters = Counters::new("lb1", Some("shop"));
        counters.handle_window(&[row(100, 3, 1000)]);
        counters.handle_service(Some("shop"));
        assert_eq!(counters.handle_window(&[row(100, 4, 1000)]), []);
        let next = counters.handle_window(&[row(110, 1, 1000)]);
        assert_eq!(values(&next, REQUESTS), [(120_000, 5.0)]);
        // Another service's series hold what is new only.
        counters.handle_service(Some("web"));
        assert_eq!(counters.handle_window(&[row(110, 2, 1000)]), []);
        let next = counters.handle_window(&[row(120, 1, 1000)]);
        assert_eq!(values(&next, REQUESTS), [(120_001, 0.0), (130_000, 2.0)]);
    }

    #[test]
    fn phases_are_told_by_server() {
        let mut totals = Totals { hits: 1, ..Totals::default() };
        totals.phases[EdgePhase::Wait as usize].timing.observe(2_000_000);
        totals.phases[EdgePhase::Wait as usize].mark = Mark::Exact;
        let row = Row { start_s: 100, span_s: 10, key: key("web1", None), totals };
        let told = Counters::new("lb1", None).handle_window(&[row]);
        let sums = values(&told, "whyslow_edge_phase_seconds_sum");
        assert_eq!(sums, [(100_001, 0.0), (110_000, 2.0)]);
        assert!(told.iter().all(|s| s.labels.value("phase") == Some("wait")));
    }

    #[test]
    fn keys_beyond_the_limit_are_counted_together() {
        let mut counters = Counters::new("lb1", None);
        let rows: Vec<Row> = (0..EDGE_OUT_KEYS_MAX + 5)
            .map(|i| Row { key: key("web1", Some(&format!("/{i}"))), ..row(100, 1, 1) })
            .collect();
        let told = counters.handle_window(&rows);
        assert_eq!((counters.keys(), counters.folded), (EDGE_OUT_KEYS_MAX + 1, 5));
        let total: f64 = values(&told, REQUESTS).iter().map(|(_, v)| v).sum();
        assert_eq!(total, rows.len() as f64);
    }
}
