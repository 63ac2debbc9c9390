//! The sentence above a report: who is slow.

use super::{Cell, Cohort, Outcome};
use crate::handshake::Blame;

/// Slow handshakes a cohort needs before it is named.
const NAMED_MIN: u64 = 5;
/// How many times the share of all others a cohort's slow share must be for it to be named.
const CONTRAST: f64 = 3.0;

/// Who is slow, in one or two sentences; `name` says how a cohort is called.
pub fn headline(outcome: &Outcome, name: impl Fn(Cohort) -> String) -> String {
    let total = &outcome.total;
    if total.handshakes == 0 {
        return nothing(outcome);
    }
    if total.slow == 0 {
        let [median, p99] = [0.5, 0.99].map(|q| quantile_ms(total, q));
        let all = if total.handshakes == 1 {
            "The one handshake was not slow".to_owned()
        } else {
            format!("None of {} handshakes was slow", total.handshakes)
        };
        let server = part_ms(&total.server);
        return format!(
            "{all}: median {median}, 99 % within {p99}; the server's own part {server}."
        );
    }
    let mut text = who(total);
    if let Some((cohort, cell)) = concentrated(outcome) {
        let (cell_share, rest) = (percent(cell.slow_share()), percent(rest(total, cell)));
        let held = percent(ratio(cell.slow, total.slow));
        text.push_str(&format!(
            " {} holds {held} of the slow ones: {cell_share} of its own are slow, {rest} of all \
             others.",
            name(cohort)
        ));
    }
    text
}

fn nothing(outcome: &Outcome) -> String {
    match (outcome.plain_tcp, outcome.wordless, outcome.unanswered_count) {
        (0, 0, 0) => "No TCP connection opens in this capture.".to_owned(),
        (0, 0, n) => format!("No handshake: {n} connections were tried and got no answer."),
        (plain, wordless, n) => format!(
            "No TLS handshake: {plain} connections speak something else, {wordless} ended without \
             a word, {n} got no answer."
        ),
    }
}

fn who(total: &Cell) -> String {
    let slow = format!("{} of {} handshakes were slow", total.slow, total.handshakes);
    let whom = total.blame();
    let of_them = format!("{} of {}", total.blamed(whom), total.slow);
    let server = part_ms(&total.server);
    match whom {
        Blame::Client => format!(
            "The clients are the slow ones: {slow}, {of_them} waited for the client itself; the \
             server's own part is {server} (median)."
        ),
        Blame::Network => format!(
            "The network is the slow one: {slow}, {of_them} by round trips, losses or queues; the \
             server's own part is {server} (median)."
        ),
        Blame::Server => {
            format!("The server is the slow one: {slow}, {of_them} waited for the server itself.")
        }
        Blame::Unknown | Blame::None => {
            let by =
                [(Blame::Server, "server"), (Blame::Network, "network"), (Blame::Client, "client")]
                    .map(|(whom, word)| format!("{word} {}", total.blamed(whom)))
                    .join(", ");
            let open = total.blamed(Blame::Unknown);
            format!("{slow}, and no one is to blame for most: {by}, cannot be told {open}.")
        }
    }
}

/// The cohort that holds most slow ones, where it is plainly worse than all others together.
fn concentrated(outcome: &Outcome) -> Option<(Cohort, &Cell)> {
    let (cohort, cell) = outcome.cohorts.rows.first()?;
    let total = &outcome.total;
    let alone = cell.handshakes == total.handshakes;
    let worse = cell.slow_share() > CONTRAST * rest(total, cell);
    (cell.slow >= NAMED_MIN && worse && !alone).then_some((*cohort, cell))
}

/// The share of slow ones among all others.
fn rest(total: &Cell, cell: &Cell) -> f64 {
    ratio(total.slow - cell.slow, (total.handshakes - cell.handshakes).max(1))
}

#[expect(clippy::cast_precision_loss, reason = "a share is shown with a few digits")]
fn ratio(part: u64, all: u64) -> f64 {
    part as f64 / all.max(1) as f64
}

fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}

fn quantile_ms(cell: &Cell, q: f64) -> String {
    cell.total.quantile(q).map_or_else(|| "-".to_owned(), |s| format!("{:.1} ms", s * 1e3))
}

fn part_ms(of: &whyslow_model::Histogram) -> String {
    of.quantile(0.5).map_or_else(|| "-".to_owned(), |s| format!("{:.1} ms", s * 1e3))
}
