//! What is kept of a slow or failed run: who was asked what, when, and what came back.

use whyslow_model::conversation::{
    ConnectAsk, Connected, DnsAsk, DnsDone, HttpAsk, HttpDone, PingAsk, PingDone, Resolved,
    TcpState, TlsDone,
};
use whyslow_model::{Mono, limits};

use crate::certificate;
use crate::checks::{Secrets, Step, Told};
use crate::redact;
use crate::run::{Transcript, TranscriptLine};
use crate::spec::{CheckSpec, Text};

/// Lines one transcript holds.
const LINES_MAX: usize = 500;

/// One step of a run and what came of it.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) step: Step,
    pub(crate) told: Told,
}

/// The transcript of a run that began at `began`.
pub(crate) fn of(
    entries: &[Entry],
    began: Mono,
    spec: &CheckSpec,
    secrets: &Secrets,
) -> Transcript {
    let mut writer = Writer { began, lines: Vec::new(), spec };
    for entry in entries {
        writer.entry(entry);
    }
    writer.lines.truncate(LINES_MAX);
    let last = entries.iter().rev().find_map(|entry| match &entry.told {
        Told::Http(done) => Some(&done.body).filter(|body| !body.is_empty()),
        Told::Resolved(_) | Told::Connected(_) | Told::Tls(_) | Told::Dns(_) | Told::Ping(_) => {
            None
        }
    });
    let body_excerpt = last.map(|body| redact::body(body, secrets));
    Transcript { lines: writer.lines, body_excerpt }
}

struct Writer<'a> {
    began: Mono,
    lines: Vec<TranscriptLine>,
    spec: &'a CheckSpec,
}

impl Writer<'_> {
    fn line(&mut self, at: Mono, text: String) {
        self.push(at, text, false);
    }

    fn notable(&mut self, at: Mono, text: String) {
        self.push(at, text, true);
    }

    fn push(&mut self, at: Mono, text: String, notable: bool) {
        let at_ms = at.since(self.began).as_secs_f64() * 1000.0;
        self.lines.push(TranscriptLine { at_ms, text, notable });
    }

    fn entry(&mut self, entry: &Entry) {
        match (&entry.step, &entry.told) {
            (Step::Resolve(ask), Told::Resolved(done)) => self.resolved(&ask.name, done),
            (Step::Connect(ask), Told::Connected(done)) => self.connected(ask, done),
            (Step::Tls(ask), Told::Tls(done)) => self.greeted(&ask.name, done),
            (Step::Http(ask), Told::Http(done)) => self.exchanged(ask, done),
            (Step::Dns(ask), Told::Dns(done)) => self.asked(ask, done),
            (Step::Ping(ask), Told::Ping(done)) => self.pinged(ask, done),
            // An answer to another question is the shell's mistake; there is nothing to tell.
            (
                Step::Resolve(_)
                | Step::Connect(_)
                | Step::Tls(_)
                | Step::Http(_)
                | Step::Dns(_)
                | Step::Ping(_),
                _,
            ) => {}
        }
    }

    fn resolved(&mut self, name: &str, done: &Resolved) {
        for one in &done.tries {
            let took = took(one.began, one.ended);
            self.line(one.began, format!("asked {}: {} ({took})", one.server, one.text));
        }
        match &done.fault {
            Some(fault) => self.notable(done.ended, format!("{name}: {fault}")),
            None => {
                let all: Vec<String> = done.addresses.iter().map(ToString::to_string).collect();
                self.line(done.ended, format!("{name} is {}", all.join(", ")));
            }
        }
    }

    fn connected(&mut self, ask: &ConnectAsk, done: &Connected) {
        let from = ask.source.map(|ip| format!(" from {ip}")).unwrap_or_default();
        for attempt in &done.attempts {
            self.line(attempt.began, format!("SYN to {}{from}", attempt.address));
            if attempt.syn_retransmits > 0 {
                let text = format!(
                    "SYN to {} sent again {} times",
                    attempt.address, attempt.syn_retransmits
                );
                self.notable(attempt.ended, text);
            }
            if let Some(fault) = &attempt.fault {
                self.notable(attempt.ended, format!("{}: {fault}", attempt.address));
            }
        }
        if let Some(remote) = done.remote {
            self.line(done.ended, format!("connected to {remote}{}", state(done.tcp)));
        }
    }

    fn greeted(&mut self, name: &str, done: &TlsDone) {
        self.line(done.began, format!("TLS handshake for {name}"));
        for (i, one) in certificate::read_chain(&done.chain).iter().enumerate() {
            let text = format!(
                "certificate {i}: {}, issued by {}, {} to {}, sha256 {}",
                one.subject,
                one.issuer,
                certificate::day(one.not_before),
                certificate::day(one.not_after),
                one.sha256
            );
            self.line(done.ended, text);
        }
        if let Some(why) = &done.untrusted {
            self.notable(done.ended, format!("not trusted: {why}"));
        }
        if !done.name_fits && !done.chain.is_empty() {
            self.notable(done.ended, format!("the certificate does not bear the name {name}"));
        }
        match &done.fault {
            Some(fault) => self.notable(done.ended, format!("handshake failed: {fault}")),
            None => {
                let agreed = [done.version, done.cipher.as_deref(), done.alpn.as_deref()];
                let agreed: Vec<&str> = agreed.into_iter().flatten().collect();
                self.line(done.ended, format!("{}{}", agreed.join(", "), state(done.tcp)));
            }
        }
    }

    fn exchanged(&mut self, ask: &HttpAsk, done: &HttpDone) {
        let path = redact::location(&ask.path);
        let version = if ask.http2 { "HTTP/2" } else { "HTTP/1.1" };
        self.line(done.began, format!("> {} {path} {version}", ask.method));
        self.line(done.began, format!("> host: {}", ask.authority));
        self.fields(done.began, '>', &ask.headers);
        if !ask.body.is_empty() {
            self.line(done.began, format!("> {} bytes of body", ask.body.len()));
        }
        if let Some(sent) = done.sent {
            self.line(sent, "request sent".to_owned());
        }
        if let Some(first) = done.first_byte {
            let status = done.status.map_or_else(|| "no status".to_owned(), |s| s.to_string());
            self.line(first, format!("< {version} {status}"));
            self.fields(first, '<', &done.headers);
        }
        if let Some(fault) = &done.fault {
            self.notable(done.ended, format!("{fault}, {} bytes of body read", done.body_bytes));
        } else {
            let text = format!("{} bytes of body{}", done.body_bytes, state(done.tcp));
            self.line(done.ended, text);
        }
    }

    fn fields(&mut self, at: Mono, sign: char, fields: &[(String, Vec<u8>)]) {
        for (name, value) in fields.iter().take(limits::TRANSCRIPT_HEADERS_MAX) {
            let mut own = self.spec.headers.iter();
            let secret =
                own.any(|(n, v)| n.eq_ignore_ascii_case(name) && matches!(v, Text::Secret(_)));
            self.line(at, format!("{sign} {}", redact::header(name, value, secret)));
        }
        if let Some(left) = fields.len().checked_sub(limits::TRANSCRIPT_HEADERS_MAX)
            && left > 0
        {
            self.line(at, format!("{sign} and {left} more header fields"));
        }
    }

    fn asked(&mut self, ask: &DnsAsk, done: &DnsDone) {
        let way = if done.by_tcp { "TCP" } else { "UDP" };
        let server = done.server.map(|s| s.to_string()).unwrap_or_default();
        let text = format!("asked {server} by {way} for {} {}", ask.record, ask.name);
        self.line(done.began, text);
        if let Some(rcode) = &done.rcode {
            self.line(done.ended, format!("{rcode}, {} records", done.answers.len()));
        }
        for answer in done.answers.iter().take(limits::TRANSCRIPT_HEADERS_MAX) {
            self.line(done.ended, answer.clone());
        }
        if let Some(fault) = &done.fault {
            self.notable(done.ended, format!("{fault}"));
        }
    }

    fn pinged(&mut self, ask: &PingAsk, done: &PingDone) {
        for (n, time) in (0_u32..).zip(&done.times) {
            let left = done.began.after(ask.spacing * n);
            let text = format!("echo {} of {} to {}", n + 1, ask.packets, ask.to);
            match time {
                Some(time) => {
                    let ms = time.as_secs_f64() * 1000.0;
                    self.line(left, format!("{text}: {ms:.3} ms"));
                }
                None => self.notable(left, format!("{text}: no answer")),
            }
        }
        if let Some((by, why)) = &done.refusal {
            self.notable(done.ended, format!("{by} says that {why}"));
        }
        if let Some(fault) = &done.fault {
            self.notable(done.ended, format!("{fault}"));
        }
        if done.duplicates > 0 || done.late > 0 {
            let text = format!("{} answers twice, {} too late", done.duplicates, done.late);
            self.notable(done.ended, text);
        }
    }
}

fn took(from: Mono, to: Mono) -> String {
    format!("{:.1} ms", to.since(from).as_secs_f64() * 1000.0)
}

fn state(tcp: Option<TcpState>) -> String {
    let Some(tcp) = tcp else { return String::new() };
    let ms = |d: Option<std::time::Duration>| {
        d.map_or_else(|| "unknown".to_owned(), |d| format!("{:.3} ms", d.as_secs_f64() * 1000.0))
    };
    let (rtt, least) = (ms(tcp.rtt), ms(tcp.min_rtt));
    format!("; rtt {rtt}, least {least}, {} segments sent again", tcp.retransmits)
}
