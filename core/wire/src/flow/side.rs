//! One side of an opening: its bytes in order, its segments one by one, and its acknowledgments.

use whyslow_model::Wall;
use whyslow_model::limits::{WIRE_HOLES_PER_SIDE_MAX, WIRE_SEEN_PER_SIDE_MAX};

use super::rtt::Outstanding;
use crate::opening::{Hole, Seen, Side};
use crate::segment::{Flags, Segment};
use crate::stream::Stream;
use crate::tls::flight::Acked;

/// One end.
#[derive(Clone, Debug, Default)]
pub(crate) struct End {
    pub(crate) side: Side,
    pub(crate) stream: Stream,
    /// What the peer sent and this end has not acknowledged.
    pub(crate) outstanding: Outstanding,
    pub(crate) packets: u32,
    pub(crate) payload_bytes: u64,
    /// Its furthest acknowledgment, when that was seen first.
    pub(crate) acked: Option<Acked>,
    /// When its last segment with new bytes was seen.
    pub(crate) wrote: Option<Wall>,
    pub(crate) window_scale: Option<u8>,
    /// Behind the last byte it takes now.
    right_edge: Option<u32>,
    last_window: u16,
    /// First and last time its window was zero, or its peer had filled it.
    tight: Option<(Wall, Wall)>,
    /// Where its FIN stands.
    pub(crate) fin_at: Option<u32>,
    /// When its first byte of payload was seen.
    pub(crate) first_data: Option<Wall>,
    /// Its bytes up to here were acknowledged, first seen then, and the tap has not seen them.
    pub(crate) overdue: Option<(u32, Wall)>,
    syns: u32,
    /// The last segment, to know a packet that the tap saw twice.
    last: Option<Last>,
}

/// What makes two captured packets one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Last {
    seq: u32,
    ack: u32,
    len: u32,
    flags: u8,
    window: u16,
    ip_id: Option<u16>,
    timestamps: Option<(u32, u32)>,
}

/// What a segment's range was to the tap.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Range {
    pub(crate) again: bool,
    pub(crate) filled: bool,
    /// A limit was reached.
    pub(crate) limit: bool,
}

impl End {
    /// Whether the tap saw this very packet just before: coming and going, as on `lo` and under
    /// bonds and bridges.
    pub(crate) fn is_double(
        &mut self,
        segment: &Segment<'_>,
        turned: bool,
        previous: Wall,
    ) -> bool {
        let this = Last {
            seq: segment.seq,
            ack: segment.ack,
            len: segment.len,
            flags: segment.flags.0,
            window: segment.window,
            ip_id: segment.ip_id,
            timestamps: segment.options.timestamps,
        };
        let same = self.last.replace(this) == Some(this);
        let identified = segment.ip_id.is_some_and(|id| id != 0) || turned;
        let close = segment.at.as_nanos().abs_diff(previous.as_nanos()) < DOUBLE_NS;
        same && identified && close
    }

    /// Counts a SYN; whether it is not the first.
    pub(crate) const fn is_repeated_syn(&mut self) -> bool {
        self.syns = self.syns.saturating_add(1);
        self.syns > 1
    }

    /// Takes down where the segment's bytes are; `from` is the offset of its first one.
    pub(crate) fn range(&mut self, from: u32, len: u32, at: Wall) -> Range {
        let end = from.saturating_add(len);
        let top = self.stream.top();
        let mut range = Range::default();
        if len == 0 {
            return range;
        }
        if from > top {
            let hole = Hole { from: top, to: from, noticed: at, filled: None };
            range.limit |= !keep_hole(&mut self.side.holes, hole);
        } else if from < top {
            range.limit |= self.fill(from, end, at, &mut range.filled);
        }
        // A probe of one old byte keeps a connection or a zero window alive; it repeats nothing.
        let probe = len == 1 && end == self.stream.next();
        if end <= top && !range.filled && !probe {
            range.again = true;
            self.side.again = self.side.again.saturating_add(1);
            self.side.again_first = self.side.again_first.or(Some(at));
        }
        range
    }

    /// Marks of the open holes what lies in the range as filled; true when there was no room to
    /// take that down.
    fn fill(&mut self, from: u32, to: u32, at: Wall, filled: &mut bool) -> bool {
        let mut limit = false;
        for i in 0..self.side.holes.len() {
            let hole = self.side.holes[i];
            let (a, b) = (hole.from.max(from), hole.to.min(to));
            if hole.filled.is_some() || a >= b {
                continue;
            }
            *filled = true;
            self.side.holes[i] = Hole { from: a, to: b, filled: Some(at), ..hole };
            for (from, to) in [(hole.from, a), (b, hole.to)] {
                if from < to {
                    limit |= !keep_hole(&mut self.side.holes, Hole { from, to, ..hole });
                }
            }
        }
        limit
    }

    /// Remembers the segment itself.
    pub(crate) fn remember(&mut self, segment: &Segment<'_>, seq: u32, ack: Option<u32>, r: Range) {
        if self.side.seen.len() >= WIRE_SEEN_PER_SIDE_MAX {
            self.side.more = self.side.more.saturating_add(1);
            return;
        }
        // Many connections are one SYN, nearly all others take this many segments.
        match self.side.seen.capacity() {
            0 => self.side.seen.reserve_exact(1),
            1 => self.side.seen.reserve_exact(SEEN_USUAL),
            _ => {}
        }
        self.side.seen.push(Seen {
            at: segment.at,
            ip_id: segment.ip_id,
            tsval: segment.options.timestamps.map(|t| t.0),
            seq,
            len: segment.len,
            ack,
            again: r.again,
            filled: r.filled,
        });
    }

    /// Takes an acknowledgment of the peer's bytes up to the offset `ack`. Returns it when it is
    /// the first to reach so far.
    pub(crate) fn acknowledges(
        &mut self,
        segment: &Segment<'_>,
        ack: u32,
        peer_top: u32,
    ) -> Option<Acked> {
        self.window(segment, ack, peer_top);
        let bare =
            segment.len == 0 && segment.flags.0 & (Flags::SYN | Flags::FIN | Flags::RST) == 0;
        let before = self.acked.map_or(0, |a| a.to);
        let unchanged = std::mem::replace(&mut self.last_window, segment.window) == segment.window;
        if bare && ack == before && self.acked.is_some() && unchanged && peer_top > ack {
            self.side.duplicate_acks = self.side.duplicate_acks.saturating_add(1);
        }
        if ack <= before && self.acked.is_some() {
            return None;
        }
        let acked = Acked { to: ack, at: segment.at, alone: segment.len == 0 };
        self.acked = Some(acked);
        Some(acked)
    }

    fn window(&mut self, segment: &Segment<'_>, ack: u32, peer_top: u32) {
        let syn = segment.flags.has(Flags::SYN);
        let scale = if syn { Some(0) } else { self.window_scale };
        let room = scale.map(|s| u32::from(segment.window) << s.min(14));
        self.right_edge = room.map(|r| ack.saturating_add(r));
        let full = self.right_edge.is_some_and(|edge| peer_top >= edge && peer_top > ack);
        if segment.window == 0 && !segment.flags.has(Flags::RST) || full {
            self.note_tight(segment.at);
        }
    }

    /// The peer wrote up to `top`: is this end's window full now?
    pub(crate) fn peer_wrote(&mut self, top: u32, at: Wall) {
        if self.right_edge.is_some_and(|edge| top >= edge) {
            self.note_tight(at);
        }
    }

    fn note_tight(&mut self, at: Wall) {
        self.tight = Some((self.tight.map_or(at, |t| t.0), at));
    }

    /// Whether its window was zero or full between the two.
    pub(crate) fn was_tight(&self, from: Wall, to: Option<Wall>) -> bool {
        self.tight.is_some_and(|(first, last)| last >= from && to.is_none_or(|to| first <= to))
    }

    /// Counts selective acknowledgments of bytes that had arrived before (RFC 2883, section 4).
    pub(crate) fn selective(&mut self, segment: &Segment<'_>) {
        let [Some(first), second, ..] = segment.options.sack else { return };
        let below = first.1.wrapping_sub(segment.ack).cast_signed() <= 0;
        let inside = second.is_some_and(|(from, to)| {
            first.0.wrapping_sub(from).cast_signed() >= 0
                && to.wrapping_sub(first.1).cast_signed() >= 0
        });
        if below || inside {
            self.side.dsacks = self.side.dsacks.saturating_add(1);
        }
    }
}

/// Adds a hole where there is room.
fn keep_hole(holes: &mut Vec<Hole>, hole: Hole) -> bool {
    let fits = holes.len() < WIRE_HOLES_PER_SIDE_MAX;
    if fits {
        holes.push(hole);
    }
    fits
}

/// Segments that one side of a TLS 1.3 handshake takes, up to the first answer.
const SEEN_USUAL: usize = 12;
/// One packet seen twice is seen twice at once.
const DOUBLE_NS: u64 = 1_000_000;
