//! The edge pages made of made-up figures, without a server.

use whyslow_edge::record::{EdgePhase, Mark};
use whyslow_edge::slow::{Reason, SlowPhase, SlowRow};
use whyslow_model::Wall;

use super::slow::{SlowSeen, page_of};
use super::*;
use crate::web::pages::frame::Section;
use crate::web::pages::model::edge::lead::tests::finding;
use crate::web::pages::model::edge::sources::{Numbered, Rejects};
use crate::web::pages::model::edge::tests::{key, row};
use crate::web::pages::plane::tests::{HOSTILE, made_up, span};

fn frame(span: &Span) -> Frame<'_> {
    made_up(span, Section::Edge)
}

const NAMES: Names<'static> = Names { network: &|_| String::new() };

fn drawn(seen: Seen, filter: &Filter) -> String {
    let span = span();
    Edge::of(seen, filter.clone(), &span).page(&frame(&span), &NAMES).into_string()
}

fn slow_row() -> SlowRow {
    SlowRow {
        id: "1".into(),
        at: Wall::from_millis(300_000),
        source: "lb1".into(),
        client: None,
        client_port: 0,
        asn: None,
        country: None,
        prefix: None,
        vip: String::new(),
        backend: String::new(),
        server: String::new(),
        method: "GET".into(),
        host: String::new(),
        path: HOSTILE.into(),
        route: "/".into(),
        code: 0,
        flags: String::new(),
        blamed: None,
        client_aborted: false,
        phases: vec![SlowPhase { phase: EdgePhase::Body, us: 900_000, mark: Mark::Mixed }],
        total_us: 1_000_000,
        total_mark: Mark::Bound,
        bytes_out: None,
        bytes_in: None,
        retries: 0,
        redispatched: false,
        attempts: Vec::new(),
        queued: None,
        server_conns: None,
        client_rtt_us: None,
        client_retransmits: None,
        request_id: String::new(),
        dominant: None,
        reason: Reason::OverThreshold,
        limit_us: 500_000,
        stands_for: 2.5,
    }
}

#[test]
fn nothing_from_outside_is_markup() {
    let rows = vec![row(0, key("shop", HOSTILE, HOSTILE, ""), &[5; 30])];
    let sources = vec![Source {
        name: HOSTILE.into(),
        input: HOSTILE.into(),
        format: HOSTILE.into(),
        lines: 3,
        rejects: vec![Rejects { reason: HOSTILE.into(), count: 3, sample: HOSTILE.into() }],
        ..Source::default()
    }];
    let findings = vec![finding(HOSTILE, 3, None)];
    let by = [(Field::Route, vec![row(0, key("", "", "", HOSTILE), &[5; 30])])].into();
    let seen = Seen { rows, findings, sources, by, ..Seen::default() };
    let page = drawn(seen, &Filter::default().with(Field::Code, HOSTILE));
    assert!(!page.contains("<script>alert") && !page.contains(['\u{202e}', '\u{1b}']));
    let seen = SlowSeen { rows: vec![slow_row()], step_s: 10, ..SlowSeen::default() };
    let span = span();
    let page = page_of(&seen, &Filter::default(), &frame(&span), &NAMES).into_string();
    assert!(page.contains("&lt;script&gt;") && !page.contains("<script>alert"));
}

#[test]
fn what_is_not_told_is_said_to_be() {
    let seen = Seen { rows: vec![row(0, key("shop", "app", "", ""), &[5; 30])], ..Seen::default() };
    let page = drawn(seen, &Filter::default());
    assert!(page.contains("not told by the source"), "no word of absent phases");
    assert!(page.contains("Silence clears nobody"), "no word of detectors that did not look");
    assert!(page.contains("no source is configured now"));
    let seen = SlowSeen { rows: vec![slow_row()], step_s: 10, ..SlowSeen::default() };
    let span = span();
    let page = page_of(&seen, &Filter::default(), &frame(&span), &NAMES).into_string();
    assert!(page.contains("≥ "), "a bound is shown as a figure");
    assert_eq!(page.matches(">not told<").count(), 3, "server, flags and client");
    assert!(page.contains("stands for 2.5"));
}

#[test]
fn what_a_route_may_have_missed_is_said_where_it_is_not_0() {
    let seen = |missed_at_most, hidden_at_most| {
        let mut of_others = row(0, key("shop", "app", "web1", "other"), &[5; 90]);
        of_others.totals.hidden_at_most = hidden_at_most;
        let rows = vec![row(0, key("shop", "app", "web1", "/a"), &[900; 3]), of_others];
        let by = [(Field::Route, rows.clone())].into();
        Seen { rows, by, missed_at_most, ..Seen::default() }
    };
    let page = drawn(seen(12, 17), &Filter::default());
    assert!(page.contains("Up to 12 more requests that fit"), "the table is silent");
    assert!(page.contains("may hold up to 17 requests of any one"), "the facet is silent");
    let page = drawn(seen(0, 0), &Filter::default());
    assert!(!page.contains("more requests that fit") && !page.contains("of any one."));
}

#[test]
fn missing_lines_are_said_above_everything_else() {
    let rows = vec![row(0, key("shop", "app", "web1", ""), &[5; 30])];
    let sources = vec![Source {
        name: "lb1".into(),
        lines: 90,
        numbered: Some(Numbered { sent: 100, seen: 90 }),
        ..Source::default()
    }];
    let page = drawn(Seen { rows, sources, ..Seen::default() }, &Filter::default());
    assert!(page.contains("10 lines are missing"), "the lead is silent");
    assert!(page.contains("incomplete: 90 lines seen of 100 sent"), "the table is silent");
}

#[test]
fn every_row_is_a_link_that_narrows_and_keeps_the_range() {
    let rows = vec![
        row(0, key("shop", "app", "web1", ""), &[5; 30]),
        row(0, key("shop", "app", "web2", ""), &[5; 30]),
    ];
    let page = drawn(Seen { rows, ..Seen::default() }, &Filter::default());
    let link = "/edge?vip=shop&amp;backend=app&amp;server=web2&amp;from=0&amp;to=600000";
    assert!(page.contains(link), "no link to web2");
}
