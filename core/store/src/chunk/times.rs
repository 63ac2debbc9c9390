//! The column of times: each by how its distance from the one before differs from that one's.

use super::{BitWriter, ChunkError};
use crate::bits::BitReader;

/// Bits of the four lengths in which a difference is written; the last holds any.
const WIDTHS: [u32; 4] = [7, 11, 20, 64];

/// Writes times.
#[derive(Clone, Debug)]
pub(super) struct Encoder {
    bits: BitWriter,
    last: i64,
    distance: i64,
}

impl Encoder {
    pub(super) fn new(first: i64) -> Self {
        Self { bits: BitWriter::default(), last: first, distance: 0 }
    }

    #[inline]
    pub(super) fn push(&mut self, at: i64) {
        let distance = at.wrapping_sub(self.last);
        let change = distance.wrapping_sub(self.distance);
        self.last = at;
        self.distance = distance;
        let raw = change.cast_unsigned();
        match change {
            0 => self.bits.put(0, 1),
            -64..64 => self.bits.put(0b10 << 7 | raw & 0x7f, 9),
            -1024..1024 => self.bits.put(0b110 << 11 | raw & 0x7ff, 14),
            -0x8_0000..0x8_0000 => self.bits.put(0b1110 << 20 | raw & 0xf_ffff, 24),
            _ => {
                self.bits.put(0b1111, 4);
                self.bits.put(raw, 64);
            }
        }
    }

    #[inline]
    pub(super) const fn last(&self) -> i64 {
        self.last
    }

    pub(super) const fn bits(&self) -> &BitWriter {
        &self.bits
    }
}

/// Reads `count` times, the first of them known; they must ascend.
pub(super) fn decode(
    bytes: &[u8],
    first: i64,
    count: usize,
    out: &mut Vec<i64>,
) -> Result<(), ChunkError> {
    let mut bits = BitReader::new(bytes);
    out.reserve(count);
    out.push(first);
    let (mut at, mut distance) = (first, 0i64);
    for _ in 1..count {
        let change = change(&mut bits).ok_or(ChunkError::Incomplete("a time"))?;
        distance = distance.wrapping_add(change);
        let next = at.wrapping_add(distance);
        if next <= at {
            return Err(ChunkError::Malformed("order of times"));
        }
        at = next;
        out.push(at);
    }
    Ok(())
}

#[inline]
fn change(bits: &mut BitReader<'_>) -> Option<i64> {
    if !bits.bit()? {
        return Some(0);
    }
    let mut width = WIDTHS[3];
    for shorter in &WIDTHS[..3] {
        if !bits.bit()? {
            width = *shorter;
            break;
        }
    }
    let raw = bits.take(width)?;
    let unused = 64 - width;
    Some((raw << unused).cast_signed() >> unused)
}
