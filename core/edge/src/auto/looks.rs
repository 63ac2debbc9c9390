//! What a line looks like that no format takes, and what would have it read: the sentence that
//! spares an operator the search for it.

use whyslow_model::printable;

use super::combined::{self, Part};
use super::mend::{HTTPLOG, Mend, TCPLOG};
use super::{best, shapes, specific};
use crate::cursor::Cursor;
use crate::format::Context;
use crate::syslog;

/// What a line looks like.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Looks {
    /// The rest of a sentence whose subject is the line.
    pub(super) what: String,
    /// What would have such lines read.
    pub(super) mend: Mend,
}

/// What a line that no format takes looks like.
pub(super) fn of(line: &[u8], context: &Context) -> Looks {
    let text = syslog::cut(line).1;
    packed(line)
        .or_else(|| shapes::object(text, context))
        .or_else(|| errors(text))
        .or_else(|| behind_words(text, context))
        .or_else(|| haproxy(text))
        .or_else(|| as_combined(text))
        .or_else(|| shapes::of(text))
        .unwrap_or_else(|| Looks {
            what: format!("is of no known format: {}", shown(line)),
            mend: Mend::String("the balancer's own format string", ""),
        })
}

/// First bytes of what is no log's text, what it is, and the program that makes text of it.
const KINDS: &[(&[u8], &str, &str)] = &[
    (b"\x1f\x8b", "is gzip data, packed twice", "zcat"),
    (b"\x28\xb5\x2f\xfd", "is zstd data, packed twice", "zstdcat"),
    (b"\xfd7zXZ\0", "is xz data", "xzcat"),
    (b"BZh", "is bzip2 data", "bzcat"),
    (b"\x04\x22\x4d\x18", "is lz4 data", "lz4cat"),
    (b"PK\x03\x04", "is a ZIP archive", "unzip -p"),
    (b"\xff\xfe", "is text in UTF-16", "iconv -f UTF-16 -t UTF-8"),
    (b"\xfe\xff", "is text in UTF-16", "iconv -f UTF-16 -t UTF-8"),
];

/// What is packed, or no text at all.
fn packed(line: &[u8]) -> Option<Looks> {
    if let Some((_, what, program)) = KINDS.iter().find(|(magic, ..)| line.starts_with(magic)) {
        return Some(Looks { what: (*what).to_owned(), mend: Mend::Through(program) });
    }
    let nuls = memchr::memchr_iter(0, line).count();
    let (what, mend) = if nuls > 0 && nuls >= line.len() / 3 {
        ("has a NUL at every other byte, as UTF-16 has", Mend::Through(UTF16_WITHOUT_MARK))
    } else {
        let controls = line.iter().filter(|b| b.is_ascii_control() && **b != b'\t').count();
        // A damaged line may hold some; text does not hold a tenth of them.
        if controls * 10 <= line.len() || line.is_empty() {
            return None;
        }
        ("is binary data, no text", Mend::Instead("name the log itself, as text"))
    };
    Some(Looks { what: what.to_owned(), mend })
}

/// As Windows writes it.
const UTF16_WITHOUT_MARK: &str = "iconv -f UTF-16LE -t UTF-8";

/// A server's log of its own troubles, which holds no requests.
fn errors(text: &[u8]) -> Option<Looks> {
    // `2026/11/21 10:00:00 [error] 7#7: *1 …`
    let is_nginx = matches!(
        text,
        [_, _, _, _, b'/', _, _, b'/', _, _, b' ', _, _, b':', _, _, b':', _, _, b' ', b'[', ..]
    );
    // `[Sat Nov 21 10:00:00.123456 2026] [core:error] …`
    let is_apache =
        matches!(text, [b'[', _, _, _, b' ', _, _, _, b' ', _, _, b' ', _, _, b':', ..]);
    let whose = match (is_nginx, is_apache) {
        (true, _) => "nginx",
        (_, true) => "Apache",
        _ => return None,
    };
    Some(Looks {
        what: format!("looks like {whose}'s error log, which tells of no requests"),
        mend: Mend::Instead("name its access log"),
    })
}

/// Words before a known format that are looked behind.
const WORDS_MAX: usize = 12;

/// A known format behind words that are none of it, such as a header of another kind.
fn behind_words(text: &[u8], context: &Context) -> Option<Looks> {
    let spaces = memchr::memchr_iter(b' ', text).take(WORDS_MAX);
    spaces.enumerate().find_map(|(n, at)| {
        let (before, rest) = (text.get(..at)?, text.get(at + 1..)?);
        let format = specific(best(&[rest], context)?, &[rest], context);
        let what = format!("looks like {} behind {}", format.looks_like, shown(before));
        Some(Looks { what, mend: Mend::Cut(n + 1) })
    })
}

/// `HAProxy`'s own formats with something more, known by the date between client and names.
fn haproxy(text: &[u8]) -> Option<Looks> {
    let open = memchr::memchr_iter(b'[', text).find(|at| is_date(text.get(at + 1..)))?;
    let before = text.get(..open)?.strip_suffix(b" ")?;
    let words = memchr::memrchr(b' ', before).map_or(0, |space| space + 1);
    let (before, client) = before.split_at_checked(words)?;
    memchr::memchr(b':', client)?;
    let mut cursor = Cursor::new(text.get(open..)?);
    cursor.until(b' ')?;
    let (_frontend, server, timers) =
        (cursor.until(b' ')?, cursor.until(b' ')?, cursor.until(b' ')?);
    memchr::memchr(b'/', server)?;
    let (name, string) = match memchr::memchr_iter(b'/', timers).count() {
        2 => ("tcplog", TCPLOG),
        4 => ("httplog", HTTPLOG),
        _ => ("log-format of its own", HTTPLOG),
    };
    let what = if before.is_empty() {
        format!("begins as HAProxy's {name} and goes on otherwise: {}", shown(cursor.rest()))
    } else {
        format!("looks like HAProxy's {name} with {} before it", shown(before.trim_ascii()))
    };
    Some(Looks { what, mend: Mend::String("the log-format of haproxy.cfg", string) })
}

/// `06/Feb/2009:12:14:14.655]`.
fn is_date(text: Option<&[u8]>) -> bool {
    let at = |i: usize| text.and_then(|text| text.get(i)).copied();
    [at(2), at(6), at(11), at(20), at(24)] == [b'/', b'/', b':', b'.', b']'].map(Some)
}

/// A log that begins as the combined log format does.
fn as_combined(text: &[u8]) -> Option<Looks> {
    let (part, rest) = combined::beginning(text)?;
    let (what, mend) = match part {
        Part::Combined => ("begins as the combined log format and goes on with", Mend::Rest),
        Part::Common => ("begins as the common log format and goes on with", Mend::Own),
        Part::Request => {
            ("has client, time and request as the combined log format, then", Mend::Own)
        }
    };
    Some(Looks { what: format!("{what} {}", shown(rest)), mend })
}

/// Letters of a line that are shown.
const SHOWN_MAX: usize = 60;

/// A part of a line as it is quoted in a sentence.
pub(super) fn shown(part: &[u8]) -> String {
    // Four bytes a letter, at most.
    let text = String::from_utf8_lossy(part.get(..SHOWN_MAX * 4).unwrap_or(part));
    let few: String = text.chars().take(SHOWN_MAX).collect();
    let more = if few.len() < text.len() || part.len() > SHOWN_MAX * 4 { "…" } else { "" };
    format!("'{}{more}'", printable(&few))
}

#[cfg(test)]
mod tests;
