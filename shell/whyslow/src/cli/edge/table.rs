//! The report for a terminal.

use whyslow_edge::completeness::Completeness;
use whyslow_edge::report::{Cell, Field, Group, Outcome, Table, Value};
use whyslow_edge::row::{Row, Timing, Totals};
use whyslow_edge::windows::{ClosedWindow, Grouping};
use whyslow_model::Wall;

use super::follow::sentence;
use super::json::seconds;
use super::tally::Tally;
use crate::cli::render::columns::{aligned, float, rounded, share, shortened, spaced, span};
use crate::cli::render::line::{Line, Style};

/// Columns a key's field may take, so that the figures still fit.
const FIELD_WIDTH_MAX: usize = 36;

/// The whole report. `notices` is what it noticed, and `folded` says of each table how many groups
/// its `other` stands for.
pub(super) fn lines(
    outcome: &Outcome,
    tally: &Tally,
    complete: Option<Completeness>,
    notices: &[String],
    folded: &[usize],
) -> Vec<Line> {
    let mut lines = vec![head(outcome, tally, complete)];
    lines.extend(notices.iter().flat_map(|said| Line::default().wrapped(said, Style::Bold)));
    for (table, folded) in outcome.tables.iter().zip(folded) {
        lines.push(Line::default());
        lines.extend(table_lines(table, *folded, outcome));
    }
    lines.push(Line::default());
    lines.extend(foot(outcome, tally));
    lines
}

fn head(outcome: &Outcome, tally: &Tally, complete: Option<Completeness>) -> Line {
    let (lines, rejected) = (spaced(tally.lines), spaced(tally.rejected()));
    let mut text = format!("{lines} lines, {rejected} rejected");
    if let Some((first, last)) = outcome.span_us {
        text.push_str(&format!("; {}", span(wall(first), wall(last))));
    }
    let missing = complete.map_or(0, Completeness::missing);
    match complete {
        Some(_) if missing == 0 => text.push_str("; sequence complete, none missing"),
        Some(told) => {
            let expected = spaced(told.expected);
            text.push_str(&format!("; {} of {expected} lines never came", spaced(missing)));
        }
        None => {}
    }
    let wrong = tally.rejected() > 0 || missing > 0;
    Line::of(if wrong { Style::Orange } else { Style::Plain }, &text)
}

fn wall(us: i64) -> Wall {
    Wall::from_nanos(us.saturating_mul(1000))
}

/// The busiest servers of one window.
pub(super) fn window_lines(window: &ClosedWindow, all: &Totals) -> Vec<Line> {
    let mut rows: Vec<&Row> =
        window.rows.iter().filter(|r| Grouping::of(&r.key) == Some(Grouping::Server)).collect();
    rows.sort_by_key(|row| std::cmp::Reverse(row.totals.hits));
    let head = ["backend", "server", "hits", "max/s", "p50", "p90", "p99", "server p99", "5xx %"];
    let figures = |totals: &Totals| {
        let errors: u64 = totals.codes.range(500..600).map(|(_, n)| n).sum();
        vec![
            spaced(totals.hits),
            spaced(totals.peak_per_s.into()),
            quantile(&totals.latency, 0.5),
            quantile(&totals.latency, 0.9),
            quantile(&totals.latency, 0.99),
            quantile(&totals.server, 0.99),
            format!("{:.2}", share(errors, totals.hits)),
        ]
    };
    let mut table = vec![(Style::Bold, head.map(str::to_owned).to_vec())];
    for row in rows.iter().take(super::TERMINAL_TOP) {
        let names = [&row.key.backend, &row.key.server];
        let names =
            names.map(|name| shortened(name.as_deref().unwrap_or("-"), FIELD_WIDTH_MAX)).to_vec();
        table.push((Style::Plain, [names, figures(&row.totals)].concat()));
    }
    let total = vec!["total".to_owned(), String::new()];
    table.push((Style::Plain, [total, figures(all)].concat()));
    let start = Wall::from_millis(window.start_s.saturating_mul(1000));
    let mut lines = vec![Line::of(Style::Plain, &sentence(start, window.revision, all))];
    lines.push(Line::default());
    lines.extend(aligned(&table, 2));
    lines
}

/// A column: its head, and what it says of a group.
struct Column {
    head: &'static str,
    text: fn(&Cell, &Whole) -> String,
}

/// What figures are held against.
struct Whole {
    hits: u64,
    seconds: Option<f64>,
}

const HITS: Column = Column { head: "hits", text: |cell, _| spaced(cell.hits) };
const QUANTILES: [Column; 3] = [
    Column { head: "p50", text: |cell, _| quantile(&cell.latency, 0.5) },
    Column { head: "p90", text: |cell, _| quantile(&cell.latency, 0.9) },
    Column { head: "p99", text: |cell, _| quantile(&cell.latency, 0.99) },
];
const RATE: Column = Column { head: "req/s", text: |cell, whole| rate(cell, whole) };
const PEAK: Column = Column {
    head: "max/s",
    text: |cell, _| cell.seconds.most().map_or_else(|| "-".to_owned(), |n| spaced(n.into())),
};
const SERVER: Column = Column { head: "server p99", text: |cell, _| quantile(&cell.server, 0.99) };
const GOOD: Column = Column { head: "2xx %", text: |cell, _| good(cell) };
const SHARE: Column =
    Column { head: "share", text: |cell, whole| format!("{:.1} %", share(cell.hits, whole.hits)) };

/// Load matters of machines, the share of everything else.
fn columns(by: &[Field]) -> Vec<Column> {
    let machines = by.iter().any(|f| matches!(f, Field::Vip | Field::Backend | Field::Server));
    let [p50, p90, p99] = QUANTILES;
    if machines {
        vec![HITS, RATE, PEAK, p50, p90, p99, SERVER, GOOD]
    } else {
        vec![HITS, SHARE, p50, p90, p99]
    }
}

fn table_lines(table: &Table, folded: usize, outcome: &Outcome) -> Vec<Line> {
    let whole = Whole { hits: outcome.parsed, seconds: seconds(outcome) };
    let columns = columns(&table.by);
    let mut rows: Vec<(Style, Vec<String>)> = Vec::new();
    let heads = table.by.iter().map(|f| f.as_str().replace('_', " "));
    rows.push((Style::Bold, heads.chain(columns.iter().map(|c| c.head.to_owned())).collect()));
    let figures = |cell: &Cell| columns.iter().map(|c| (c.text)(cell, &whole)).collect::<Vec<_>>();
    for group in &table.groups {
        let style = if group.cell.timed == 0 { Style::Dim } else { Style::Plain };
        rows.push((style, [key(group, folded), figures(&group.cell)].concat()));
    }
    let mut all = vec![String::new(); table.by.len()];
    if let Some(first) = all.first_mut() {
        "total".clone_into(first);
    }
    rows.push((Style::Plain, [all, figures(&outcome.total)].concat()));
    aligned(&rows, table.by.len())
}

fn key(group: &Group, folded: usize) -> Vec<String> {
    let others = group.key.iter().all(|value| *value == Value::Other);
    let text = |(at, value): (usize, &Value)| match value {
        Value::Other if others && at > 0 => String::new(),
        Value::Other if folded > 0 => format!("{folded} others"),
        Value::Other => "other".to_owned(),
        Value::Name(name) => shortened(name, FIELD_WIDTH_MAX),
        Value::Code(0) => "-".to_owned(),
        Value::Code(code) => code.to_string(),
        Value::Asn(asn) => format!("AS{asn}"),
        Value::Net(net) => net.to_string(),
        Value::Unknown => "unknown".to_owned(),
    };
    group.key.iter().enumerate().map(text).collect()
}

fn foot(outcome: &Outcome, tally: &Tally) -> Vec<Line> {
    let untimed = outcome.parsed.saturating_sub(outcome.total.timed);
    let mut text = "Milliseconds; percentiles within 1.1 %.".to_owned();
    if untimed > 0 {
        text.push_str(&format!(
            " Not timed: {} requests, of which the balancer answered {} itself.",
            spaced(untimed),
            spaced(outcome.total.local)
        ));
    }
    if outcome.to_other > 0 {
        text.push_str(&format!(" Too many to tell apart: {}.", spaced(outcome.to_other)));
    }
    let mut lines = Line::default().wrapped(&text, Style::Dim);
    for sample in &tally.samples {
        let (no, reason) = (sample.line_no, &sample.reason);
        lines.push(
            Line::of(Style::Orange, &format!("line {no} rejected: {reason}"))
                .with(Style::Dim, &format!("  {}", sample.text))
                .cut(),
        );
    }
    lines
}

fn rate(cell: &Cell, whole: &Whole) -> String {
    whole.seconds.map_or_else(
        || "-".to_owned(),
        |seconds| {
            let rate = float(cell.hits) / seconds;
            if rate < 10.0 { format!("{rate:.1}") } else { rounded(rate) }
        },
    )
}

fn good(cell: &Cell) -> String {
    let good: u64 = cell.codes.iter().filter(|(c, _)| (200..300).contains(c)).map(|(_, n)| n).sum();
    format!("{:.2}", share(good, cell.hits))
}

pub(super) fn quantile(timing: &Timing, q: f64) -> String {
    timing.histogram.quantile(q).map_or_else(
        || "-".to_owned(),
        |seconds| {
            let ms = seconds * 1e3;
            if ms < 100.0 && ms > 0.0 { format!("{ms:.1}") } else { rounded(ms) }
        },
    )
}
