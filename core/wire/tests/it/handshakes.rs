//! Every capture in `fixtures/handshakes`: beside it stand, as tshark prints them, connection, time,
//! source port and handshake types of each packet that ends a TLS record.

use whyslow_model::Wall;
use whyslow_wire::capture::{Reader, Step};
use whyslow_wire::engine::{Engine, Options};
use whyslow_wire::event::Event;
use whyslow_wire::opening::{Opening, Outcome};
use whyslow_wire::packet::{Decoded, Decoder};

macro_rules! fixture {
    ($name:literal, $expected:expr) => {
        (
            $name,
            include_bytes!(concat!("../fixtures/handshakes/", $name, ".pcap")).as_slice(),
            include_str!(concat!("../fixtures/handshakes/", $name, ".tsv")),
            $expected.as_slice(),
        )
    };
}

/// Version, resumed, a round more, a client's certificate, outcome.
type Facts = (u16, Option<bool>, bool, Option<bool>, Outcome);
type Fixture = (&'static str, &'static [u8], &'static str, &'static [Facts]);

const NO: Option<bool> = Some(false);
const YES: Option<bool> = Some(true);
const DONE: Outcome = Outcome::Complete;

const FIXTURES: &[Fixture] = &[
    fixture!("tls13_full", [(0x304, NO, false, NO, DONE)]),
    fixture!("tls13_psk", [(0x304, NO, false, NO, DONE), (0x304, YES, false, NO, DONE)]),
    fixture!("tls13_retry", [(0x304, NO, true, NO, DONE)]),
    fixture!("tls13_mutual", [(0x304, NO, false, YES, DONE)]),
    fixture!("tls13_bare", [(0x304, NO, false, NO, DONE)]),
    fixture!("tls13_early", [(0x304, NO, false, NO, DONE), (0x304, YES, false, NO, DONE)]),
    fixture!("tls12_full", [(0x303, NO, false, None, DONE)]),
    fixture!("tls12_ticket", [(0x303, NO, false, None, DONE), (0x303, YES, false, None, DONE)]),
    fixture!("tls12_session", [(0x303, NO, false, None, DONE), (0x303, YES, false, None, DONE)]),
    fixture!("tls12_mutual", [(0x303, NO, false, YES, DONE)]),
    fixture!("alert_version", [(0x303, None, false, None, Outcome::Alert { by_client: false })]),
    fixture!("alert_unknown_ca", [(0x304, NO, false, None, Outcome::Alert { by_client: true })]),
];

#[test]
fn every_kind_of_handshake_is_known_by_its_records() {
    for (name, capture, _, expected) in FIXTURES {
        let found: Vec<Facts> = openings(capture)
            .iter()
            .map(|o| {
                let tls = o.tls.as_ref().unwrap();
                (tls.version, tls.resumed, o.retry.is_some(), tls.client_auth, o.outcome)
            })
            .collect();
        assert_eq!(found, *expected, "{name}");
    }
}

#[test]
fn times_are_those_of_tshark() {
    for (name, capture, lines, _) in FIXTURES {
        let lines: Vec<Line> = lines.lines().map(|l| line(l).unwrap()).collect();
        for (stream, o) in openings(capture).iter().enumerate() {
            let of: Vec<&Line> = lines.iter().filter(|l| l.stream == stream).collect();
            let hello = of.iter().rposition(|l| l.has(1)).unwrap();
            assert_eq!(o.hello.unwrap().last, of[hello].at, "{name}: ClientHello");
            let Some(answer) = of.iter().rposition(|l| l.has(2)) else { continue };
            assert_eq!(o.flight.unwrap().span.first, of[answer].at, "{name}: ServerHello");
            let reply = of[answer..].iter().find(|l| l.port == of[hello].port).unwrap();
            if let Some(found) = o.reply {
                assert_eq!(found.span.first, reply.at, "{name}: the client's answer");
                let flight = o.flight.unwrap();
                let ended = of[answer..].iter().take_while(|l| l.port != of[hello].port).last();
                assert_eq!(flight.span.last, ended.unwrap().at, "{name}: the flight's end");
            }
        }
    }
}

#[test]
fn captures_cut_at_any_length_give_the_same_first_times() {
    for (name, capture, ..) in FIXTURES {
        let whole = openings(capture);
        for snap in [66, 80, 128, 160, 192, 256] {
            let cut = openings_cut(capture, snap);
            assert_eq!(cut.len(), whole.len(), "{name} at {snap}");
            for (cut, whole) in cut.iter().zip(&whole) {
                assert_eq!(cut.acked, whole.acked);
                let ranges = |o: &Opening| -> Vec<(Wall, u32, u32)> {
                    o.client_side.seen.iter().map(|s| (s.at, s.seq, s.len)).collect()
                };
                let both = ranges(whole).len().min(ranges(cut).len());
                assert_eq!(ranges(cut)[..both], ranges(whole)[..both], "{name} at {snap}");
                if snap >= 192 {
                    let times = |o: &Opening| {
                        let flight = o.flight.map(|f| (f.span.first, f.span.last, f.acked));
                        (o.tls.as_ref().map(|t| t.version), flight, o.reply.map(|r| r.span.first))
                    };
                    assert_eq!(times(cut), times(whole), "{name} at {snap}");
                }
            }
        }
    }
}

/// A line of tshark's.
struct Line {
    stream: usize,
    at: Wall,
    port: u16,
    types: Vec<u8>,
}

impl Line {
    fn has(&self, kind: u8) -> bool {
        self.types.contains(&kind)
    }
}

fn line(text: &str) -> Option<Line> {
    let mut fields = text.split('\t');
    let stream = fields.next()?.parse().ok()?;
    let (seconds, fraction) = fields.next()?.split_once('.')?;
    let ns = seconds.parse::<i64>().ok()? * 1_000_000_000 + fraction.parse::<i64>().ok()?;
    let port = fields.next()?.parse().ok()?;
    let types = fields.next()?.split(',').filter_map(|t| t.parse().ok()).collect();
    Some(Line { stream, at: Wall::from_nanos(ns), port, types })
}

fn openings(capture: &[u8]) -> Vec<Opening> {
    openings_cut(capture, usize::MAX)
}

/// The openings of a capture, its packets cut to so many bytes.
fn openings_cut(mut capture: &[u8], snap: usize) -> Vec<Opening> {
    let (mut reader, mut decoder) = (Reader::new(), Decoder::new());
    let mut engine = Engine::new(Options::default(), 1);
    while let Ok(step) = reader.next(capture) {
        let consumed = match step {
            Step::Need(_) => break,
            Step::Packet { mut packet, consumed, .. } => {
                packet.bytes = &packet.bytes[..packet.bytes.len().min(snap)];
                if let Decoded::Tcp(segment) = decoder.decode(&packet) {
                    engine.segment(&segment);
                }
                consumed
            }
            Step::Statistics { consumed, .. } | Step::Other { consumed } => consumed,
        };
        capture = &capture[consumed..];
    }
    engine.finish(Wall::default());
    let events = std::iter::from_fn(|| engine.poll());
    let openings = events.filter_map(|e| if let Event::Opening(o) = e { Some(*o) } else { None });
    let mut openings: Vec<Opening> = openings.collect();
    openings.sort_by_key(|o| o.first);
    openings
}
