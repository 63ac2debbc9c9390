//! The engine and the judge behind one door: packets in, judged events out. A ring and a live
//! command line are followed by the same.

use whyslow_model::Wall;
use whyslow_model::seeded::Seed;
use whyslow_wire::anatomy::{Judge, Vantage, judge};
use whyslow_wire::engine::{self, Engine};
use whyslow_wire::event::Event;
use whyslow_wire::packet::duplicates::Duplicates;
use whyslow_wire::packet::{self, Captured, Decoded, Decoder};

use super::event::What;

/// Follows the connections of one tap.
#[derive(Debug)]
pub struct Anatomy {
    decoder: Decoder,
    duplicates: Duplicates,
    engine: Engine,
    vantage: Vantage,
    judge: Judge,
}

impl Anatomy {
    /// Nothing seen yet; `seed` keeps strangers from choosing connections that collide.
    pub fn new(seed: Seed, judge: Judge) -> Self {
        let engine = Engine::new(engine::Options::default(), seed.0);
        let (decoder, duplicates) = (Decoder::new(), Duplicates::new(seed));
        Self { decoder, duplicates, engine, vantage: Vantage::default(), judge }
    }

    /// Takes the next packet, and its stamp as the time.
    pub fn handle_packet(&mut self, packet: &Captured<'_>) {
        match self.decoder.decode(packet) {
            Decoded::Tcp(segment) => {
                if !self.duplicates.is_again(&segment) {
                    self.engine.segment(&segment);
                }
            }
            Decoded::Udp(d) => self.engine.datagram(d.at, d.from, d.to, d.payload),
            Decoded::Fragment | Decoded::Other | Decoded::Cut(_) | Decoded::Malformed(_) => {}
        }
    }

    /// The ring lost so many packets: every opening under way may miss some of them. It moves no
    /// time, since packets from before may still be on their way here.
    pub fn handle_drops(&mut self, n: u64) {
        self.engine.note_drops(n, Wall::from_nanos(i64::MIN));
    }

    /// No packet from before `now` will come any more.
    pub fn handle_timeout(&mut self, now: Wall) {
        self.engine.handle_timeout(now);
    }

    /// Nothing more will come: what is under way is told as it stands.
    pub fn finish(&mut self, now: Wall) {
        self.engine.finish(now);
    }

    /// What became known, oldest first.
    pub fn poll(&mut self) -> Option<What> {
        Some(match self.engine.poll()? {
            Event::Opening(opening) => {
                self.vantage.handle_opening(&opening);
                let point = self.vantage.point(&opening);
                What::Handshake(Box::new(judge(opening, point, &self.judge)))
            }
            Event::Unanswered(unanswered) => What::Unanswered(unanswered),
            Event::Ending(ending) => What::Ending(ending),
        })
    }

    /// What the packets turned out to be.
    pub const fn decoded(&self) -> packet::Counters {
        self.decoder.counters()
    }

    /// Connections that are followed, half-open ones included.
    pub const fn flows(&self) -> u64 {
        let (open, half_open) = self.engine.under_way();
        open as u64 + half_open as u64
    }

    /// How often each limit was reached.
    pub const fn limits(&self) -> [(&'static str, u64); 4] {
        let counters = self.engine.counters();
        [
            ("openings", counters.evicted),
            ("half_open", counters.evicted_half_open),
            ("connections", counters.forgotten),
            ("bytes", counters.limited),
        ]
    }
}
