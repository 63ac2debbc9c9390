//! Where bytes of a kind stand among sixteen: a bit for each, the first byte's lowest.
//!
//! A line's fields have any length, and looking for their ends byte by byte costs a wrong guess of
//! the processor each. Sixteen bytes are compared in one instruction.

use wide::u8x16;

/// A bit for each byte that is `byte`.
#[inline(always)]
pub(crate) fn equal(bytes: &[u8; 16], byte: u8) -> u32 {
    u8x16::new(*bytes).simd_eq(u8x16::splat(byte)).to_bitmask()
}

/// A bit for each byte that is no decimal digit.
#[inline(always)]
pub(crate) fn no_digits(bytes: &[u8; 16]) -> u32 {
    // A digit is at most nine once the zero's bits are taken away, and nothing else is.
    let values = u8x16::new(*bytes) ^ u8x16::splat(b'0');
    values.min(u8x16::splat(9)).simd_eq(values).to_bitmask() ^ 0xffff
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #[test]
        fn each_byte_is_judged_by_itself(bytes: [u8; 16], byte: u8, at in 0..16_usize) {
            let mut bytes = bytes;
            bytes[at] = byte;
            let bits = |of: &dyn Fn(u8) -> bool| {
                bytes.iter().rev().fold(0, |bits, b| bits << 1 | u32::from(of(*b)))
            };
            proptest::prop_assert_eq!(equal(&bytes, byte), bits(&|b| b == byte));
            proptest::prop_assert_eq!(no_digits(&bytes), bits(&|b| !b.is_ascii_digit()));
        }
    }
}
