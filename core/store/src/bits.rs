//! Bits, most significant first, over bytes.

/// Bits written one after another; the last byte is padded with zeros.
#[derive(Clone, Debug, Default)]
pub(crate) struct BitWriter {
    bytes: Vec<u8>,
    /// Bits still free in the last byte, 0 to 7.
    free: u32,
}

/// Bytes by which a writer grows. Doubling would leave half of a head's memory unused.
const GROWTH: usize = 32;

impl BitWriter {
    /// The bytes so far.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Bytes of memory set aside.
    pub(crate) const fn capacity(&self) -> usize {
        self.bytes.capacity()
    }

    /// Appends the lowest `count` bits of `value`, at most 64.
    #[inline]
    pub(crate) fn put(&mut self, value: u64, count: u32) {
        debug_assert!(count <= 64, "a word has 64 bits");
        let mut left = count;
        while left > 0 {
            if self.free == 0 {
                if self.bytes.len() == self.bytes.capacity() {
                    self.bytes.reserve_exact(GROWTH);
                }
                self.bytes.push(0);
                self.free = 8;
            }
            let now = left.min(self.free);
            let part = (value >> (left - now)) & ((1 << now) - 1);
            if let Some(last) = self.bytes.last_mut() {
                #[expect(clippy::cast_possible_truncation, reason = "at most 8 bits are set")]
                let part = part as u8;
                *last |= part << (self.free - now);
            }
            self.free -= now;
            left -= now;
        }
    }
}

/// Bits read one after another from bytes that may lie.
#[derive(Debug)]
pub(crate) struct BitReader<'a> {
    rest: &'a [u8],
    /// The next bits, at the top of the word; below them zeros.
    word: u64,
    /// How many bits of `word` are real.
    have: u32,
}

impl<'a> BitReader<'a> {
    /// A reader from the first bit of `bytes`.
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes, word: 0, have: 0 }
    }

    /// The next bit, or `None` at the end.
    #[inline]
    pub(crate) fn bit(&mut self) -> Option<bool> {
        if self.have == 0 {
            self.refill();
            if self.have == 0 {
                return None;
            }
        }
        let set = self.word >> 63 == 1;
        self.word <<= 1;
        self.have -= 1;
        Some(set)
    }

    /// The next `count` bits (0 to 64), or `None` where fewer are left.
    #[inline]
    pub(crate) fn take(&mut self, count: u32) -> Option<u64> {
        if count == 0 {
            return Some(0);
        }
        if count > 56 {
            let high = self.take(count - 32)?;
            return Some(high << 32 | self.take(32)?);
        }
        if self.have < count {
            self.refill();
            if self.have < count {
                return None;
            }
        }
        let value = self.word >> (64 - count);
        self.word <<= count;
        self.have -= count;
        Some(value)
    }

    /// Fills the word to more than 56 bits, or with all that is left.
    #[inline]
    fn refill(&mut self) {
        while self.have <= 56 {
            let Some((first, rest)) = self.rest.split_first() else { return };
            self.word |= u64::from(*first) << (56 - self.have);
            self.have += 8;
            self.rest = rest;
        }
    }
}

/// Appends `value` seven bits a byte, lowest first, the top bit saying that more follow.
pub(crate) fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        #[expect(clippy::cast_possible_truncation, reason = "the lowest 7 bits are meant")]
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    #[expect(clippy::cast_possible_truncation, reason = "below 0x80")]
    out.push(value as u8);
}

/// Consumes what [`put_varint`] wrote; `None` where the bytes end early or say more than 64 bits.
pub(crate) fn varint(rest: &mut &[u8]) -> Option<u64> {
    let mut value = 0u64;
    for shift in (0..64).step_by(7) {
        let (first, after) = rest.split_first()?;
        *rest = after;
        let bits = u64::from(first & 0x7f);
        if shift == 63 && bits > 1 {
            return None;
        }
        value |= bits << shift;
        if first & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

/// Maps small numbers of either sign to small numbers without one.
#[inline]
pub(crate) const fn zigzag(value: i64) -> u64 {
    (value.wrapping_shl(1) ^ (value >> 63)).cast_unsigned()
}

/// Undoes [`zigzag`].
#[inline]
pub(crate) const fn unzigzag(value: u64) -> i64 {
    (value >> 1).cast_signed() ^ (value & 1).cast_signed().wrapping_neg()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_put_is_taken(fields in prop::collection::vec((any::<u64>(), 1u32..=64), 0..200)) {
            let mut w = BitWriter::default();
            for (value, count) in &fields {
                w.put(*value, *count);
            }
            let mut r = BitReader::new(w.bytes());
            for (value, count) in &fields {
                prop_assert_eq!(r.take(*count), Some(value & (u64::MAX >> (64 - count))));
            }
        }

        #[test]
        fn a_varint_comes_back_and_a_prefix_of_one_does_not(value in any::<u64>()) {
            let mut bytes = Vec::new();
            put_varint(&mut bytes, value);
            prop_assert_eq!(varint(&mut &bytes[..]), Some(value));
            prop_assert_eq!(varint(&mut &bytes[..bytes.len() - 1]), None);
        }

        #[test]
        fn zigzag_is_undone(value in any::<i64>()) {
            prop_assert_eq!(unzigzag(zigzag(value)), value);
        }
    }
}
