//! The waterfall: each phase of each exchange as a bar on one axis.

use whyslow_model::{Phase, printable};
use whyslow_probe::run::{Exchange, Outcome, Run};
use whyslow_probe::sentences;

use super::Asked;
use super::figures::{ms, place, whole_ms};
use super::line::{Line, Style};

/// Columns of the axis.
const AXIS: usize = 40;
/// Columns before the axis: number, name, figure, a gap.
const FIGURE_END: usize = 25;

/// The picture; nothing for kinds without phases to show.
pub fn waterfall(run: &Run, asked: &Asked) -> Vec<Line> {
    let total: f64 = run.exchanges.iter().map(|e| e.total_ms).sum();
    if run.ping.is_some() || total <= 0.0 {
        return Vec::new();
    }
    let scale = Scale { total_ms: total };
    let mut lines = vec![scale.header()];
    let mut began = 0.0;
    let several = run.exchanges.len() > 1;
    let last = run.exchanges.len().saturating_sub(1);
    for (index, exchange) in run.exchanges.iter().enumerate() {
        if several || exchange.status.is_some() {
            lines.push(exchange_head(index, exchange, several, asked));
        }
        let failed_in = run.failure.as_ref().filter(|_| index == last).and_then(|f| f.phase);
        let gave_up = failed_in.is_some() && timed_out(run);
        let mut at = began;
        for phase in Phase::ALL {
            let took = exchange.phases_ms.of(phase);
            let shown = Shown { phase, took, at, failed_in, gave_up };
            lines.extend(phase_line(&scale, &shown, exchange, run, asked));
            at += took.unwrap_or(0.0);
        }
        began += exchange.total_ms;
    }
    lines.push(Line::of(Style::Plain, &row("   total", &ms(run.total_ms))));
    lines.into_iter().map(Line::cut).collect()
}

/// One phase of one exchange.
struct Shown {
    phase: Phase,
    took: Option<f64>,
    /// Milliseconds since the run began.
    at: f64,
    failed_in: Option<Phase>,
    /// Whether the run ended because it waited long enough.
    gave_up: bool,
}

fn timed_out(run: &Run) -> bool {
    run.failure.as_ref().is_some_and(|f| f.code.ends_with("_timeout"))
}

fn exchange_head(index: usize, exchange: &Exchange, several: bool, asked: &Asked) -> Line {
    let number = if several { format!("{}  ", index + 1) } else { "   ".to_owned() };
    let method = asked.method.as_deref().filter(|_| index == 0).unwrap_or("GET");
    let status = exchange.status.map_or_else(|| "-".to_owned(), |s| s.to_string());
    let room = FIGURE_END - number.len() - status.len() - 1;
    let what: String = if exchange.status.is_some() || several {
        printable(&format!("{method} {}", place(exchange))).chars().take(room).collect()
    } else {
        String::new()
    };
    let line = Line::of(Style::Plain, &row(&format!("{number}{what}"), &status));
    if exchange.reused_connection {
        return line.with(Style::Dim, "  ").with(Style::Dim, "same connection");
    }
    line
}

fn phase_line(
    scale: &Scale,
    shown: &Shown,
    exchange: &Exchange,
    run: &Run,
    asked: &Asked,
) -> Option<Line> {
    let name = format!("   {}", shown.phase.as_str());
    let Some(took) = shown.took else {
        return absent(&name, shown, exchange, run, asked);
    };
    let figure = Line::of(Style::Plain, &row(&name, &ms(took)));
    let bar = scale.bar(shown.at, took);
    let line = figure.with(Style::Plain, "  ").with(Style::Phase(shown.phase), &bar);
    Some(match note(shown, exchange) {
        Some(note) => line.with(Style::Plain, "  ").with(Style::Orange, &note),
        None => line,
    })
}

/// A phase without a figure is told where the run failed, and left out where it was not needed.
fn absent(
    name: &str,
    shown: &Shown,
    exchange: &Exchange,
    run: &Run,
    asked: &Asked,
) -> Option<Line> {
    if !belongs(shown.phase, &run.kind) {
        return None;
    }
    let failed = shown.failed_in.filter(|_| run.outcome == Outcome::Failed)?;
    let why = if shown.phase > failed {
        "never reached"
    } else if shown.phase == Phase::Resolve && asked.connect_to.is_some() {
        "not needed, address given"
    } else if exchange.reused_connection {
        "not needed, same connection"
    } else {
        "not needed"
    };
    let plain_http = exchange.url.starts_with("http://") && shown.phase == Phase::Tls;
    let why = if plain_http { "not needed" } else { why };
    Some(Line::of(Style::Dim, &row(name, "-")).with(Style::Dim, &format!("  {why}")))
}

/// Whether checks of this kind ever come to the phase.
fn belongs(phase: Phase, kind: &str) -> bool {
    match kind {
        "tcp" => phase <= Phase::Connect,
        "tls" => phase <= Phase::Tls,
        "dns" => matches!(phase, Phase::Send | Phase::Wait | Phase::Receive),
        _ => true,
    }
}

fn note(shown: &Shown, exchange: &Exchange) -> Option<String> {
    if shown.failed_in == Some(shown.phase) {
        return shown.gave_up.then(|| "gave up".to_owned());
    }
    // Segments sent again later have a line of their own, for all exchanges together.
    sentences::note(exchange, shown.phase).filter(|_| shown.phase < Phase::Receive)
}

/// A name at the left and a figure whose last column is always the same.
fn row(name: &str, figure: &str) -> String {
    let width = FIGURE_END.saturating_sub(name.chars().count());
    format!("{name}{figure:>width$}")
}

/// The axis: `total_ms` over [`AXIS`] columns.
struct Scale {
    total_ms: f64,
}

impl Scale {
    fn header(&self) -> Line {
        let end = if self.total_ms < 10.0 { ms(self.total_ms) } else { whole_ms(self.total_ms) };
        let axis = format!("{:<width$}{end}", "0", width = AXIS + 1);
        Line::of(Style::Plain, &row("", "ms")).with(Style::Plain, "  ").with(Style::Plain, &axis)
    }

    /// Blanks up to where the phase begins, and its bar in eighths of a column, at least one.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a share of the axis lies between 0 and 320"
    )]
    fn bar(&self, at_ms: f64, took_ms: f64) -> String {
        const EIGHTHS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
        let share = |ms: f64| (ms / self.total_ms).clamp(0.0, 1.0) * AXIS as f64;
        let begin = (share(at_ms) as usize).min(AXIS - 1);
        let eighths = ((share(took_ms) * 8.0).round() as usize).clamp(1, (AXIS - begin) * 8);
        let (full, rest) = (eighths / 8, eighths % 8);
        format!("{}{}{}", " ".repeat(begin), "█".repeat(full), EIGHTHS[rest])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_bar_leaves_the_axis_and_none_vanishes() {
        let scale = Scale { total_ms: 1000.0 };
        for (at, took) in [(0.0, 0.0), (999.9, 0.1), (0.0, 1000.0), (500.0, 500.0), (0.0, 9e9)] {
            let bar = scale.bar(at, took);
            assert!(bar.chars().count() <= AXIS, "{bar}");
            assert!(!bar.trim().is_empty());
        }
        assert_eq!(scale.bar(500.0, 112.5), format!("{}████▌", " ".repeat(20)));
    }
}
