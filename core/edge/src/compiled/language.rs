//! Which balancer's language a format string is in, and the string without its directive.

use std::borrow::Cow;

use super::error::FormatError;
use super::{apache, envoy, haproxy, nginx, w3c};

/// A balancer's language for log formats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    /// `HAProxy`'s `log-format`.
    Haproxy,
    /// nginx's `log_format`.
    Nginx,
    /// Apache's `LogFormat`.
    Apache,
    /// Envoy's substitution format.
    Envoy,
    /// The `#Fields:` line of a W3C extended log.
    W3c,
}

impl Language {
    /// The balancer's name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Haproxy => "HAProxy",
            Self::Nginx => "nginx",
            Self::Apache => "Apache",
            Self::Envoy => "Envoy",
            Self::W3c => "W3C",
        }
    }
}

/// Whether this is a format string rather than a format's name: only a string has signs in it.
pub fn is_format_string(text: &str) -> bool {
    text.contains(['$', '%', ' ', '#'])
}

/// The language of a format string.
///
/// # Errors
/// Where there is none, or none is certain.
pub(super) fn detect(format: &str) -> Result<Language, FormatError> {
    let format = format.trim();
    if format.is_empty() {
        return Err(FormatError::Empty);
    }
    match format.split_whitespace().next() {
        Some("log-format") => return Ok(Language::Haproxy),
        Some("log_format") => return Ok(Language::Nginx),
        Some("LogFormat" | "CustomLog") => return Ok(Language::Apache),
        Some(w3c::FIELDS) => return Ok(Language::W3c),
        _ => {}
    }
    let signs = [
        (Language::Envoy, envoy::signs(format)),
        (Language::Nginx, nginx::signs(format)),
        (Language::Haproxy, haproxy::signs(format)),
        (Language::Apache, apache::signs(format)),
    ];
    let most = signs.iter().map(|(_, n)| *n).max().unwrap_or(0);
    let mut best = signs.iter().filter(|(_, n)| *n == most && most > 0);
    match (best.next(), best.next()) {
        (Some((language, _)), None) => Ok(*language),
        _ => Err(FormatError::UnknownLanguage),
    }
}

/// The string without the quotes around all of it, if there are such.
pub(super) fn unquoted(text: &str) -> Cow<'_, str> {
    let text = text.trim();
    for quote in ['"', '\''] {
        let inside = text.strip_prefix(quote).and_then(|t| t.strip_suffix(quote));
        if let Some(inside) = inside.filter(|t| !has_bare(t, quote)) {
            return Cow::Borrowed(inside);
        }
    }
    Cow::Borrowed(text)
}

/// Whether `quote` stands in the text without a backslash before it.
fn has_bare(text: &str, quote: char) -> bool {
    let mut hidden = false;
    for c in text.chars() {
        if c == quote && !hidden {
            return true;
        }
        hidden = c == '\\' && !hidden;
    }
    hidden
}
