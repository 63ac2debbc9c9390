//! Apache's `LogFormat` (`mod_log_config`, `mod_logio`), which Varnish's `varnishncsa` shares.

mod items;
mod read;

use super::error::FormatError;
use super::language::unquoted;
use super::layout::{Builder, Layout};
use items::Piece;

pub(super) use read::read;

/// The layout of a `LogFormat`, given as the directive or as its string alone.
pub(super) fn layout(format: &str) -> Result<Layout, FormatError> {
    let text = directive(format)?;
    if text.is_empty() {
        return Err(FormatError::Empty);
    }
    let mut builder = Builder::new(&text)?;
    let mut at = 0;
    while let Some(byte) = text.as_bytes().get(at).copied() {
        match byte {
            b'%' => {
                let sign = Sign::at(&text[at..])?;
                field(&sign, at, &mut builder)?;
                at += sign.len;
            }
            b'\\' => {
                match text.as_bytes().get(at + 1) {
                    Some(b't') => builder.literal(b"\t"),
                    Some(b'n') => builder.literal(b"\n"),
                    Some(hidden) => builder.literal(&[*hidden]),
                    None => builder.literal(b"\\"),
                }
                at += 2;
            }
            byte => {
                builder.literal(&[byte]);
                at += 1;
            }
        }
    }
    builder.finish()
}

/// How surely the string is Apache's.
pub(super) fn signs(format: &str) -> usize {
    let (mut known, mut unknown) = (0_usize, 0_usize);
    for (at, _) in format.match_indices('%') {
        let Ok(sign) = Sign::at(&format[at..]) else { continue };
        // A longer name of another language begins with some letter of this one.
        let runs_on = format[at + sign.len..].starts_with(|c: char| c.is_ascii_alphanumeric());
        if items::piece(&sign).is_some() && !runs_on {
            known += 1;
        } else if !sign.name.is_empty() {
            unknown += 2;
        }
    }
    known.saturating_sub(unknown)
}

/// One `%…` taken apart.
#[derive(Debug)]
struct Sign<'f> {
    /// Inside the braces.
    parameter: &'f str,
    /// One letter, or three behind a `^`; empty of `%%`.
    name: &'f str,
    /// Bytes of it all.
    len: usize,
}

impl<'f> Sign<'f> {
    fn at(text: &'f str) -> Result<Self, FormatError> {
        let condition = |c: char| c.is_ascii_digit() || matches!(c, '!' | ',' | '<' | '>');
        let mut at = text[1..].find(|c| !condition(c)).map_or(text.len(), |n| n + 1);
        let mut parameter = "";
        if let Some(inside) = text[at..].strip_prefix('{') {
            let end = inside.find('}').ok_or_else(|| FormatError::Unclosed("%{".to_owned()))?;
            parameter = &inside[..end];
            at += end + 2;
        }
        let size = match text.as_bytes().get(at) {
            Some(b'^') => 3,
            Some(c) if c.is_ascii_alphabetic() => 1,
            Some(b'%') if at == 1 => return Ok(Self { parameter, name: "", len: 2 }),
            _ => 0,
        };
        let name = text.get(at..at + size).unwrap_or_default();
        Ok(Self { parameter, name, len: at + name.len() })
    }
}

fn field(sign: &Sign<'_>, at: usize, builder: &mut Builder<'_>) -> Result<(), FormatError> {
    if sign.name.is_empty() {
        builder.literal(b"%");
        return Ok(());
    }
    let place = at..at + sign.len;
    match items::piece(sign) {
        // The query stands right behind the path, as part of it.
        Some(Piece::Query) if builder.open_item().is_some_and(|i| i.to == items::PATH) => Ok(()),
        Some(Piece::Query) | None => builder.item(items::UNKNOWN, place),
        Some(Piece::Item(item)) => builder.item(item, place),
        Some(Piece::Bracketed(item)) => {
            builder.literal(b"[");
            builder.item(item, place)?;
            builder.literal(b"]");
            Ok(())
        }
    }
}

/// The string of `LogFormat "…" name` or `CustomLog FILE "…"`, or one that is bare or quoted.
fn directive(format: &str) -> Result<String, FormatError> {
    let text = format.trim();
    let named = ["LogFormat", "CustomLog"]
        .iter()
        .any(|d| text.strip_prefix(d).is_some_and(|rest| rest.starts_with(char::is_whitespace)));
    if !named {
        return Ok(unquoted(text).into_owned());
    }
    let open = text.find('"').ok_or_else(|| FormatError::Unclosed("LogFormat".to_owned()))?;
    let mut hidden = false;
    for (at, byte) in text.bytes().enumerate().skip(open + 1) {
        if byte == b'"' && !hidden {
            return Ok(text[open + 1..at].to_owned());
        }
        hidden = byte == b'\\' && !hidden;
    }
    Err(FormatError::Unclosed("\"".to_owned()))
}
