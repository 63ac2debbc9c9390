//! One handshake drawn as a ladder: what went which way and when, and whose the time between was.

use std::time::Duration;

use whyslow_model::Wall;
use whyslow_wire::handshake::{Blame, Handshake, Phase};
use whyslow_wire::opening::Outcome;

use super::table::word;
use crate::cli::render::line::{Line, Style};

/// Columns of the side that says whose time it was.
const WHOSE: usize = 22;
/// Columns between the two life lines.
const BETWEEN: usize = 52;
/// A pause of so much of the whole is drawn as one.
const GAP_SHARE: f64 = 0.25;

/// A message, at the time its last byte was seen.
struct Rung {
    /// The phase that ended with it.
    phase: Phase,
    at: Wall,
    from_client: bool,
    text: String,
}

/// The ladder, title first.
pub(super) fn lines(of: &Handshake) -> Vec<Line> {
    let mut lines = vec![title(of), head()];
    for rung in rungs(of) {
        let spent = of.phases.of(rung.phase);
        let owner = of.phase_owners[rung.phase as usize];
        let shown = spent.filter(|ms| *ms >= of.total_ms * GAP_SHARE && *ms > 0.0);
        if let Some(ms) = shown {
            lines.extend(gap(rung.phase, ms, ms / of.total_ms * 100.0));
        }
        let whose = match spent {
            Some(ms) if ms > 0.0 => format!("{} {ms:.2}", word(owner)),
            _ => String::new(),
        };
        lines.push(drawn(&rung, &whose, shown.is_some(), of.opening.first));
    }
    lines.push(Line::default());
    lines.push(summary(of));
    for sentence in &of.evidence {
        lines.extend(Line::of(Style::Plain, "   ").wrapped(sentence, Style::Plain));
    }
    lines
}

fn title(of: &Handshake) -> Line {
    let opening = &of.opening;
    let started = opening.first.to_string();
    let time = started.split_once('T').map_or("", |(_, time)| time.get(..12).unwrap_or(time));
    let mut text = format!("{} to {}, {time}", opening.flow.client, opening.flow.server);
    if let Some(version) = of.version() {
        text.push_str(&format!("; {version}"));
    }
    match opening.tls.as_ref().and_then(|tls| tls.resumed) {
        Some(true) => text.push_str(", resumed"),
        Some(false) => text.push_str(", new session"),
        None => {}
    }
    if let Some(sni) = opening.tls.as_ref().and_then(|tls| tls.sni.as_deref()) {
        text.push_str(&format!("; {sni}"));
    }
    Line::of(Style::Bold, "The slowest: ").with(Style::Bold, &text).cut()
}

fn head() -> Line {
    let text = format!(
        "   {:<WHOSE$}client{:>between$}   {:>12}",
        "whose ms",
        "server",
        "at, ms",
        between = BETWEEN - 4
    );
    Line::of(Style::Dim, &text)
}

fn drawn(rung: &Rung, whose: &str, hot: bool, first: Wall) -> Line {
    let at = rung.at.since(first).as_secs_f64() * 1e3;
    let label = format!(" {} ", rung.text);
    let dashes = (BETWEEN - 1).saturating_sub(label.chars().count() + 2);
    let arrow = if rung.from_client {
        format!("──{label}{}▶", "─".repeat(dashes))
    } else {
        format!("◀{}{label}──", "─".repeat(dashes))
    };
    let style = if hot { Style::Orange } else { Style::Plain };
    Line::of(Style::Plain, "   ")
        .with(style, &format!("{whose:<WHOSE$}"))
        .with(Style::Plain, &format!("│{arrow}│   {at:>12.2}"))
        .cut()
}

/// The pause that matters, shortened.
fn gap(phase: Phase, ms: f64, percent: f64) -> [Line; 3] {
    let text = format!("{} {ms:.1} ms, {percent:.0} % of the whole", phase.as_str());
    let blank = |inner: String| {
        let line = format!("   {:<WHOSE$}┊{inner:^BETWEEN$}┊", "");
        Line::of(Style::Orange, &line)
    };
    [blank(String::new()), blank(text), blank(String::new())]
}

fn summary(of: &Handshake) -> Line {
    let (s, total) = (of.shares, of.total_ms);
    let part = |share: f64| share * total;
    let mut text = format!(
        "   {total:.1} ms: server {:.1}, network {:.1}, client {:.1}",
        part(s.server),
        part(s.network),
        part(s.client)
    );
    if s.unknown > 0.0005 {
        text.push_str(&format!(", cannot be told {:.1}", part(s.unknown)));
    }
    let blame = match of.blame {
        Blame::None => "; it was not slow".to_owned(),
        Blame::Unknown => "; whose fault it is cannot be told".to_owned(),
        whom @ (Blame::Server | Blame::Network | Blame::Client) => {
            format!("; the {} is to blame", word(whom))
        }
    };
    let style = if of.blame == Blame::None { Style::Plain } else { Style::Bold };
    Line::of(style, &text).with(style, &blame)
}

fn rungs(of: &Handshake) -> Vec<Rung> {
    let opening = &of.opening;
    let mut rungs = Vec::new();
    let mut add = |phase, at: Option<Wall>, from_client, text: String| {
        rungs.extend(at.map(|at| Rung { phase, at, from_client, text }));
    };
    let syns = opening.syns;
    if syns.count > 1 {
        // No phase ends with the first one, which the last one's line must not repeat.
        add(Phase::Finish, syns.first, true, "SYN".to_owned());
        let again = syns.count - 1;
        add(Phase::SynWait, syns.last, true, format!("SYN, sent again {again} times"));
    } else {
        add(Phase::SynWait, syns.last, true, "SYN".to_owned());
    }
    let answers = opening.syn_acks;
    let text = if answers.count > 1 { "SYN-ACK, sent again" } else { "SYN-ACK" };
    add(Phase::SynAck, answers.last, false, text.to_owned());
    add(Phase::Network, opening.acked, true, "ACK".to_owned());
    let again = if opening.retry.is_some() { " after a HelloRetryRequest" } else { "" };
    if let Some(hello) = opening.hello {
        let text = format!("ClientHello{again}, {} B", hello.bytes);
        add(Phase::HelloWait, Some(hello.last), true, text);
    }
    if let Some(flight) = opening.flight {
        if flight.span.last > flight.span.first {
            add(Phase::ServerThink, Some(flight.span.first), false, "ServerHello".to_owned());
            let text = format!("to the end of the flight, {} B", flight.span.bytes);
            add(Phase::ServerFlight, Some(flight.span.last), false, text);
        } else {
            let text = format!("ServerHello and all of the flight, {} B", flight.span.bytes);
            add(Phase::ServerThink, Some(flight.span.first), false, text);
        }
        let acked = flight.acked.filter(|_| !of.estimated);
        add(Phase::Ack, acked, true, "ACK of the whole flight".to_owned());
    }
    if let Some(reply) = opening.reply {
        let text = if of.estimated { "ACK and client's answer" } else { "client's answer" };
        add(Phase::ClientThink, Some(reply.span.first), true, text.to_owned());
        if opening.closing.is_none() && reply.span.last > reply.span.first {
            add(Phase::Finish, Some(reply.span.last), true, "to its end".to_owned());
        }
    }
    add(Phase::Finish, opening.closing.map(|closing| closing.last), false, "Finished".to_owned());
    rungs.sort_by_key(|rung| rung.at);
    rungs.extend(ending(of, rungs.last().map(|rung| rung.phase)));
    rungs
}

/// What ended it before its end.
fn ending(of: &Handshake, last: Option<Phase>) -> Option<Rung> {
    let (from_client, text) = match of.opening.outcome {
        Outcome::Reset { by_client } => (by_client, "RST"),
        Outcome::Closed { by_client } => (by_client, "FIN"),
        Outcome::Alert { by_client } => (by_client, "alert"),
        Outcome::TimedOut | Outcome::Complete | Outcome::Plain | Outcome::CutOff => return None,
    };
    let next = Phase::ALL.get(last.map_or(0, |last| last as usize + 1))?;
    Some(Rung { phase: *next, at: of.opening.last, from_client, text: text.to_owned() })
}

/// A duration as the tables write it.
pub(super) fn ms(duration: Duration) -> String {
    let ms = duration.as_secs_f64() * 1e3;
    if ms < 1000.0 { format!("{ms:.0} ms") } else { format!("{:.1} s", ms / 1e3) }
}
