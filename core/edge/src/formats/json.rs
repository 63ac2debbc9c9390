//! The members of a JSON object, one after the other and nothing built: what log lines need. It
//! is lenient where that cannot mislead (numbers are judged when they are read).

use crate::cursor::{Cursor, whole};
use crate::format::Reject;

/// A member's value as it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Value<'a> {
    /// Between the quotes, escapes and all.
    Text(&'a [u8]),
    /// A number, `true`, `false` or `null`.
    Bare(&'a [u8]),
    /// With its braces.
    Object(&'a [u8]),
    /// With its brackets.
    Array(&'a [u8]),
}

impl<'a> Value<'a> {
    /// The text, bare words too; nothing of `null`, of `-` and of what is nested.
    pub(crate) fn text(self) -> &'a [u8] {
        match self {
            Self::Text(b"-") | Self::Bare(b"null") | Self::Object(_) | Self::Array(_) => b"",
            Self::Text(text) | Self::Bare(text) => text,
        }
    }

    /// A whole number, in quotes or not.
    pub(crate) fn whole(self) -> Option<u64> {
        whole(self.text())
    }

    /// A status code; 0 where it is none.
    pub(crate) fn code(self) -> u16 {
        self.whole()
            .and_then(|code| u16::try_from(code).ok())
            .filter(|code| *code <= 999)
            .unwrap_or(0)
    }

    /// A duration given in units of ten to the power of `power` microseconds.
    pub(crate) fn micros(self, power: i32) -> Option<u64> {
        decimal(self.text(), power)
    }
}

/// `text` times ten to the power of `power`, rounded to a whole number: `0.000929675` with 6 is
/// 930. `None` of what is negative, no number, or more than 19 digits before the point.
pub(crate) fn decimal(text: &[u8], power: i32) -> Option<u64> {
    let mut cursor = Cursor::new(text);
    let mut mantissa = cursor.number()?;
    let mut power = power;
    if cursor.eat(b'.') {
        while let Some(digit) = cursor.peek().filter(u8::is_ascii_digit) {
            cursor.take(1)?;
            // Digits beyond what a mantissa holds are far below a microsecond.
            if mantissa < 100_000_000_000_000_000 {
                mantissa = mantissa * 10 + u64::from(digit - b'0');
                power -= 1;
            }
        }
    }
    if cursor.eat(b'e') || cursor.eat(b'E') {
        let negative = cursor.eat(b'-');
        cursor.eat(b'+');
        let exponent = i32::try_from(cursor.number()?.min(1000)).ok()?;
        power += if negative { -exponent } else { exponent };
    }
    if !cursor.rest().is_empty() {
        return None;
    }
    let ten = 10_u64.checked_pow(power.unsigned_abs());
    if power >= 0 {
        if mantissa == 0 { Some(0) } else { mantissa.checked_mul(ten?) }
    } else {
        Some(ten.map_or(0, |ten| mantissa / ten + u64::from(mantissa % ten >= ten.div_ceil(2))))
    }
}

/// Hands each member of the object that `text` begins with to `take`, in their order.
pub(crate) fn each<'a>(
    text: &'a [u8],
    mut take: impl FnMut(&'a [u8], Value<'a>) -> Result<(), Reject>,
) -> Result<(), Reject> {
    let mut members = Members::of(text)?;
    while let Some((key, value)) = members.next()? {
        take(key, value)?;
    }
    Ok(())
}

/// The members of an object, in their order.
#[derive(Debug)]
struct Members<'a> {
    cursor: Cursor<'a>,
    first: bool,
}

impl<'a> Members<'a> {
    /// Of the object that `text` begins with.
    fn of(text: &'a [u8]) -> Result<Self, Reject> {
        let mut cursor = Cursor::new(text.trim_ascii_start());
        if !cursor.eat(b'{') {
            return Err(Reject::Malformed("the JSON object"));
        }
        Ok(Self { cursor, first: true })
    }

    /// The next member; `None` behind the last.
    fn next(&mut self) -> Result<Option<(&'a [u8], Value<'a>)>, Reject> {
        const CUT: Reject = Reject::Incomplete("the end of the JSON object");
        const BAD: Reject = Reject::Malformed("the JSON object");
        self.space();
        if self.cursor.eat(b'}') {
            return Ok(None);
        }
        if !std::mem::take(&mut self.first) {
            match self.cursor.peek() {
                Some(b',') => drop(self.cursor.take(1)),
                None => return Err(CUT),
                Some(_) => return Err(BAD),
            }
            self.space();
        }
        let (key, closed) =
            self.cursor.quoted().ok_or(if self.cursor.rest().is_empty() { CUT } else { BAD })?;
        self.space();
        if !closed || self.cursor.rest().is_empty() {
            return Err(CUT);
        }
        if !self.cursor.eat(b':') {
            return Err(BAD);
        }
        self.space();
        Ok(Some((key, self.value()?)))
    }

    fn space(&mut self) {
        while let Some(b' ' | b'\t' | b'\r' | b'\n') = self.cursor.peek() {
            self.cursor.take(1);
        }
    }

    fn value(&mut self) -> Result<Value<'a>, Reject> {
        const CUT: Reject = Reject::Incomplete("the end of a JSON value");
        match self.cursor.peek().ok_or(CUT)? {
            b'"' => match self.cursor.quoted() {
                Some((text, true)) => Ok(Value::Text(text)),
                _ => Err(CUT),
            },
            b'{' => Ok(Value::Object(self.nested().ok_or(CUT)?)),
            b'[' => Ok(Value::Array(self.nested().ok_or(CUT)?)),
            _ => {
                let rest = self.cursor.rest();
                let end = rest.iter().position(|b| matches!(b, b',' | b'}' | b' ' | b'\t' | b'\r'));
                let bare = self.cursor.take(end.ok_or(CUT)?).unwrap_or_default();
                if bare.is_empty() {
                    Err(Reject::Malformed("a JSON value"))
                } else {
                    Ok(Value::Bare(bare))
                }
            }
        }
    }

    /// Steps over what is nested, counting brackets outside of texts.
    fn nested(&mut self) -> Option<&'a [u8]> {
        let whole = self.cursor.rest();
        let mut depth = 0_usize;
        loop {
            match self.cursor.peek()? {
                b'"' => drop(self.cursor.quoted().filter(|(_, closed)| *closed)?),
                byte => {
                    self.cursor.take(1)?;
                    match byte {
                        b'{' | b'[' => depth += 1,
                        b'}' | b']' => depth -= 1,
                        _ => {}
                    }
                }
            }
            if depth == 0 {
                return whole.get(..whole.len() - self.cursor.rest().len());
            }
        }
    }
}

/// The text with its escapes undone, in `room` where it has any.
pub(crate) fn plain<'a>(text: &'a [u8], room: &'a mut Vec<u8>) -> &'a [u8] {
    if memchr::memchr(b'\\', text).is_none() {
        return text;
    }
    room.clear();
    let mut cursor = Cursor::new(text);
    while let Some(byte) = cursor.peek() {
        cursor.take(1);
        if byte != b'\\' {
            room.push(byte);
            continue;
        }
        match cursor.take(1) {
            Some(b"n") => room.push(b'\n'),
            Some(b"t") => room.push(b'\t'),
            Some(b"r") => room.push(b'\r'),
            Some(b"u") => unicode(&mut cursor, room),
            Some(&[other]) => room.push(other),
            _ => break,
        }
    }
    room
}

/// Four hexadecimal digits; what is no character (half a surrogate pair) becomes U+FFFD.
fn unicode(cursor: &mut Cursor<'_>, room: &mut Vec<u8>) {
    let digits = cursor.take(4).and_then(|digits| std::str::from_utf8(digits).ok());
    let code = digits.and_then(|digits| u32::from_str_radix(digits, 16).ok());
    let character = code.and_then(char::from_u32).unwrap_or(char::REPLACEMENT_CHARACTER);
    room.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(text: &str) -> Result<Vec<(String, Value<'_>)>, Reject> {
        let mut found = Vec::new();
        each(text.as_bytes(), |key, value| {
            found.push((String::from_utf8_lossy(key).into_owned(), value));
            Ok(())
        })?;
        Ok(found)
    }

    #[test]
    fn members_come_in_their_order_with_nested_ones_whole() {
        let text =
            r#" {"a":1, "b" : "x\"y","c":{"d":"}","e":[1,2]},"f":[{"g":0}],"h":null,"i":true}"#;
        let found = all(text).unwrap();
        let values: Vec<Value<'_>> = found.iter().map(|(_, value)| *value).collect();
        assert_eq!(
            values,
            [
                Value::Bare(b"1"),
                Value::Text(br#"x\"y"#),
                Value::Object(br#"{"d":"}","e":[1,2]}"#),
                Value::Array(br#"[{"g":0}]"#),
                Value::Bare(b"null"),
                Value::Bare(b"true"),
            ]
        );
        assert_eq!(all("{}").unwrap(), []);
    }

    #[test]
    fn every_prefix_of_an_object_is_incomplete_rather_than_wrong() {
        let text = r#"{"a":1,"b":"x","c":{"d":[1]},"e":-2.5e3}"#;
        for end in 1..text.len() {
            let cut = all(&text[..end]);
            assert!(matches!(cut, Err(Reject::Incomplete(_))), "{}: {cut:?}", &text[..end]);
        }
        for wrong in ["", "[]", "{a:1}", r#"{"a" 1}"#, r#"{"a":1 "b":2}"#, r#"{"a":,}"#, "{,}"] {
            assert!(matches!(all(wrong), Err(Reject::Malformed(_))), "{wrong}");
        }
    }

    #[test]
    fn decimals_are_rounded_to_whole_units() {
        for (text, power, value) in [
            ("0.000929675", 6, Some(930)),
            ("1.2e-05", 6, Some(12)),
            ("1646861401.5241024", 6, Some(1_646_861_401_524_102)),
            ("3", 3, Some(3000)),
            ("1500", -3, Some(2)),
            ("1499", -3, Some(1)),
            ("2.5E+3", 0, Some(2500)),
            ("0", 6, Some(0)),
            ("1e-400", 6, Some(0)),
            ("1e400", 6, None),
            ("-1", 6, None),
            ("", 6, None),
            ("1.2.3", 6, None),
            ("0.123456789012345678901234567890", 6, Some(123_457)),
        ] {
            assert_eq!(decimal(text.as_bytes(), power), value, "{text}");
        }
    }

    #[test]
    fn escapes_are_undone_only_where_there_are_some() {
        let mut room = Vec::new();
        assert_eq!(plain(b"/a/b", &mut room), b"/a/b");
        assert_eq!(plain(br"/a\u0026\/\u00e9\ud800\\x", &mut room), "/a&/é\u{fffd}\\x".as_bytes());
        assert_eq!(plain(br"cut\", &mut room), b"cut");
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_do_harm(bytes: Vec<u8>, text in "[{}\\[\\]\",:0-9a\\\\]{0,40}") {
            for bytes in [&bytes[..], text.as_bytes(), format!("{{{text}").as_bytes()] {
                let _ = each(bytes, |key, value| {
                    plain(key, &mut Vec::new());
                    plain(value.text(), &mut Vec::new());
                    value.micros(6);
                    Ok(())
                });
            }
        }
    }
}
