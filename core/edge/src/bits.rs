//! Numbers that are mostly small as a run of bits: exponential Golomb codes (ITU-T H.264, 9.1,
//! for order 0). A number `v` of order `k` is `v + 2^k` in binary, led by as many zero bits as
//! that has bits beyond `k + 1`; so half of what is below `2^k` costs `k + 1` bits.

/// Bits of the widest number there is.
const WIDTH_MAX: u32 = 48;

/// Bits in the making, the first one the highest of the first byte.
#[derive(Debug, Default)]
pub(crate) struct BitWriter {
    bytes: Vec<u8>,
    /// Bits of the last byte that are not used yet, below 8.
    free: u32,
}

impl BitWriter {
    /// Appends `value`, below 2^47, by order `order`.
    pub(crate) fn put(&mut self, value: u64, order: u32) {
        let whole = value + (1 << order);
        let width = u64::BITS - whole.leading_zeros();
        debug_assert!(width <= WIDTH_MAX, "{value} by order {order} is too wide");
        self.put_bits(0, width - order - 1);
        self.put_bits(whole, width);
    }

    /// The bytes, the last one filled up with zero bits.
    pub(crate) fn finish(self) -> Vec<u8> {
        self.bytes
    }

    fn put_bits(&mut self, value: u64, width: u32) {
        for bit in (0..width).rev() {
            if self.free == 0 {
                self.bytes.push(0);
                self.free = 8;
            }
            self.free -= 1;
            if let Some(last) = self.bytes.last_mut() {
                *last |= u8::from(value >> bit & 1 == 1) << self.free;
            }
        }
    }
}

/// Reads what a [`BitWriter`] wrote.
#[derive(Debug)]
pub(crate) struct BitReader<'a> {
    bytes: &'a [u8],
    /// Bits of the first byte that are read.
    used: u32,
}

impl<'a> BitReader<'a> {
    /// From the first bit of `bytes` on.
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, used: 0 }
    }

    /// The next number, written by the same order; `None` where the bits end early or say more
    /// than any number has.
    pub(crate) fn take(&mut self, order: u32) -> Option<u64> {
        let mut zeros = 0;
        while !self.bit()? {
            zeros += 1;
            if zeros + order + 1 > WIDTH_MAX {
                return None;
            }
        }
        let mut whole: u64 = 1;
        for _ in 0..zeros + order {
            whole = whole << 1 | u64::from(self.bit()?);
        }
        whole.checked_sub(1 << order)
    }

    /// What follows the byte that was read from last; `None` where bits of it that were not read
    /// are no zeros.
    pub(crate) fn rest(self) -> Option<&'a [u8]> {
        if self.used == 0 {
            return Some(self.bytes);
        }
        let (first, after) = self.bytes.split_first()?;
        (first & (0xff >> self.used) == 0).then_some(after)
    }

    fn bit(&mut self) -> Option<bool> {
        let (first, after) = self.bytes.split_first()?;
        let bit = first >> (7 - self.used) & 1 == 1;
        self.used += 1;
        if self.used == 8 {
            (self.bytes, self.used) = (after, 0);
        }
        Some(bit)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn numbers_survive_their_bits(
            numbers in prop::collection::vec((0..1_u64 << 47, 0..46_u32, 0..24_u32), 0..40),
        ) {
            let numbers: Vec<(u64, u32)> =
                numbers.into_iter().map(|(n, shift, order)| (n >> shift, order)).collect();
            let mut bits = BitWriter::default();
            numbers.iter().for_each(|(n, order)| bits.put(*n, *order));
            let mut bytes = bits.finish();
            bytes.push(7);
            let mut bits = BitReader::new(&bytes);
            for (n, order) in &numbers {
                prop_assert_eq!(bits.take(*order), Some(*n));
            }
            prop_assert_eq!(bits.rest(), Some(&[7][..]));
        }

        #[test]
        fn no_bits_do_harm(bytes: Vec<u8>, order in 0..24_u32) {
            let mut bits = BitReader::new(&bytes);
            while bits.take(order).is_some() {}
        }
    }

    #[test]
    fn small_numbers_cost_few_bits() {
        let mut bits = BitWriter::default();
        for n in [0, 1, 2, 3] {
            bits.put(n, 0);
        }
        // 1 010 011 00100, filled up.
        assert_eq!(bits.finish(), [0b1010_0110, 0b0100_0000]);
        let read = BitReader::new(&[0b1100_0000]);
        assert_eq!(read.rest(), Some(&[0b1100_0000][..]), "nothing was read");
    }
}
