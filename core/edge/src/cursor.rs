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
    #[inline]
    pub(crate) fn peek(&self) -> Option<u8> {
        self.rest.first().copied()
    }

    /// Takes `byte` where it is next.
    #[inline]
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
    #[inline]
    pub(crate) fn take(&mut self, n: usize) -> Option<&'a [u8]> {
        let (head, rest) = self.rest.split_at_checked(n)?;
        self.rest = rest;
        Some(head)
    }

    /// Takes everything before `end`, and `end` itself; nothing where there is no `end`. For short
    /// fields: it looks at one byte after the other.
    #[inline]
    pub(crate) fn until(&mut self, end: u8) -> Option<&'a [u8]> {
        let at = self.rest.iter().position(|&byte| byte == end)?;
        let head = self.rest.get(..at)?;
        self.rest = self.rest.get(at + 1..)?;
        Some(head)
    }

    /// The same for long fields.
    #[inline]
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

    /// Takes a whole number of at most 18 digits.
    #[inline]
    pub(crate) fn number(&mut self) -> Option<u64> {
        let mut value = 0_u64;
        let mut digits = 0;
        while let Some(&byte) = self.rest.get(digits) {
            let digit = byte.wrapping_sub(b'0');
            if digit > 9 {
                break;
            }
            if digits == 18 {
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
    #[inline]
    pub(crate) fn number_then(&mut self, end: u8) -> Option<u64> {
        let value = self.number()?;
        self.eat(end).then_some(value)
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
    fn a_number_of_nineteen_digits_is_none_rather_than_a_wrong_one() {
        assert_eq!(whole(b"999999999999999999"), Some(999_999_999_999_999_999));
        assert_eq!(whole(b"1000000000000000000"), None);
        assert_eq!(whole(b""), None);
        assert_eq!(whole(b"12a"), None);
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
