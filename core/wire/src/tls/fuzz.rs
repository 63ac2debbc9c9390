//! The fuzzer's way into the walker.

use whyslow_model::Wall;

use super::exchange::{Exchange, Input};
use super::flight::Acked;
use super::{Chunk, Party};

/// Takes bytes as a script: each step is a control byte (1: of the server, 2: unknown bytes, 4:
/// acknowledged at once), a length of two bytes, and the bytes unless they are unknown.
pub fn fuzz_tls_walker(data: &[u8]) {
    let mut exchange = Exchange::default();
    let mut offsets = [1_u32; 2];
    let mut rest = data;
    let mut ms = 0;
    while let [control, high, low, more @ ..] = rest {
        let asked = u16::from_be_bytes([*high, *low]);
        let unknown = control & 2 != 0;
        let bytes = &more[..more.len().min(usize::from(asked))];
        rest = if unknown { more } else { &more[bytes.len()..] };
        let len = if unknown { asked } else { u16::try_from(bytes.len()).unwrap_or(asked) };
        let chunk = if unknown { Chunk::Unknown(u32::from(asked)) } else { Chunk::Known(bytes) };
        let from = if control & 1 == 0 { Party::Client } else { Party::Server };
        let offset = &mut offsets[usize::from(control & 1)];
        let start = *offset;
        *offset += u32::from(len);
        let at = Wall::from_millis(ms);
        ms += 1;
        let acked = (control & 4 != 0).then_some(Acked { to: *offset, at, alone: true });
        exchange.segment(from, 1_000_000, control & 8 != 0);
        exchange.feed(Input { from, at, offset: start, chunk, acked, room: ROOM });
        assert!(exchange.held() <= 4 * ROOM, "it keeps {} bytes", exchange.held());
    }
    exchange.end();
    for flight in [exchange.flight, exchange.reply].into_iter().flatten() {
        assert!(flight.span.first <= flight.span.last && flight.span.bytes > 0);
    }
    assert!(exchange.hello.is_none_or(|h| h.first <= h.last && h.bytes > 0));
}

const ROOM: usize = 64 << 10;
