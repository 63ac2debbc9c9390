//! The column of values as bit patterns: what differs from the value before, without the zeros
//! around it (Pelkonen et al., "Gorilla", VLDB 2015, section 4.1.2).

use super::{BitWriter, ChunkError};
use crate::bits::BitReader;

/// Writes values.
#[derive(Clone, Debug)]
pub(super) struct Encoder {
    bits: BitWriter,
    first: u64,
    last: u64,
    /// Zeros before the field of the last written difference.
    leading: u8,
    /// Length of that field; 0 before there is one.
    length: u8,
}

impl Encoder {
    pub(super) fn new(first: f64) -> Self {
        let first = first.to_bits();
        Self { bits: BitWriter::default(), first, last: first, leading: 0, length: 0 }
    }

    #[inline]
    pub(super) fn push(&mut self, value: f64) {
        let raw = value.to_bits();
        let differs = raw ^ self.last;
        self.last = raw;
        if differs == 0 {
            self.bits.put(0, 1);
            return;
        }
        let (leading, length) = (u32::from(self.leading), u32::from(self.length));
        let fits = length > 0
            && differs.leading_zeros() >= leading
            && differs.trailing_zeros() >= 64 - leading - length;
        if fits {
            self.bits.put(0b10, 2);
            self.bits.put(differs >> (64 - leading - length), length);
            return;
        }
        // Five bits hold the number of leading zeros, as more of them are rarely met.
        let leading = differs.leading_zeros().min(31);
        let trailing = differs.trailing_zeros();
        let length = 64 - leading - trailing;
        self.bits.put(u64::from(0b11 << 11 | leading << 6 | (length - 1)), 13);
        self.bits.put(differs >> trailing, length);
        #[expect(clippy::cast_possible_truncation, reason = "both are at most 64")]
        {
            self.leading = leading as u8;
            self.length = length as u8;
        }
    }

    pub(super) const fn first(&self) -> f64 {
        f64::from_bits(self.first)
    }

    #[inline]
    pub(super) const fn last(&self) -> f64 {
        f64::from_bits(self.last)
    }

    pub(super) const fn bits(&self) -> &BitWriter {
        &self.bits
    }
}

/// Reads `count` values, the first of them as eight plain bytes.
pub(super) fn decode(bytes: &[u8], count: usize, out: &mut Vec<f64>) -> Result<(), ChunkError> {
    let (first, rest) =
        bytes.split_first_chunk::<8>().ok_or(ChunkError::Incomplete("its first value"))?;
    let mut bits = BitReader::new(rest);
    let mut last = u64::from_be_bytes(*first);
    out.reserve(count);
    out.push(f64::from_bits(last));
    let (mut length, mut trailing) = (0u32, 0u32);
    for _ in 1..count {
        if bits.bit().ok_or(ChunkError::Incomplete("a value"))? {
            if bits.bit().ok_or(ChunkError::Incomplete("a value"))? {
                let shape = bits.take(11).ok_or(ChunkError::Incomplete("a value"))?;
                let leading = u32::try_from(shape >> 6).unwrap_or(0);
                length = u32::try_from(shape & 63).unwrap_or(0) + 1;
                trailing = 64u32
                    .checked_sub(leading + length)
                    .ok_or(ChunkError::Malformed("field of a value"))?;
            } else if length == 0 {
                return Err(ChunkError::Malformed("field of a value"));
            }
            let field = bits.take(length).ok_or(ChunkError::Incomplete("a value"))?;
            last ^= field << trailing;
        }
        out.push(f64::from_bits(last));
    }
    Ok(())
}
