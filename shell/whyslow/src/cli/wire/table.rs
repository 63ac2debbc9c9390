//! The report for a terminal.

use std::net::SocketAddr;

use whyslow_model::{Duration, Histogram};
use whyslow_wire::anatomy::{Judge, judge};
use whyslow_wire::event::EndingKind;
use whyslow_wire::handshake::{Blame, Handshake, VantagePoint};
use whyslow_wire::report::{Cell, Cohort, Outcome, Silence, Table, headline};
use whyslow_wire::watch::Watch;

use super::json::left_out;
use super::ladder;
use super::pass::Capture;
use crate::cli::render::columns::{aligned, share, shortened, spaced, span};
use crate::cli::render::line::{Line, Style};

/// Columns a cohort's name may take, so that the figures still fit.
const NAME_WIDTH_MAX: usize = 28;
/// Columns an address may take in the list of the slowest, where two stand side by side.
const ADDRESS_WIDTH_MAX: usize = 27;

/// What was asked for on the command line.
pub(super) struct Asked {
    pub(super) slow: Duration,
    pub(super) top: usize,
}

/// The whole report; no line is wider than 100 columns.
pub(super) fn lines(
    outcome: &mut Outcome,
    watch: &Watch,
    capture: &Capture,
    asked: &Asked,
    name: &dyn Fn(u32) -> Option<String>,
) -> Vec<Line> {
    let named = |cohort: Cohort| cohort_name(cohort, name);
    let mut lines = Line::default().wrapped(&headline(outcome, named), Style::Bold);
    lines.push(seen(outcome, watch, capture));
    if outcome.total.handshakes > 0 {
        let network = |cohort: &Cohort| cohort_name(*cohort, name);
        let folded = outcome.cohorts.keep(asked.top);
        section(&mut lines, cells("client network", &outcome.cohorts, folded, outcome, network));
        let folded = outcome.servers.keep(asked.top);
        let server = |server: &SocketAddr| server.to_string();
        section(&mut lines, cells("server", &outcome.servers, folded, outcome, server));
        section(&mut lines, slowest(&outcome.worst));
        if let Some(worst) = outcome.worst.first() {
            section(&mut lines, ladder::lines(&with_evidence(worst, asked.slow)));
        }
    }
    section(&mut lines, silences(&outcome.silences, asked.top));
    section(&mut lines, endings(outcome));
    section(&mut lines, foot(outcome, watch, capture, asked));
    lines
}

fn section(lines: &mut Vec<Line>, more: Vec<Line>) {
    if !more.is_empty() {
        lines.push(Line::default());
        lines.extend(more);
    }
}

/// Packets, bytes, time, place, and what the capture lost.
fn seen(outcome: &Outcome, watch: &Watch, capture: &Capture) -> Line {
    let packets = watch.packets();
    let mut text = format!("{} packets, {}", spaced(packets.packets), bytes(packets.bytes));
    if let Some((first, last)) = watch.span() {
        text.push_str(&format!("; {}", span(first, last)));
    }
    text.push_str(match outcome.vantage {
        VantagePoint::Server => "; seen at the server",
        VantagePoint::Client => "; seen at the client",
        VantagePoint::Middle => "; seen between both",
        VantagePoint::Unknown => "",
    });
    match capture.lost {
        0 => text.push_str("; none lost"),
        n => text.push_str(&format!("; incomplete: {} lost", spaced(n))),
    }
    Line::of(if capture.lost > 0 { Style::Orange } else { Style::Plain }, &text).cut()
}

fn cells<K>(
    head: &str,
    table: &Table<K>,
    folded: usize,
    outcome: &Outcome,
    name: impl Fn(&K) -> String,
) -> Vec<Line> {
    let heads = [head, "handshakes", "slow", "slow %", "server", "network", "client", "p50", "p99"];
    let heads = heads.into_iter().chain(["blame"]).map(str::to_owned);
    let mut rows = vec![(Style::Bold, heads.collect::<Vec<_>>())];
    let row = |name: String, cell: &Cell, style: Style| {
        let figures = [
            spaced(cell.handshakes),
            spaced(cell.slow),
            format!("{:.1}", share(cell.slow, cell.handshakes)),
            median(&cell.server),
            median(&cell.network),
            median(&cell.client),
            median(&cell.total),
            quantile(&cell.total, 0.99),
            word(cell.blame()).to_owned(),
        ];
        (style, std::iter::once(name).chain(figures).collect())
    };
    for (key, cell) in &table.rows {
        let hot = cell.slow > 0 && cell.slow_share() > 2.0 * outcome.total.slow_share();
        let style = if hot { Style::Orange } else { Style::Plain };
        rows.push(row(shortened(&name(key), NAME_WIDTH_MAX), cell, style));
    }
    if table.other.handshakes > 0 {
        let others = if folded > 0 { format!("{folded} others") } else { "other".to_owned() };
        rows.push(row(others, &table.other, Style::Plain));
    }
    rows.push(row("all".to_owned(), &outcome.total, Style::Plain));
    aligned(&rows, 1)
}

fn slowest(worst: &[Handshake]) -> Vec<Line> {
    let heads = ["at", "client", "server", "total", "server", "network", "client", "blame"];
    let mut rows = vec![(Style::Bold, heads.map(str::to_owned).to_vec())];
    for one in worst {
        let started = one.opening.first.to_string();
        let time = started.split_once('T').map_or("", |(_, time)| time.get(..8).unwrap_or(time));
        let (flow, shares) = (one.opening.flow, one.shares);
        let part = |share: f64| ms(share * one.total_ms);
        let incomplete = if one.incomplete().is_empty() { "" } else { "*" };
        rows.push((
            Style::Plain,
            vec![
                time.to_owned(),
                shortened(&flow.client.to_string(), ADDRESS_WIDTH_MAX),
                shortened(&flow.server.to_string(), ADDRESS_WIDTH_MAX),
                ms(one.total_ms),
                part(shares.server),
                part(shares.network),
                part(shares.client),
                format!("{}{incomplete}", word(one.blame)),
            ],
        ));
    }
    let mut lines = aligned(&rows, 3);
    if worst.iter().any(|one| !one.incomplete().is_empty()) {
        let text = " * less of it was seen than there was";
        lines.push(Line::of(Style::Dim, text));
    }
    lines.into_iter().map(Line::cut).collect()
}

/// The slowest one again, with sentences even where it was not slow.
fn with_evidence(of: &Handshake, slow: Duration) -> Handshake {
    if !of.evidence.is_empty() {
        return of.clone();
    }
    let by = Judge { slow: slow.std(), ..Judge::default() };
    judge(of.opening.clone(), of.vantage, &by)
}

fn silences(silences: &[Silence], top: usize) -> Vec<Line> {
    if silences.is_empty() {
        return Vec::new();
    }
    let mut lines = vec![Line::of(Style::Bold, "SYNs without an answer")];
    for silence in silences.iter().take(top) {
        let server = silence.server.map_or_else(|| "other servers".to_owned(), |s| s.to_string());
        let more = if silence.more_clients { "more than " } else { "" };
        let mut text = format!(
            " {server}: {} connections, {} SYNs, {more}{} clients, {}; {}",
            spaced(silence.connections),
            spaced(silence.syns),
            silence.clients,
            span(silence.first, silence.last),
            silence.cause().sentence()
        );
        if silence.answered_late > 0 {
            let late = spaced(silence.answered_late);
            text.push_str(&format!("; {late} answered after all"));
        }
        lines.extend(Line::of(Style::Orange, " ").wrapped(&text, Style::Plain));
    }
    if let Some(rest) = silences.len().checked_sub(top).filter(|n| *n > 0) {
        lines.push(Line::of(Style::Dim, &format!(" and {rest} more servers")));
    }
    lines
}

fn endings(outcome: &Outcome) -> Vec<Line> {
    if outcome.ending_counts.is_empty() {
        return Vec::new();
    }
    let mut lines = vec![Line::of(Style::Bold, "Endings that most logs do not show")];
    for (kind, (all, resets)) in &outcome.ending_counts {
        let what = match kind {
            EndingKind::Unused => "opened and never used, as health checks do",
            EndingKind::HandshakeUnfinished => "ended within the handshake",
            EndingKind::BeforeRequest => "ended after the handshake, before any request",
            EndingKind::RequestAbandoned => "left by the client before a response began",
            EndingKind::RequestRefused => "ended by the server before a response began",
            EndingKind::ResetMidway => "reset while data was under way",
        };
        let text = format!(" {:>9}  {what}; {} by RST", spaced(*all), spaced(*resets));
        lines.push(Line::of(Style::Plain, &text).cut());
    }
    lines
}

fn foot(outcome: &Outcome, watch: &Watch, capture: &Capture, asked: &Asked) -> Vec<Line> {
    let mut text = format!(
        "Milliseconds; parts are medians, within 1.1 %. Slow from {} on.",
        ladder::ms(asked.slow.std())
    );
    let quic = watch.connections().quic_initials;
    let others = [
        (outcome.plain_tcp, "connections speak something other than TLS"),
        (outcome.wordless, "ended without a word"),
        (quic, "first packets of QUIC, which is not taken apart"),
    ];
    for (n, what) in others.into_iter().filter(|(n, _)| *n > 0) {
        text.push_str(&format!(" {} {what}.", spaced(n)));
    }
    let mut lines = Line::default().wrapped(&text, Style::Dim);
    for (why, n) in &outcome.incomplete {
        let text = format!("incomplete: {} handshakes, {why}", spaced(*n));
        lines.push(Line::of(Style::Orange, &text).cut());
    }
    for (what, n) in left_out(watch, capture) {
        lines.push(Line::of(Style::Orange, &format!("left out: {} {what}", spaced(n))).cut());
    }
    lines
}

fn cohort_name(cohort: Cohort, name: &dyn Fn(u32) -> Option<String>) -> String {
    match cohort {
        Cohort::Asn(asn) => match name(asn) {
            Some(name) => format!("AS{asn} {name}"),
            None => format!("AS{asn}"),
        },
        Cohort::Prefix(net) => net.to_string(),
    }
}

/// The word of JSON, here too.
pub(super) const fn word(blame: Blame) -> &'static str {
    match blame {
        Blame::Server => "server",
        Blame::Network => "network",
        Blame::Client => "client",
        Blame::Unknown => "unknown",
        Blame::None => "none",
    }
}

fn median(of: &Histogram) -> String {
    quantile(of, 0.5)
}

fn quantile(of: &Histogram, q: f64) -> String {
    of.quantile(q).map_or_else(|| "-".to_owned(), |seconds| ms(seconds * 1e3))
}

/// Milliseconds: to a hundredth below 1, to a tenth below 100, whole above.
fn ms(ms: f64) -> String {
    if ms < 1.0 {
        format!("{ms:.2}")
    } else if ms < 100.0 {
        format!("{ms:.1}")
    } else {
        crate::cli::render::columns::rounded(ms)
    }
}

#[expect(clippy::cast_precision_loss, reason = "shown with a digit")]
fn bytes(n: u64) -> String {
    match n {
        0..1_000 => format!("{n} B"),
        1_000..1_000_000 => format!("{:.1} kB", n as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} MB", n as f64 / 1e6),
        _ => format!("{:.1} GB", n as f64 / 1e9),
    }
}
