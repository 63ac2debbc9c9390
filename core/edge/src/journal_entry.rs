//! One entry of the journal as `journalctl --output=json` writes it: a JSON object on a line of its
//! own (systemd.io/JOURNAL_EXPORT_FORMATS, "Journal JSON Format"). Whoever may log can choose what
//! is in it.

use std::borrow::Cow;

use whyslow_model::limits::{JOURNAL_CURSOR_BYTES_MAX, JOURNAL_FIELDS_MAX};

use crate::format::Reject;
use crate::formats::json::{self, Value};

/// The message by which journald says that it threw messages away, since their sender wrote too
/// many (`SD_MESSAGE_JOURNAL_DROPPED` of sd-messages.h).
pub const DROPPED_MESSAGE_ID: &str = "a596d6fe7bfa4994828e72309e95d61e";

/// What is read of an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    /// Its place in the journal; at most [`JOURNAL_CURSOR_BYTES_MAX`] bytes, all of them such as
    /// cursors are made of.
    pub cursor: &'a str,
    /// When journald received it, in microseconds since the epoch.
    pub realtime_us: Option<u64>,
    /// Its text; bytes where it is none.
    pub message: Cow<'a, [u8]>,
    /// Where this is journald's own word that messages were thrown away: how many.
    pub dropped: Option<u64>,
}

/// Why a line is no entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAnEntry {
    /// The line ends too early.
    #[error("the line ends before {0}")]
    Incomplete(&'static str),
    /// It is not what journalctl writes.
    #[error("malformed {0}")]
    Malformed(&'static str),
    /// More fields than are looked at.
    #[error("more than {JOURNAL_FIELDS_MAX} fields")]
    TooManyFields,
    /// It has no cursor, or one longer than cursors are.
    #[error("no cursor")]
    NoCursor,
    /// It has no message, or one that journalctl left out for its length.
    #[error("no message")]
    NoMessage,
}

impl From<Reject> for NotAnEntry {
    fn from(reject: Reject) -> Self {
        match reject {
            Reject::Incomplete(what) => Self::Incomplete(what),
            Reject::Malformed(what) | Reject::NotARequest(what) => Self::Malformed(what),
        }
    }
}

impl<'a> Entry<'a> {
    /// Reads an entry. Of a field that stands twice, the last counts.
    ///
    /// # Errors
    /// [`NotAnEntry`].
    pub fn read(line: &'a [u8]) -> Result<Self, NotAnEntry> {
        let fields = fields(line)?;
        let cursor = fields.cursor.and_then(sound_cursor).ok_or(NotAnEntry::NoCursor)?;
        let message = message(fields.message.ok_or(NotAnEntry::NoMessage)?)?;
        let is_dropped = fields.message_id == Some(DROPPED_MESSAGE_ID.as_bytes());
        let dropped = is_dropped.then(|| fields.dropped.unwrap_or(0));
        Ok(Entry { cursor, realtime_us: fields.realtime_us, message, dropped })
    }
}

/// The place of an entry, whatever it says.
///
/// # Errors
/// [`NotAnEntry`].
pub fn cursor_of(line: &[u8]) -> Result<&str, NotAnEntry> {
    fields(line)?.cursor.and_then(sound_cursor).ok_or(NotAnEntry::NoCursor)
}

fn fields(line: &[u8]) -> Result<Fields<'_>, NotAnEntry> {
    let mut fields = Fields::default();
    let mut left = JOURNAL_FIELDS_MAX;
    let mut too_many = false;
    let walked = json::each(line, |key, value| {
        too_many = left == 0;
        if too_many {
            return Err(Reject::Malformed("the entry"));
        }
        left -= 1;
        fields.take(key, value);
        Ok(())
    });
    if too_many {
        return Err(NotAnEntry::TooManyFields);
    }
    walked?;
    Ok(fields)
}

/// Values as they stand.
#[derive(Debug, Default)]
struct Fields<'a> {
    cursor: Option<&'a [u8]>,
    realtime_us: Option<u64>,
    message: Option<Value<'a>>,
    message_id: Option<&'a [u8]>,
    dropped: Option<u64>,
}

impl<'a> Fields<'a> {
    fn take(&mut self, key: &[u8], value: Value<'a>) {
        match key {
            b"__CURSOR" => self.cursor = Some(value.text()),
            b"__REALTIME_TIMESTAMP" => self.realtime_us = value.whole(),
            b"MESSAGE" => self.message = Some(value),
            b"MESSAGE_ID" => self.message_id = Some(value.text()),
            b"N_DROPPED" => self.dropped = value.whole(),
            _ => {}
        }
    }
}

/// A cursor that may be handed to journalctl again.
fn sound_cursor(text: &[u8]) -> Option<&str> {
    let letter = |b: &u8| b.is_ascii_alphanumeric() || b"=;-_".contains(b);
    let sound =
        !text.is_empty() && text.len() <= JOURNAL_CURSOR_BYTES_MAX && text.iter().all(letter);
    std::str::from_utf8(text).ok().filter(|_| sound)
}

/// A message is a text, or the numbers of its bytes where it is none; of several, the first.
fn message(value: Value<'_>) -> Result<Cow<'_, [u8]>, NotAnEntry> {
    const BAD: NotAnEntry = NotAnEntry::Malformed("MESSAGE");
    match value {
        Value::Text(text) => {
            let mut room = Vec::new();
            let plain = json::plain(text, &mut room);
            // Borrowed from the line where there was nothing to undo.
            let borrowed = std::ptr::eq(plain, text);
            Ok(if borrowed { Cow::Borrowed(text) } else { Cow::Owned(room) })
        }
        Value::Array(array) => {
            let inner = array.strip_prefix(b"[").and_then(|rest| rest.strip_suffix(b"]"));
            let inner = inner.ok_or(BAD)?.trim_ascii();
            if let Some(first) = first_text(inner) {
                return message(Value::Text(first));
            }
            if inner.is_empty() {
                return Ok(Cow::Borrowed(b""));
            }
            let byte = |text: &[u8]| {
                crate::cursor::whole(text.trim_ascii()).and_then(|n| u8::try_from(n).ok())
            };
            inner
                .split(|b| *b == b',')
                .map(byte)
                .collect::<Option<Vec<u8>>>()
                .map(Cow::Owned)
                .ok_or(BAD)
        }
        Value::Bare(b"null") => Err(NotAnEntry::NoMessage),
        Value::Bare(_) | Value::Object(_) => Err(BAD),
    }
}

/// The first text of an array that begins with one: a field that the sender wrote several times.
fn first_text(inner: &[u8]) -> Option<&[u8]> {
    let (text, closed) = crate::cursor::Cursor::new(inner).quoted()?;
    closed.then_some(text)
}

/// For the fuzzer: any bytes do no harm, and a cursor can be given to journalctl.
pub fn fuzz_journal_entry(bytes: &[u8]) {
    if let Ok(entry) = Entry::read(bytes) {
        assert!(!entry.cursor.is_empty() && entry.cursor.len() <= JOURNAL_CURSOR_BYTES_MAX);
        assert!(entry.message.len() <= bytes.len(), "a message is shorter than its JSON");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(message: &str) -> Result<Vec<u8>, NotAnEntry> {
        let json =
            format!(r#"{{"MESSAGE":{message},"__CURSOR":"s=1;i=2","__REALTIME_TIMESTAMP":"15"}}"#);
        Entry::read(json.as_bytes()).map(|entry| {
            assert_eq!((entry.cursor, entry.realtime_us), ("s=1;i=2", Some(15)));
            entry.message.into_owned()
        })
    }

    #[test]
    fn a_message_is_a_text_or_the_numbers_of_its_bytes() {
        assert_eq!(read(r#""a b""#), Ok(b"a b".to_vec()));
        assert_eq!(read(r#""a\"b\u0007\\""#), Ok(b"a\"b\x07\\".to_vec()));
        assert_eq!(read("[97,0, 255]"), Ok(vec![97, 0, 255]));
        assert_eq!(read("[]"), Ok(Vec::new()));
        assert_eq!(read(r#"["one","two"]"#), Ok(b"one".to_vec()));
        assert_eq!(read("null"), Err(NotAnEntry::NoMessage));
        for message in ["[256]", "{}", "7", "[1,]", "[[1]]", "[-1]"] {
            assert_eq!(read(message), Err(NotAnEntry::Malformed("MESSAGE")), "{message}");
        }
    }

    #[test]
    fn what_has_no_cursor_of_the_usual_letters_is_no_entry() {
        for json in [
            r#"{"MESSAGE":"no cursor"}"#,
            r#"{"MESSAGE":"x","__CURSOR":""}"#,
            r#"{"MESSAGE":"x","__CURSOR":"s=1 --all"}"#,
            r#"{"MESSAGE":"x","__CURSOR":"s=1\u0000"}"#,
            r#"{"MESSAGE":"x","__CURSOR":null}"#,
        ] {
            assert_eq!(Entry::read(json.as_bytes()), Err(NotAnEntry::NoCursor), "{json}");
        }
        let long = format!(r#"{{"MESSAGE":"x","__CURSOR":"{}"}}"#, "a".repeat(257));
        assert_eq!(Entry::read(long.as_bytes()), Err(NotAnEntry::NoCursor));
        assert_eq!(Entry::read(br#"{"__CURSOR":"s=1"}"#), Err(NotAnEntry::NoMessage));
        assert_eq!(cursor_of(br#"{"__CURSOR":"s=1"}"#), Ok("s=1"));
    }

    #[test]
    fn every_prefix_is_incomplete_and_too_many_fields_are_told() {
        let json = r#"{"__CURSOR":"s=1","X":["a",[1,2]],"MESSAGE":"hello"}"#;
        for end in 1..json.len() {
            let cut = Entry::read(&json.as_bytes()[..end]);
            assert!(matches!(cut, Err(NotAnEntry::Incomplete(_))), "{}: {cut:?}", &json[..end]);
        }
        for wrong in ["", "[1]", "x", r#"{"a" 1}"#] {
            assert!(matches!(Entry::read(wrong.as_bytes()), Err(NotAnEntry::Malformed(_))));
        }
        let many = format!("{{{}\"a\":1}}", "\"a\":1,".repeat(JOURNAL_FIELDS_MAX));
        assert_eq!(Entry::read(many.as_bytes()), Err(NotAnEntry::TooManyFields));
    }

    #[test]
    fn journald_says_what_it_threw_away() {
        let json = format!(
            r#"{{"__CURSOR":"s=1","MESSAGE":"Suppressed 7 messages from lb.service","N_DROPPED":"7","MESSAGE_ID":"{DROPPED_MESSAGE_ID}"}}"#
        );
        assert_eq!(Entry::read(json.as_bytes()).unwrap().dropped, Some(7));
        let other = json.replace(DROPPED_MESSAGE_ID, "f77379a8490b408bbe5f6940505a777b");
        assert_eq!(Entry::read(other.as_bytes()).unwrap().dropped, None);
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_do_harm(bytes: Vec<u8>, text in "[{}\\[\\]\",:0-9a\\\\]{0,40}") {
            fuzz_journal_entry(&bytes);
            fuzz_journal_entry(format!(r#"{{"__CURSOR":"a","MESSAGE":{text}}}"#).as_bytes());
        }
    }
}
