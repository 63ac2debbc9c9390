//! nginx's `log_format` (`ngx_http_log_module`), and what its variables say of a request.

mod items;
mod read;

use std::borrow::Cow;

use super::error::FormatError;
use super::language::unquoted;
use super::layout::{Builder, Layout};

pub(super) use read::{Facts, read};

/// The layout of a `log_format`, given as the directive or as its string alone.
pub(super) fn layout(format: &str) -> Result<Layout, FormatError> {
    let Directive { text, escapes } = directive(format)?;
    let mut builder = Builder::new(&text)?;
    let (mut rest, mut at) = (text.as_ref(), 0);
    while let Some(dollar) = rest.find('$') {
        builder.literal(&rest.as_bytes()[..dollar]);
        let (name, len) = variable(&rest[dollar..])?;
        if name.is_empty() {
            builder.literal(b"$");
        } else if !(items::is_query(name) && builder.open_item().is_some_and(items::is_path)) {
            let place = at + dollar..at + dollar + len;
            builder.item(items::item(name, escapes), place)?;
        }
        at += dollar + len;
        rest = &rest[dollar + len..];
    }
    builder.literal(rest.as_bytes());
    builder.finish()
}

/// How many variables of nginx the string has.
pub(super) fn signs(format: &str) -> usize {
    format.match_indices('$').filter(|(at, _)| is_known(&format[*at..])).count()
}

fn is_known(from_dollar: &str) -> bool {
    variable(from_dollar).is_ok_and(|(name, _)| items::is_known(name))
}

/// The name of the variable at the start of `text`, and how many bytes it takes.
fn variable(text: &str) -> Result<(&str, usize), FormatError> {
    let bare = &text[1..];
    if let Some(inside) = bare.strip_prefix('{') {
        let Some(end) = inside.find('}') else {
            return Err(FormatError::Unclosed("${".to_owned()));
        };
        return Ok((&inside[..end], end + 3));
    }
    let end = bare.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(bare.len());
    Ok((&bare[..end], end + 1))
}

/// A `log_format` taken apart.
struct Directive<'f> {
    text: Cow<'f, str>,
    /// A quote inside a value is escaped, by `\x22` or `\"`.
    escapes: bool,
}

/// Takes `log_format NAME escape=… 'one' "two";` apart, or a string that is bare or quoted.
fn directive(format: &str) -> Result<Directive<'_>, FormatError> {
    let mut rest = format.trim();
    let named = rest.strip_prefix("log_format").filter(|r| r.starts_with(char::is_whitespace));
    if let Some(named) = named {
        let named = named.trim_start();
        let end = named.find(char::is_whitespace).unwrap_or(named.len());
        rest = named[end..].trim();
        rest = rest.strip_suffix(';').unwrap_or(rest).trim_end();
    }
    let mut escapes = true;
    if let Some(mode) = rest.strip_prefix("escape=") {
        let end = mode.find(char::is_whitespace).unwrap_or(mode.len());
        escapes = &mode[..end] != "none";
        rest = mode[end..].trim_start();
    }
    let quoted = rest.starts_with(['\'', '"']);
    let text = if named.is_some() && quoted { joined(rest)? } else { unquoted(rest) };
    if text.is_empty() {
        return Err(FormatError::Empty);
    }
    Ok(Directive { text, escapes })
}

/// The strings of a directive as one, their escapes undone.
fn joined(mut rest: &str) -> Result<Cow<'_, str>, FormatError> {
    let mut text = String::with_capacity(rest.len());
    while let Some(quote @ ('\'' | '"')) = rest.chars().next() {
        let mut chars = rest[1..].char_indices();
        let end = loop {
            match chars.next() {
                None => return Err(FormatError::Unclosed(quote.to_string())),
                Some((at, c)) if c == quote => break at,
                Some((_, '\\')) => match chars.next() {
                    Some((_, 'n')) => text.push('\n'),
                    Some((_, 't')) => text.push('\t'),
                    Some((_, 'r')) => text.push('\r'),
                    Some((_, c @ ('\\' | '\'' | '"'))) => text.push(c),
                    Some((_, c)) => text.extend(['\\', c]),
                    None => return Err(FormatError::Unclosed(quote.to_string())),
                },
                Some((_, c)) => text.push(c),
            }
        };
        rest = rest[end + 2..].trim_start();
    }
    Ok(Cow::Owned(text))
}
