//! A shrinking view over one log line: what the hand-written parsers read through.

/// The part of a line that is not read yet. Every step says whether it went; none panics.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cursor<'a> {
    rest: &'a [u8],
}

impl<'a> Cursor<'a> {
    /// Over all of `line`.
    pub(crate) const fn new(line: &'a [u8]) -> Self {
        Self { rest: line }
    }

    /// What is not read yet.
    pub(crate) const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// The next byte, which stays.
    #[inline(always)]
    pub(crate) fn peek(&self) -> Option<u8> {
        self.rest.first().copied()
    }

    /// Takes `byte` where it is next.
    #[inline(always)]
    pub(crate) fn eat(&mut self, byte: u8) -> bool {
        match self.rest.split_first() {
            Some((&first, rest)) if first == byte => {
                self.rest = rest;
                true
            }
            _ => false,
        }
    }

    /// Takes `text` where it is next.
    pub(crate) fn eat_all(&mut self, text: &[u8]) -> bool {
        match self.rest.strip_prefix(text) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    /// Takes the next `n` bytes.
    #[inline(always)]
    pub(crate) fn take(&mut self, n: usize) -> Option<&'a [u8]> {
        let (head, rest) = self.rest.split_at_checked(n)?;
        self.rest = rest;
        Some(head)
    }

    /// Takes everything before `end`, and `end` itself; nothing where there is no `end`. For short
    /// fields, where calling `memchr` costs more than it saves.
    #[inline(always)]
    pub(crate) fn until(&mut self, end: u8) -> Option<&'a [u8]> {
        let at = near(self.rest, end)?;
        let head = self.rest.get(..at)?;
        self.rest = self.rest.get(at + 1..)?;
        Some(head)
    }

    /// The same for long fields.
    #[inline(always)]
    pub(crate) fn until_far(&mut self, end: u8) -> Option<&'a [u8]> {
        let at = memchr::memchr(end, self.rest)?;
        let head = self.rest.get(..at)?;
        self.rest = self.rest.get(at + 1..)?;
        Some(head)
    }

    /// Takes the next word and the space after it; the last word of a line has none.
    pub(crate) fn word(&mut self) -> Option<&'a [u8]> {
        if self.rest.is_empty() {
            return None;
        }
        self.until(b' ').or_else(|| {
            let word = self.rest;
            self.rest = &[];
            Some(word)
        })
    }

    /// Takes a whole number of at most 19 digits.
    ///
    /// A log's numbers are of any length, which a loop over digits mispredicts once each: the
    /// first eight bytes are read at once instead.
    #[inline(always)]
    pub(crate) fn number(&mut self) -> Option<u64> {
        if let Some(&eight) = self.rest.first_chunk::<8>() {
            let digits = u64::from_le_bytes(eight) ^ ZEROS;
            // The high bit of each byte that is above 9; bytes behind the first may be wrong.
            let others = (digits.wrapping_add(ABOVE_NINE) | digits) & HIGH_BITS;
            if others != 0 {
                let bits = others.trailing_zeros() & !7;
                if bits == 0 {
                    return None;
                }
                self.rest = self.rest.get(bits as usize / 8..)?;
                return Some(eight_digits(digits << (64 - bits)));
            }
        }
        self.long_number()
    }

    /// The same digit by digit: near the line's end, and for more than seven digits.
    #[cold]
    fn long_number(&mut self) -> Option<u64> {
        let mut value = 0_u64;
        let mut digits = 0;
        while let Some(&byte) = self.rest.get(digits) {
            let digit = byte.wrapping_sub(b'0');
            if digit > 9 {
                break;
            }
            if digits == 19 {
                return None;
            }
            value = value * 10 + u64::from(digit);
            digits += 1;
        }
        if digits == 0 {
            return None;
        }
        self.rest = self.rest.get(digits..)?;
        Some(value)
    }

    /// Takes a whole number and the byte after it.
    #[inline(always)]
    pub(crate) fn number_then(&mut self, end: u8) -> Option<u64> {
        let value = self.number()?;
        self.eat(end).then_some(value)
    }

    /// Several numbers to come, which [`Cursor::take_numbers`] steps over once they were read;
    /// nothing near the line's end.
    #[inline(always)]
    pub(crate) fn numbers(&self) -> Option<Numbers<'a>> {
        let window = self.rest.first_chunk::<40>()?;
        let (others, start) = (not_digits(window.first_chunk()?), 0);
        Some(Numbers { window, others, start })
    }

    /// Steps over the numbers that were read.
    #[inline(always)]
    pub(crate) fn take_numbers(&mut self, numbers: &Numbers<'_>) -> Option<()> {
        self.rest = self.rest.get(numbers.start..)?;
        Some(())
    }

    /// Takes a text in double quotes as it stands, backslashes and all; what is left where the
    /// closing quote is missing, and whether it was.
    pub(crate) fn quoted(&mut self) -> Option<(&'a [u8], bool)> {
        if !self.eat(b'"') {
            return None;
        }
        let mut from = 0;
        while let Some(at) = memchr::memchr2(b'"', b'\\', self.rest.get(from..)?) {
            let at = from + at;
            if self.rest.get(at) == Some(&b'"') {
                let text = self.rest.get(..at)?;
                self.rest = self.rest.get(at + 1..)?;
                return Some((text, true));
            }
            // A backslash takes the byte after it with it; at the line's end there is none.
            from = (at + 2).min(self.rest.len());
        }
        let text = self.rest;
        self.rest = &[];
        Some((text, false))
    }
}

/// Where `byte` is first, eight bytes at a time.
#[inline(always)]
fn near(text: &[u8], byte: u8) -> Option<usize> {
    const ONES: u64 = u64::from_le_bytes([1; 8]);
    let pattern = u64::from_le_bytes([byte; 8]);
    let (chunks, tail) = text.as_chunks::<8>();
    let mut at = 0;
    for &chunk in chunks {
        let differs = u64::from_le_bytes(chunk) ^ pattern;
        // The lowest high bit set is that of the first zero byte; those above it may be wrong.
        let zeros = differs.wrapping_sub(ONES) & !differs & HIGH_BITS;
        if zeros != 0 {
            return Some(at + zeros.trailing_zeros() as usize / 8);
        }
        at += 8;
    }
    tail.iter().position(|&b| b == byte).map(|offset| at + offset)
}

/// Numbers of at most eight digits, each with the byte after it, within 32 bytes.
///
/// All separators are found at once, so that no number waits for the one before it.
pub(crate) struct Numbers<'a> {
    window: &'a [u8; 40],
    /// A bit for each byte that is no digit and not read yet.
    others: u32,
    /// Where the next number begins.
    start: usize,
}

impl Numbers<'_> {
    /// The next number.
    #[inline(always)]
    pub(crate) fn then(&mut self, end: u8) -> Option<u64> {
        let (start, digits) = self.step(end)?;
        self.value(start, digits)
    }

    /// The next number, which nearly always has one digit.
    #[inline(always)]
    pub(crate) fn small_then(&mut self, end: u8) -> Option<u64> {
        let (start, digits) = self.step(end)?;
        if digits == 1 {
            return Some(u64::from(*self.window.get(start)? ^ b'0'));
        }
        self.value(start, digits)
    }

    /// Steps over the next number.
    #[inline(always)]
    pub(crate) fn over(&mut self, end: u8) -> Option<()> {
        self.step(end).map(|_| ())
    }

    /// Where the next number begins, and how many digits it has.
    #[inline(always)]
    fn step(&mut self, end: u8) -> Option<(usize, usize)> {
        let (at, start) = (self.others.trailing_zeros() as usize, self.start);
        self.others &= self.others.wrapping_sub(1);
        let digits = at.wrapping_sub(start);
        if digits.wrapping_sub(1) > 7 || *self.window.get(at)? != end {
            return None;
        }
        self.start = at + 1;
        Some((start, digits))
    }

    #[inline(always)]
    fn value(&self, start: usize, digits: usize) -> Option<u64> {
        let eight = u64::from_le_bytes(*self.window.get(start..)?.first_chunk()?) ^ ZEROS;
        // Nearly all are short, and a branch that is nearly always right costs nothing.
        Some(if digits <= 4 {
            four_digits(eight << (64 - 8 * digits) >> 32)
        } else {
            eight_digits(eight << (64 - 8 * digits))
        })
    }
}

/// Whether `word` ends in a colon and one to seven digits; false too of a word shorter than eight
/// bytes.
#[inline(always)]
pub(crate) fn ends_in_port(word: &[u8]) -> bool {
    let Some(&eight) = word.last_chunk::<8>() else { return false };
    let digits = u64::from_le_bytes(eight) ^ ZEROS;
    let others = (((digits & !HIGH_BITS) + ABOVE_NINE) | digits) & HIGH_BITS;
    let port = others.leading_zeros() / 8;
    (1..=7).contains(&port) && eight[7 - port as usize] == b':'
}

const ZEROS: u64 = u64::from_le_bytes([b'0'; 8]);
const ABOVE_NINE: u64 = u64::from_le_bytes([0x80 - 10; 8]);
const HIGH_BITS: u64 = u64::from_le_bytes([0x80; 8]);

/// A bit for each byte that is no digit, the first byte's lowest.
#[inline(always)]
fn not_digits(bytes: &[u8; 32]) -> u32 {
    const LOW_BITS: u64 = !HIGH_BITS;
    /// Moves bit 0 of byte `i` to bit `56 + i`.
    const GATHER: u64 = 0x0102_0408_1020_4080;
    let mut mask = 0;
    for (i, &chunk) in bytes.as_chunks::<8>().0.iter().enumerate() {
        let digits = u64::from_le_bytes(chunk) ^ ZEROS;
        // Without the high bits no byte carries into the next, so that every one is right.
        let others = (((digits & LOW_BITS) + ABOVE_NINE) | digits) & HIGH_BITS;
        mask |= ((others >> 7).wrapping_mul(GATHER) >> 56) << (8 * i);
    }
    (mask & 0xffff_ffff) as u32
}

/// Eight digits, the first in the lowest byte, by adding up neighbours: pairs, fours, eights.
#[inline(always)]
const fn eight_digits(digits: u64) -> u64 {
    const PAIRS: u64 = 0x00ff_00ff_00ff_00ff;
    const FOURS: u64 = 0x0000_ffff_0000_ffff;
    let pairs = (digits.wrapping_mul(10).wrapping_add(digits >> 8)) & PAIRS;
    let fours = (pairs.wrapping_mul(100).wrapping_add(pairs >> 16)) & FOURS;
    fours.wrapping_mul(10_000).wrapping_add(fours >> 32) & 0xffff_ffff
}

/// The same of four.
#[inline(always)]
const fn four_digits(digits: u64) -> u64 {
    let pairs = (digits * 10 + (digits >> 8)) & 0x00ff_00ff;
    (pairs * 100 + (pairs >> 16)) & 0xffff
}

/// The number that `text` is, and nothing else.
pub(crate) fn whole(text: &[u8]) -> Option<u64> {
    let mut cursor = Cursor::new(text);
    let value = cursor.number()?;
    cursor.rest().is_empty().then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_of_twenty_digits_is_none_rather_than_a_wrong_one() {
        assert_eq!(whole(b"9999999999999999999"), Some(9_999_999_999_999_999_999));
        assert_eq!(whole(b"10000000000000000000"), None);
        assert_eq!(whole(b""), None);
        assert_eq!(whole(b"12a"), None);
    }

    #[test]
    fn numbers_of_every_length_end_where_their_digits_end() {
        for length in 1..=18 {
            let digits = &"123456789012345678"[..length];
            for end in ["/", " ", ":", "a", "\u{80}", "", "/1234567890"] {
                let text = format!("{digits}{end}");
                let mut cursor = Cursor::new(text.as_bytes());
                assert_eq!(cursor.number(), digits.parse().ok(), "{text}");
                assert_eq!(cursor.rest(), end.as_bytes(), "{text}");
            }
        }
    }

    #[test]
    fn many_numbers_at_once_are_the_numbers_one_by_one() {
        let read = |cursor: &mut Cursor<'_>, ends: &[u8]| {
            let (mut any, mut small) = (cursor.numbers()?, cursor.numbers()?);
            let mut over = cursor.numbers()?;
            let mut values = Vec::new();
            for &end in ends {
                let value = any.then(end);
                assert_eq!((small.small_then(end), over.over(end)), (value, value.map(|_| ())));
                values.push(value?);
            }
            cursor.take_numbers(&over)?;
            Some(values)
        };
        let rest = " and then some more of the line";
        let mut cursor = Cursor::new(b"10/0/30/12345678 9999 and then some more of the line");
        assert_eq!(read(&mut cursor, b"/// "), Some(vec![10, 0, 30, 12_345_678]));
        assert_eq!(read(&mut cursor, b" "), None, "too near to the line's end");
        assert_eq!(cursor.rest(), format!("9999{rest}").as_bytes());
        for wrong in ["1/2/x", "1//3/", "-1/2/3/", "123456789/2/3/", "1/2\u{ff}3/", "1/2 3/"] {
            let text = format!("{wrong}{rest}{rest}");
            let mut cursor = Cursor::new(text.as_bytes());
            assert_eq!(read(&mut cursor, b"///"), None, "{wrong}");
            assert_eq!(cursor.rest(), text.as_bytes());
        }
    }

    proptest::proptest! {
        #[test]
        fn bytes_that_are_no_digits_are_told_whatever_stands_beside_them(bytes: [u8; 32]) {
            let expected = bytes.iter().rev().fold(0, |m, b| m << 1 | u32::from(!b.is_ascii_digit()));
            assert_eq!(not_digits(&bytes), expected);
        }

        #[test]
        fn a_byte_is_found_where_it_is_first(text: Vec<u8>, byte: u8) {
            assert_eq!(near(&text, byte), text.iter().position(|&b| b == byte));
        }
    }

    #[test]
    fn a_quoted_text_ends_at_the_first_quote_without_a_backslash() {
        let mut cursor = Cursor::new(br#""a \" b \\" c"#);
        assert_eq!(cursor.quoted(), Some((&br#"a \" b \\"#[..], true)));
        assert_eq!(cursor.rest(), b" c");
        assert_eq!(Cursor::new(br#""cut \"#).quoted(), Some((&br"cut \"[..], false)));
        assert_eq!(Cursor::new(b"bare").quoted(), None);
    }

    #[test]
    fn the_last_word_needs_no_space_after_it() {
        let mut cursor = Cursor::new(b"a b");
        assert_eq!(
            (cursor.word(), cursor.word(), cursor.word()),
            (Some(&b"a"[..]), Some(&b"b"[..]), None)
        );
    }
}
