//! The whole way from a packet to a judged opening: one for a file and for a live ring, so that
//! both give the same verdicts.
//!
//! Packets go in by [`Watch::handle_packet`], what became known comes out by [`Watch::poll`]. Time
//! is that of the packets; a live tap moves it on by [`Watch::handle_timeout`] where none come.

use whyslow_model::Wall;
use whyslow_model::seeded::Seed;

use crate::anatomy::{Judge, Vantage};
use crate::engine::{self, Engine};
use crate::event::{Ending, Event, Unanswered};
use crate::handshake::Handshake;
use crate::packet::duplicates::Duplicates;
use crate::packet::{Captured, Counters, Decoded, Decoder};
use crate::segment::Segment;
use crate::slow::Slow;

/// What a watch goes by.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// How long to wait for what.
    pub engine: engine::Options,
    /// What openings are judged by.
    pub judge: Judge,
    /// By how often it is the 99th percentile of its server, of the last hours and from 100 ms on,
    /// that a handshake is slow too, or somebody's part of it; `None`: what is usual is not looked
    /// at.
    pub times_p99: Option<f64>,
    /// Ports of servers to look at; of all where empty.
    pub ports: Vec<u16>,
}

/// Something that became known.
#[derive(Debug)]
pub enum Told {
    /// An opening, judged.
    Handshake(Box<Handshake>),
    /// SYNs without an answer.
    Unanswered(Unanswered),
    /// An end that no log may show.
    Ending(Ending),
}

/// Follows packets.
#[derive(Debug)]
pub struct Watch {
    options: Options,
    decoder: Decoder,
    duplicates: Duplicates,
    engine: Engine,
    vantage: Vantage,
    slow: Slow,
    /// The first and the last packet.
    span: Option<(Wall, Wall)>,
    /// Packets with a time before that of the one before them.
    backwards: u64,
}

impl Watch {
    /// Has seen nothing; `seed` keeps strangers from choosing what collides in tables.
    pub fn new(options: Options, seed: Seed) -> Self {
        Self {
            decoder: Decoder::new(),
            duplicates: Duplicates::new(seed),
            engine: Engine::new(options.engine, seed.0),
            vantage: Vantage::default(),
            slow: Slow::new(options.judge, options.times_p99, seed),
            span: None,
            backwards: 0,
            options,
        }
    }

    /// From now on openings are judged so.
    pub const fn handle_slow(&mut self, judge: Judge, times_p99: Option<f64>) {
        self.slow.handle_options(judge, times_p99);
    }

    /// Takes the next packet.
    pub fn handle_packet(&mut self, packet: &Captured<'_>) {
        match &mut self.span {
            Some((_, last)) => {
                self.backwards += u64::from(packet.at < *last);
                *last = packet.at.max(*last);
            }
            None => self.span = Some((packet.at, packet.at)),
        }
        match self.decoder.decode(packet) {
            Decoded::Tcp(segment) => {
                if wanted(&self.options.ports, &segment) && !self.duplicates.is_again(&segment) {
                    self.engine.segment(&segment);
                }
            }
            Decoded::Udp(datagram) => {
                self.engine.datagram(datagram.at, datagram.from, datagram.to, datagram.payload);
            }
            Decoded::Fragment | Decoded::Other | Decoded::Cut(_) | Decoded::Malformed(_) => {}
        }
    }

    /// The capture says that it lost so many packets before `at`.
    pub fn handle_drops(&mut self, packets: u64, at: Wall) {
        self.engine.note_drops(packets, at);
    }

    /// A live tap lost so many packets, nobody knows when: every opening under way may miss some of
    /// them. It moves no time, since packets from before may still be on their way here.
    pub fn handle_drops_at_some_time(&mut self, packets: u64) {
        self.engine.note_drops(packets, Wall::from_nanos(i64::MIN));
    }

    /// Moves time on where no packet comes.
    pub fn handle_timeout(&mut self, now: Wall) {
        self.engine.handle_timeout(now);
    }

    /// When [`Watch::handle_timeout`] has something to do.
    pub fn poll_timeout(&self) -> Option<Wall> {
        self.engine.poll_timeout()
    }

    /// What became known, oldest first.
    pub fn poll(&mut self) -> Option<Told> {
        Some(match self.engine.poll()? {
            Event::Opening(opening) => {
                self.vantage.handle_opening(&opening);
                let point = self.vantage.point(&opening);
                Told::Handshake(Box::new(self.slow.judge(opening, point)))
            }
            Event::Unanswered(unanswered) => Told::Unanswered(unanswered),
            Event::Ending(ending) => Told::Ending(ending),
        })
    }

    /// The capture ended: whatever is under way is told as it stands.
    pub fn finish(&mut self) {
        if let Some((_, last)) = self.span {
            self.finish_at(last);
        }
    }

    /// A live tap ended at `now`: whatever is under way is told as it stands.
    pub fn finish_at(&mut self, now: Wall) {
        self.engine.finish(now);
    }

    /// Connections that are followed, half-open ones included.
    pub const fn under_way(&self) -> u64 {
        let (open, half_open) = self.engine.under_way();
        open as u64 + half_open as u64
    }

    /// How often each limit on connections was reached.
    pub const fn limits(&self) -> [(&'static str, u64); 4] {
        let counters = self.engine.counters();
        [
            ("openings", counters.evicted),
            ("half_open", counters.evicted_half_open),
            ("connections", counters.forgotten),
            ("bytes", counters.limited),
        ]
    }

    /// The first and the last packet's time.
    pub const fn span(&self) -> Option<(Wall, Wall)> {
        self.span
    }

    /// What packets turned out to be.
    pub const fn packets(&self) -> Counters {
        self.decoder.counters()
    }

    /// What the engine counted.
    pub const fn connections(&self) -> &engine::Counters {
        self.engine.counters()
    }

    /// Segments that the tap showed twice and that were sent once.
    pub const fn copies(&self) -> u64 {
        self.duplicates.dropped()
    }

    /// Packets whose time was before that of the one before them.
    pub const fn backwards(&self) -> u64 {
        self.backwards
    }

    /// Where each tap stands.
    pub const fn vantage(&self) -> &Vantage {
        &self.vantage
    }
}

/// Whether either end has one of these ports.
fn wanted(ports: &[u16], segment: &Segment<'_>) -> bool {
    ports.is_empty()
        || ports.iter().any(|port| *port == segment.from.port() || *port == segment.to.port())
}
