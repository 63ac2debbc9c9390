//! One direction's bytes, put in order by their place and not by their packet: segments may come
//! twice, overlap, overtake each other, be cut by the capture, or be missed by it altogether.

use crate::tls::Chunk;

/// One direction. Offsets count from the first sequence number: the SYN is 0, the first byte 1.
#[derive(Clone, Debug, Default)]
pub struct Stream {
    base: Option<u32>,
    /// The first byte that is not there yet.
    next: u32,
    /// Behind the furthest byte that is.
    top: u32,
    /// Segments beyond `next`, by where they begin.
    late: Vec<Late>,
    held: usize,
}

/// A segment that came too early.
#[derive(Clone, Debug)]
struct Late {
    from: u32,
    len: u32,
    /// What of it was captured.
    bytes: Box<[u8]>,
}

/// What a segment did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// It was taken; its first byte is at this offset.
    Taken(u32),
    /// Its range is known, its bytes could not be kept: too much is out of order.
    Dropped(u32),
    /// It is far outside of what can be under way.
    Junk,
}

impl Stream {
    /// Fixes the number the offsets count from; the first one stays.
    pub fn begin(&mut self, base: u32) {
        if self.base.is_none() {
            self.base = Some(base);
            (self.next, self.top) = (1, 1);
        }
    }

    /// Whether it is known where it begins.
    pub const fn has_begun(&self) -> bool {
        self.base.is_some()
    }

    /// The number it counts from.
    pub const fn base(&self) -> Option<u32> {
        self.base
    }

    /// The offset of a sequence number, if it can belong to what is under way.
    pub fn offset(&self, seq: u32) -> Option<u32> {
        let offset = seq.wrapping_sub(self.base?);
        let ahead = offset.wrapping_sub(self.next);
        let behind = self.next.wrapping_sub(offset);
        (ahead < REACH || (behind < REACH && offset <= self.next)).then_some(offset)
    }

    /// The first byte that is not there yet.
    pub const fn next(&self) -> u32 {
        self.next
    }

    /// Behind the furthest byte seen.
    pub const fn top(&self) -> u32 {
        self.top
    }

    /// Bytes that are kept.
    pub const fn held(&self) -> usize {
        self.held
    }

    /// Takes `len` bytes at `seq` of which `payload` was captured, keeping at most `room` bytes;
    /// `deliver` gets, with their offsets, the bytes that are now in order.
    pub fn arrive(
        &mut self,
        seq: u32,
        len: u32,
        payload: &[u8],
        room: usize,
        deliver: impl FnMut(u32, Chunk<'_>),
    ) -> Arrival {
        let Some(from) = self.offset(seq) else { return Arrival::Junk };
        let Some(end) = from.checked_add(len) else { return Arrival::Junk };
        let payload = &payload[..payload.len().min(len as usize)];
        self.top = self.top.max(end);
        if from <= self.next {
            self.advance(from, len, payload, deliver);
            return Arrival::Taken(from);
        }
        self.keep(from, len, payload, room)
    }

    /// Gives up waiting for what is missing before `to`; returns how many bytes those are.
    pub fn skip(&mut self, to: u32, mut deliver: impl FnMut(u32, Chunk<'_>)) -> u64 {
        let mut missed = 0;
        while self.next < to {
            let upto = self.late.first().map_or(to, |l| l.from.min(to));
            let gap = upto.saturating_sub(self.next);
            missed += u64::from(gap);
            let from = self.next;
            self.top = self.top.max(upto);
            self.advance(from, gap, &[], &mut deliver);
            if gap == 0 && self.next == from {
                break;
            }
        }
        missed
    }

    fn advance(
        &mut self,
        from: u32,
        len: u32,
        payload: &[u8],
        mut deliver: impl FnMut(u32, Chunk<'_>),
    ) {
        self.hand_over(from, len, payload, &mut deliver);
        let ready = self.late.partition_point(|l| l.from <= self.next);
        if ready == 0 {
            return;
        }
        // Handing over moves `next`, which may free more.
        let mut waiting = std::mem::take(&mut self.late).into_iter().peekable();
        while let Some(late) = waiting.next_if(|l| l.from <= self.next) {
            self.held -= late.bytes.len();
            self.hand_over(late.from, late.len, &late.bytes, &mut deliver);
        }
        self.late = waiting.collect();
    }

    /// Delivers of a segment what is new.
    fn hand_over(
        &mut self,
        from: u32,
        len: u32,
        payload: &[u8],
        deliver: &mut impl FnMut(u32, Chunk<'_>),
    ) {
        let end = from.saturating_add(len);
        if end <= self.next {
            return;
        }
        let known = payload.get((self.next - from) as usize..).unwrap_or_default();
        if !known.is_empty() {
            deliver(self.next, Chunk::Known(known));
            self.next = self.next.saturating_add(u32::try_from(known.len()).unwrap_or(u32::MAX));
        }
        if end > self.next {
            deliver(self.next, Chunk::Unknown(end - self.next));
            self.next = end;
        }
    }

    fn keep(&mut self, from: u32, len: u32, payload: &[u8], room: usize) -> Arrival {
        let at = self.late.partition_point(|l| l.from < from);
        let same = self.late.get(at).is_some_and(|l| l.from == from && l.len >= len);
        if same || len == 0 {
            return Arrival::Taken(from);
        }
        if self.late.len() >= LATE_MAX {
            return Arrival::Dropped(from);
        }
        let fits = payload.len() <= room;
        let bytes: Box<[u8]> = if fits { payload.into() } else { Box::default() };
        self.held += bytes.len();
        self.late.insert(at, Late { from, len, bytes });
        if fits { Arrival::Taken(from) } else { Arrival::Dropped(from) }
    }
}

/// No window that honest openings use is greater.
const REACH: u32 = 16 << 20;
/// Segments of one side that wait out of order.
const LATE_MAX: usize = 128;
