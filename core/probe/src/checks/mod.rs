//! The kinds of checks, one file each, and how a run of one is driven.
//!
//! A [`CheckRun`] is asked for its next [`Step`] and told what came of it, in turn, until it has
//! none left; then it gives its [`Run`]. It never touches the world, so the same code runs
//! against real sockets and against a table of answers.

mod answer;
mod dns;
mod http;
mod ledger;
mod opening;
mod ping;
mod tcp;
mod tls;

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use whyslow_model::conversation::{
    ConnectAsk, Connected, DnsAsk, DnsDone, HttpAsk, HttpDone, PingAsk, PingDone, ResolveAsk,
    Resolved, TlsAsk, TlsDone, Trust,
};
use whyslow_model::{Mono, Segment, Wall};

use crate::codes;
use crate::run::Run;
use crate::spec::{CheckSpec, Kind, SecretRef, Target};
use ledger::Ledger;

/// A kind of check as help, schema, pages and errors present it.
#[derive(Clone, Copy, Debug)]
pub struct CheckKind {
    /// Which kind.
    pub kind: Kind,
    /// What it does, in a sentence.
    pub summary: &'static str,
    /// How its target is written.
    pub target: &'static str,
    /// The options of [`CheckSpec`] that mean something to it, beside those common to all.
    pub fields: &'static [&'static str],
    /// The keys under `expect` that mean something to it.
    pub expects: &'static [&'static str],
    /// The parts of the world a failure of it can point at.
    pub segments: &'static [Segment],
    /// The metrics it adds to those common to all.
    pub metrics: &'static [&'static str],
}

/// Options that mean something to every kind.
pub const COMMON_FIELDS: &[&str] = &[
    "name", "kind", "target", "paths", "every", "warn", "timeout", "timeouts", "resolver",
    "source", "family", "expect",
];

/// Every kind, in the order in which they are shown.
pub const ALL: &[&CheckKind] = &[&http::KIND, &tls::KIND, &tcp::KIND, &dns::KIND, &ping::KIND];

/// The entry of one kind.
pub fn of(kind: Kind) -> &'static CheckKind {
    ALL.iter().copied().find(|entry| entry.kind == kind).unwrap_or(&ping::KIND)
}

/// What to do next.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// Find a name's addresses.
    Resolve(ResolveAsk),
    /// Open a connection, leaving the one before.
    Connect(ConnectAsk),
    /// Shake hands on it.
    Tls(TlsAsk),
    /// Send a request on it.
    Http(HttpAsk),
    /// Ask a name server.
    Dns(DnsAsk),
    /// Make a round of pings.
    Ping(PingAsk),
}

/// What came of a step.
#[derive(Clone, Debug, PartialEq)]
pub enum Told {
    /// Of [`Step::Resolve`].
    Resolved(Resolved),
    /// Of [`Step::Connect`].
    Connected(Connected),
    /// Of [`Step::Tls`].
    Tls(TlsDone),
    /// Of [`Step::Http`].
    Http(HttpDone),
    /// Of [`Step::Dns`].
    Dns(DnsDone),
    /// Of [`Step::Ping`].
    Ping(PingDone),
}

/// Secrets the shell has read, by where they are kept.
#[derive(Clone, Default)]
pub struct Secrets(pub BTreeMap<SecretRef, String>);

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// Where and when a run takes place.
#[derive(Clone, Debug)]
pub struct Context {
    /// The vantage that runs it.
    pub vantage: String,
    /// When it begins, by the wall clock.
    pub started: Wall,
    /// When it begins, by the monotonic clock.
    pub began: Mono,
    /// What the check's secrets are.
    pub secrets: Secrets,
}

/// One run of one check, under way.
#[derive(Debug)]
pub struct CheckRun {
    ledger: Ledger,
    talk: Option<Box<dyn Talk>>,
    asked: Option<Step>,
}

/// What the kinds have in common: a conversation that is over when it asks for nothing more.
trait Talk: fmt::Debug + Send {
    /// What to do next; `None` when there is nothing left to do.
    fn step(&mut self, ledger: &mut Ledger) -> Option<Step>;

    /// Takes what came of the last step.
    fn handle(&mut self, told: &Told, ledger: &mut Ledger);
}

impl CheckRun {
    /// Begins a run of `spec`, which is the check as it runs on its path.
    pub fn begin(spec: Arc<CheckSpec>, context: Context) -> Self {
        let target = spec.parsed_target();
        let mut ledger = Ledger::new(spec, context);
        if let Ok(target) = &target {
            ledger.set_target(target.shown());
        }
        let talk = match target.map_err(|e| e.to_string()).and_then(|t| usable(t, ledger.spec())) {
            Ok(target) => talk(&target, None, &ledger),
            Err(why) => {
                ledger.fail(&codes::TARGET_UNUSABLE, None, why);
                None
            }
        };
        Self { ledger, talk, asked: None }
    }

    /// What to do next; `None` when the run is over.
    pub fn poll_step(&mut self) -> Option<Step> {
        loop {
            let talk = self.talk.as_mut()?;
            if let Some(step) = talk.step(&mut self.ledger) {
                self.asked = Some(step.clone());
                return Some(step);
            }
            self.talk = None;
            self.next_address();
        }
    }

    /// Takes what came of the step last asked for.
    pub fn handle(&mut self, told: Told) {
        if let Some(talk) = self.talk.as_mut() {
            talk.handle(&told, &mut self.ledger);
        }
        self.ledger.note(self.asked.take(), told);
    }

    /// The result, once there is no step left.
    pub fn finish(self) -> Run {
        self.ledger.finish()
    }

    /// Where each address of the name is measured, goes on with the next.
    fn next_address(&mut self) {
        let Some(address) = self.ledger.next_address() else { return };
        let Ok(target) = self.ledger.spec().parsed_target() else { return };
        self.talk = talk(&target, Some(address), &self.ledger);
    }
}

/// A resolver with a name would have to be resolved itself, by whom nobody can say.
fn usable(target: Target, spec: &CheckSpec) -> Result<Target, String> {
    match &spec.resolver {
        Some(resolver) if resolver.ip().is_none() => {
            Err(format!("resolver {resolver} is a name; write its address"))
        }
        _ => Ok(target),
    }
}

/// What the handshakes of a check need, so that it can be read before the clock starts; `None`
/// where it shakes no hands.
pub fn handshake(spec: &CheckSpec) -> Option<(Trust, Vec<&'static str>)> {
    match spec.kind {
        Kind::Http => Some((opening::trust(spec), http::offered(spec.http_version))),
        Kind::Tls => Some((opening::trust(spec), Vec::new())),
        Kind::Tcp | Kind::Dns | Kind::Ping => None,
    }
}

/// The conversation a target asks for, with one of its addresses where that is given.
fn talk(target: &Target, pinned: Option<SocketAddr>, ledger: &Ledger) -> Option<Box<dyn Talk>> {
    let spec = ledger.spec();
    match target {
        Target::Http(url) => Some(Box::new(http::Http::new(url.clone(), pinned, ledger))),
        Target::Tls { host, port } => Some(Box::new(tls::Tls::new(spec, host, *port, pinned))),
        Target::Tcp { host, port } => Some(Box::new(tcp::Tcp::new(spec, host, *port, pinned))),
        Target::Dns { name, server } => Some(Box::new(dns::Dns::new(spec, name, server.as_ref()))),
        Target::Ping { host } => Some(Box::new(ping::Ping::new(spec, host, pinned))),
    }
}

#[cfg(test)]
mod tests;
