//! The wire's pages made of made-up figures, without a server.

use std::sync::Arc;

use whyslow_model::Wall;

use super::*;
use crate::config::WireTap;
use crate::storage::WireKind;
use crate::web::pages::frame::Section;
use crate::web::pages::model::wire::ladder::tests::SLOW;
use crate::web::pages::model::wire::limits::Limits;
use crate::web::pages::model::wire::sum::tests::{totals, window};
use crate::web::pages::plane::tests::{HOSTILE, made_up, span};
use crate::wire::evidence::{Became, Ends, FateCounts, Match, TriggerCounts};

fn frame(span: &Span) -> Frame<'_> {
    made_up(span, Section::Wire)
}

fn drawn(seen: Seen, filter: Filter) -> String {
    let span = span();
    Wire::of(seen, filter).page(&frame(&span), &|_| String::new()).into_string()
}

fn event(document: &str) -> WireEvent {
    let (client, server) =
        ("198.51.100.73:51644".parse().unwrap(), "10.0.0.1:443".parse().unwrap());
    let at = Wall::from_millis(300_000);
    WireEvent {
        id: WireEvent::id_of(WireKind::Handshake, at, client, server),
        at,
        tap: Arc::from("eth0"),
        kind: WireKind::Handshake,
        client,
        server,
        asn: Some(64_507),
        rdns: None,
        total_us: Some(464_840),
        word: "client".into(),
        outcome: Some("complete".into()),
        notable: true,
        evidence: Some("a b.pcapng".into()),
        document: document.into(),
    }
}

fn seen() -> Seen {
    let rows = vec![
        (Cell::All, totals(120, 9, "client", [1, 20, 5])),
        (Cell::Asn(64_507), totals(30, 9, "client", [1, 25, 230])),
        (Cell::Asn(64_504), totals(90, 0, "", [1, 20, 5])),
        (Cell::Server("10.0.0.1:443".parse().unwrap()), totals(120, 9, "client", [1, 20, 5])),
    ];
    let one = WireEventPage { events: vec![event(SLOW)], of: 1 };
    Seen {
        windows: vec![window(3, rows)],
        taps: vec!["eth0".into()],
        newest: one.clone(),
        slowest: one,
        ..Seen::default()
    }
}

#[test]
fn cohorts_lead_to_themselves_and_the_ladder_marks_the_gap() {
    let page = drawn(seen(), Filter::default());
    assert!(page.contains("/wire?asn=64507&amp;from=0"), "no link to the cohort");
    assert!(page.contains("client think, 412.7"), "no gap");
    assert!(page.contains("/api/v1/wire/evidence/a%20b.pcapng"), "no packets");
    assert!(page.contains("9 of 30 from AS64507 were slow"), "nobody alike");
    assert!(page.contains("The server is not the slow one"), "no sentence");
}

#[test]
fn a_filter_narrows_the_figures_and_several_are_told_as_not_told_apart() {
    let network = Filter::default().with(Field::Asn, "64507");
    let page = drawn(seen(), network.clone());
    assert!(!page.contains("AS64504") && page.contains("30 handshakes"), "not narrowed");
    let both = drawn(seen(), network.with(Field::Server, "10.0.0.1:443"));
    assert!(both.contains("each by itself"), "not explained");
}

#[test]
fn what_comes_from_outside_is_shown_and_never_run() {
    let hostile = HOSTILE.replace('\u{1b}', "\\u001b");
    let document = SLOW.replace("shop.example", &hostile).replace("client think 412.7", &hostile);
    let mut hostile = event(&document);
    hostile.word = HOSTILE.into();
    hostile.rdns = Some(Arc::from(HOSTILE));
    hostile.outcome = Some(HOSTILE.into());
    let page = WireEventPage { events: vec![hostile.clone()], of: 1 };
    let seen = Seen { newest: page.clone(), slowest: page.clone(), endings: page, ..seen() };
    let span = span();
    let one = one::page_of(&hostile, &frame(&span), &|_| String::new()).into_string();
    for text in [drawn(seen, Filter::default().with(Field::Rdns, HOSTILE)), one] {
        assert!(!text.contains("<script>alert") && !text.contains(['\u{202e}', '\u{1b}']));
    }
}

#[test]
fn nothing_seen_is_not_called_fine_and_a_damaged_document_is_no_page_of_its_own() {
    let page = drawn(Seen::default(), Filter::default());
    assert!(page.contains("No connection was seen") && page.contains("st-unknown"));
    let span = span();
    let one = one::page_of(&event("{"), &frame(&span), &|_| String::new()).into_string();
    assert!(one.contains("cannot be read"));
    let start = start(&frame(&span)).into_string();
    assert!(start.contains("interface: eth0") && start.contains("whyslow doctor"));
}

#[test]
fn what_was_dropped_is_said_and_never_rounded_away() {
    let mut seen = seen();
    seen.windows[0].1.packets = 10_000_000;
    seen.windows[0].1.drops = 1;
    let page = drawn(seen, Filter::default());
    assert!(page.contains("99.99\u{a0}% of the packets"), "rounded to all");
    assert!(page.contains("1\u{a0}packet dropped: read"), "not in the lead");
}

/// A log of which one line was kept, three were not, and one waits.
fn trigger(problem: Option<&str>) -> TriggerStatus {
    let at = |s: i64| Wall::from_millis(s * 1000);
    let one = |s: i64, became: Became| Match {
        noticed: at(s),
        began: at(s - 1),
        ended: at(s),
        duration: Some(std::time::Duration::from_millis(801)),
        ends: Ends { client: "192.0.2.7".parse().ok(), ..Ends::default() },
        client: None,
        line: HOSTILE.to_owned(),
        became,
    };
    let kept = Became::Kept { files: vec!["a b.pcapng".to_owned()], candidates: 3 };
    TriggerStatus {
        name: "lb_slow".to_owned(),
        input: "file:/var/log/lb.log".to_owned(),
        cause: "log".to_owned(),
        since: at(0),
        counts: TriggerCounts { matched: 5, faster: 20, odd: 1, ..TriggerCounts::default() },
        fates: FateCounts { kept: 1, not_kept: [("rate", 3)].into() },
        problem: problem.map(str::to_owned),
        odd: Some(HOSTILE.to_owned()),
        recent: vec![one(100, Became::NotKept("rate")), one(200, kept)],
    }
}

#[test]
fn a_log_tells_what_it_gave_and_what_stands_in_its_way() {
    let page = drawn(Seen { triggers: vec![trigger(None)], ..seen() }, Filter::default());
    for said in [
        "file:/var/log/lb.log",
        "followed since 00:00:00",
        "3</span><br><small>beyond the limit of a minute",
        "00:03:20</time></td><td class=\"n\">3</td>",
        "/api/v1/wire/evidence/a%20b.pcapng",
        "1\u{a0}line matched and said what cannot be",
        "1\u{a0}log, each since it is followed",
    ] {
        assert!(page.contains(said), "{said}");
    }
    assert!(!page.contains("<script>alert") && !page.contains(['\u{202e}', '\u{1b}']));
    let blind = trigger(Some("/var/log/lb.log: permission denied"));
    let page = drawn(Seen { triggers: vec![blind], ..seen() }, Filter::default());
    assert!(page.contains("st-blind") && page.contains("permission denied"));
    assert!(page.contains("; 1 cannot be read"));
    assert!(drawn(seen(), Filter::default()).contains("none is followed now"));
}

#[test]
fn the_limit_is_the_taps_own_and_the_page_says_which() {
    let usual = drawn(seen(), Filter::default());
    assert!(usual.contains("slow from 300\u{a0}ms</text>") && usual.contains("Slow is what takes"));
    let slow = serde_json::from_str(r#"{"total": "1s", "times_p99": 4}"#).unwrap();
    let tap = WireTap { slow, ..WireTap::of("eth0") };
    let limits = Limits::of(&["eth0".to_owned()], &[tap]);
    let own = drawn(Seen { limits, ..seen() }, Filter::default());
    assert!(own.contains("slow from 1\u{a0}s</text>") && !own.contains("300\u{a0}ms"));
    assert!(own.contains("4 times what 99 of 100 take at the same server"));
}
