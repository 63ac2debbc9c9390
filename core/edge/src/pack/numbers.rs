//! Whole numbers as bytes.

/// The most that a sum or a plain count of a row can hold; sums of them saturate.
pub(super) const FIELD_MAX: u64 = 1 << 56;

/// Appends `value` seven bits a byte, lowest first, the top bit saying that more follow.
pub(super) fn put(out: &mut Vec<u8>, mut value: u64) {
    loop {
        let [low, ..] = value.to_le_bytes();
        value >>= 7;
        if value == 0 {
            out.push(low & 0x7f);
            return;
        }
        out.push(low | 0x80);
    }
}

/// One sum or plain count.
pub(super) fn take(rest: &mut &[u8]) -> Option<u64> {
    varint(rest).filter(|n| *n <= FIELD_MAX)
}

/// Consumes what [`put`] wrote; `None` where the bytes end early or say more than 63 bits.
pub(super) fn varint(rest: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..63).step_by(7) {
        let (first, after) = rest.split_first()?;
        *rest = after;
        value |= u64::from(first & 0x7f) << shift;
        if first & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

/// Maps small numbers of either sign to small numbers without one.
pub(super) const fn zigzag(value: i64) -> u64 {
    (value.wrapping_shl(1) ^ (value >> 63)).cast_unsigned()
}

/// The reverse of [`zigzag`].
pub(super) const fn unzigzag(value: u64) -> i64 {
    (value >> 1).cast_signed() ^ (value & 1).cast_signed().wrapping_neg()
}
