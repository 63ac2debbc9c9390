//! The fuzzer's way from lines to a report and to windows, and what must hold on it whatever the
//! format.

use std::collections::BTreeMap;

use whyslow_model::Wall;
use whyslow_model::limits::EDGE_ATTEMPTS_MAX;
use whyslow_model::seeded::Seed;

use crate::format::{Context, Parse, Scratch, Wanted};
use crate::pack::{pack, unpack};
use crate::record::Record;
use crate::report::{self, Cell, Field, Outcome, Report};
use crate::routes::Routes;
use crate::row::Totals;
use crate::windows::{self, ClosedWindow, Grouping, Windows};
use crate::{auto, formats, syslog};

/// For the fuzzer: the first byte picks a format (and, its top bit, whether to see what the formats'
/// check says), what follows are lines. However they are shared out among workers the report is the
/// same, and every table sums to the requests.
///
/// # Panics
/// Where that does not hold.
pub fn fuzz_edge_report(data: &[u8]) {
    let Some((parser, lines)) = picked(data) else { return };
    let mut whole = empty_report();
    let mut parts = [empty_report(), empty_report()];
    let mut parsed = 0;
    each_record(parser.as_ref(), &lines, |n, record| {
        parsed += 1;
        whole.handle_record(record);
        parts[n % 2].handle_record(record);
    });
    if data.first().is_some_and(|first| first & CHECK != 0) {
        let few = lines.get(..lines.len().min(8)).unwrap_or_default();
        checks_the_same(parser.as_ref(), few);
    }
    let [mut one, two] = parts;
    one.absorb(two);
    let (whole, mut parts) = (whole.finish(), one.finish());
    for outcome in [&whole, &parts] {
        assert_eq!((outcome.parsed, outcome.total.hits), (parsed, parsed));
        reconcile(outcome);
    }
    assert_eq!(whole.span_us, parts.span_us);
    assert_eq!((whole.to_other, parts.to_other), (0, 0), "there is room for these few");
    for (whole, parts) in whole.tables.iter().zip(&parts.tables) {
        assert_eq!(whole.groups.len(), parts.groups.len());
        for (a, b) in whole.groups.iter().zip(&parts.groups) {
            assert_eq!((&a.key, told(&a.cell)), (&b.key, told(&b.cell)));
        }
    }
    for table in &mut parts.tables {
        table.keep(1);
    }
    reconcile(&parts);
}

/// For the fuzzer: the first byte picks a format, what follows are its lines. Every record is in
/// its window or counted as too late, each grouping of a window sums to its requests, and every row
/// survives its bytes.
///
/// # Panics
/// Where that does not hold.
pub fn fuzz_edge_windows(data: &[u8]) {
    let Some((parser, lines)) = picked(data) else { return };
    let options = windows::Options {
        span_s: 10,
        routes: Routes::default(),
        asn: None,
        seed: Seed(1),
        lateness_s: 60,
    };
    let mut windows = Windows::new(options);
    let (mut latest, mut records) = (BTreeMap::new(), 0);
    let mut keep = |windows: &mut Windows| {
        while let Some(window) = windows.poll_window() {
            let before: Option<ClosedWindow> = latest.insert(window.start_s, window.clone());
            assert_eq!(window.revision, before.map_or(0, |before| before.revision + 1));
        }
    };
    each_record(parser.as_ref(), &lines, |n, record| {
        records += 1;
        windows.handle_record(record, near().after(std::time::Duration::from_secs(n as u64)));
        keep(&mut windows);
    });
    windows.finish();
    keep(&mut windows);
    let counters = windows.counters();
    assert_eq!(counters.on_time + counters.late + counters.beyond, records);
    let hits: u64 = latest.values().map(requests).sum();
    assert_eq!(hits, counters.on_time + counters.late, "requests in windows");
}

/// Reads every line in ways that must agree: by itself, behind the others, and without what is not
/// wanted; and looks at what comes out.
pub(crate) fn read_every_way(parser: &dyn Parse, data: &[u8]) {
    const NOTHING: Wanted =
        Wanted { client: false, request: false, phases: false, counters: false };
    let (mut kept, mut bare) = (Scratch::default(), Scratch::default());
    bare.wanted = NOTHING;
    for line in data.split(|b| *b == b'\n') {
        let mut fresh = Scratch::default();
        let alone = syslog::read(parser, line, &context(), &mut fresh);
        let again = syslog::read(parser, line, &context(), &mut kept);
        assert_eq!(alone, again, "the lines before decide how one is read");
        let bare = syslog::read(parser, line, &context(), &mut bare);
        match (&alone, &bare) {
            (Ok(alone), Ok(bare)) => {
                assert_eq!(wanted_always(alone), wanted_always(bare));
                sound(alone);
            }
            (alone, bare) => assert_eq!(
                alone.as_ref().err(),
                bare.as_ref().err(),
                "what is wanted decides which lines are read"
            ),
        }
    }
}

/// What holds of every record.
fn sound(record: &Record<'_>) {
    assert!(record.code <= 999, "the code {}", record.code);
    assert!(!record.path.contains(&b'?'), "a query is kept");
    assert!(record.attempts.len() <= EDGE_ATTEMPTS_MAX);
}

/// What a record holds whatever was wanted of it.
fn wanted_always<'r>(record: &'r Record<'_>) -> impl PartialEq + std::fmt::Debug + use<'r> {
    let &Record { at_us, code, retries, end, total, .. } = record;
    (at_us, code, retries, end.local, total.micros, record.server_micros(), record.timed())
}

type Lines<'a> = Vec<&'a [u8]>;

/// Its parser, and the lines: few enough that everything finds its place.
fn picked(data: &[u8]) -> Option<(Box<dyn Parse>, Lines<'_>)> {
    let (first, rest) = data.split_first()?;
    let picked = usize::from(*first & !CHECK);
    let format = formats::ALL.get(picked).or_else(|| formats::ALL.first())?;
    Some(((format.parser)(), rest.split(|b| *b == b'\n').take(200).collect()))
}

fn each_record(parser: &dyn Parse, lines: &[&[u8]], mut take: impl FnMut(usize, &Record<'_>)) {
    let mut scratch = Scratch::default();
    for (n, line) in lines.iter().enumerate() {
        if let Ok(record) = syslog::read(parser, line, &context(), &mut scratch) {
            take(n, &record);
        }
    }
}

/// The formats' check counts the lines that are read, and guesses only what reads more of them.
fn checks_the_same(parser: &dyn Parse, lines: &[&[u8]]) {
    let parsed = |parser: &dyn Parse| {
        let mut parsed = 0;
        each_record(parser, lines, |_, _| parsed += 1);
        parsed
    };
    let check = auto::check(parser, lines, &context());
    assert_eq!((check.parsed, check.of), (parsed(parser), lines.len()));
    if let Some(guess) = check.guess {
        assert!(parsed((guess.parser)().as_ref()) > check.parsed, "{} reads no more", guess.name);
    }
    let (found, check) = auto::find(lines, &context());
    let of_found = found.map_or(0, |format| parsed((format.parser)().as_ref()));
    assert_eq!((of_found > 0, check.parsed), (found.is_some(), of_found));
}

/// In the first byte: whether the check is looked at, which takes long.
const CHECK: u8 = 0x80;

fn empty_report() -> Report {
    use Field::{Backend, ClientAsn, ClientPrefix, Code, Route, Server, Vip};
    let by: [&[Field]; 4] =
        [&[Backend, Server], &[Route, Code], &[Vip], &[ClientAsn, ClientPrefix]];
    let by = by.into_iter().map(<[Field]>::to_vec).collect();
    let (routes, asn, seed) = (Routes::default(), None, Seed(1));
    Report::new(report::Options { by, routes, asn, seed, phases: true })
}

/// Every table sums to the requests, and each cell within itself.
fn reconcile(outcome: &Outcome) {
    for table in &outcome.tables {
        let hits: u64 = table.groups.iter().map(|g| g.cell.hits).sum();
        assert_eq!(hits, outcome.parsed, "requests by {:?}", table.by);
    }
    for cell in outcome.tables.iter().flat_map(|t| &t.groups).map(|g| &g.cell) {
        assert_eq!(cell.codes.iter().map(|(_, n)| n).sum::<u64>(), cell.hits);
        assert!(cell.timed + cell.local <= cell.hits && cell.client_aborted <= cell.hits);
        assert_eq!(cell.latency.histogram.count(), cell.timed);
        assert!(cell.seconds.most().is_none_or(|most| u64::from(most) <= cell.hits));
    }
}

/// What must not depend on the order in which a cell was filled.
fn told(cell: &Cell) -> impl PartialEq + std::fmt::Debug + use<'_> {
    let codes: BTreeMap<u16, u64> = cell.codes.iter().copied().collect();
    let counted = [cell.hits, cell.timed, cell.local, cell.client_aborted, cell.retries];
    let times = (&cell.latency, &cell.server, &cell.phases);
    (codes, counted, times, cell.bytes_out, cell.seconds.most())
}

/// The requests of a window, which each of its groupings holds.
fn requests(window: &ClosedWindow) -> u64 {
    let mut sums: BTreeMap<Grouping, u64> = BTreeMap::new();
    for row in &window.rows {
        let grouping = Grouping::of(&row.key);
        *sums.entry(grouping.unwrap_or(Grouping::Vip)).or_default() += row.totals.hits;
        assert!(grouping.is_some(), "a row by {:?}", row.key);
        survives_its_bytes(&row.totals);
        let by_second: u64 = row.totals.by_second.iter().map(|n| u64::from(*n)).sum();
        assert!(by_second <= row.totals.hits && u64::from(row.totals.peak_per_s) <= by_second);
    }
    let hits = sums.get(&Grouping::Vip).copied().unwrap_or(0);
    assert!(sums.values().all(|sum| *sum == hits), "groupings of one window: {sums:?}");
    hits
}

/// Sums beyond what a row's bytes hold saturate, and stay so; nothing else changes.
fn survives_its_bytes(totals: &Totals) {
    let Some(kept) = unpack(&pack(totals)) else { panic!("{totals:?} cannot be read again") };
    assert_eq!(unpack(&pack(&kept)).as_ref(), Some(&kept));
    let counted = |t: &Totals| [t.hits, t.client_aborted, t.local, t.retries, t.peak_per_s.into()];
    assert_eq!(counted(&kept), counted(totals));
    assert_eq!((&kept.codes, &kept.by_second), (&totals.codes, &totals.by_second));
    assert_eq!(kept.latency.histogram, totals.latency.histogram);
    assert_eq!(kept.server.histogram, totals.server.histogram);
}

fn near() -> Wall {
    Wall::from_nanos(1_770_380_055_000_000_000)
}

fn context() -> Context {
    Context { near: near(), zone_s: 0 }
}
