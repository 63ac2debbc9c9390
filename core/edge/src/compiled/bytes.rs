//! Which bytes a field may hold: what tells whether a literal can occur inside it.

/// A set of byte values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ByteSet([u64; 4]);

impl ByteSet {
    /// Every byte.
    pub(super) const ANY: Self = Self([u64::MAX; 4]);
    /// Anything but an unescaped double quote.
    pub(super) const TEXT: Self = Self::ANY.without(b"\"");
    /// Text without white space.
    pub(super) const WORD: Self = Self::TEXT.without(b" \t");
    /// A word that is a proxy's or server's name, which has no slash.
    pub(super) const NAME: Self = Self::WORD.without(b"/");
    /// What continues a whole number.
    pub(super) const DIGITS: Self = Self([0x03ff_0000_0000_0000, 0, 0, 0]);
    /// An entry of nginx's upstream lists.
    pub(super) const ENTRY: Self = Self::WORD.without(b",");

    /// Without these bytes.
    pub(super) const fn without(mut self, bytes: &[u8]) -> Self {
        let mut i = 0;
        while i < bytes.len() {
            self.0[(bytes[i] >> 6) as usize] &= !(1 << (bytes[i] & 63));
            i += 1;
        }
        self
    }

    /// With these bytes too.
    pub(super) const fn with(mut self, bytes: &[u8]) -> Self {
        let mut i = 0;
        while i < bytes.len() {
            self.0[(bytes[i] >> 6) as usize] |= 1 << (bytes[i] & 63);
            i += 1;
        }
        self
    }

    /// What either holds.
    pub(super) const fn or(self, other: Self) -> Self {
        let ([a, b, c, d], [e, f, g, h]) = (self.0, other.0);
        Self([a | e, b | f, c | g, d | h])
    }

    /// Whether it holds this byte.
    pub(super) const fn has(&self, byte: u8) -> bool {
        self.0[(byte >> 6) as usize] & (1 << (byte & 63)) != 0
    }

    /// Whether it holds all of `bytes`, so that they may occur inside.
    pub(super) fn has_all(&self, bytes: &[u8]) -> bool {
        bytes.iter().all(|b| self.has(*b))
    }

    /// How many bytes at the start of `bytes` it holds.
    pub(super) fn span(&self, bytes: &[u8]) -> usize {
        bytes.iter().position(|b| !self.has(*b)).unwrap_or(bytes.len())
    }
}

/// Where `byte` stands first: most fields are short, so that a call of `memchr` costs more than the
/// first few words looked at here, eight bytes at a time.
#[inline]
pub(super) fn find(byte: u8, bytes: &[u8]) -> Option<usize> {
    let found = |word| zeros(word ^ (ONES * u64::from(byte)));
    find_by(bytes, found, |b| b == byte, |bytes| memchr::memchr(byte, bytes))
}

/// Where one of two bytes stands first.
#[inline]
pub(super) fn find_either(one: u8, other: u8, bytes: &[u8]) -> Option<usize> {
    let found =
        |word| zeros(word ^ (ONES * u64::from(one))) | zeros(word ^ (ONES * u64::from(other)));
    let far = |bytes: &[u8]| memchr::memchr2(one, other, bytes);
    find_by(bytes, found, |b| b == one || b == other, far)
}

/// The first place that `found` marks in a word, by the high bit of its byte; bits above the first
/// may be wrong. What is far, `far` finds; `is` tells single bytes.
#[inline(always)]
fn find_by(
    bytes: &[u8],
    found: impl Fn(u64) -> u64,
    is: impl Fn(u8) -> bool,
    far: impl Fn(&[u8]) -> Option<usize>,
) -> Option<usize> {
    let mut at = 0;
    while at < WORDS_FIRST
        && let Some(word) = bytes.get(at..).and_then(|rest| rest.first_chunk())
    {
        let found = found(u64::from_le_bytes(*word));
        if found != 0 {
            return Some(at + (found.trailing_zeros() / 8) as usize);
        }
        at += 8;
    }
    let rest = bytes.get(at..)?;
    if rest.len() >= 8 {
        return far(rest).map(|i| at + i);
    }
    let Some(word) = bytes.last_chunk() else { return bytes.iter().position(|b| is(*b)) };
    // The bytes of this word that were looked at already are none of those wanted.
    let found = found(u64::from_le_bytes(*word));
    (found != 0).then(|| bytes.len() - 8 + (found.trailing_zeros() / 8) as usize)
}

/// Marks the lowest byte of a word that is zero: it is what borrows in the subtraction. Marks above
/// it may be wrong.
#[inline(always)]
const fn zeros(word: u64) -> u64 {
    word.wrapping_sub(ONES) & !word & 0x8080_8080_8080_8080
}

const ONES: u64 = 0x0101_0101_0101_0101;
/// Bytes that are looked at before `memchr` is called.
const WORDS_FIRST: usize = 48;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_word_ends_at_white_space_and_quotes() {
        assert_eq!(ByteSet::WORD.span(b"ab\xff-/ c"), 5);
        assert_eq!(ByteSet::WORD.span(b"ab\"c"), 2);
        assert_eq!(ByteSet::NAME.span(b"app/web1"), 3);
        assert_eq!(ByteSet::DIGITS.span(b"0129.5"), 4);
        assert!(ByteSet::TEXT.has_all(b" [") && !ByteSet::TEXT.has_all(b" \""));
        assert!(ByteSet::WORD.with(b" ").has(b' '));
    }

    proptest! {
        #[test]
        fn a_byte_is_found_where_it_stands_first(
            bytes in proptest::collection::vec(0x1e..0x24_u8, 0..60),
            byte in 0x1e..0x24_u8,
        ) {
            prop_assert_eq!(find(byte, &bytes), bytes.iter().position(|b| *b == byte));
            let either = bytes.iter().position(|b| *b == byte || *b == 0x1f);
            prop_assert_eq!(find_either(byte, 0x1f, &bytes), either);
        }
    }
}
