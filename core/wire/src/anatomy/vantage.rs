//! Where each tap stands, told from how fast both ends answer it.

use std::collections::BTreeMap;

use serde::Serialize;
use whyslow_model::Histogram;
use whyslow_model::limits::WIRE_TAPS_JUDGED_MAX;

use crate::handshake::VantagePoint;
use crate::opening::Opening;

/// Within so many microseconds of the tap an end counts as near.
const NEAR_US: f64 = 1000.0;

/// What is known of each interface's place. Its memory is bounded: two histograms for each of at
/// most [`WIRE_TAPS_JUDGED_MAX`] interfaces.
#[derive(Clone, Debug, Default)]
pub struct Vantage {
    taps: BTreeMap<u32, Tap>,
    /// Openings of interfaces beyond the limit; their place is told from themselves alone.
    beyond: u64,
}

/// One interface.
#[derive(Clone, Debug, Default)]
struct Tap {
    /// SYN to SYN-ACK.
    to_server: Histogram,
    /// SYN-ACK to its acknowledgment.
    to_client: Histogram,
}

/// What an interface's place is told from.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Place {
    /// The place.
    pub point: VantagePoint,
    /// Median of SYN to SYN-ACK, in milliseconds.
    pub syn_to_syn_ack_ms: Option<f64>,
    /// Median of SYN-ACK to its acknowledgment, in milliseconds.
    pub syn_ack_to_ack_ms: Option<f64>,
}

impl Vantage {
    /// Learns from one opening.
    pub fn handle_opening(&mut self, opening: &Opening) {
        let (server, client) = (server_us(opening), client_us(opening));
        let (Some(server), Some(client)) = (server, client) else { return };
        if self.taps.len() >= WIRE_TAPS_JUDGED_MAX && !self.taps.contains_key(&opening.interface) {
            self.beyond += 1;
            return;
        }
        let tap = self.taps.entry(opening.interface).or_default();
        tap.to_server.observe(server);
        tap.to_client.observe(client);
    }

    /// Where the tap of this opening stands: a live tap knows whether the server is its own
    /// machine; else the medians decide, and a connection that the tapped machine plainly opened
    /// itself is taken as such.
    pub fn point(&self, opening: &Opening) -> VantagePoint {
        match opening.server_is_local {
            Some(true) => return VantagePoint::Server,
            Some(false) => return VantagePoint::Client,
            None => {}
        }
        let own = (us(server_us(opening)), us(client_us(opening)));
        let Some(tap) = self.taps.get(&opening.interface) else {
            return point(own.0, own.1);
        };
        let (server, client) = (median_us(&tap.to_server), median_us(&tap.to_client));
        let usual = point(server, client);
        let far_clients = client.is_some_and(|us| us > NEAR_US);
        let far_servers = server.is_some_and(|us| us > NEAR_US);
        match (usual, point(own.0, own.1)) {
            (VantagePoint::Server, VantagePoint::Client) if far_clients => VantagePoint::Client,
            (VantagePoint::Client, VantagePoint::Server) if far_servers => VantagePoint::Server,
            (usual, _) => usual,
        }
    }

    /// Where one interface stands by its medians.
    pub fn place(&self, interface: u32) -> Place {
        let tap = self.taps.get(&interface);
        let server = tap.and_then(|tap| median_us(&tap.to_server));
        let client = tap.and_then(|tap| median_us(&tap.to_client));
        Place {
            point: point(server, client),
            syn_to_syn_ack_ms: server.map(|us| us / 1e3),
            syn_ack_to_ack_ms: client.map(|us| us / 1e3),
        }
    }

    /// Openings of interfaces beyond the limit.
    pub const fn beyond(&self) -> u64 {
        self.beyond
    }
}

/// SYN to SYN-ACK where neither was sent twice.
fn server_us(opening: &Opening) -> Option<u64> {
    let once = opening.syns.count == 1 && opening.syn_acks.count == 1;
    let (syn, answer) = (opening.syns.last?, opening.syn_acks.first?);
    once.then(|| micros(answer.since(syn)))
}

/// SYN-ACK to its acknowledgment where it was sent once.
fn client_us(opening: &Opening) -> Option<u64> {
    let (answer, acked) = (opening.syn_acks.last?, opening.acked?);
    (opening.syn_acks.count == 1).then(|| micros(acked.since(answer)))
}

fn micros(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

#[expect(clippy::cast_precision_loss, reason = "2^53 µs are 285 years")]
fn us(micros: Option<u64>) -> Option<f64> {
    micros.map(|us| us as f64)
}

fn median_us(of: &Histogram) -> Option<f64> {
    of.quantile(0.5).map(|seconds| seconds * 1e6)
}

/// The near side; where both ends are near, the clearly nearer one, else the server, from which
/// the tap is less than a millisecond away.
fn point(server_us: Option<f64>, client_us: Option<f64>) -> VantagePoint {
    let (Some(server), Some(client)) = (server_us, client_us) else {
        return VantagePoint::Unknown;
    };
    match (server <= NEAR_US, client <= NEAR_US) {
        (true, true) if client < server / 2.0 => VantagePoint::Client,
        (true, _) => VantagePoint::Server,
        (false, true) => VantagePoint::Client,
        (false, false) => VantagePoint::Middle,
    }
}
