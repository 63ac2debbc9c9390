//! Arbitrary openings, for the fuzzer: whatever an engine may come to say, the judgment holds
//! together.

use std::net::SocketAddr;

use whyslow_model::Wall;

use super::{Judge, Vantage, judge};
use crate::handshake::{Phase, VantagePoint};
use crate::opening::{
    Flight, Gaps, Hole, Opening, Outcome, Repeated, Retry, Seen, Side, Span, Tls,
};
use crate::segment::FlowKey;

/// Makes an opening of the bytes and judges it from every place.
///
/// # Panics
/// Where phases do not add up to the total, shares to 1, or bounds are the wrong way round.
pub fn fuzz_judge(data: &[u8]) {
    let mut bytes = Bytes(data);
    let opening = bytes.opening();
    let mut vantage = Vantage::default();
    vantage.handle_opening(&opening);
    let points =
        [vantage.point(&opening), VantagePoint::Server, VantagePoint::Client, VantagePoint::Middle];
    for point in points {
        let judged = judge(opening.clone(), point, &Judge::default());
        let phases: f64 = Phase::ALL.into_iter().filter_map(|p| judged.phases.of(p)).sum();
        assert!((phases - judged.total_ms).abs() <= 1e-6 * judged.total_ms.max(1.0));
        let s = judged.shares;
        assert!((s.server + s.network + s.client + s.unknown - 1.0).abs() < 1e-9);
        let bounds = [judged.bounds.server, judged.bounds.network, judged.bounds.client];
        let bounds =
            bounds.into_iter().chain([judged.bounds.client_think, judged.bounds.ack_delay]);
        assert!(bounds.flatten().all(|(least, most)| 0.0 <= least && least <= most));
    }
}

/// Zeros once it is used up.
struct Bytes<'a>(&'a [u8]);

impl Bytes<'_> {
    fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    fn word(&mut self) -> u32 {
        u32::from_le_bytes([self.byte(), self.byte(), self.byte(), self.byte()])
    }

    fn flag(&mut self) -> bool {
        self.byte() & 1 == 1
    }

    fn maybe<T>(&mut self, make: impl FnOnce(&mut Self) -> T) -> Option<T> {
        self.flag().then(|| make(self))
    }

    /// Mostly within seconds of one instant; sometimes at the ends of time.
    fn at(&mut self) -> Wall {
        match self.byte() {
            255 => Wall::from_nanos(i64::MAX),
            254 => Wall::from_nanos(i64::MIN),
            _ => Wall::from_nanos(i64::from(self.word()).saturating_mul(1000)),
        }
    }

    fn repeated(&mut self) -> Repeated {
        let (first, last) = (self.maybe(Self::at), self.maybe(Self::at));
        Repeated { first, last, count: u32::from(self.byte()) }
    }

    fn span(&mut self) -> Span {
        Span { first: self.at(), last: self.at(), bytes: self.word() }
    }

    fn flight(&mut self) -> Flight {
        Flight {
            span: self.span(),
            acked: self.maybe(Self::at),
            acked_alone: self.flag(),
            window_wait_ns: u64::from(self.word()) << (self.byte() % 33),
            writer_pause_ns: u64::from(self.word()) << (self.byte() % 33),
            segments: self.word(),
            zero_window: self.flag(),
        }
    }

    fn seen(&mut self) -> Seen {
        Seen {
            at: self.at(),
            ip_id: self.maybe(|bytes| u16::from(bytes.byte())),
            tsval: self.maybe(Self::word),
            seq: self.word(),
            len: self.word() >> 16,
            ack: None,
            again: self.flag(),
            filled: self.flag(),
        }
    }

    fn side(&mut self) -> Side {
        let segments = self.byte() % 64;
        let holes = self.byte() % 4;
        let hole = |bytes: &mut Self| Hole {
            from: bytes.word(),
            to: bytes.word(),
            noticed: bytes.at(),
            filled: bytes.maybe(Self::at),
        };
        Side {
            seen: (0..segments).map(|_| self.seen()).collect(),
            more: 0,
            holes: (0..holes).map(|_| hole(self)).collect(),
            again: u32::from(self.byte()),
            again_first: self.maybe(Self::at),
            duplicate_acks: u32::from(self.byte()),
            dsacks: u32::from(self.byte() >> 6),
        }
    }

    fn outcome(&mut self) -> Outcome {
        let by_client = self.flag();
        match self.byte() % 7 {
            0 => Outcome::Reset { by_client },
            1 => Outcome::Closed { by_client },
            2 => Outcome::Alert { by_client },
            3 => Outcome::TimedOut,
            4 => Outcome::Plain,
            5 => Outcome::CutOff,
            _ => Outcome::Complete,
        }
    }

    fn opening(&mut self) -> Opening {
        let end = |last| SocketAddr::from(([192, 0, 2, last], 443));
        Opening {
            flow: FlowKey { client: end(1), server: end(2) },
            interface: u32::from(self.byte() % 2),
            server_is_local: self.maybe(Self::flag),
            first: self.at(),
            last: self.at(),
            syns: self.repeated(),
            syn_acks: self.repeated(),
            acked: self.maybe(Self::at),
            hello: self.maybe(Self::span),
            flight: self.maybe(Self::flight),
            reply: self.maybe(Self::flight),
            closing: self.maybe(Self::span),
            client_data: self.maybe(Self::at),
            server_data: self.maybe(Self::at),
            retry: self.maybe(|bytes| Retry { hello: bytes.span(), request: bytes.span() }),
            tls: self.maybe(|_| Tls::default()),
            rtt_client_ns: self.maybe(|bytes| u64::from(bytes.word()) << (bytes.byte() % 33)),
            rtt_server_ns: self.maybe(|bytes| u64::from(bytes.word())),
            client_side: self.side(),
            server_side: self.side(),
            outcome: self.outcome(),
            gaps: Gaps { drops: u64::from(self.byte() >> 6), ..Gaps::default() },
        }
    }
}

#[cfg(test)]
mod tests {
    proptest::proptest! {
        #[test]
        fn any_opening_is_judged_soundly(data in proptest::collection::vec(0_u8.., 0..2000)) {
            super::fuzz_judge(&data);
        }
    }
}
