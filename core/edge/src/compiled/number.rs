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

/// A whole number of one to seven digits at the start of `bytes`, and their count; none of any
/// other, and none where fewer than eight bytes are left.
#[inline]
pub(super) fn plain(bytes: &[u8]) -> Option<(i64, usize)> {
    const PAIR: u64 = 0x0000_00ff_0000_00ff;
    let word = u64::from_le_bytes(*bytes.first_chunk()?) ^ 0x3030_3030_3030_3030;
    // The high bit of each byte that is no digit, which is above 9 now.
    let others =
        (((word & 0x7f7f_7f7f_7f7f_7f7f) + 0x7676_7676_7676_7676) | word) & 0x8080_8080_8080_8080;
    let digits = (others.trailing_zeros() / 8) as usize;
    if digits == 0 || digits > 7 {
        return None;
    }
    // Zeros before the first digit; then two digits, four and eight are made one number each.
    let word = word << (64 - 8 * digits);
    let word = word.wrapping_mul(10) + (word >> 8);
    let value = (word & PAIR)
        .wrapping_mul(0x000f_4240_0000_0064)
        .wrapping_add(((word >> 16) & PAIR).wrapping_mul(0x0000_2710_0000_0001))
        >> 32;
    Some((i64::try_from(value).ok()?, digits))
}

/// A number with decimals perhaps, in millionths; none of too many digits.
#[inline]
pub(super) fn decimal(bytes: &[u8]) -> Option<Read> {
    match seconds(bytes) {
        Some((value, len)) => Some(Read { value: Some(value), plus: false, len }),
        None => any_decimal(bytes),
    }
}

/// A number below ten with three decimals, in millionths, and its length: as nginx writes nearly
/// all of its times.
#[inline]
pub(super) fn seconds(bytes: &[u8]) -> Option<(i64, usize)> {
    let &[whole, b'.', a, b, c] = bytes.first_chunk()? else { return None };
    let [whole @ 0..=9, a @ 0..=9, b @ 0..=9, c @ 0..=9] =
        [whole, a, b, c].map(|byte| i64::from(byte.wrapping_sub(b'0')))
    else {
        return None;
    };
    let goes_on = bytes.get(5).is_some_and(u8::is_ascii_digit);
    (!goes_on).then_some(((whole * 1000 + a * 100 + b * 10 + c) * 1000, 5))
}

fn any_decimal(bytes: &[u8]) -> Option<Read> {
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

    proptest::proptest! {
        #[test]
        fn plain_numbers_are_those_that_digits_make(text in "[0-9]{0,9}[ -~]{0,9}") {
            if let Some((value, len)) = plain(text.as_bytes()) {
                proptest::prop_assert_eq!(integer(text.as_bytes()), read(Some(value), false, len));
            } else {
                let digits = text.bytes().take_while(u8::is_ascii_digit).count();
                proptest::prop_assert!(text.len() < 8 || !(1..8).contains(&digits));
            }
        }
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
