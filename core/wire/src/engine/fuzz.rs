//! The fuzzer's way into the engine.

use std::net::SocketAddr;

use super::{Engine, Event, Options};
use crate::segment::{self, Flags, Segment};
use whyslow_model::Wall;

/// Takes bytes as a script of segments, and follows them to the end.
pub fn fuzz_wire_engine(data: &[u8]) {
    let (engine, events) = play(data, false);
    assert_eq!(engine.under_way(), (0, 0));
    assert_eq!(engine.held, 0, "bytes of nobody are counted as kept");
    let openings = events.iter().filter(|e| matches!(e, Event::Opening(_))).count() as u64;
    let counters = engine.counters();
    assert_eq!(counters.openings, openings);
    assert!(openings + counters.never_acked <= counters.flows, "{counters:?}");
    assert!(counters.strays + counters.ignored <= counters.segments, "{counters:?}");
    events.iter().for_each(check);
}

/// What an engine tells of a script of segments, each a header of ten bytes and its payload: control (1: by
/// the server, 2 and 4: which connection, 8: cut to half, 16: without stamps, 32: the direction is
/// told, 64: to the end that sends it), flags, how far its number and its acknowledgment are from
/// where they ought to be, tenths of a millisecond since the last one, and the payload's length.
/// With ticks the clock is moved on between them too.
pub(crate) fn play(data: &[u8], with_ticks: bool) -> (Engine, Vec<Event>) {
    let mut engine = Engine::new(Options::default(), 1);
    let mut next = [[0xffff_ff00_u32, 0x1234_5678]; 4];
    let mut now_ns = 1_767_225_600_000_000_000_i64;
    let mut rest = data;
    while let Some((head, more)) = rest.split_first_chunk::<10>() {
        let [control, flags, s1, s0, a1, a0, t1, t0, l1, l0] = *head;
        let len = usize::from(u16::from_be_bytes([l1, l0])).min(more.len());
        let (payload, left) = more.split_at(len);
        rest = left;
        let later_ns = i64::from(u16::from_be_bytes([t1, t0])) * 100_000;
        if with_ticks {
            // As a live tap rings where no packet comes.
            (1..4).for_each(|n| engine.handle_timeout(Wall::from_nanos(now_ns + n * later_ns / 4)));
        }
        now_ns += later_ns;
        let ends = &mut next[usize::from(control >> 1 & 3)];
        let me = usize::from(control & 1);
        let peer = 1 - me;
        let shift = |high, low| i32::from(i16::from_be_bytes([high, low])).cast_unsigned();
        let seq = ends[me].wrapping_add(shift(s1, s0));
        let ack = ends[peer].wrapping_add(shift(a1, a0));
        let wire_len = u32::try_from(len).unwrap_or(0);
        let syn_or_fin = u32::from(flags & (Flags::SYN | Flags::FIN) != 0);
        ends[me] = seq.wrapping_add(wire_len).wrapping_add(syn_or_fin);
        let tick = u32::try_from((now_ns / 1_000_000) & 0xffff_ffff).unwrap_or(0);
        let stamps = (control & 16 == 0).then_some((tick, tick.wrapping_sub(1)));
        let (from, to) = addresses(control);
        engine.segment(&Segment {
            at: Wall::from_nanos(now_ns),
            interface: 0,
            outgoing: (control & 32 != 0).then_some(control & 1 != 0),
            from,
            to,
            ip_id: None,
            ttl: 64,
            seq,
            ack,
            flags: Flags(flags),
            window: u16::from_be_bytes([a1, s0]),
            options: segment::Options { timestamps: stamps, ..segment::Options::default() },
            len: wire_len,
            payload: if control & 8 != 0 { &payload[..len / 2] } else { payload },
        });
    }
    engine.finish(Wall::from_nanos(now_ns));
    let events = std::iter::from_fn(|| engine.poll()).collect();
    (engine, events)
}

fn addresses(control: u8) -> (SocketAddr, SocketAddr) {
    let client = SocketAddr::from(([192, 0, 2, 1], 40_000 + u16::from(control >> 1 & 3)));
    let server = SocketAddr::from(([198, 51, 100, 1], 443));
    let (from, to) = if control & 1 == 0 { (client, server) } else { (server, client) };
    (from, if control & 64 == 0 { to } else { from })
}

/// What holds of every event.
fn check(event: &Event) {
    let Event::Opening(opening) = event else { return };
    assert!(opening.first <= opening.last);
    for flight in [opening.flight, opening.reply].into_iter().flatten() {
        assert!(flight.span.first <= flight.span.last);
    }
    for side in [&opening.client_side, &opening.server_side] {
        assert!(side.holes.iter().all(|h| h.from < h.to));
        assert!(side.seen.is_sorted_by_key(|s| s.at));
    }
}
