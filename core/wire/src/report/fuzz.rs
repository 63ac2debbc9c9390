//! The fuzzer's way from segments to a report and to windows: both must hold the same.

use std::time::Duration;

use serde::Serialize;
use whyslow_model::Wall;
use whyslow_model::seeded::Seed;

use super::document::{EndingDocument, HandshakeDocument};
use super::{Cell, Options, Outcome, Report, Table};
use crate::anatomy::{Judge, Vantage, judge};
use crate::engine::play;
use crate::event::Event;
use crate::handshake::{Handshake, Phase};
use crate::row::{self, Dimension, Window};
use crate::windows::{Client, Windows};

/// Takes bytes as a script of segments, as the engine's fuzzer does. A live engine, whose clock
/// rings in between, tells what one does that reads a file; the report's tables and the windows'
/// dimensions sum to what was told.
///
/// # Panics
/// Where that does not hold.
pub fn fuzz_wire_report(data: &[u8]) {
    let (_, events) = play(data, false);
    let (_, live) = play(data, true);
    assert_eq!(in_order(&events), in_order(&live), "a live engine tells something else");
    let mut report = Report::new(Options { asn: None, seed: Seed(1), worst: 2 });
    let mut windows = Windows::new(Duration::from_secs(60));
    let (mut vantage, client, at) = (Vantage::default(), Client::default(), Wall::default());
    let [mut openings, mut unanswered, mut endings] = [0; 3];
    for event in events {
        match event {
            Event::Opening(opening) => {
                openings += 1;
                vantage.handle_opening(&opening);
                let point = vantage.point(&opening);
                let handshake = judge(opening, point, &Judge::default());
                sound(&handshake);
                let document = HandshakeDocument::from(&handshake);
                written_as_derived(&document, |to| document.write_members(to));
                report.handle_handshake(&handshake);
                windows.handle_handshake(&handshake, &client, at);
            }
            Event::Unanswered(syns) => {
                unanswered += 1;
                windows.handle_unanswered(&syns, None, &client, at);
                report.handle_unanswered(syns);
            }
            Event::Ending(ending) => {
                endings += 1;
                let document = EndingDocument::from(&ending);
                written_as_derived(&document, |to| document.write_members(to));
                windows.handle_ending(&ending, &client, at);
                report.handle_ending(ending);
            }
        }
    }
    windows.finish(at.after(Duration::from_secs(60)));
    let mut outcome = report.finish();
    reconcile(&outcome, [openings, unanswered, endings]);
    match windows.poll() {
        Some(window) => agrees(&window, &outcome, [openings, unanswered, endings]),
        None => assert_eq!([openings, unanswered, endings], [0; 3]),
    }
    outcome.cohorts.keep(1);
    outcome.servers.keep(0);
    reconcile(&outcome, [openings, unanswered, endings]);
}

/// Timers may be told in another order where many ring at once.
fn in_order(events: &[Event]) -> Vec<String> {
    let mut told: Vec<String> = events.iter().map(|event| format!("{event:?}")).collect();
    told.sort();
    told
}

/// Every figure of a judged opening is a number, and not negative.
fn sound(handshake: &Handshake) {
    let shares = handshake.shares;
    let shares = [shares.server, shares.network, shares.client, shares.unknown];
    assert!(shares.iter().all(|share| (0.0..=1.0).contains(share)), "{shares:?}");
    assert!((shares.iter().sum::<f64>() - 1.0).abs() < 1e-9, "{shares:?}");
    let phases = Phase::ALL.into_iter().filter_map(|phase| handshake.phases.of(phase));
    let total_ms = handshake.total_ms;
    let sum_ms: f64 = phases.inspect(|ms| assert!(ms.is_finite() && *ms >= 0.0)).sum();
    assert!(total_ms.is_finite() && (sum_ms - total_ms).abs() <= 1e-6 * total_ms.max(1.0));
    assert!(handshake.rtt_ref_ms.is_none_or(|ms| ms.is_finite() && ms >= 0.0));
}

/// What is written by hand is what its type would be as JSON.
fn written_as_derived(document: &impl Serialize, write_members: impl FnOnce(&mut Vec<u8>)) {
    let (derived, mut written) = (serde_json::to_vec(document), b"{".to_vec());
    write_members(&mut written);
    assert_eq!(derived.ok().as_deref(), Some(&*written), "{}", written.escape_ascii());
}

/// The tables sum to the handshakes, and everything told is counted once.
fn reconcile(outcome: &Outcome, [openings, unanswered, endings]: [u64; 3]) {
    let total = &outcome.total;
    assert_eq!(total.handshakes + outcome.plain_tcp + outcome.wordless, openings);
    assert_eq!(outcome.unanswered_count, unanswered);
    assert_eq!(outcome.silences.iter().map(|s| s.connections).sum::<u64>(), unanswered);
    assert_eq!(outcome.ending_counts.values().map(|(all, _)| all).sum::<u64>(), endings);
    assert_eq!(counted(&sum(&outcome.cohorts)), counted(total), "by client network");
    assert_eq!(counted(&sum(&outcome.servers)), counted(total), "by server");
    assert_eq!(total.blamed.iter().sum::<u64>(), total.slow);
    assert_eq!(total.total.count(), total.handshakes);
    assert!(outcome.worst.is_sorted_by(|a, b| a.total_ms >= b.total_ms));
    assert_eq!(outcome.worst.len() as u64, total.handshakes.min(2));
}

fn sum<K>(table: &Table<K>) -> Cell {
    let mut all = table.other.clone();
    table.rows.iter().for_each(|(_, cell)| all.merge(cell));
    all
}

fn counted(cell: &Cell) -> [u64; 4] {
    [cell.handshakes, cell.slow, cell.failed, cell.total.count()]
}

/// The window has what the report has, and each of its dimensions sums to it.
fn agrees(window: &Window, outcome: &Outcome, [openings, unanswered, endings]: [u64; 3]) {
    let counted = |t: &row::Totals| {
        [t.handshakes, t.slow, t.plain, t.unanswered, t.endings.values().sum::<u64>()]
    };
    let of = |dimension: Option<Dimension>| {
        let mut all = row::Totals::default();
        let rows = window.rows.iter().filter(|row| row.cell.dimension() == dimension);
        rows.for_each(|row| all.merge(&row.totals));
        counted(&all)
    };
    let [handshakes, slow, plain, ..] = of(None);
    assert_eq!(of(None), [handshakes, slow, plain, unanswered, endings]);
    assert_eq!(handshakes + plain, openings);
    assert_eq!([handshakes, slow], [outcome.total.handshakes, outcome.total.slow]);
    for dimension in Dimension::ALL {
        assert_eq!(of(Some(dimension)), of(None), "by {dimension:?}");
    }
}
