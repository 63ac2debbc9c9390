//! The records of one flight with their times, acknowledgments and pauses.

use whyslow_model::Wall;

use super::record::Record;
use crate::opening::{Flight, Span};

/// How one side's segments of a flight followed each other, up to some record's end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Meter {
    /// Segments with new bytes.
    pub segments: u32,
    /// Pauses, in nanoseconds, that an acknowledgment ended.
    pub window_wait_ns: u64,
    /// The longest other pause.
    pub writer_pause_ns: u64,
}

impl Meter {
    /// A flight's first segment.
    pub const FIRST: Self = Self { segments: 1, window_wait_ns: 0, writer_pause_ns: 0 };

    /// One more segment, after a pause.
    pub fn segment(&mut self, pause_ns: u64, ended_by_ack: bool) {
        self.segments = self.segments.saturating_add(1);
        if ended_by_ack {
            self.window_wait_ns = self.window_wait_ns.saturating_add(pause_ns);
        } else {
            self.writer_pause_ns = self.writer_pause_ns.max(pause_ns);
        }
    }
}

/// An acknowledgment: up to where, when, and whether its packet carried nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Acked {
    /// Offset of the first byte it does not cover.
    pub to: u32,
    /// When it was seen first.
    pub at: Wall,
    /// Whether it came without data.
    pub alone: bool,
}

/// A record of a flight.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Piece {
    pub(crate) record: Record,
    /// The first acknowledgment of its last byte.
    pub(crate) acked: Option<Acked>,
    /// Up to its end.
    pub(crate) meter: Meter,
}

/// The records of one flight, the first [`PIECES_MAX`] and the last one.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pieces(Vec<Piece>);

impl Pieces {
    pub(crate) fn push(&mut self, piece: Piece) {
        if self.0.len() == PIECES_MAX {
            self.0.pop();
        }
        self.0.push(piece);
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    /// Forgets the records from that offset on.
    pub(crate) fn until(&mut self, from: u32) {
        self.0.retain(|piece| piece.record.from < from);
    }

    pub(crate) fn all(&self) -> &[Piece] {
        &self.0
    }

    pub(crate) fn acknowledge(&mut self, acked: Acked) {
        for piece in &mut self.0 {
            if piece.acked.is_none() && piece.record.to <= acked.to {
                piece.acked = Some(acked);
            }
        }
    }

    /// The flight from one of the records to another.
    pub(crate) fn flight(&self, from: usize, to: usize) -> Option<Flight> {
        let (first, last) = (self.0.get(from)?, self.0.get(to)?);
        let (opens, closes) = (first.record, last.record);
        let bytes = closes.to.wrapping_sub(opens.from);
        Some(Flight {
            span: Span { first: opens.first, last: closes.last, bytes },
            acked: last.acked.map(|a| a.at),
            acked_alone: last.acked.is_some_and(|a| a.alone),
            window_wait_ns: last.meter.window_wait_ns,
            writer_pause_ns: last.meter.writer_pause_ns,
            segments: last.meter.segments,
            zero_window: false,
        })
    }
}

/// Records of one flight that are remembered; an honest flight has a dozen.
const PIECES_MAX: usize = 64;
