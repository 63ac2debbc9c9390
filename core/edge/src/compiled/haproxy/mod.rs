//! `HAProxy`'s `log-format` (configuration manual 8.2.6), and what its aliases say of a request.

mod expressions;
mod items;
mod read;

use super::bytes::ByteSet;
use super::error::FormatError;
use super::language::unquoted;
use super::layout::{Builder, Item, Layout, Shape, To};

pub(super) use read::read;

/// The layout of a `log-format`, given as the directive or as its string alone.
pub(super) fn layout(format: &str) -> Result<Layout, FormatError> {
    let text = format.trim();
    let bare = text.strip_prefix("log-format").filter(|r| r.starts_with(char::is_whitespace));
    let text = unquoted(bare.unwrap_or(text));
    if text.is_empty() {
        return Err(FormatError::Empty);
    }
    let mut builder = Builder::new(&text)?;
    let (mut at, mut quoted) = (0, false);
    while let Some(byte) = text.as_bytes().get(at).copied() {
        match byte {
            b'%' => at += field(&text, at, &mut quoted, &mut builder)?,
            b' ' => {
                builder.merged_space();
                at += 1;
            }
            // As the configuration file hides spaces and quotes.
            b'\\' => {
                let hidden = &text.as_bytes()[at + 1..text.len().min(at + 2)];
                match hidden {
                    b" " => builder.merged_space(),
                    hidden => builder.literal(hidden),
                }
                at += 1 + hidden.len();
            }
            byte => {
                builder.literal(&[byte]);
                at += 1;
            }
        }
    }
    builder.finish()
}

/// How surely the string is `HAProxy`'s: its known items, if it has one no other language has.
pub(super) fn signs(format: &str) -> usize {
    let (mut known, mut own, mut unknown) = (0_usize, 0_usize, 0_usize);
    for (at, _) in format.match_indices('%') {
        match Sign::at(&format[at..]) {
            Ok(sign) if sign.expression.is_some() => own += 1,
            Ok(sign) if items::known(sign.name).is_some() => {
                known += 1;
                own += usize::from(sign.name.len() > 1);
            }
            Ok(sign) if !sign.name.is_empty() && sign.name != "o" => unknown += 2,
            Ok(_) | Err(_) => {}
        }
    }
    if own == 0 && unknown > 0 { 0 } else { (known + own).saturating_sub(unknown) }
}

/// One `%…` taken apart.
#[derive(Debug)]
struct Sign<'f> {
    /// Inside the braces.
    flags: &'f str,
    /// The alias; empty before an expression.
    name: &'f str,
    /// Inside the square brackets.
    expression: Option<&'f str>,
    /// Bytes of it all.
    len: usize,
}

impl<'f> Sign<'f> {
    /// Reads the sign at the start of `text`, which is a percent sign.
    fn at(text: &'f str) -> Result<Self, FormatError> {
        let (mut at, mut flags) = (1, "");
        // `%(name:type){flags}alias` came with 3.0; the name is for encodings alone.
        loop {
            let rest = &text[at..];
            let close = match rest.as_bytes().first() {
                Some(b'{') => '}',
                Some(b'(') => ')',
                _ => break,
            };
            let end = rest.find(close).ok_or_else(|| FormatError::Unclosed("%{".to_owned()))?;
            if close == '}' {
                flags = &rest[1..end];
            }
            at += end + 1;
        }
        let rest = &text[at..];
        if rest.starts_with('[') {
            let end = closing(rest).ok_or_else(|| FormatError::Unclosed("%[".to_owned()))?;
            let expression = Some(&rest[1..end]);
            return Ok(Self { flags, name: "", expression, len: at + end + 1 });
        }
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(rest.len());
        Ok(Self { flags, name: &rest[..end], expression: None, len: at + end })
    }
}

/// Where the bracket closes that `text` opens with.
fn closing(text: &str) -> Option<usize> {
    let mut depth = 0_usize;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'[' => depth += 1,
            b']' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return Some(at);
        }
    }
    None
}

/// Adds the field whose sign stands at `at`, and gives the sign's length.
fn field(
    text: &str,
    at: usize,
    quoted: &mut bool,
    builder: &mut Builder<'_>,
) -> Result<usize, FormatError> {
    let sign = Sign::at(&text[at..])?;
    if sign.len == 1 {
        // `%%`, or a lone sign.
        builder.literal(b"%");
        return Ok(if text[at + 1..].starts_with('%') { 2 } else { 1 });
    }
    let mut quotes = *quoted;
    for flag in sign.flags.split(',').map(str::trim) {
        match flag {
            "+Q" | "Q" => quotes = true,
            "-Q" => quotes = false,
            "+json" | "json" => return Err(FormatError::Encoded("JSON")),
            "+cbor" | "cbor" => return Err(FormatError::Encoded("CBOR")),
            _ => {}
        }
    }
    if sign.name == "o" {
        *quoted = quotes;
        return Ok(sign.len);
    }
    let hex = sign.flags.contains("+X");
    let item = match sign.expression {
        Some(expression) => expressions::item(expression),
        None => items::known(sign.name).unwrap_or(UNKNOWN),
    };
    let item = if hex { in_hex(item) } else { item };
    let is_query = sign.name == "HQ";
    if is_query && builder.open_item().is_some_and(|i| i.to == items::PATH) {
        return Ok(sign.len);
    }
    // Numbers are never quoted; a text always is, an empty one too.
    let quotes = quotes && matches!(item.shape, Shape::Text { .. });
    if quotes {
        builder.literal(b"\"");
    }
    builder.item(if quotes { inside_quotes(item) } else { item }, at..at + sign.len)?;
    if quotes {
        builder.literal(b"\"");
    }
    Ok(sign.len)
}

/// What is written in hexadecimal is passed over.
const fn in_hex(item: Item) -> Item {
    if matches!(item.shape, Shape::Integer) {
        Item { shape: items::WORD, to: To::Nothing, ..item }
    } else {
        item
    }
}

/// Inside quotes nothing but the closing one ends it; `+E` hides one behind a backslash.
const fn inside_quotes(item: Item) -> Item {
    Item { shape: Shape::Text { of: ByteSet::TEXT, escaped: true }, ..item }
}

const UNKNOWN: Item = Item { name: "item", shape: items::TEXT, to: To::Nothing };
