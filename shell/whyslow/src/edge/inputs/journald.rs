//! The journal, by a child `journalctl --output=json --follow`, which knows how to read it.

use std::collections::BTreeMap;
use std::io::{ErrorKind, Read as _};
use std::os::fd::AsFd;
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::time::Duration;

use serde_json::Value as Json;
use whyslow_edge::framing::{Frame, Framer, Framing};
use whyslow_sys::poll;

use super::super::resume::{JournalPlace, Oldest, Resume};
use super::super::stop::Stop;
use super::super::taker::Taker;
use super::super::worker::{FileId, Lies};

const WAIT: Duration = Duration::from_millis(200);
/// How often it is looked whether the first place is stored.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// A child that is ended with us.
struct Journalctl {
    child: Child,
    out: ChildStdout,
}

impl Drop for Journalctl {
    fn drop(&mut self) {
        // It may have ended by itself, which is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// How far the journal was read.
#[derive(Debug)]
struct Read {
    /// Where reading began.
    began: JournalPlace,
    /// Entries read since the start.
    entries: u64,
    /// The cursor of the last one.
    last: Option<String>,
    /// The last entry that an earlier process counted, while it has not come by.
    counted_to: Option<Cursor>,
    /// The first entry of each window that may still change.
    first: BTreeMap<i64, String>,
}

/// A place in the journal.
#[derive(Debug)]
struct Cursor {
    text: String,
    realtime_us: Option<u64>,
}

/// The journal among the files of a source.
const JOURNAL: FileId = (0, 0);

/// Follows a unit's messages until told to stop.
///
/// # Errors
/// In words, why nothing is read; it is tried again.
pub(crate) fn read(unit: &str, stop: &Stop, taker: &mut dyn Taker) -> Result<(), String> {
    let mut read = match taker.resume().and_then(|resume| resume.journal.clone()) {
        Some(before) => Read::after(before),
        None => begin(unit, stop, taker)?,
    };
    let mut journal = open(unit, &read.began)?;
    taker.handle_problem(None);
    let ended = follow(&mut journal, &mut read, stop, taker);
    match ended {
        Ok(()) => taker.finish(&mut |oldest| Some(read.resume(oldest))),
        Err(_) => taker.break_off(&mut |oldest| Some(read.resume(oldest))),
    }
    ended
}

fn follow(
    journal: &mut Journalctl,
    read: &mut Read,
    stop: &Stop,
    taker: &mut dyn Taker,
) -> Result<(), String> {
    let mut framer = Framer::new(Framing::Lines);
    let mut ready = Vec::new();
    loop {
        taker.tick(false, &mut |oldest| Some(read.resume(oldest)));
        if stop.is_told() {
            return Ok(());
        }
        let n = poll::readable(&[journal.out.as_fd()], WAIT, &mut ready);
        if n.map_err(|e| format!("cannot wait for journalctl: {e}"))? == 0 {
            continue;
        }
        match journal.out.read(framer.room()) {
            Ok(0) => return Err(ended(journal)),
            Ok(n) => {
                framer.handle_read(n);
                taker.handle_bytes(n as u64);
            }
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            Err(e) => return Err(format!("cannot read from journalctl: {e}")),
        }
        while let Some(frame) = framer.poll_frame() {
            match frame {
                Frame::Line(entry) => read.take(entry, taker),
                Frame::TooLong | Frame::Broken => taker.handle_no_line(),
            }
        }
    }
}

/// Finds where the journal ends, and waits until that place is stored: what comes after it is
/// found again, whenever the process is killed.
fn begin(unit: &str, stop: &Stop, taker: &mut dyn Taker) -> Result<Read, String> {
    let end = match last_cursor(unit)? {
        // The unit has said nothing yet; what somebody said last is no later than it will.
        None if !unit.is_empty() => last_cursor("")?,
        cursor => cursor,
    };
    let mut read = Read::after(JournalPlace { from: String::new(), to: end.unwrap_or_default() });
    while !stop.is_told() && !taker.keeps_journal() {
        taker.tick(true, &mut |oldest| Some(read.resume(oldest)));
        stop.rest(LOOK_EVERY);
    }
    Ok(read)
}

impl Read {
    /// What lies after a place.
    fn after(began: JournalPlace) -> Self {
        let counted_to = (!began.from.is_empty()).then(|| Cursor::of(began.to.clone()));
        Self { began, entries: 0, last: None, counted_to, first: BTreeMap::new() }
    }

    /// Takes one entry: its message is the line.
    fn take(&mut self, entry: &[u8], taker: &mut dyn Taker) {
        let Some(entry) = Entry::of(entry) else {
            taker.handle_no_line();
            return;
        };
        self.entries += 1;
        let again = self.counted_to.as_ref().is_some_and(|to| !to.is_behind(&entry));
        let lies = Lies {
            file: JOURNAL,
            begins: self.entries,
            counted_to: if again { u64::MAX } else { 0 },
            slow_from: if again { u64::MAX } else { 0 },
            at_us: entry.realtime_us.and_then(|us| i64::try_from(us).ok()),
        };
        if let Some(start_s) = taker.take(&entry.message, lies) {
            self.first.insert(start_s, entry.cursor.clone());
        }
        if !again || self.counted_to.as_ref().is_some_and(|to| to.text == entry.cursor) {
            self.counted_to = None;
        }
        self.last = Some(entry.cursor);
    }

    /// Where to go on: with the first entry of the oldest window that may still change.
    fn resume(&mut self, oldest: &Oldest) -> Resume {
        self.first = self.first.split_off(&oldest.first().unwrap_or(i64::MAX));
        let journal = match &self.last {
            Some(last) => JournalPlace {
                from: self.first.values().next().unwrap_or(last).clone(),
                to: self.counted_to.as_ref().map_or(last, |to| &to.text).clone(),
            },
            None => self.began.clone(),
        };
        Resume { journal: Some(journal), ..Resume::default() }
    }
}

impl Cursor {
    /// The cursor's own time is its part `t=`, in hexadecimal microseconds.
    fn of(text: String) -> Self {
        let time = text.split(';').find_map(|part| part.strip_prefix("t="));
        let realtime_us = time.and_then(|hex| u64::from_str_radix(hex, 16).ok());
        Self { text, realtime_us }
    }

    /// Whether an entry is after this place: what was kept up to here may be gone since.
    fn is_behind(&self, entry: &Entry) -> bool {
        self.text != entry.cursor && self.realtime_us < entry.realtime_us
    }
}

/// `journalctl` over the entries of a unit, or of all.
fn journalctl(unit: &str) -> Command {
    let mut command = Command::new("journalctl");
    command.args(["--output=json", "--no-pager", "--quiet"]);
    if !unit.is_empty() {
        command.arg(format!("--unit={unit}"));
    }
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    command
}

fn not_started(e: &std::io::Error) -> String {
    format!("cannot start journalctl: {e} (it is part of systemd)")
}

/// The cursor of the newest entry, if there is any.
fn last_cursor(unit: &str) -> Result<Option<String>, String> {
    let said = journalctl(unit).arg("--lines=1").output().map_err(|e| not_started(&e))?;
    if said.stdout.is_empty() && said.status.success() {
        return Ok(None);
    }
    let entry: Option<Json> = serde_json::from_slice(&said.stdout).ok();
    let cursor = entry.as_ref().and_then(|entry| entry.get("__CURSOR")?.as_str());
    cursor.map(|cursor| Some(cursor.to_owned())).ok_or_else(|| ended_with(said.status))
}

fn open(unit: &str, place: &JournalPlace) -> Result<Journalctl, String> {
    let mut command = journalctl(unit);
    command.arg("--follow");
    match (&*place.from, &*place.to) {
        ("", "") => command.arg("--no-tail"),
        ("", to) => command.arg(format!("--after-cursor={to}")),
        // It begins with that entry itself.
        (from, _) => command.arg(format!("--cursor={from}")),
    };
    let mut child = command.spawn().map_err(|e| not_started(&e))?;
    let Some(out) = child.stdout.take() else {
        return Err("journalctl has no output".to_owned());
    };
    Ok(Journalctl { child, out })
}

fn ended(journal: &mut Journalctl) -> String {
    journal.child.wait().map_or_else(|e| format!("journalctl ended: {e}"), ended_with)
}

fn ended_with(how: ExitStatus) -> String {
    format!("journalctl ended ({how}); the user whyslow runs as must be in group systemd-journal")
}

/// One entry.
#[derive(Debug, PartialEq, Eq)]
struct Entry {
    cursor: String,
    realtime_us: Option<u64>,
    message: Vec<u8>,
}

impl Entry {
    /// Reads an entry. A message is a text, or the numbers of its bytes where it is none
    /// (systemd.io/JOURNAL_EXPORT_FORMATS).
    fn of(json: &[u8]) -> Option<Self> {
        let entry: Json = serde_json::from_slice(json).ok()?;
        let message = match entry.get("MESSAGE")? {
            Json::String(text) => text.clone().into_bytes(),
            Json::Array(bytes) => {
                let byte = |n: &Json| n.as_u64().and_then(|n| u8::try_from(n).ok());
                bytes.iter().map(byte).collect::<Option<_>>()?
            }
            Json::Null | Json::Bool(_) | Json::Number(_) | Json::Object(_) => return None,
        };
        let text = |name| entry.get(name).and_then(Json::as_str);
        Some(Self {
            cursor: text("__CURSOR")?.to_owned(),
            realtime_us: text("__REALTIME_TIMESTAMP").and_then(|us| us.parse().ok()),
            message,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_a_text_or_the_numbers_of_its_bytes() {
        let entry = |message: &str| {
            let json =
                format!(r#"{{"MESSAGE":{message},"__CURSOR":"s=1","__REALTIME_TIMESTAMP":"15"}}"#);
            Entry::of(json.as_bytes())
        };
        assert_eq!(entry(r#""a b""#).unwrap().message, b"a b");
        assert_eq!(entry("[97,0,255]").unwrap().message, [97, 0, 255]);
        assert_eq!(entry(r#""x""#).unwrap().realtime_us, Some(15));
        for message in ["null", "[256]", "{}", "7"] {
            assert_eq!(entry(message), None, "{message}");
        }
        for json in ["", "{}", "[1]", r#"{"MESSAGE":"no cursor"}"#] {
            assert_eq!(Entry::of(json.as_bytes()), None, "{json}");
        }
    }

    #[test]
    fn until_an_entry_came_it_goes_on_where_it_began() {
        for (from, to) in [("", ""), ("", "s=a;t=10"), ("s=a;t=9", "s=a;t=10")] {
            let began = JournalPlace { from: from.to_owned(), to: to.to_owned() };
            let mut read = Read::after(began.clone());
            assert_eq!(read.counted_to.is_none(), from.is_empty());
            assert_eq!(read.resume(&Oldest::default()).journal, Some(began));
        }
    }

    #[test]
    fn a_cursor_tells_what_came_after_it() {
        let cursor = Cursor::of("s=a;i=7;b=b;m=1;t=10;x=2".to_owned());
        let entry = |text: &str, us| Entry {
            cursor: text.to_owned(),
            realtime_us: Some(us),
            message: Vec::new(),
        };
        assert_eq!(cursor.realtime_us, Some(16));
        assert!(cursor.is_behind(&entry("later", 17)));
        assert!(!cursor.is_behind(&entry("earlier", 16)));
        assert!(!cursor.is_behind(&entry("s=a;i=7;b=b;m=1;t=10;x=2", 17)));
    }
}
