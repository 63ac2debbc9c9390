//! The sentence a page of the edge opens with, and the readings behind it.

use std::collections::BTreeMap;

use whyslow_model::observation::{Cohort, Locus};
use whyslow_model::reading::{Finding, Reading, Stat, Status};

use super::filter::Field;
use super::sources::Source;
use super::sum::Sum;
use super::tree::Hot;
use crate::web::pages::figures::{count, counted};
use crate::web::pages::model::lead::Lead;
use crate::web::pages::model::standing::State;

/// The lead: the worst open finding, or that nothing stands out, or what cannot be seen.
pub fn lead(findings: &[Finding], cells: &[&Reading], sources: &[Source], all: &Sum) -> Lead {
    let open: Vec<&Finding> = findings.iter().filter(|f| f.closed.is_none()).collect();
    let mut more = Vec::new();
    let gaps: u64 = sources.iter().map(Source::missing).sum();
    if gaps > 0 {
        let lines = if gaps == 1 { "line is" } else { "lines are" };
        more.push(format!("{} {lines} missing: read every figure with that in mind.", big(gaps)));
    }
    let blind = cells.iter().filter(|r| r.status == Status::Blind).count();
    if let Some(worst) = open.first() {
        if open.len() > 1 {
            more.push(format!("{} more below.", counted(open.len() - 1, "open finding")));
        }
        return Lead {
            state: State::Degraded,
            since_ms: Some(worst.opened.as_millis()),
            service: worst.cohort.service.clone(),
            sentence: worst.text.clone(),
            more,
        };
    }
    let plain = |state, sentence: &str, more| Lead {
        state,
        since_ms: None,
        service: None,
        sentence: sentence.to_owned(),
        more,
    };
    if all.is_empty() {
        return plain(State::Unknown, "No request was seen in this range.", more);
    }
    if blind > 0 {
        more.push(format!("{} could not look.", counted(blind, "detector reading")));
        return plain(State::Unknown, "Nothing stands out in what can be seen.", more);
    }
    if cells.is_empty() {
        more.push("No detector has looked at this range.".to_owned());
        return plain(State::Unknown, "Requests were counted, and not judged.", more);
    }
    plain(State::Ok, "Nothing stands out.", more)
}

/// A count from the histograms and windows, in groups of three.
pub fn big(n: u64) -> String {
    count(usize::try_from(n).unwrap_or(usize::MAX))
}

/// Findings: open ones first, what is about missing data after what is about the service, those
/// that rest on most readings first.
pub fn sorted(mut findings: Vec<Finding>) -> Vec<Finding> {
    let about_data = |f: &Finding| f.implicates.is_empty() || f.code.contains("complete");
    findings.sort_by(|a, b| {
        let rank = |f: &Finding| (f.closed.is_some(), about_data(f));
        rank(a).cmp(&rank(b)).then(b.readings.cmp(&a.readings)).then(a.opened.cmp(&b.opened))
    });
    findings
}

/// The names that open findings point at.
pub fn hot(findings: &[Finding]) -> Vec<Hot> {
    let open = findings.iter().filter(|f| f.closed.is_none());
    open.flat_map(|finding| named(&finding.locus)).collect()
}

/// What a locus names, as filters. A server names itself, not the whole of its backend.
pub fn named(locus: &Locus) -> Vec<Hot> {
    let mut named = Vec::new();
    let mut add = |field, value: &Option<String>| {
        named.extend(value.as_ref().map(|value| (field, value.clone())));
    };
    add(Field::Server, &locus.server);
    add(Field::Route, &locus.route);
    add(Field::Prefix, &locus.prefix);
    if locus.server.is_none() {
        add(Field::Backend, &locus.backend);
        if locus.backend.is_none() {
            add(Field::Vip, &locus.edge);
        }
    }
    named.extend(locus.asn.map(|asn| (Field::Asn, asn.to_string())));
    named
}

/// The newest reading of each detector, cohort and locus: abnormal ones first, then blind ones,
/// then those of too little, then normal ones.
pub fn cells(readings: &[Reading]) -> Vec<&Reading> {
    let mut newest: BTreeMap<(&str, &Cohort, &Locus), &Reading> = BTreeMap::new();
    for reading in readings {
        let cell = newest.entry((&reading.code, &reading.cohort, &reading.locus));
        let kept = cell.or_insert(reading);
        if reading.to > kept.to {
            *kept = reading;
        }
    }
    let mut cells: Vec<&Reading> = newest.into_values().collect();
    cells.sort_by_key(|reading| match reading.status {
        Status::Abnormal => 0,
        Status::Blind => 1,
        Status::TooFew => 2,
        Status::Normal => 3,
    });
    cells
}

/// A detector's name as words: `edge_server_slower_than_twins` is "server slower than twins".
pub fn code_words(code: &str) -> String {
    let plane = ["edge_", "wire_"].into_iter().find_map(|plane| code.strip_prefix(plane));
    plane.unwrap_or(code).replace('_', " ")
}

/// What a reading is about: the locus, and whom it was served to.
pub fn about(cohort: &Cohort, locus: &Locus) -> String {
    let mut parts = Vec::new();
    let mut add = |word: &str, value: &Option<String>| {
        parts.extend(value.as_ref().map(|value| format!("{word} {value}")));
    };
    add("balancer", &locus.edge);
    add("backend", &locus.backend);
    add("server", &locus.server);
    add("route", &locus.route);
    add("prefix", &locus.prefix);
    if cohort.prefix != locus.prefix {
        add("clients in", &cohort.prefix);
    }
    add("country", &cohort.country);
    add("names", &cohort.rdns);
    let networks = [locus.asn, cohort.asn.filter(|asn| locus.asn != Some(*asn))];
    parts.extend(networks.into_iter().flatten().map(|asn| format!("network AS{asn}")));
    match &cohort.service {
        Some(service) if parts.is_empty() => format!("service {service}"),
        None if parts.is_empty() => "all requests".to_owned(),
        _ => parts.join(", "),
    }
}

/// A side of a contrast as words: `41 ms (38 to 44) of 4 883`.
pub fn stat_words(stat: &Stat) -> String {
    let n = big(stat.n);
    if stat.unit == "share" {
        return match (stat.bad, stat.median) {
            (Some(bad), _) => format!("{} of {n}{}", big(bad), interval(stat, 100.0, " %")),
            (None, Some(share)) => {
                format!("{:.1}\u{a0}%{} of {n}", share * 100.0, interval(stat, 100.0, " %"))
            }
            (None, None) => format!("{n} seen"),
        };
    }
    let unit = match stat.unit.as_str() {
        "per_s" => "/s",
        unit => unit,
    };
    match stat.median {
        Some(middle) => {
            format!("{}\u{a0}{unit}{} of {n}", short(middle), interval(stat, 1.0, ""))
        }
        None => format!("{n} seen"),
    }
}

fn interval(stat: &Stat, times: f64, unit: &str) -> String {
    match (stat.lo95, stat.hi95) {
        (Some(lo), Some(hi)) => format!(" ({} to {}{unit})", short(lo * times), short(hi * times)),
        _ => String::new(),
    }
}

/// Three digits, without decimals that say nothing.
fn short(x: f64) -> String {
    let places = match x.abs() {
        x if x >= 99.95 || x == 0.0 => 0,
        x if x >= 9.995 => 1,
        _ => 2,
    };
    format!("{x:.places$}")
}

#[cfg(test)]
pub(crate) mod tests {
    use whyslow_model::{Segment, Wall};

    use super::super::tests::{key, row};
    use super::*;

    /// An abnormal, normal or blind reading of one server.
    pub(crate) fn reading(code: &str, server: &str, to_s: i64, status: Status) -> Reading {
        let stat = |ms| Stat { n: 500, median: Some(ms), unit: "ms".into(), ..Stat::default() };
        Reading {
            code: code.into(),
            cohort: Cohort { service: Some("shop".into()), ..Cohort::default() },
            locus: Locus { server: Some(server.into()), ..Locus::default() },
            from: Wall::from_millis((to_s - 60) * 1000),
            to: Wall::from_millis(to_s * 1000),
            status,
            here: stat(41.0),
            there: Some(stat(18.0)),
            against: None,
            completeness: Some(1.0),
            evidence: Vec::new(),
        }
    }

    /// A finding about one server.
    pub(crate) fn finding(server: &str, readings: u64, closed_s: Option<i64>) -> Finding {
        let about = reading("edge_server_slower_than_twins", server, 0, Status::Abnormal);
        Finding {
            id: format!("{server}/{readings}"),
            code: about.code,
            cohort: about.cohort,
            locus: about.locus,
            opened: Wall::from_millis(0),
            closed: closed_s.map(|s| Wall::from_millis(s * 1000)),
            readings,
            implicates: vec![Segment::Backend],
            text: format!("{server} answers /bid 2.3 times slower than its twins."),
            evidence: Vec::new(),
        }
    }

    fn some() -> Sum {
        Sum::of([&row(0, key("shop", "", "", ""), &[5; 30])])
    }

    #[test]
    fn the_finding_that_rests_on_most_readings_leads_and_closed_ones_do_not() {
        let all = vec![finding("a", 99, Some(5)), finding("b", 3, None), finding("c", 9, None)];
        let findings = sorted(all);
        let lead = lead(&findings, &[], &[], &some());
        assert_eq!(lead.state, State::Degraded);
        assert!(lead.sentence.starts_with("c answers"));
        assert_eq!(hot(&findings).len(), 2);
    }

    #[test]
    fn silence_and_blindness_are_never_called_fine() {
        let normal = reading("edge_x", "a", 60, Status::Normal);
        let blind = reading("edge_x", "b", 60, Status::Blind);
        let state = |cells: &[&Reading], all: &Sum| lead(&[], cells, &[], all).state;
        assert_eq!(state(&[&normal], &some()), State::Ok);
        assert_eq!(state(&[&normal, &blind], &some()), State::Unknown);
        assert_eq!(state(&[], &some()), State::Unknown);
        assert_eq!(state(&[&normal], &Sum::default()), State::Unknown);
    }

    #[test]
    fn the_newest_reading_of_a_cell_counts_and_trouble_stands_first() {
        let all = [
            reading("edge_x", "a", 60, Status::Abnormal),
            reading("edge_x", "a", 120, Status::Normal),
            reading("edge_x", "b", 120, Status::Blind),
            reading("edge_x", "c", 120, Status::Abnormal),
        ];
        let found: Vec<_> = cells(&all).iter().map(|r| r.status).collect();
        assert_eq!(found, [Status::Abnormal, Status::Blind, Status::Normal]);
    }

    #[test]
    fn a_network_that_is_cohort_and_locus_is_named_once() {
        let cohort =
            Cohort { asn: Some(64_501), prefix: Some("127.0.0.0/24".into()), ..Cohort::default() };
        let locus = Locus { asn: Some(64_501), prefix: cohort.prefix.clone(), ..Locus::default() };
        assert_eq!(about(&cohort, &locus), "prefix 127.0.0.0/24, network AS64501");
        let other = Locus { server: Some("web1".into()), ..Locus::default() };
        let both = "server web1, clients in 127.0.0.0/24, network AS64501";
        assert_eq!(about(&cohort, &other), both);
        assert_eq!(about(&Cohort::default(), &Locus::default()), "all requests");
    }

    #[test]
    fn a_contrast_reads_as_words() {
        let stat = Stat {
            n: 4883,
            median: Some(41.0),
            lo95: Some(38.2),
            hi95: Some(44.0),
            unit: "ms".into(),
            bad: None,
        };
        let plain = |text: String| text.replace(['\u{202f}', '\u{a0}'], " ");
        assert_eq!(plain(stat_words(&stat)), "41.0 ms (38.2 to 44.0) of 4 883");
        let share = Stat { n: 200, bad: Some(3), unit: "share".into(), ..Stat::default() };
        assert_eq!(plain(stat_words(&share)), "3 of 200");
        assert_eq!(code_words("edge_server_slower_than_twins"), "server slower than twins");
    }
}
