//! The sentence the wire's page opens with: whose time slow handshakes were, from what was counted.

use std::cmp::Reverse;

use whyslow_model::reading::{Finding, Reading, Status};
use whyslow_wire::row::{Cell, Dimension, Totals};

use super::filter::value;
use super::sum::{Capture, Line, float, most, quantile_ms, share};
use crate::web::pages::figures::{counted, percent, time};
use crate::web::pages::model::RUNS_TO_JUDGE;
use crate::web::pages::model::edge::lead::{big, sorted};
use crate::web::pages::model::lead::Lead;
use crate::web::pages::model::standing::State;

/// From which share of the slow handshakes on somebody is called the slow one.
const MOST: f64 = 0.5;
/// Up to which share somebody is called not the slow one.
const FEW: f64 = 0.1;
/// Cohorts named as those that hold most of the slow ones.
const NAMED: usize = 2;

/// What the lead is made from.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// Findings, the worst open one first.
    pub findings: &'a [Finding],
    /// The newest reading of each cell.
    pub cells: &'a [Reading],
    /// What was counted.
    pub all: &'a Totals,
    /// The cohorts of the first table.
    pub cohorts: &'a [Line],
    /// What the taps gave and lost.
    pub capture: Capture,
}

/// The findings, the worst open one first. One trouble of clients is often found thrice, by network,
/// by prefix and by name: then the one that names the fewest leads.
pub fn worst_first(findings: Vec<Finding>) -> Vec<Finding> {
    let mut findings = sorted(findings);
    let narrow = |f: &Finding| match (&f.cohort.rdns, &f.cohort.prefix) {
        (Some(_), _) => 2,
        (None, Some(_)) => 1,
        (None, None) => 0,
    };
    let of_clients = |f: &Finding| f.closed.is_none() && f.code.starts_with("wire_client_");
    let Some(first) = findings.first().filter(|f| of_clients(f)) else { return findings };
    let lasting = first.readings / 2;
    let alike = findings.iter().enumerate().filter(|(_, f)| of_clients(f) && f.readings >= lasting);
    if let Some((at, _)) = alike.max_by_key(|(at, f)| (narrow(f), Reverse(*at))) {
        findings[..=at].rotate_right(1);
    }
    findings
}

/// The lead: the worst open finding, else whose time slow handshakes were, or what cannot be seen.
pub fn lead(facts: &Facts<'_>) -> Lead {
    let (all, open) = (facts.all, facts.findings.iter().filter(|f| f.closed.is_none()));
    let open: Vec<&Finding> = open.collect();
    let (sentence, judged) = sentence(all);
    let mut more = Vec::new();
    let mut lead = Lead { state: State::Ok, since_ms: None, service: None, sentence, more: vec![] };
    if let Some(worst) = open.first() {
        let counted = std::mem::replace(&mut lead.sentence, worst.text.clone());
        more.extend(judged.then_some(counted));
        lead.state = State::Degraded;
        lead.since_ms = Some(worst.opened.as_millis());
        lead.service.clone_from(&worst.cohort.service);
    }
    more.extend(slow(all));
    more.extend(concentrated(all, facts.cohorts));
    if open.len() > 1 {
        more.push(format!("{} more below.", counted(open.len() - 1, "open finding")));
    }
    let blind = facts.cells.iter().filter(|r| r.status == Status::Blind).count();
    if lead.state == State::Ok && (!judged || blind > 0 || facts.cells.is_empty()) {
        lead.state = State::Unknown;
        more.extend(
            (blind > 0).then(|| format!("{} could not look.", counted(blind, "detector reading"))),
        );
        more.extend(
            facts.cells.is_empty().then(|| "No detector has looked at this range.".to_owned()),
        );
    }
    more.extend(incomplete(facts.capture));
    lead.more = more;
    lead
}

/// What the handshakes show, and whether that rests on enough of them.
fn sentence(all: &Totals) -> (String, bool) {
    if all.asked() == 0 {
        return ("No connection was seen in this range.".to_owned(), false);
    }
    if all.handshakes < RUNS_TO_JUDGE as u64 {
        let seen = counted(usize::try_from(all.handshakes).unwrap_or(usize::MAX), "TLS handshake");
        return (format!("{seen} seen, {RUNS_TO_JUDGE} are needed to judge."), false);
    }
    let think = quantile_ms(&all.server_think, 0.5).map(time);
    let blamed = |word: &str| share(all.blame.get(word).copied().unwrap_or(0), all.slow);
    let answers = think.map_or_else(String::new, |ms| {
        format!(": it answers half of the ClientHellos within {ms}")
    });
    let sentence = match most(&all.blame) {
        None => {
            let middle = quantile_ms(&all.total, 0.5).map(time);
            let takes =
                middle.map_or_else(String::new, |ms| format!(": half of them end within {ms}"));
            format!("No handshake is slow{takes}.")
        }
        Some(("server", n)) if share(n, all.slow) >= MOST => {
            format!(
                "The server is the slow one in {} of {} slow handshakes.",
                big(n),
                big(all.slow)
            )
        }
        Some(_) if blamed("server") <= FEW => format!("The server is not the slow one{answers}."),
        Some((word, n)) if share(n, all.slow) >= MOST => {
            let whose = whose(word);
            format!("{} of {} slow handshakes waited for {whose}.", big(n), big(all.slow))
        }
        Some(_) => "Slow handshakes have no common cause.".to_owned(),
    };
    (sentence, true)
}

/// Whom a handshake waited for.
pub fn whose(word: &str) -> &'static str {
    match word {
        "server" => "the server",
        "network" => "the network",
        "client" => "the client",
        _ => "nobody who can be told",
    }
}

/// How many were slow, and whose time that was.
fn slow(all: &Totals) -> Option<String> {
    if all.slow == 0 || all.handshakes == 0 {
        return None;
    }
    let parts: Vec<String> = ["server", "network", "client", "unknown"]
        .into_iter()
        .filter_map(|word| all.blame.get(word).map(|n| format!("{word} {}", big(*n))))
        .collect();
    Some(format!(
        "{} of {} handshakes were slow, {}: {}.",
        big(all.slow),
        big(all.handshakes),
        percent(share(all.slow, all.handshakes)),
        parts.join(", ")
    ))
}

/// The cohorts that hold most of the slow ones.
fn concentrated(all: &Totals, cohorts: &[Line]) -> Option<String> {
    let first = cohorts.iter().filter(|line| line.cell.is_one() && line.totals.slow > 0);
    let first: Vec<&Line> = first.take(NAMED).collect();
    let slow: u64 = first.iter().map(|line| line.totals.slow).sum();
    let theirs: u64 = first.iter().map(|line| line.totals.handshakes).sum();
    let (held, of_all) = (share(slow, all.slow), share(theirs, all.handshakes));
    // Nothing is concentrated where they hold as much of everything.
    if held < MOST || float(slow) < 10.0 || held < 2.0 * of_all {
        return None;
    }
    let names: Vec<String> = first.iter().map(|line| cell_words(&line.cell)).collect();
    let verb = if names.len() == 1 { "holds" } else { "hold" };
    let share = if held >= 1.0 { "all".to_owned() } else { percent(held) };
    Some(format!("{} {verb} {share} of them.", names.join(" and ")))
}

/// A cell as a sentence names it.
pub fn cell_words(cell: &Cell) -> String {
    match cell {
        Cell::Asn(asn) => format!("AS{asn}"),
        Cell::All => "all clients".to_owned(),
        Cell::Unknown(Dimension::Rdns) => "no name known".to_owned(),
        Cell::Unknown(_) => "not known".to_owned(),
        Cell::Other(_) => "others".to_owned(),
        Cell::Server(_) | Cell::Prefix(_) | Cell::Rdns(_) => value(cell).unwrap_or_default(),
    }
}

/// What is missing.
fn incomplete(capture: Capture) -> Option<String> {
    let blind = (capture.blind > 0).then(|| {
        let windows = counted(usize::try_from(capture.windows).unwrap_or(usize::MAX), "window");
        format!("{} of {windows} could not be seen whole", big(capture.blind))
    });
    let packets = |n: u64| counted(usize::try_from(n).unwrap_or(usize::MAX), "packet");
    let lost = (capture.drops > 0).then(|| format!("{} dropped", packets(capture.drops)));
    let parts: Vec<String> = blind.into_iter().chain(lost).collect();
    (!parts.is_empty())
        .then(|| format!("{}: read every figure with that in mind.", parts.join(", ")))
}

#[cfg(test)]
mod tests {
    use whyslow_model::observation::{Cohort, Locus};
    use whyslow_model::{Segment, Wall};

    use super::super::sum::tests::totals;
    use super::*;
    use crate::web::pages::model::edge::lead::tests::reading;

    fn facts<'a>(all: &'a Totals, cells: &'a [Reading], findings: &'a [Finding]) -> Facts<'a> {
        Facts { findings, cells, all, cohorts: &[], capture: Capture::default() }
    }

    fn plain(text: &str) -> String {
        text.replace(['\u{202f}', '\u{a0}'], " ")
    }

    #[test]
    fn of_one_trouble_found_thrice_the_narrowest_leads() {
        let finding = |code: &str, readings, prefix: Option<&str>, rdns: Option<&str>| Finding {
            id: code.to_owned(),
            code: code.to_owned(),
            cohort: Cohort {
                asn: Some(1),
                prefix: prefix.map(str::to_owned),
                rdns: rdns.map(str::to_owned),
                ..Cohort::default()
            },
            locus: Locus::default(),
            opened: Wall::from_millis(0),
            closed: None,
            readings,
            implicates: vec![Segment::Client],
            text: String::new(),
            evidence: Vec::new(),
        };
        let network = finding("wire_client_network_slow", 40, None, None);
        let prefix = finding("wire_client_prefix_slow", 40, Some("10.0.0.0/24"), None);
        let name = finding("wire_client_rdns_slow", 39, None, Some("*.x.example"));
        let think = finding("wire_server_think_rose", 3, None, None);
        let codes = |all: Vec<Finding>| worst_first(all).into_iter().map(|f| f.code).collect();
        let found: Vec<String> = codes(vec![think.clone(), network.clone(), prefix.clone(), name]);
        assert_eq!(found[0], "wire_client_rdns_slow");
        assert_eq!(found[3], "wire_server_think_rose");
        let brief = finding("wire_client_rdns_slow", 5, None, Some("*.x.example"));
        let found: Vec<String> = codes(vec![brief, network, prefix, think]);
        assert_eq!(found[0], "wire_client_prefix_slow", "the name's did not last as long");
    }

    #[test]
    fn the_server_is_cleared_and_blamed_by_what_was_counted() {
        let normal = [reading("wire_server_think_rose", "a", 60, Status::Normal)];
        let say = |blame, slow| {
            let all = totals(100, slow, blame, [1, 20, 5]);
            let lead = lead(&facts(&all, &normal, &[]));
            (lead.state, plain(&lead.sentence))
        };
        let not =
            "The server is not the slow one: it answers half of the ClientHellos within 1.00 ms.";
        let (state, sentence) = say("client", 9);
        assert_eq!(state, State::Ok);
        assert!(sentence.starts_with(&not[..70]), "{sentence}");
        assert_eq!(say("server", 9).1, "The server is the slow one in 9 of 9 slow handshakes.");
        assert!(say("client", 0).1.starts_with("No handshake is slow: half of them end within"));
    }

    #[test]
    fn an_open_finding_leads_and_silence_and_blindness_are_never_called_fine() {
        let all = totals(100, 9, "client", [1, 20, 5]);
        let normal = [reading("wire_x", "a", 60, Status::Normal)];
        let blind = [reading("wire_x", "a", 60, Status::Blind)];
        let finding = Finding {
            id: "f".into(),
            code: "wire_client_network_slow".into(),
            cohort: Cohort { asn: Some(64_507), ..Cohort::default() },
            locus: Locus { asn: Some(64_507), ..Locus::default() },
            opened: Wall::from_millis(0),
            closed: None,
            readings: 3,
            implicates: Vec::new(),
            text: "Handshakes from AS64507 wait.".into(),
            evidence: Vec::new(),
        };
        let found = lead(&facts(&all, &normal, std::slice::from_ref(&finding)));
        assert_eq!(
            (found.state, found.sentence.as_str()),
            (State::Degraded, finding.text.as_str())
        );
        assert!(found.more[0].starts_with("The server is not the slow one"));
        let over = Finding { closed: Some(Wall::from_millis(9)), ..finding };
        assert_eq!(lead(&facts(&all, &normal, &[over])).state, State::Ok);
        assert_eq!(lead(&facts(&all, &blind, &[])).state, State::Unknown);
        assert_eq!(lead(&facts(&all, &[], &[])).state, State::Unknown);
        assert_eq!(lead(&facts(&Totals::default(), &normal, &[])).state, State::Unknown);
        let few = totals(3, 0, "", [1, 1, 1]);
        let few = plain(&lead(&facts(&few, &normal, &[])).sentence);
        assert_eq!(few, "3 TLS handshakes seen, 20 are needed to judge.");
    }

    #[test]
    fn cohorts_are_named_only_where_slow_ones_are_concentrated() {
        let all = totals(1000, 40, "client", [1, 20, 5]);
        let line = |asn, n, slow| Line {
            cell: Cell::Asn(asn),
            folded: 0,
            totals: totals(n, slow, "client", [1, 20, 5]),
        };
        let hold = [line(64_507, 100, 30), line(64_504, 100, 6), line(1, 800, 4)];
        let said = plain(&concentrated(&all, &hold).unwrap());
        assert_eq!(said, "AS64507 and AS64504 hold 90.0 % of them.");
        assert_eq!(concentrated(&all, &[line(1, 900, 36), line(2, 100, 4)]), None);
        let lost = Capture { packets: 90, drops: 10, windows: 3, blind: 1 };
        assert!(incomplete(lost).unwrap().starts_with("1 of 3"));
        assert_eq!(incomplete(Capture::default()), None);
    }
}
