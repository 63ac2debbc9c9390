//! Figures and names as the terminal writes them.

use whyslow_probe::run::{Exchange, Outcome, PingFacts, Run};
use whyslow_probe::sentences;

/// The sentence that stands after the state. A ping's tells loss and round trips.
pub fn sentence(run: &Run) -> String {
    match (&run.ping, &run.failure) {
        (Some(ping), None) => pinged(run, ping),
        _ => sentences::headline(run),
    }
}

fn pinged(run: &Run, ping: &PingFacts) -> String {
    let mut text = format!("{} of {} answered", ping.received, ping.sent);
    let lost = ping.sent.saturating_sub(ping.received);
    if lost > 0 {
        text.push_str(&format!(", {:.1} % lost", share(lost, ping.sent)));
    }
    let rtt = ping.rtt_ms;
    if let (Some(min), Some(avg), Some(max)) = (rtt.min, rtt.avg, rtt.max) {
        let (min, avg, max) = (fine(min), fine(avg), fine(max));
        text.push_str(&format!("; rtt least {min}, mean {avg}, most {max} ms"));
    }
    if let (Outcome::Slow, Some(warn)) = (run.outcome, run.warn_ms) {
        text.push_str(&format!(", warn {} ms", ms(warn)));
    }
    text
}

/// `part` of `all` in per cent.
pub fn share(part: u16, all: u16) -> f64 {
    f64::from(part) * 100.0 / f64::from(all.max(1))
}

/// The part of an address after its host.
pub fn place(exchange: &Exchange) -> &str {
    let after_scheme = exchange.url.split_once("://").map_or("", |(_, rest)| rest);
    after_scheme.find('/').map_or(exchange.url.as_str(), |slash| &after_scheme[slash..])
}

/// Milliseconds to a tenth, without their unit: `1 042.6`.
pub fn ms(ms: f64) -> String {
    sentences::ms_text(ms).trim_end_matches(" ms").to_owned()
}

/// Milliseconds as whole ones: `1 912`.
pub fn whole_ms(value: f64) -> String {
    ms(value.round()).trim_end_matches(".0").to_owned()
}

/// Milliseconds to a hundredth where they are few.
pub fn fine(value: f64) -> String {
    if value < 10.0 { format!("{value:.2}") } else { ms(value) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_of_figures_has_no_units_and_thousands_stand_apart() {
        assert_eq!((ms(1042.6).as_str(), ms(0.04).as_str()), ("1 042.6", "0.0"));
        assert_eq!((whole_ms(1912.4).as_str(), whole_ms(18.3).as_str()), ("1 912", "18"));
        assert_eq!((fine(0.314).as_str(), fine(208.1).as_str()), ("0.31", "208.1"));
    }
}
