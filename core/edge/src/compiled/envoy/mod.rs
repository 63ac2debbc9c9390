//! Envoy's substitution format (`substitution_formatter.rst`).

mod items;
mod read;

use super::error::FormatError;
use super::language::unquoted;
use super::layout::{Builder, Layout};

pub(super) use read::read;

/// The layout of a substitution format.
pub(super) fn layout(format: &str) -> Result<Layout, FormatError> {
    let text = unquoted(format);
    let text = text.strip_suffix("\\n").unwrap_or(&text);
    if text.is_empty() {
        return Err(FormatError::Empty);
    }
    let mut builder = Builder::new(text)?;
    let (mut rest, mut at) = (text, 0);
    while let Some(percent) = rest.find('%') {
        builder.literal(&rest.as_bytes()[..percent]);
        let command = Command::at(&rest[percent..])?;
        let place = at + percent..at + percent + command.len;
        if command.name.is_empty() {
            builder.literal(b"%");
        } else {
            builder.item(items::known(&command).unwrap_or(items::UNKNOWN), place)?;
        }
        at += percent + command.len;
        rest = &rest[percent + command.len..];
    }
    builder.literal(rest.as_bytes());
    builder.finish()
}

/// How many commands of Envoy the string has.
pub(super) fn signs(format: &str) -> usize {
    let mut known = 0;
    let mut rest = format;
    while let Some(percent) = rest.find('%') {
        rest = &rest[percent..];
        let len = match Command::at(rest) {
            Ok(command) if items::known(&command).is_some() => {
                known += 1;
                command.len
            }
            Ok(_) | Err(_) => 1,
        };
        rest = &rest[len..];
    }
    known
}

/// `%NAME(arguments):length%` taken apart.
#[derive(Debug)]
struct Command<'f> {
    /// Empty of `%%`.
    name: &'f str,
    arguments: &'f str,
    /// Bytes of it all.
    len: usize,
}

impl<'f> Command<'f> {
    fn at(text: &'f str) -> Result<Self, FormatError> {
        let unclosed = || FormatError::Unclosed("%…%".to_owned());
        let bare = &text[1..];
        let end = bare.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(bare.len());
        let (name, mut rest) = bare.split_at(end);
        let mut arguments = "";
        if let Some(inside) = rest.strip_prefix('(') {
            let close = inside.find(')').ok_or_else(unclosed)?;
            arguments = &inside[..close];
            rest = &inside[close + 1..];
        }
        if let Some(length) = rest.strip_prefix(':') {
            rest = length.trim_start_matches(|c: char| c.is_ascii_digit());
        }
        let rest = rest.strip_prefix('%').ok_or_else(unclosed)?;
        Ok(Self { name, arguments, len: text.len() - rest.len() })
    }
}
