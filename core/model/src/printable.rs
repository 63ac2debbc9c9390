//! Text from outside, made safe to show: no byte of it moves a cursor, rings a bell, sets a
//! title, or turns the line around.

use std::borrow::Cow;
use std::fmt::Write as _;

/// Whether a character would act on a terminal, or deceive the eye, instead of being seen:
/// controls (C0, DEL, C1), line and paragraph separators, directional overrides and isolates
/// (UAX #9), zero-width characters and tags.
pub fn is_unprintable(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{ad}'
                | '\u{61c}'
                | '\u{180e}'
                | '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{feff}'
                | '\u{fff9}'..='\u{fffb}'
                | '\u{e0000}'..='\u{e0fff}'
        )
}

/// `text` with every unprintable character written out: `\x1b`, `\u{202e}`. Line breaks and tabs
/// are written out too.
pub fn printable(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_unprintable) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if is_unprintable(c) && u32::from(c) < 0x100 => {
                let _ = write!(out, "\\x{:02x}", u32::from(c));
            }
            c if is_unprintable(c) => {
                let _ = write!(out, "\\u{{{:x}}}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_bytes_of_every_sort_are_written_out() {
        let cases = [
            ("\u{1b}[31mred", "\\x1b[31mred"),
            ("\u{1b}]0;title\u{7}", "\\x1b]0;title\\x07"),
            ("\u{9b}2J", "\\x9b2J"),
            ("a\r\nb\tc\u{7f}", "a\\r\\nb\\tc\\x7f"),
            ("moc.\u{202e}elpmaxe", "moc.\\u{202e}elpmaxe"),
            ("zero\u{200b}width\u{feff}", "zero\\u{200b}width\\u{feff}"),
        ];
        for (from, to) in cases {
            assert_eq!(printable(from), to);
        }
    }

    #[test]
    fn ordinary_text_of_any_script_is_left_alone() {
        for text in ["plain", "Grüße", "日本語", "שלום", "✓"] {
            assert!(matches!(printable(text), Cow::Borrowed(_)), "{text}");
        }
    }
}
