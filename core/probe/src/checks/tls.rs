//! `tls`: a TLS handshake, and the certificate shown in it.

use std::net::SocketAddr;

use whyslow_model::Segment;

use super::ledger::Ledger;
use super::opening::{Opening, Progress};
use super::{CheckKind, Step, Talk, Told};
use crate::spec::{CheckSpec, Kind};
use crate::target::joined;

pub(super) const KIND: CheckKind = CheckKind {
    kind: Kind::Tls,
    summary: "A TLS handshake: how long it takes, and what the certificate is worth.",
    target: "tls:HOST:PORT",
    fields: &["connect_to", "sni", "addresses", "ca_file", "client_certificate", "insecure"],
    expects: &["certificate_days"],
    segments: &[Segment::Vantage, Segment::Dns, Segment::Transit, Segment::Edge, Segment::Host],
    metrics: &["probe_ssl_earliest_cert_expiry", "probe_tls_version_info"],
};

/// A connection that is opened, greeted and closed.
#[derive(Debug)]
pub(super) struct Tls {
    opening: Opening,
    shown: Option<String>,
}

impl Tls {
    pub(super) fn new(spec: &CheckSpec, host: &str, port: u16, pinned: Option<SocketAddr>) -> Self {
        let name = spec.sni.clone().unwrap_or_else(|| host.to_owned());
        let opening = Opening::new(host, port, spec.connect_to.as_ref())
            .pinned(pinned)
            .with_tls(name, Vec::new());
        Self { opening, shown: Some(format!("tls:{}", joined(host, port))) }
    }
}

impl Talk for Tls {
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
