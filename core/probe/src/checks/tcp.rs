//! `tcp`: a TCP handshake, and nothing more.

use std::net::SocketAddr;

use whyslow_model::Segment;

use super::ledger::Ledger;
use super::opening::{Opening, Progress};
use super::{CheckKind, Step, Talk, Told};
use crate::spec::{CheckSpec, Kind};
use crate::target::joined;

pub(super) const KIND: CheckKind = CheckKind {
    kind: Kind::Tcp,
    summary: "A TCP handshake: whether a port answers, and how soon.",
    target: "tcp:HOST:PORT",
    fields: &["connect_to", "addresses"],
    expects: &[],
    segments: &[Segment::Vantage, Segment::Dns, Segment::Transit, Segment::Host],
    metrics: &[],
};

/// A connection that is opened and closed.
#[derive(Debug)]
pub(super) struct Tcp {
    opening: Opening,
    shown: Option<String>,
}

impl Tcp {
    pub(super) fn new(spec: &CheckSpec, host: &str, port: u16, pinned: Option<SocketAddr>) -> Self {
        let opening = Opening::new(host, port, spec.connect_to.as_ref()).pinned(pinned);
        Self { opening, shown: Some(format!("tcp:{}", joined(host, port))) }
    }
}

impl Talk for Tcp {
    fn step(&mut self, ledger: &mut Ledger) -> Option<Step> {
        if let Some(shown) = self.shown.take() {
            ledger.begin_exchange(shown);
        }
        match self.opening.progress(ledger) {
            Progress::Step(step) => Some(step),
            Progress::Open | Progress::Failed => None,
        }
    }

    fn handle(&mut self, told: &Told, ledger: &mut Ledger) {
        self.opening.handle(told, ledger);
    }
}
