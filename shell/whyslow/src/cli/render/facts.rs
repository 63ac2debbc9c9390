//! What is known of the connection and the answer, in a line or two.

use whyslow_probe::run::{Exchange, Run};

use super::figures::fine;
use super::line::{Line, Style};

/// Records of a DNS answer that are shown.
const ANSWERS_SHOWN: usize = 12;

/// The lines below the picture.
pub fn facts(run: &Run) -> Vec<Line> {
    let mut lines = Vec::new();
    if let Some(dns) = &run.dns {
        lines.extend(answers(dns));
    } else if let Some(exchange) = run.exchanges.iter().rev().find(|e| e.remote.is_some()) {
        lines.extend(connection(exchange));
    }
    if run.failure.is_some() {
        lines.extend(chain(run));
    }
    let again: u32 = run.exchanges.iter().filter_map(|e| e.tcp?.retransmits).sum();
    if again > 0 {
        let s = if again == 1 { "" } else { "s" };
        lines.push(Line::of(Style::Plain, &format!("{again} segment{s} sent again by us")));
    }
    if let Some(ping) = &run.ping {
        lines.extend(echoes(ping));
    }
    lines
}

fn connection(exchange: &Exchange) -> Option<Line> {
    let mut parts = vec![exchange.remote.clone()?];
    if let Some(tls) = &exchange.tls {
        let spoken: Vec<&str> =
            [tls.version.as_deref(), tls.alpn.as_deref()].into_iter().flatten().collect();
        parts.push(spoken.join(", "));
        match (&tls.chain_problem, tls.days_left) {
            (Some(problem), _) => parts.push(format!("certificate: {}", problem.replace('_', " "))),
            (None, Some(days)) => parts.push(format!("certificate {days} days")),
            (None, None) => {}
        }
    } else if let Some(version) = &exchange.http_version {
        parts.push(version.clone());
    }
    if let Some(rtt) = exchange.tcp.and_then(|t| t.rtt_ms) {
        let least = exchange.tcp.and_then(|t| t.min_rtt_ms);
        let least = least.map(|l| format!(", least {}", fine(l))).unwrap_or_default();
        parts.push(format!("rtt {}{least} ms", fine(rtt)));
    }
    parts.retain(|p| !p.is_empty());
    Some(Line::of(Style::Dim, &parts.join("   ")).cut())
}

/// The chain, where something is wrong with it.
fn chain(run: &Run) -> Vec<Line> {
    let tls = run.exchanges.iter().rev().find_map(|e| e.tls.as_ref());
    let Some(tls) = tls.filter(|t| t.chain_problem.is_some()) else { return Vec::new() };
    let mut lines = Vec::new();
    for (depth, shown) in tls.chain.iter().enumerate() {
        let until = shown.not_after.to_string();
        let date = until.split('T').next().unwrap_or_default();
        let text = format!("{}{}   until {date}", "  ".repeat(depth + 1), shown.subject);
        lines.push(Line::of(Style::Plain, &text).cut());
    }
    if let Some(leaf) = tls.chain.first()
        && !leaf.names.is_empty()
    {
        let names = leaf.names.join(", ");
        lines.extend(Line::of(Style::Dim, "  for ").wrapped(&names, Style::Dim));
    }
    lines
}

fn answers(dns: &whyslow_probe::run::DnsFacts) -> Vec<Line> {
    let rcode = dns.rcode.as_deref().unwrap_or("no answer");
    let mut lines = vec![Line::of(Style::Dim, &format!("{rcode} from {}", dns.server)).cut()];
    let shown = dns.answers.iter().take(ANSWERS_SHOWN);
    lines.extend(shown.map(|a| Line::of(Style::Plain, &format!("  {a}")).cut()));
    if dns.answers.len() > ANSWERS_SHOWN {
        let more = dns.answers.len() - ANSWERS_SHOWN;
        lines.push(Line::of(Style::Dim, &format!("  and {more} more")));
    }
    lines
}

fn echoes(ping: &whyslow_probe::run::PingFacts) -> Vec<Line> {
    let mut notes = Vec::new();
    if let Some(spread) = ping.rtt_ms.stddev {
        notes.push(format!("spread {} ms", fine(spread)));
    }
    if ping.late > 0 {
        notes.push(format!("{} answered too late to count", ping.late));
    }
    if ping.duplicates > 0 {
        notes.push(format!("{} answered twice", ping.duplicates));
    }
    if notes.is_empty() {
        return Vec::new();
    }
    vec![Line::of(Style::Dim, &notes.join("   "))]
}
