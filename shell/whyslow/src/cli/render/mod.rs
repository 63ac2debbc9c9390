//! One run as a person reads it in a terminal: a state and a sentence, a waterfall, the facts, and
//! what to do next. Pure: a [`Run`] comes in, lines go out.

pub mod columns;
pub mod facts;
pub mod figures;
pub mod line;
pub mod nagios;
pub mod next;
pub mod waterfall;

use whyslow_probe::codes;
use whyslow_probe::run::{Outcome, Run};

pub use line::{Line, Style};
pub use nagios::nagios;

/// What was asked for on the command line, as far as the picture needs it.
#[derive(Clone, Debug, Default)]
pub struct Asked {
    /// The address connected to instead of the target's.
    pub connect_to: Option<String>,
    /// The method of the first request; GET where `None`.
    pub method: Option<String>,
    /// Whether the whole transcript is wanted.
    pub transcript: bool,
}

/// The run in full. Every line is at most 100 columns wide.
pub fn report(run: &Run, asked: &Asked) -> Vec<Line> {
    let mut lines = vec![headline(run, asked)];
    lines.extend(state(run));
    lines.push(Line::default());
    let picture = waterfall::waterfall(run, asked);
    if !picture.is_empty() {
        lines.extend(picture);
        lines.push(Line::default());
    }
    lines.extend(facts::facts(run));
    lines.extend(warnings(run));
    lines.extend(hints(run, asked));
    if asked.transcript {
        lines.extend(transcript(run));
    }
    while lines.last().is_some_and(Line::is_empty) {
        lines.pop();
    }
    lines
}

fn headline(run: &Run, asked: &Asked) -> Line {
    let mut line = Line::default().with(Style::Bold, &run.target);
    if let Some(by) = &asked.connect_to {
        line = line.with(Style::Plain, &format!(" by {by}"));
    }
    line.cut()
}

fn state(run: &Run) -> Vec<Line> {
    let (style, word) = match (run.outcome, run.warnings.is_empty()) {
        (Outcome::Ok, true) => (Style::Blue, "OK"),
        (Outcome::Ok, false) => (Style::Orange, "WARNING"),
        (Outcome::Slow, _) => (Style::Orange, "SLOW"),
        (Outcome::Failed, _) => (Style::Reversed, "FAILED"),
    };
    let words = figures::sentence(run);
    Line::default().with(style, word).with(Style::Plain, "  ").wrapped(&words, Style::Plain)
}

/// Warnings, unless the sentence has them already.
fn warnings(run: &Run) -> Vec<Line> {
    let told = run.outcome == Outcome::Ok && run.ping.is_none();
    let list = if told { &[][..] } else { run.warnings.as_slice() };
    let warning = || Line::of(Style::Orange, "warning: ");
    list.iter().flat_map(|w| warning().wrapped(w, Style::Plain)).collect()
}

fn hints(run: &Run, asked: &Asked) -> Vec<Line> {
    let Some(failure) = &run.failure else { return Vec::new() };
    let mut lines = Vec::new();
    let segment = failure.segment_hint.map(|s| s.as_str());
    let advice = codes::by_name(&failure.code).map_or("", |code| code.advice);
    match segment {
        Some(segment) if starts_with(advice, segment) => {
            let words = format!("{segment}{}", &advice[segment.len()..]);
            lines.extend(Line::of(Style::Plain, "segment hint: ").wrapped(&words, Style::Plain));
        }
        Some(segment) => {
            let words = format!("{segment}. {advice}");
            lines.extend(Line::of(Style::Plain, "segment hint: ").wrapped(&words, Style::Plain));
        }
        None => lines.extend(Line::default().wrapped(advice, Style::Plain)),
    }
    if let Some(next) = next::step(run, asked) {
        lines.extend(Line::of(Style::Plain, "next: ").wrapped(&next, Style::Plain));
    }
    lines
}

fn starts_with(text: &str, prefix: &str) -> bool {
    text.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix))
}

fn transcript(run: &Run) -> Vec<Line> {
    let Some(transcript) = &run.transcript else { return Vec::new() };
    let mut lines = vec![Line::default(), Line::of(Style::Bold, "       ms  what happened")];
    for told in &transcript.lines {
        let style = if told.notable { Style::Orange } else { Style::Plain };
        let at = format!("{:>9}  ", figures::ms(told.at_ms));
        lines.extend(Line::of(Style::Dim, &at).wrapped(&told.text, style));
    }
    if let Some(excerpt) = &transcript.body_excerpt {
        lines.push(Line::of(Style::Bold, "body, its beginning"));
        lines.extend(excerpt.lines().take(24).map(|l| Line::of(Style::Dim, l).cut()));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fixture(text: &str) -> Run {
        serde_json::from_str(text).unwrap()
    }

    fn printed(run: &Run, asked: &Asked) -> String {
        let lines = report(run, asked);
        lines.iter().map(|l| l.plain() + "\n").collect()
    }

    fn told(name: &str, run: &Run, asked: &Asked) {
        let text = printed(run, asked);
        for line in text.lines() {
            assert!(line.chars().count() <= 100, "{line}");
            assert!(!line.chars().any(whyslow_model::is_unprintable), "{line:?}");
        }
        let all =
            format!("{text}exit {}\n\n{}\n", crate::cli::check::exit_of(run) as u8, nagios(run));
        insta::with_settings!({ prepend_module_to_snapshot => false, snapshot_path => "told", omit_expression => true }, {
            insta::assert_snapshot!(name, all);
        });
    }

    #[test]
    fn a_lost_syn_and_a_redirect_read_as_designed() {
        told("slow", &fixture(include_str!("fixtures/slow.json")), &Asked::default());
    }

    #[test]
    fn a_run_that_failed_says_where_to_look_and_what_to_do() {
        let asked =
            Asked { connect_to: Some("10.0.0.6:443".into()), transcript: true, ..Asked::default() };
        told("connect-timeout", &fixture(include_str!("fixtures/connect-timeout.json")), &asked);
    }

    #[test]
    fn a_run_that_was_fine_is_quiet() {
        told("ok", &fixture(include_str!("fixtures/ok.json")), &Asked::default());
    }

    #[test]
    fn a_certificate_that_is_over_is_told_with_its_chain() {
        told("expired", &fixture(include_str!("fixtures/expired.json")), &Asked::default());
    }

    #[test]
    fn dns_and_ping_have_their_own_figures() {
        told("dns", &fixture(include_str!("fixtures/dns.json")), &Asked::default());
        told("ping", &fixture(include_str!("fixtures/ping.json")), &Asked::default());
    }

    #[test]
    fn nothing_from_outside_reaches_the_terminal_as_it_is() {
        let asked = Asked { transcript: true, ..Asked::default() };
        told("hostile", &fixture(include_str!("fixtures/hostile.json")), &asked);
    }

    #[test]
    fn colour_only_marks_what_the_words_say() {
        let run = fixture(include_str!("fixtures/slow.json"));
        for line in report(&run, &Asked::default()) {
            let stripped = anstream::adapter::strip_str(&line.coloured()).to_string();
            assert_eq!(stripped, line.plain());
        }
    }
}
