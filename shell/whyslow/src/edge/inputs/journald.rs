//! The journal, by a child `journalctl --output=json --follow`, which knows how to read it.

use std::collections::BTreeMap;
use std::io::{ErrorKind, Read as _};
use std::os::fd::AsFd;
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::time::Duration;

use whyslow_edge::framing::{Frame, Framer, Framing};
use whyslow_edge::journal_entry::{self, DROPPED_MESSAGE_ID, Entry};
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

/// What of the journal is followed.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Wanted<'a> {
    /// A unit's messages, and those about it; everything where empty.
    Unit(&'a str),
    /// What a unit itself wrote, everybody where empty, with these values in these fields; and
    /// what journald threw away of it.
    Fields {
        /// The unit's whole name.
        unit: &'a str,
        /// Fields and their values.
        fields: &'a BTreeMap<String, String>,
    },
}

/// Follows the journal until told to stop.
///
/// # Errors
/// In words, why nothing is read; it is tried again.
pub(crate) fn read(wanted: Wanted<'_>, stop: &Stop, taker: &mut dyn Taker) -> Result<(), String> {
    let mut read = match taker.resume().and_then(|resume| resume.journal.clone()) {
        Some(before) => Read::after(before),
        None => begin(wanted, stop, taker)?,
    };
    let mut journal = open(wanted, &read.began)?;
    taker.handle_problem(None);
    let ended = follow(&mut journal, &mut read, stop, &mut Told { wanted, taker });
    match ended {
        Ok(()) => taker.finish(&mut |oldest| Some(read.resume(oldest))),
        Err(_) => taker.break_off(&mut |oldest| Some(read.resume(oldest))),
    }
    ended
}

/// Who takes what is wanted.
struct Told<'a> {
    wanted: Wanted<'a>,
    taker: &'a mut dyn Taker,
}

fn follow(
    journal: &mut Journalctl,
    read: &mut Read,
    stop: &Stop,
    told: &mut Told<'_>,
) -> Result<(), String> {
    let mut framer = Framer::new(Framing::Lines);
    let mut ready = Vec::new();
    loop {
        told.taker.tick(false, &mut |oldest| Some(read.resume(oldest)));
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
                told.taker.handle_bytes(n as u64);
            }
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            Err(e) => return Err(format!("cannot read from journalctl: {e}")),
        }
        while let Some(frame) = framer.poll_frame() {
            match frame {
                Frame::Line(entry) => read.take(entry, told),
                Frame::TooLong | Frame::Broken => told.taker.handle_no_line(),
            }
        }
    }
}

impl Told<'_> {
    /// Whether journald says in this entry that it threw away some of what is wanted: how many.
    fn dropped(&self, entry: &Entry<'_>) -> Option<u64> {
        let Wanted::Fields { unit, .. } = self.wanted else { return None };
        entry.dropped.filter(|_| entry.message.ends_with(unit.as_bytes()))
    }
}

/// Finds where the journal ends, and waits until that place is stored: what comes after it is
/// found again, whenever the process is killed.
fn begin(wanted: Wanted<'_>, stop: &Stop, taker: &mut dyn Taker) -> Result<Read, String> {
    let end = match last_cursor(wanted)? {
        // Nothing of it was said yet; what somebody said last is no later than it will.
        None if !wanted.arguments().is_empty() => last_cursor(Wanted::Unit(""))?,
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
    fn take(&mut self, line: &[u8], told: &mut Told<'_>) {
        let Ok(entry) = Entry::read(line) else {
            told.taker.handle_no_line();
            return;
        };
        self.entries += 1;
        let again = self.counted_to.as_ref().is_some_and(|to| !to.is_behind(&entry));
        if !again && self.counted_to.is_some() {
            // The entry to go on behind is gone, and who knows what went with it.
            told.taker.handle_unsure();
        }
        let lies = Lies {
            file: JOURNAL,
            begins: self.entries,
            counted_to: if again { u64::MAX } else { 0 },
            slow_from: if again { u64::MAX } else { 0 },
            at_us: entry.realtime_us.and_then(|us| i64::try_from(us).ok()),
        };
        match told.dropped(&entry) {
            Some(n) if !again => told.taker.handle_dropped(n),
            Some(_) => {}
            None => {
                if let Some(start_s) = told.taker.take(&entry.message, lies) {
                    self.first.insert(start_s, entry.cursor.to_owned());
                }
            }
        }
        if !again || self.counted_to.as_ref().is_some_and(|to| to.text == entry.cursor) {
            self.counted_to = None;
        }
        self.last = Some(entry.cursor.to_owned());
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

impl Wanted<'_> {
    /// The arguments of journalctl that ask for it. It knows no "and" of its option for units with
    /// the "or" that journald's own messages need, hence the field.
    fn arguments(self) -> Vec<String> {
        match self {
            Self::Unit("") => Vec::new(),
            Self::Unit(unit) => vec![format!("--unit={unit}")],
            Self::Fields { unit: "", fields } if fields.is_empty() => Vec::new(),
            Self::Fields { unit, fields } => {
                let mut matches: Vec<String> =
                    fields.iter().map(|(field, value)| format!("{field}={value}")).collect();
                if !unit.is_empty() {
                    matches.push(format!("_SYSTEMD_UNIT={unit}"));
                }
                matches.extend(["+".to_owned(), format!("MESSAGE_ID={DROPPED_MESSAGE_ID}")]);
                matches
            }
        }
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
    fn is_behind(&self, entry: &Entry<'_>) -> bool {
        self.text != entry.cursor && self.realtime_us < entry.realtime_us
    }
}

/// `journalctl` over what is wanted.
fn journalctl(wanted: Wanted<'_>) -> Command {
    let mut command = Command::new("journalctl");
    // Without --all a message of more than 4096 bytes is left out.
    command.args(["--output=json", "--all", "--no-pager", "--quiet"]);
    command.arg("--output-fields=MESSAGE,MESSAGE_ID,N_DROPPED");
    command.args(wanted.arguments());
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    command
}

fn not_started(e: &std::io::Error) -> String {
    format!("cannot start journalctl: {e} (it is part of systemd)")
}

/// The cursor of the newest entry, if there is any.
fn last_cursor(wanted: Wanted<'_>) -> Result<Option<String>, String> {
    let said = journalctl(wanted).arg("--lines=1").output().map_err(|e| not_started(&e))?;
    if said.stdout.is_empty() && said.status.success() {
        return Ok(None);
    }
    let cursor = journal_entry::cursor_of(&said.stdout);
    cursor.map(|cursor| Some(cursor.to_owned())).map_err(|_| ended_with(said.status))
}

fn open(wanted: Wanted<'_>, place: &JournalPlace) -> Result<Journalctl, String> {
    let mut command = journalctl(wanted);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_journald_threw_away_is_asked_for_beside_what_is_wanted() {
        assert_eq!(Wanted::Unit("lb.service").arguments(), ["--unit=lb.service"]);
        let fields = BTreeMap::from([("PRIORITY".to_owned(), "4".to_owned())]);
        let drops = format!("MESSAGE_ID={DROPPED_MESSAGE_ID}");
        let both = Wanted::Fields { unit: "lb.service", fields: &fields };
        assert_eq!(both.arguments(), ["PRIORITY=4", "_SYSTEMD_UNIT=lb.service", "+", &drops]);
        let none = BTreeMap::new();
        assert!(Wanted::Fields { unit: "", fields: &none }.arguments().is_empty());
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
        fn entry(cursor: &str, us: u64) -> Entry<'_> {
            let message = std::borrow::Cow::Borrowed(&b""[..]);
            Entry { cursor, realtime_us: Some(us), message, dropped: None }
        }
        assert_eq!(cursor.realtime_us, Some(16));
        assert!(cursor.is_behind(&entry("later", 17)));
        assert!(!cursor.is_behind(&entry("earlier", 16)));
        assert!(!cursor.is_behind(&entry("s=a;i=7;b=b;m=1;t=10;x=2", 17)));
    }
}
