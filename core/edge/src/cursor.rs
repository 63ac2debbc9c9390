//! A shrinking view over one log line: what the hand-written parsers read through.

use crate::marks;

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

    /// The same for fields that mostly end within 32 bytes, but anywhere there.
    #[inline(always)]
    pub(crate) fn until_within(&mut self, end: u8) -> Option<&'a [u8]> {
        let ends = self.rest.first_chunk::<32>().map_or(0, |window| {
            let ([low, high], _) = window.as_chunks::<16>() else { return 0 };
            marks::equal(low, end) | marks::equal(high, end) << 16
        });
        if ends == 0 {
            return self.until(end);
        }
        let (head, rest) = self.rest.split_at_checked(ends.trailing_zeros() as usize)?;
        self.rest = rest.get(1..)?;
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

    /// Takes two words that end within 48 bytes, the space between them and the space after them;
    /// nothing where they do not, or near the line's end.
    #[inline(always)]
    pub(crate) fn two_words(&mut self) -> Option<&'a [u8]> {
        let ([low, high, last], _) = self.rest.first_chunk::<48>()?.as_chunks::<16>() else {
            return None;
        };
        let spaces = marks::equal(low, b' ') | marks::equal(high, b' ') << 16;
        let mut second = u64::from(spaces & spaces.wrapping_sub(1));
        if second == 0 {
            let spaces = u64::from(spaces) | u64::from(marks::equal(last, b' ')) << 32;
            second = spaces & spaces.wrapping_sub(1);
            if second == 0 {
                return None;
            }
        }
        let text = self.rest.get(..second.trailing_zeros() as usize)?;
        self.rest = self.rest.get(text.len() + 1..)?;
        Some(text)
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
                return Some(eight_digits(digits << (64 - bits)).into());
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

    /// Takes several whole numbers of at most eight digits, each with the byte after it, as in
    /// `b"///  "`; nothing where one is not so, or near the line's end.
    ///
    /// All their ends are found at once, so that no number waits for the one before it.
    #[inline(always)]
    pub(crate) fn numbers<const N: usize>(&mut self, after: &[u8; N]) -> Option<Numbers<'a, N>> {
        let window = self.rest.first_chunk::<40>()?;
        let (ends, digits) = ends_of_numbers(window, after)?;
        if nine_in_a_row(digits) != 0 {
            return None;
        }
        self.rest = self.rest.get(ends.last()? + 1..)?;
        Some(Numbers { window, ends })
    }

    /// Steps over several whole numbers of at most 19 digits, each with the byte after it; not
    /// where one is not so, or near the line's end.
    #[inline(always)]
    pub(crate) fn step_over_numbers<const N: usize>(&mut self, after: &[u8; N]) -> bool {
        let Some(window) = self.rest.first_chunk::<40>() else { return false };
        let Some((ends, _)) = ends_of_numbers(window, after) else { return false };
        // The others have a digit each, and all have a byte behind them.
        let last = ends.last().filter(|last| **last < 20 + 2 * (N - 1));
        let rest = last.and_then(|last| self.rest.get(last + 1..));
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
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

/// Where `byte` is first, sixteen bytes at a time.
#[inline(always)]
fn near(text: &[u8], byte: u8) -> Option<usize> {
    let (chunks, tail) = text.as_chunks::<16>();
    let mut at = 0;
    for chunk in chunks {
        let found = marks::equal(chunk, byte);
        if found != 0 {
            return Some(at + found.trailing_zeros() as usize);
        }
        at += 16;
    }
    tail.iter().position(|&b| b == byte).map(|offset| at + offset)
}

/// Where numbers end that are followed by these bytes, all within 32 bytes, and a bit for each
/// digit before the last one's end.
#[inline(always)]
fn ends_of_numbers<const N: usize>(
    window: &[u8; 40],
    after: &[u8; N],
) -> Option<([usize; N], u32)> {
    let ([low, high, ..], _) = window.as_chunks::<16>() else { return None };
    let others = marks::no_digits(low) | marks::no_digits(high) << 16;
    let mut left = others;
    let mut ends = [0; N];
    for (end, after) in ends.iter_mut().zip(after) {
        // 32 where there is none left.
        let at = left.trailing_zeros() as usize;
        if window[at] != *after {
            return None;
        }
        left &= left.wrapping_sub(1);
        *end = at;
    }
    let last = *ends.last().filter(|last| **last < 32)?;
    // Nothing between two ends, or before the first one, is no number.
    let within = u32::MAX >> (31 - last);
    let others = others & within;
    (others & (others << 1 | 1) == 0).then_some((ends, others ^ within))
}

/// Numbers that stand within 32 bytes; see [`Cursor::numbers`].
pub(crate) struct Numbers<'a, const N: usize> {
    window: &'a [u8; 40],
    /// Where each ends.
    ends: [usize; N],
}

impl<const N: usize> Numbers<'_, N> {
    /// The `I`th number.
    #[inline(always)]
    pub(crate) fn value<const I: usize>(&self) -> u32 {
        let (start, digits) = self.place::<I>();
        // Nearly all are short, and a branch that is nearly always right costs nothing.
        if digits <= 4 {
            let four = self.window[start..].first_chunk().map_or(0, |f| u32::from_le_bytes(*f));
            four_digits((four ^ FOUR_ZEROS) << (32 - 8 * digits))
        } else {
            self.long::<I>()
        }
    }

    /// The same of one with any number of digits, so that a branch would often be wrong.
    #[inline(always)]
    pub(crate) fn long<const I: usize>(&self) -> u32 {
        let (start, digits) = self.place::<I>();
        let eight = self.window[start..].first_chunk().map_or(0, |e| u64::from_le_bytes(*e));
        eight_digits((eight ^ ZEROS) << (64 - 8 * digits))
    }

    /// The same of one that nearly always has one digit.
    #[inline(always)]
    pub(crate) fn small<const I: usize>(&self) -> u32 {
        let (start, digits) = self.place::<I>();
        if digits == 1 { u32::from(self.window[start] ^ b'0') } else { self.value::<I>() }
    }

    /// Where it begins, at most 32, and how many digits it has.
    #[inline(always)]
    fn place<const I: usize>(&self) -> (usize, usize) {
        let start = if I == 0 { 0 } else { self.ends[I - 1] + 1 };
        (start, self.ends[I] - start)
    }
}

/// Not zero where nine bits in a row are set.
#[inline(always)]
const fn nine_in_a_row(bits: u32) -> u32 {
    let two = bits & bits >> 1;
    let four = two & two >> 2;
    let eight = four & four >> 4;
    eight & bits >> 8
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
const FOUR_ZEROS: u32 = u32::from_le_bytes([b'0'; 4]);
const ABOVE_NINE: u64 = u64::from_le_bytes([0x80 - 10; 8]);
const HIGH_BITS: u64 = u64::from_le_bytes([0x80; 8]);

/// Eight digits, the first in the lowest byte, by adding up neighbours: pairs, fours, eights.
#[expect(clippy::cast_possible_truncation, reason = "eight digits fit")]
#[inline(always)]
const fn eight_digits(digits: u64) -> u32 {
    const PAIRS: u64 = 0x00ff_00ff_00ff_00ff;
    const FOURS: u64 = 0x0000_ffff_0000_ffff;
    let pairs = (digits.wrapping_mul(10).wrapping_add(digits >> 8)) & PAIRS;
    let fours = (pairs.wrapping_mul(100).wrapping_add(pairs >> 16)) & FOURS;
    (fours as u32).wrapping_mul(10_000).wrapping_add((fours >> 32) as u32)
}

/// The same of four.
#[inline(always)]
pub(crate) const fn four_digits(digits: u32) -> u32 {
    let pairs = (digits.wrapping_mul(10).wrapping_add(digits >> 8)) & 0x00ff_00ff;
    pairs.wrapping_mul(100).wrapping_add(pairs >> 16) & 0xffff
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
        fn read<const N: usize>(cursor: &mut Cursor<'_>, after: &[u8; N]) -> Option<Vec<u32>> {
            let numbers = cursor.numbers(after)?;
            let mut values = vec![numbers.value::<0>()];
            assert_eq!(numbers.small::<0>(), values[0]);
            if N == 4 {
                values.extend([numbers.value::<1>(), numbers.value::<2>(), numbers.value::<3>()]);
            }
            Some(values)
        }
        let rest = " and then some more of the line";
        let mut cursor = Cursor::new(b"10/0/30/12345678 9999 and then some more of the line");
        assert_eq!(read(&mut cursor, b"/// "), Some(vec![10, 0, 30, 12_345_678]));
        assert_eq!(read(&mut cursor, b" "), None, "too near to the line's end");
        assert_eq!(cursor.rest(), format!("9999{rest}").as_bytes());
        for wrong in
            ["1/2/x", "1//3/", "/2/3/", "-1/2/3/", "123456789/2/3/", "1/2\u{ff}3/", "1/2 3/"]
        {
            let text = format!("{wrong}{rest}{rest}");
            let mut cursor = Cursor::new(text.as_bytes());
            assert_eq!(read(&mut cursor, b"///"), None, "{wrong}");
            assert_eq!(cursor.rest(), text.as_bytes());
        }
    }

    #[test]
    fn numbers_are_stepped_over_up_to_nineteen_digits() {
        let rest = "and then some more of the line";
        for (text, goes) in [
            ("597/192/93/14/", true),
            ("1/2/3/1234567890123456789/", true),
            ("1/2/3/12345678901234567890/", false),
            ("1/2//4/", false),
            ("1/2/3/4 ", false),
        ] {
            let line = format!("{text}{rest}");
            let mut cursor = Cursor::new(line.as_bytes());
            assert_eq!(cursor.step_over_numbers(b"////"), goes, "{text}");
            assert_eq!(cursor.rest(), if goes { rest } else { &line }.as_bytes());
        }
    }

    #[test]
    fn two_words_are_found_within_48_bytes() {
        for (first, second) in [(1, 1), (7, 12), (20, 10), (20, 11), (20, 26), (46, 0), (20, 27)] {
            let text = format!("{} {}", "a".repeat(first), "b".repeat(second));
            let line = format!("{text} and then much more of the line that they stand in");
            let mut cursor = Cursor::new(line.as_bytes());
            let within = first + second < 47;
            assert_eq!(cursor.two_words(), within.then_some(text.as_bytes()), "{text}");
            assert_eq!(cursor.rest().starts_with(b"and"), within, "{text}");
        }
        assert_eq!(Cursor::new(b"a b and no more").two_words(), None);
    }

    proptest::proptest! {
        #[test]
        fn a_field_is_found_as_the_slower_way_finds_it(text in "[a-z ]{0,80}", end in "[a-c ]") {
            let end = end.as_bytes()[0];
            let (mut near, mut within) = (Cursor::new(text.as_bytes()), Cursor::new(text.as_bytes()));
            proptest::prop_assert_eq!(near.until(end), within.until_within(end));
            proptest::prop_assert_eq!(near.rest(), within.rest());
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
