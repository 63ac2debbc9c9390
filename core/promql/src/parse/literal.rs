//! Numbers, durations and quoted texts.

use crate::error::ParseError;

use super::lex::Token;

/// Units in the order a duration must have them, with their length in milliseconds.
const UNITS: [(&str, i64); 7] = [
    ("y", 365 * 86_400_000),
    ("w", 7 * 86_400_000),
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1000),
    ("ms", 1),
];

/// The longest duration a query may name: 292 years, so that no sum of times overflows.
pub(super) const DURATION_MS_MAX: i64 = i64::MAX / 1_000_000;

/// Reads a number such as `1`, `.5`, `1e3`, `0x1f`, `017` or a duration such as `1h30m`.
/// `rest` begins with a digit, or with a point before one.
pub(super) fn number_or_duration(rest: &str, at: usize) -> Result<(Token, usize), ParseError> {
    let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '.').unwrap_or(rest.len());
    let word = &rest[..end];
    if let Some(hex) = word.strip_prefix("0x").or_else(|| word.strip_prefix("0X")) {
        return hexadecimal(hex, at).map(|n| (Token::Number(n), end));
    }
    let number_end = decimal_end(rest);
    if number_end >= end {
        let number = decimal(&rest[..number_end], at)?;
        return Ok((Token::Number(number), number_end));
    }
    duration(word, at).map(|ms| (Token::Duration(ms), end))
}

/// How many bytes from the start read as a decimal number with an optional exponent.
fn decimal_end(rest: &str) -> usize {
    let bytes = rest.as_bytes();
    let digits = |mut i: usize| {
        while bytes.get(i).is_some_and(u8::is_ascii_digit) {
            i += 1;
        }
        i
    };
    let mut end = digits(0);
    if bytes.get(end) == Some(&b'.') {
        end = digits(end + 1);
    }
    if matches!(bytes.get(end), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(bytes.get(end + 1), Some(b'+' | b'-')));
        let exponent = digits(end + 1 + sign);
        if exponent > end + 1 + sign {
            end = exponent;
        }
    }
    end
}

fn hexadecimal(digits: &str, at: usize) -> Result<f64, ParseError> {
    let bad = || ParseError::new(at, format!("bad hexadecimal number 0x{digits}"));
    let value = u64::from_str_radix(digits, 16).map_err(|_| bad())?;
    #[expect(clippy::cast_precision_loss, reason = "the language has only 64-bit floats")]
    Ok(value as f64)
}

/// A leading zero before octal digits means octal, as in Go's literals, on which the language
/// is built.
fn decimal(word: &str, at: usize) -> Result<f64, ParseError> {
    let octal = word.len() > 1 && word.starts_with('0') && word.bytes().all(|b| b.is_ascii_digit());
    if octal && let Ok(value) = u64::from_str_radix(word, 8) {
        #[expect(clippy::cast_precision_loss, reason = "the language has only 64-bit floats")]
        return Ok(value as f64);
    }
    word.parse().map_err(|_| ParseError::new(at, format!("bad number {word:?}")))
}

fn duration(word: &str, at: usize) -> Result<i64, ParseError> {
    let bad = || {
        ParseError::new(at, format!("bad number or duration {word:?}"))
            .with_hint("a duration looks like 5m, 1h30m or 250ms, largest unit first")
    };
    let mut rest = word;
    let mut units = UNITS.iter();
    let mut total: i64 = 0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(bad)?;
        let count: i64 = rest[..digits].parse().map_err(|_| bad())?;
        rest = &rest[digits..];
        let unit_end = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
        let (_, length) = units.find(|(name, _)| *name == &rest[..unit_end]).ok_or_else(bad)?;
        rest = &rest[unit_end..];
        total = count
            .checked_mul(*length)
            .and_then(|ms| total.checked_add(ms))
            .filter(|ms| *ms <= DURATION_MS_MAX)
            .ok_or_else(|| ParseError::new(at, format!("the duration {word} is too long")))?;
    }
    Ok(total)
}

/// Reads a text in single, double or back quotes; gives it unescaped, and its length with quotes.
pub(super) fn quoted(rest: &str, at: usize) -> Result<(String, usize), ParseError> {
    let open = || ParseError::new(at, "this text has no closing quote");
    let quote = rest.chars().next().ok_or_else(open)?;
    if quote == '`' {
        let length = rest[1..].find('`').ok_or_else(open)?;
        return Ok((rest[1..=length].to_owned(), length + 2));
    }
    // Bytes, because an escape such as \xc3 may be one byte of a longer character.
    let mut out: Vec<u8> = Vec::new();
    let mut i = 1;
    loop {
        let c = rest[i..].chars().next().ok_or_else(open)?;
        i += c.len_utf8();
        if c == quote {
            let text = String::from_utf8(out);
            return text
                .map(|t| (t, i))
                .map_err(|_| ParseError::new(at, "this text's escapes are not UTF-8"));
        }
        match c {
            '\n' => return Err(open().with_hint("write \\n, or use back quotes")),
            '\\' => i += escape(&rest[i..], quote, at + i, &mut out)?,
            _ => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
}

/// Appends what the escape after a backslash means and says how many bytes it took.
fn escape(rest: &str, quote: char, at: usize, out: &mut Vec<u8>) -> Result<usize, ParseError> {
    let bad = || {
        ParseError::new(at, "unknown escape")
            .with_hint("write \\\\ for a backslash, as in \"\\\\d\"")
    };
    let numeric = |skip: usize, length: usize, radix: u32| {
        let digits = rest.get(skip..skip + length).ok_or_else(bad)?;
        let all_digits = digits.chars().all(|c| c.is_digit(radix));
        let value = u32::from_str_radix(digits, radix).map_err(|_| bad())?;
        if all_digits { Ok(value) } else { Err(bad()) }
    };
    let c = rest.chars().next().ok_or_else(bad)?;
    let simple = match c {
        'a' => 0x07,
        'b' => 0x08,
        'f' => 0x0c,
        'n' => b'\n',
        'r' => b'\r',
        't' => b'\t',
        'v' => 0x0b,
        '\\' => b'\\',
        '\'' | '"' if c == quote => {
            if c == '"' {
                b'"'
            } else {
                b'\''
            }
        }
        'x' => {
            out.push(u8::try_from(numeric(1, 2, 16)?).map_err(|_| bad())?);
            return Ok(3);
        }
        '0'..='7' => {
            out.push(u8::try_from(numeric(0, 3, 8)?).map_err(|_| bad())?);
            return Ok(3);
        }
        'u' | 'U' => {
            let length = if c == 'u' { 4 } else { 8 };
            let character = char::from_u32(numeric(1, length, 16)?).ok_or_else(bad)?;
            out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
            return Ok(1 + length);
        }
        _ => return Err(bad()),
    };
    out.push(simple);
    Ok(1)
}
