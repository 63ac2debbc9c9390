//! `dns`: one question to a name server, its answer judged.

use std::net::SocketAddr;

use whyslow_model::conversation::{DnsAsk, DnsDone, DnsFault};
use whyslow_model::{Phase, Segment};

use super::ledger::{Ledger, ms};
use super::opening::{DNS_PORT, Opening, Progress, seconds};
use super::{CheckKind, Step, Talk, Told};
use crate::codes::{self, Code};
use crate::run::DnsFacts;
use crate::spec::{CheckSpec, DnsTransport, HostPort, Kind};

pub(super) const KIND: CheckKind = CheckKind {
    kind: Kind::Dns,
    summary: "One question to a name server: how soon it answers, and what.",
    target: "dns:NAME[@SERVER]",
    fields: &["record", "transport"],
    expects: &["answers", "rcode"],
    segments: &[Segment::Vantage, Segment::Dns, Segment::Transit],
    metrics: &["probe_dns_duration_seconds", "probe_dns_answer_rrs", "probe_dns_query_succeeded"],
};

/// One question and its answer.
#[derive(Debug)]
pub(super) struct Dns {
    name: String,
    /// How the server's own name is turned into an address, where it has one.
    server: Server,
    begun: bool,
}

#[derive(Debug)]
enum Server {
    /// Its name is to be resolved.
    Named(Opening, u16),
    /// Known, or the machine's own.
    At(Option<SocketAddr>),
    /// It has been asked, or cannot be.
    Done,
}

impl Dns {
    pub(super) fn new(spec: &CheckSpec, name: &str, server: Option<&HostPort>) -> Self {
        let server = match server.or(spec.resolver.as_ref()) {
            None => Server::At(None),
            Some(at) => match at.socket(DNS_PORT) {
                Some(address) => Server::At(Some(address)),
                None => {
                    let port = at.port.unwrap_or(DNS_PORT);
                    Server::Named(Opening::new(&at.host, port, None), port)
                }
            },
        };
        Self { name: name.to_owned(), server, begun: false }
    }

    fn ask(&self, ledger: &Ledger, server: Option<SocketAddr>) -> Step {
        let spec = ledger.spec();
        Step::Dns(DnsAsk {
            server,
            name: self.name.clone(),
            record: spec.record.clone().unwrap_or_else(|| "A".to_owned()).to_ascii_uppercase(),
            tcp: spec.transport == Some(DnsTransport::Tcp),
            source: spec.source,
            timeout: ledger.left(Phase::Wait),
        })
    }
}

impl Talk for Dns {
    fn step(&mut self, ledger: &mut Ledger) -> Option<Step> {
        if !self.begun {
            self.begun = true;
            ledger.begin_exchange(format!("dns:{}", self.name));
        }
        match &mut self.server {
            Server::Done => None,
            Server::At(at) => {
                let at = *at;
                Some(self.ask(ledger, at))
            }
            Server::Named(opening, port) => match opening.progress(ledger) {
                // Only its address is wanted, so resolving is where the opening ends.
                Progress::Step(Step::Connect(ask)) => {
                    let first = ask.addresses.first().map(|a| a.ip());
                    let at = first.map(|ip| SocketAddr::new(ip, *port));
                    self.server = Server::At(at);
                    Some(self.ask(ledger, at))
                }
                Progress::Step(step) => Some(step),
                Progress::Open | Progress::Failed => None,
            },
        }
    }

    fn handle(&mut self, told: &Told, ledger: &mut Ledger) {
        match (&mut self.server, told) {
            (Server::Named(opening, _), told) => opening.handle(told, ledger),
            (Server::At(_), Told::Dns(done)) => {
                self.server = Server::Done;
                answered(done, ledger);
            }
            (Server::At(_) | Server::Done, _) => self.server = Server::Done,
        }
    }
}

fn answered(done: &DnsDone, ledger: &mut Ledger) {
    if let Some(connected) = done.connected {
        ledger.spend(Phase::Connect, connected);
    }
    ledger.spend(Phase::Send, done.sent.unwrap_or(done.ended));
    if done.sent.is_some() {
        ledger.spend(Phase::Wait, done.first_byte.unwrap_or(done.ended));
    }
    if done.first_byte.is_some() {
        ledger.spend(Phase::Receive, done.ended);
    }
    ledger.tcp(done.tcp, None);
    let server = done.server.map(|s| s.to_string()).unwrap_or_default();
    ledger.amend(|exchange| exchange.remote = done.server.map(|s| s.to_string()));
    ledger.dns(DnsFacts {
        rcode: done.rcode.clone(),
        answers: done.answers.clone(),
        server: server.clone(),
    });
    if let Some(fault) = &done.fault {
        let (code, message) = failure(fault, &server, done);
        let local = matches!(fault, DnsFault::Local(_));
        let segment = if local { code.segment } else { Some(Segment::Dns) };
        ledger.fail_at(code, Some(phase(done)), segment, message);
        return;
    }
    judge(done, &server, ledger);
}

fn judge(done: &DnsDone, server: &str, ledger: &mut Ledger) {
    let expect = ledger.spec().expect.clone();
    let wanted = expect.rcode.as_deref().unwrap_or("NOERROR");
    let rcode = done.rcode.as_deref().unwrap_or_default();
    if !rcode.eq_ignore_ascii_case(wanted) {
        let code = match rcode {
            "NXDOMAIN" => &codes::RESOLVE_NXDOMAIN,
            "NOERROR" => &codes::DNS_RCODE,
            _ => &codes::RESOLVE_SERVFAIL,
        };
        let message = format!("{server} answers {rcode}, not {wanted}");
        ledger.fail(code, Some(Phase::Wait), message);
        return;
    }
    let missing = expect.answers.iter().find(|a| !done.answers.iter().any(|has| same(has, a)));
    if let Some(missing) = missing {
        let has = match done.answers.as_slice() {
            [] => "no record".to_owned(),
            some => some.join(", ").chars().take(200).collect(),
        };
        let message = format!("{server} answers {has}; {missing} is missing");
        ledger.fail(&codes::DNS_ANSWER, Some(Phase::Wait), message);
        return;
    }
    if done.answers.is_empty() && rcode == "NOERROR" {
        ledger.warn(format!("{server} answers without any record"));
    }
}

/// Whether a record, `TYPE value`, is the one expected, with or without its type.
fn same(record: &str, expected: &str) -> bool {
    let plain = |text: &str| text.trim().trim_end_matches('.').to_ascii_lowercase();
    let value = record.split_once(' ').map_or(record, |(_, value)| value);
    let expected = plain(expected);
    plain(record) == expected
        || plain(value) == expected
        || plain(value.trim_matches('"')) == expected
}

fn phase(done: &DnsDone) -> Phase {
    match (done.sent, done.first_byte) {
        (_, Some(_)) => Phase::Receive,
        (Some(_), None) => Phase::Wait,
        (None, None) => Phase::Send,
    }
}

fn failure(fault: &DnsFault, server: &str, done: &DnsDone) -> (&'static Code, String) {
    match fault {
        DnsFault::TimedOut => {
            let took = seconds(ms(done.ended.since(done.began)));
            (&codes::RESOLVE_TIMEOUT, format!("{server} did not answer in {took}"))
        }
        DnsFault::Refused => (&codes::CONNECT_REFUSED, format!("nothing listens at {server}")),
        DnsFault::Unreachable(what) => {
            (&codes::CONNECT_UNREACHABLE, format!("no way to {server}: {what}"))
        }
        DnsFault::Reset => (&codes::RESET, format!("{server} cut the connection")),
        DnsFault::Malformed(what) => {
            (&codes::RESOLVE_MALFORMED, format!("{server} sent no sound answer: {what}"))
        }
        DnsFault::Local(what) => (&codes::LOCAL_FAILURE, what.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_the_expected_one_with_or_without_its_type() {
        let cases = [
            ("A 192.0.2.7", "192.0.2.7", true),
            ("A 192.0.2.7", "a 192.0.2.7", true),
            ("MX 10 mail.example.", "10 Mail.example", true),
            ("TXT \"v=spf1 -all\"", "v=spf1 -all", true),
            ("A 192.0.2.7", "192.0.2.70", false),
        ];
        for (record, expected, fits) in cases {
            assert_eq!(same(record, expected), fits, "{record} {expected}");
        }
    }
}
