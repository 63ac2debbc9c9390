//! Reports against counts of one's own.

use proptest::prelude::*;
use whyslow_model::seeded::Seed;

use super::{Field, Options, Outcome, Report, Value};
use crate::format::{Context, Scratch};
use crate::record::{EdgePhase, Record, Span};
use crate::routes::Routes;
use crate::{formats, syslog};

fn report(by: &[&[Field]]) -> Report {
    let by = by.iter().map(|by| by.to_vec()).collect();
    Report::new(Options { by, routes: Routes::default(), asn: None, seed: Seed(3), phases: true })
}

fn hits(outcome: &Outcome, table: usize) -> Vec<(String, u64)> {
    let text = |value: &Value| match value {
        Value::Name(name) => name.to_string(),
        Value::Code(code) => code.to_string(),
        Value::Asn(asn) => format!("AS{asn}"),
        Value::Net(net) => net.to_string(),
        Value::Unknown => "?".to_owned(),
        Value::Other => "other".to_owned(),
    };
    let groups = outcome.tables[table].groups.iter();
    groups.map(|g| (g.key.iter().map(text).collect::<Vec<_>>().join(" "), g.cell.hits)).collect()
}

#[test]
fn requests_are_grouped_by_each_composite_key() {
    let mut report =
        report(&[&[Field::Backend, Field::Code], &[Field::Route], &[Field::ClientPrefix]]);
    for (backend, path, code) in [
        (&b"app"[..], &b"/a/1"[..], 200),
        (b"app", b"/a/2", 200),
        (b"app", b"/b", 503),
        (b"static", b"/b", 200),
    ] {
        let client = Some([192, 0, 2, 9].into());
        report.handle_record(&Record { backend, path, code, client, ..Record::default() });
    }
    let outcome = report.finish();
    let owned =
        |rows: &[(&str, u64)]| rows.iter().map(|(k, n)| ((*k).to_owned(), *n)).collect::<Vec<_>>();
    assert_eq!(hits(&outcome, 0), owned(&[("app 200", 2), ("app 503", 1), ("static 200", 1)]));
    assert_eq!(hits(&outcome, 1), owned(&[("/a/:id", 2), ("/b", 2)]));
    assert_eq!(hits(&outcome, 2), owned(&[("192.0.2.0/24", 4)]));
    assert_eq!((outcome.parsed, outcome.total.hits, outcome.to_other), (4, 4, 0));
}

#[test]
fn names_that_are_known_by_their_place_are_counted_as_by_their_text() {
    let places =
        [(&b"web"[..], &b"app"[..], &b"a"[..]), (b"web", b"app", b"b"), (b"tls", b"app", b"a")];
    for by in [&[Field::Backend, Field::Server][..], &[Field::Vip], &[Field::Server, Field::Code]] {
        let outcome = |told: bool| {
            let mut report = report(&[by]);
            for n in 0..600_u32 {
                let (vip, backend, server) = places[n as usize % 3];
                // A place that was forgotten has another number when it comes again.
                let place = if told { 1 + n % 3 + 3 * u32::from(n >= 300) } else { 0 };
                let (code, total) =
                    (if n.is_multiple_of(2) { 200 } else { 503 }, Span::exact(u64::from(n)));
                let record =
                    Record { vip, backend, server, place, code, total, ..Record::default() };
                report.handle_record(&record);
            }
            report.finish()
        };
        let (told, not_told) = (outcome(true), outcome(false));
        assert_eq!(hits(&told, 0), hits(&not_told, 0), "{by:?}");
        assert_eq!(told.total, not_told.total, "{by:?}");
    }
}

#[test]
fn a_million_distinct_paths_are_bounded_and_the_surplus_is_other() {
    let mut report = report(&[&[Field::Route, Field::Code]]);
    let n = 1_000_000_u32;
    for i in 0..n {
        let word: String = i.to_string().bytes().map(|b| char::from(b - b'0' + b'a')).collect();
        let path = format!("/{word}");
        report.handle_record(&Record { path: path.as_bytes(), code: 200, ..Record::default() });
    }
    let outcome = report.finish();
    let rows = hits(&outcome, 0);
    assert_eq!(rows.iter().map(|(_, n)| n).sum::<u64>(), u64::from(n));
    assert_eq!(rows.len(), whyslow_model::limits::EDGE_REPORT_ROUTES_MAX + 1);
    assert_eq!(rows[0].0, "other 200");
    assert_eq!(outcome.to_other, rows[0].1);
}

#[derive(Clone, Debug)]
struct Small {
    second: i64,
    server: u8,
    path: u8,
    code: u16,
    total_us: u64,
    wait_us: Option<u16>,
    local: bool,
}

fn small() -> impl Strategy<Value = Small> {
    (0_i64..9, 0_u8..4, 0_u8..4, 200_u16..203, 0_u64..90_000, any::<Option<u16>>(), any::<bool>())
        .prop_map(|(second, server, path, code, total_us, wait_us, local)| Small {
            second,
            server,
            path,
            code,
            total_us,
            wait_us,
            local,
        })
}

fn feed(report: &mut Report, small: &Small) {
    const SERVERS: [&[u8]; 4] = [b"one", b"two", b"<NOSRV>", b"other"];
    const PATHS: [&[u8]; 4] = [b"/a", b"/b/1", b"/b/2", b""];
    let mut record = Record {
        at_us: Some(small.second * 1_000_000),
        server: SERVERS[usize::from(small.server)],
        path: PATHS[usize::from(small.path)],
        code: small.code,
        total: Span::exact(small.total_us),
        ..Record::default()
    };
    record.end.local = small.local;
    if let Some(us) = small.wait_us {
        record.phases.set(EdgePhase::Wait, Span::exact(us.into()));
    }
    report.handle_record(&record);
}

proptest! {
    #[test]
    fn reports_of_parts_add_up_to_the_report_of_the_whole(
        requests in proptest::collection::vec((small(), 0_usize..3), 0..150),
    ) {
        let by: &[&[Field]] = &[&[Field::Server, Field::Route], &[Field::Code], &[Field::Vip]];
        let mut whole = report(by);
        let mut parts = [report(by), report(by), report(by)];
        for (request, part) in &requests {
            feed(&mut whole, request);
            feed(&mut parts[*part], request);
        }
        let [mut first, second, third] = parts;
        first.absorb(second);
        first.absorb(third);
        let (merged, wanted) = (first.finish(), whole.finish());
        prop_assert_eq!(merged.parsed, wanted.parsed);
        prop_assert_eq!(merged.span_us, wanted.span_us);
        for (a, b) in merged.tables.iter().zip(&wanted.tables) {
            prop_assert_eq!(a.groups.len(), b.groups.len());
            for (a, b) in a.groups.iter().zip(&b.groups) {
                prop_assert_eq!(&a.key, &b.key);
                let codes = |codes: &[(u16, u64)]| {
                    codes.iter().copied().collect::<std::collections::BTreeMap<_, _>>()
                };
                prop_assert_eq!(codes(&a.cell.codes), codes(&b.cell.codes));
                prop_assert_eq!(a.cell.seconds.most(), b.cell.seconds.most());
                prop_assert_eq!(&a.cell.latency, &b.cell.latency);
                prop_assert_eq!(&a.cell.server, &b.cell.server);
                prop_assert_eq!(&a.cell.phases, &b.cell.phases);
                prop_assert_eq!((a.cell.hits, a.cell.timed, a.cell.local), (b.cell.hits, b.cell.timed, b.cell.local));
            }
        }
    }
}

/// A line as `HAProxy` writes it: mostly in order, here and there with what has to be read whole.
fn haproxy_line() -> impl Strategy<Value = String> {
    let often = |usual: &'static str, rare: &'static [&'static str]| prop_oneof![9 => Just(usual), 1 => proptest::sample::select(rare)];
    let start = (
        often("10.0.1.2:33317", &["2001:db8::7:40102", "unix:1", "10.0.1.2", ""]),
        0_u32..3,
        often("055", &["", "5", "999", "0x5"]),
        often("fe", &["fe~", "a-frontend-with-a-long-name", "fe:"]),
        often("app", &["static", "a-backend-with-a-name-of-its-own", "<NOSRV>", ""]),
        often("web1", &["web2", "<NOSRV>", "<STATS>", "w"]),
    );
    let numbers = (
        often("0/0/1", &["-1/-1/-1", "3/40/12", "0/0/1/+", "0/123456789/0"]),
        0_u32..2000,
        0_u32..3000,
        often("200", &["503", "-1", "1000", "20"]),
        often("8530", &["0", "+12", "123456789", "4294967296"]),
        often("- - ----", &["- - cD--", "- - CC--", "S=a b --VN", "- - ---"]),
        often("597/192/93/14/0 0/0", &["1/1/1/1/+2 0/0", "1/1/1/1/3 4/5", "1/1/1/1/0"]),
        often(" \"GET /a HTTP/1.1\"", &[" {a|b} \"GET / HTTP/1.1\"", "", " x", " \"GET /cut"]),
    );
    (start, numbers).prop_map(|(start, numbers)| {
        let (client, second, fraction, frontend, backend, server) = start;
        let (timers, response, active, code, bytes, state, counters, request) = numbers;
        format!(
            "{client} [21/Nov/2026:10:00:0{second}.{fraction}] {frontend} {backend}/{server} \
             {timers}/{response}/{active} {code} {bytes} {state} {counters}{request}"
        )
    })
}

proptest! {
    #[test]
    fn lines_read_in_brief_are_counted_as_their_records_are(
        lines in proptest::collection::vec((haproxy_line(), 0_usize..3), 1..60),
    ) {
        const HEADERS: [&str; 3] = ["", "<134>Nov 21 10:00:00 haproxy[7]: ", "Nov 21 10:00:01 lb1 haproxy[7]: "];
        let context = Context { near: "2026-11-21T10:00:05Z".parse().unwrap(), zone_s: 3600 };
        let parser = (formats::haproxy::FORMAT.parser)();
        let options = || Options {
            by: vec![vec![Field::Backend, Field::Server]],
            routes: Routes::default(),
            asn: None,
            seed: Seed(3),
            phases: false,
        };
        let scratch = || Scratch { wanted: options().wanted(), ..Scratch::default() };
        let (mut whole, mut in_brief) = (Report::new(options()), Report::new(options()));
        let (mut kept, mut kept_in_brief) = (scratch(), scratch());
        prop_assert!(whole.is_by_names());
        let mut briefs = 0;
        // The second time around all names are known.
        for (line, header) in lines.iter().chain(&lines) {
            let line = format!("{}{line}", HEADERS[*header]).into_bytes();
            if let Ok(record) = syslog::read(&*parser, &line, &context, &mut kept) {
                whole.handle_record(&record);
            }
            let brief = syslog::brief(&*parser, &line, &context, &mut kept_in_brief);
            if brief.is_some_and(|brief| in_brief.handle_brief(&brief)) {
                briefs += 1;
            } else if let Ok(record) = syslog::read(&*parser, &line, &context, &mut kept_in_brief) {
                in_brief.handle_record(&record);
            }
        }
        let (whole, in_brief) = (whole.finish(), in_brief.finish());
        prop_assert_eq!((whole.parsed, whole.span_us), (in_brief.parsed, in_brief.span_us));
        prop_assert!(briefs <= whole.parsed);
        for (a, b) in whole.tables[0].groups.iter().zip(&in_brief.tables[0].groups) {
            prop_assert_eq!(&a.key, &b.key);
            prop_assert_eq!(&a.cell, &b.cell);
        }
        prop_assert_eq!(whole.tables[0].groups.len(), in_brief.tables[0].groups.len());
    }
}

#[test]
fn a_line_as_nearly_all_are_is_known_in_brief_once_its_names_are() {
    let context = Context { near: "2026-11-21T10:00:05Z".parse().unwrap(), zone_s: 0 };
    let parser = (formats::haproxy::FORMAT.parser)();
    for (header, backend) in [
        ("", "app"),
        ("<134>Nov 21 10:00:00 haproxy[7]: ", "app"),
        ("Nov 21 10:00:00 lb1 haproxy[7]: ", "a-backend-with-a-longer-name"),
    ] {
        let line = format!(
            "{header}10.0.1.2:33317 [21/Nov/2026:10:00:00.055] http-in~ {backend}/web1 \
             0/0/1/19/28 200 8530 - - ---- 597/192/93/14/0 0/0 \"GET /a HTTP/1.1\""
        );
        let mut scratch = Scratch::default();
        let mut brief = || syslog::brief(&*parser, line.as_bytes(), &context, &mut scratch);
        assert_eq!(brief(), None, "its names were never met");
        syslog::read(&*parser, line.as_bytes(), &context, &mut scratch).unwrap();
        let brief = syslog::brief(&*parser, line.as_bytes(), &context, &mut scratch).unwrap();
        assert_eq!((brief.place, brief.second, brief.micros), (1, 1_795_255_200, 55_000));
        assert_eq!((brief.code, brief.bytes_out), (200, 8530));
        assert_eq!((brief.total_ms, brief.server_ms), (28, 20));
    }
}
