//! Numbers as balancers write them.

/// A number read from the start of some bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Read {
    /// The number; for decimals in millionths. None for a lone dash, or where nothing stands.
    pub(super) value: Option<i64>,
    /// A `+` stood before it.
    pub(super) plus: bool,
    /// Bytes it took.
    pub(super) len: usize,
}

/// Digits one number may have: what fits 63 bits whatever they are, with room for the millionths.
const DIGITS_MAX: usize = 18;
const WHOLE_DIGITS_MAX: usize = 12;
const MILLION: i64 = 1_000_000;

/// A whole number, with a sign perhaps; none of too many digits.
#[inline]
pub(super) fn integer(bytes: &[u8]) -> Option<Read> {
    let (negative, plus, start) = sign(bytes);
    let (value, digits) = digits(&bytes[start..]);
    if digits > DIGITS_MAX {
        return None;
    }
    Some(finish(value, digits, negative, plus, start + digits))
}

/// A number with decimals perhaps, in millionths; none of too many digits.
#[inline]
pub(super) fn decimal(bytes: &[u8]) -> Option<Read> {
    if let Some(&[whole, b'.', a, b, c]) = bytes.first_chunk()
        && let [whole @ 0..=9, a @ 0..=9, b @ 0..=9, c @ 0..=9] =
            [whole, a, b, c].map(|byte| i64::from(byte.wrapping_sub(b'0')))
        && !bytes.get(5).is_some_and(u8::is_ascii_digit)
    {
        // Below ten seconds, to the millisecond: as nginx writes nearly all of its times.
        let value = (whole * 1000 + a * 100 + b * 10 + c) * 1000;
        return Some(Read { value: Some(value), plus: false, len: 5 });
    }
    let (negative, plus, start) = sign(bytes);
    let (whole, count) = digits(&bytes[start..]);
    if count > WHOLE_DIGITS_MAX {
        return None;
    }
    let mut value = whole * MILLION;
    let mut len = start + count;
    if bytes.get(len) == Some(&b'.') && bytes.get(len + 1).is_some_and(u8::is_ascii_digit) {
        len += 1;
        let mut unit = MILLION / 10;
        while let Some(digit) = bytes.get(len).copied().and_then(digit) {
            value += unit * digit;
            unit /= 10;
            len += 1;
        }
    }
    Some(finish(value, len - start, negative, plus, len))
}

#[inline]
fn sign(bytes: &[u8]) -> (bool, bool, usize) {
    match bytes.first() {
        Some(b'-') => (true, false, 1),
        Some(b'+') => (false, true, 1),
        _ => (false, false, 0),
    }
}

#[inline]
fn finish(value: i64, digits: usize, negative: bool, plus: bool, len: usize) -> Read {
    let value = (digits > 0).then_some(if negative { -value } else { value });
    Read { value, plus: plus && digits > 0, len }
}

/// The number that the leading digits make, meaningless where there are too many of them.
#[inline]
fn digits(bytes: &[u8]) -> (i64, usize) {
    let (mut value, mut count) = (0_i64, 0);
    while let Some(digit) = bytes.get(count).copied().and_then(digit) {
        value = value.wrapping_mul(10).wrapping_add(digit);
        count += 1;
    }
    (value, count)
}

#[inline]
fn digit(byte: u8) -> Option<i64> {
    let digit = byte.wrapping_sub(b'0');
    (digit < 10).then_some(i64::from(digit))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(value: Option<i64>, plus: bool, len: usize) -> Option<Read> {
        Some(Read { value, plus, len })
    }

    #[test]
    fn whole_numbers_stop_where_their_digits_do() {
        assert_eq!(integer(b"200 5"), read(Some(200), false, 3));
        assert_eq!(integer(b"-1/2"), read(Some(-1), false, 2));
        assert_eq!(integer(b"+7"), read(Some(7), true, 2));
        assert_eq!(integer(b"- "), read(None, false, 1));
        assert_eq!(integer(b","), read(None, false, 0));
        assert_eq!(integer(b"12.5"), read(Some(12), false, 2));
        assert_eq!(integer(b"999999999999999999"), read(Some(999_999_999_999_999_999), false, 18));
        assert_eq!(integer(b"9999999999999999999"), None);
    }

    #[test]
    fn decimals_are_millionths_and_finer_ones_are_cut() {
        assert_eq!(decimal(b"0.005,"), read(Some(5000), false, 5));
        assert_eq!(decimal(b"9.876\""), read(Some(9_876_000), false, 5));
        assert_eq!(decimal(b"9.876"), read(Some(9_876_000), false, 5));
        assert_eq!(decimal(b"9.8765 "), read(Some(9_876_500), false, 6));
        assert_eq!(decimal(b"x.876 "), read(None, false, 0));
        assert_eq!(decimal(b"12"), read(Some(12_000_000), false, 2));
        assert_eq!(decimal(b"1.23456789 "), read(Some(1_234_567), false, 10));
        assert_eq!(decimal(b"-0.001"), read(Some(-1000), false, 6));
        assert_eq!(decimal(b"3. "), read(Some(3_000_000), false, 1));
        assert_eq!(decimal(b"-,"), read(None, false, 1));
        assert_eq!(decimal(b"9999999999999"), None);
    }
}
