//! Which bytes a field may hold: what tells whether a literal can occur inside it.

use crate::marks;

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

/// Where `byte` stands first.
#[inline]
pub(super) fn find(byte: u8, bytes: &[u8]) -> Option<usize> {
    find_from(0, byte, bytes)
}

/// Where `byte` stands first, from `at` on.
#[inline]
pub(super) fn find_from(at: usize, byte: u8, bytes: &[u8]) -> Option<usize> {
    let far = |bytes: &[u8]| memchr::memchr(byte, bytes);
    find_by(at, bytes, |part| marks::equal(part, byte), far)
}

/// Where one of two bytes stands first.
#[inline]
pub(super) fn find_either(one: u8, other: u8, bytes: &[u8]) -> Option<usize> {
    let far = |bytes: &[u8]| memchr::memchr2(one, other, bytes);
    find_by(0, bytes, |part| marks::equal(part, one) | marks::equal(part, other), far)
}

/// The first place from `at` on that `found` marks among sixteen bytes. Most fields are short, so
/// that a call of `memchr` costs more than to look at these; what is far, `far` finds.
#[inline(always)]
fn find_by(
    mut at: usize,
    bytes: &[u8],
    found: impl Fn(&[u8; 16]) -> u32,
    far: impl Fn(&[u8]) -> Option<usize>,
) -> Option<usize> {
    let near = at + NEAR;
    while at < near
        && let Some(part) = bytes.get(at..).and_then(|rest| rest.first_chunk())
    {
        let found = found(part);
        if found != 0 {
            return Some(at + found.trailing_zeros() as usize);
        }
        at += 16;
    }
    let rest = bytes.get(at..)?;
    if rest.len() < 16
        && let Some(part) = bytes.last_chunk()
    {
        let seen = 16 - rest.len();
        let found = found(part) >> seen;
        return (found != 0).then(|| at + found.trailing_zeros() as usize);
    }
    far(rest).map(|i| at + i)
}

/// Bytes that are looked at before `memchr` is called.
const NEAR: usize = 64;

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
            bytes in proptest::collection::vec(0x1e..0x34_u8, 0..100),
            byte in 0x1e..0x34_u8,
            at in 0..110_usize,
        ) {
            prop_assert_eq!(find(byte, &bytes), bytes.iter().position(|b| *b == byte));
            let behind = bytes.get(at..).and_then(|rest| rest.iter().position(|b| *b == byte));
            prop_assert_eq!(find_from(at, byte, &bytes), behind.map(|i| at + i));
            let either = bytes.iter().position(|b| *b == byte || *b == 0x1f);
            prop_assert_eq!(find_either(byte, 0x1f, &bytes), either);
        }
    }
}
