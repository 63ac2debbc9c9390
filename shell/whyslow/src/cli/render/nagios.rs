//! One line for Nagios and everything that runs its plugins: state, words, a pipe, figures with
//! their limits (Monitoring Plugins guidelines, performance data).

use std::fmt::Write as _;

use whyslow_model::{Phase, printable};
use whyslow_probe::run::{Outcome, Run};

use super::figures::share;
use crate::cli::Exit;

/// Characters of the words.
const WORDS_MAX: usize = 240;

/// The line.
pub fn nagios(run: &Run) -> String {
    let state = match crate::cli::check::exit_of(run) {
        Exit::Ok => "OK",
        Exit::Degraded => "WARNING",
        Exit::Failed => "CRITICAL",
        Exit::Unknown | Exit::Usage | Exit::Unreadable | Exit::Config => "UNKNOWN",
    };
    // A pipe would begin the figures.
    let words: String = printable(&words(run)).replace('|', "/").chars().take(WORDS_MAX).collect();
    format!("{state} - {words} | {}", figures(run))
}

fn words(run: &Run) -> String {
    if let Some(failure) = &run.failure {
        return format!("{}: {}", failure.code, failure.message);
    }
    let mut text = format!("{:.3} s", run.total_ms / 1000.0);
    if let Some(ping) = &run.ping {
        text = format!("{} of {} answered", ping.received, ping.sent);
    } else if run.outcome == Outcome::Slow
        && let Some((phase, took)) = longest(run)
    {
        let _ = write!(text, ", {} {:.3} s", phase.as_str(), took / 1000.0);
    }
    for warning in &run.warnings {
        let _ = write!(text, ", {warning}");
    }
    text
}

fn longest(run: &Run) -> Option<(Phase, f64)> {
    let timed = Phase::ALL.into_iter().filter_map(|p| Some((p, run.phases_ms.of(p)?)));
    timed.max_by(|a, b| a.1.total_cmp(&b.1))
}

fn figures(run: &Run) -> String {
    let seconds = |ms: f64| format!("{:.4}s", ms / 1000.0);
    let limit = |ms: Option<f64>| ms.map(|ms| (ms / 1000.0).to_string()).unwrap_or_default();
    let limits = format!("{};{}", limit(run.warn_ms), limit(run.timeout_ms));
    if let Some(ping) = &run.ping {
        let share = share(ping.sent.saturating_sub(ping.received), ping.sent);
        let rta = ping.rtt_ms.avg.map_or_else(|| "U".to_owned(), seconds);
        return format!("rta={rta};{limits};0 loss={share:.1}%;;;0;100");
    }
    let mut text = format!("total={};{limits};0", seconds(run.total_ms));
    for phase in Phase::ALL {
        if let Some(took) = run.phases_ms.of(phase) {
            let _ = write!(text, " {}={}", phase.as_str(), seconds(took));
        }
    }
    text
}
