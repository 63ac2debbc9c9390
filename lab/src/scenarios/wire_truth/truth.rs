//! What a handshake's phases were, told by those who did it: the programs say when they spoke, the
//! wire says when it took and gave out each segment. No capture is looked at.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::line::{Crossing, Pick};
use crate::slow_tls::{Answered, Asked};

use super::Case;

/// The phases in their order, as `whyslow wire` names them.
pub(super) const PHASES: [&str; 9] = [
    "syn_wait",
    "syn_ack",
    "network",
    "hello_wait",
    "server_think",
    "server_flight",
    "ack",
    "client_think",
    "finish",
];

/// Each way.
pub(super) const DELAY: Duration = Duration::from_millis(25);

/// The phases in milliseconds, in the order of [`PHASES`], at the server's end of the wire.
pub(super) fn phases(
    case: &Case,
    answered: Answered,
    asked: Asked,
    crossings: &[Crossing],
) -> Result<[f64; 9]> {
    let mine = |c: &&Crossing| c.port == case.port && c.client_port == asked.port;
    let seen = Seen { all: crossings.iter().filter(mine).collect(), retry: case.manner.retry };
    let syn = seen.all.first().and_then(|c| c.left).context("no SYN")?;
    let syn_ack = seen.all.iter().find(|c| !c.from_client).context("no SYN-ACK")?.arrived;
    let acked = seen.all.iter().filter(|c| c.from_client).nth(1).context("no acknowledgment")?;
    let acked = acked.left.context("the acknowledgment was lost")?;
    let hello = seen.came(Pick::Hello)?;
    let flight = seen.flight()?.last().context("no flight")?.arrived;
    let heard = seen.heard()?;
    let answer = match case.row.fault {
        Some((Pick::ClientFlight, _)) => seen.came(Pick::ClientFlight)?,
        Some(_) | None => asked.flight + DELAY,
    };
    let closes = case.manner.old && !case.manner.resume;
    let end = if closes { answered.closing } else { answer };
    let points = [syn, syn, syn_ack, acked, hello, answered.flight, flight, heard, answer, end];
    let mut phases = [0.0; 9];
    for (phase, pair) in phases.iter_mut().zip(points.windows(2)) {
        *phase = (pair[1] - pair[0]).as_secs_f64() * 1000.0;
    }
    Ok(phases)
}

/// What crossed the wire of one connection.
struct Seen<'a> {
    all: Vec<&'a Crossing>,
    retry: bool,
}

impl Seen<'_> {
    /// Every copy of the segment meant; the last hello, where there are two.
    fn copies(&self, pick: Pick) -> Result<Vec<&Crossing>> {
        let from_client = pick != Pick::ServerFlight;
        let skip = match pick {
            Pick::Hello => usize::from(self.retry),
            Pick::ServerFlight => usize::from(self.retry),
            Pick::ClientFlight => usize::from(self.retry) + 1,
        };
        let mut starts: Vec<u32> = Vec::new();
        let data = self.all.iter().copied().filter(|c| c.len > 0 && c.from_client == from_client);
        let data: Vec<_> = data.collect();
        for c in &data {
            if !starts.contains(&c.seq) {
                starts.push(c.seq);
            }
        }
        let seq = *starts.get(skip).context("no such segment")?;
        Ok(data.into_iter().filter(|c| c.seq == seq).collect())
    }

    /// When the segment meant came out first.
    fn came(&self, pick: Pick) -> Result<Instant> {
        self.copies(pick)?.iter().filter_map(|c| c.left).min().context("never came out")
    }

    /// The server's segments until the client answered, each once.
    fn flight(&self) -> Result<Vec<&Crossing>> {
        let first = self.copies(Pick::ServerFlight)?[0].arrived;
        let answer = self.copies(Pick::ClientFlight)?[0].arrived;
        let mut flight: Vec<&Crossing> = Vec::new();
        for c in self.all.iter().copied().filter(|c| !c.from_client && c.len > 0) {
            let within = c.arrived >= first && c.arrived < answer;
            if within && flight.iter().all(|seen| seen.seq != c.seq) {
                flight.push(c);
            }
        }
        Ok(flight)
    }

    /// When the server heard that all of its flight had arrived; a round trip later, where that
    /// came with the client's answer only.
    fn heard(&self) -> Result<Instant> {
        let flight = self.flight()?;
        let last = flight.last().context("no flight")?;
        let end = last.seq.wrapping_add(last.len);
        let covers = |c: &&&Crossing| {
            c.from_client && c.arrived > last.arrived && c.ack.wrapping_sub(end) < 1 << 31
        };
        let ack = self.all.iter().filter(covers).min_by_key(|c| c.left.unwrap_or(c.arrived));
        let ack = ack.context("the flight was not acknowledged")?;
        if ack.len > 0 {
            return Ok(last.arrived + 2 * DELAY);
        }
        ack.left.context("the acknowledgment was lost")
    }
}
