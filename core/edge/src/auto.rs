//! Finds the format of a log by its first lines, and says so when lines do not parse: a report
//! over nothing looks like a quiet service otherwise.

mod combined;
mod live;
mod looks;
mod mend;
mod shapes;

pub use live::LiveCheck;

use crate::format::{Context, Format, Parse, Reject, Scratch};
use crate::formats;
use crate::record::Mark;
use crate::syslog;
use mend::{Mend, Setting};

/// How many lines are looked at.
pub const FIRST_LINES: usize = 1000;

/// What the first lines say of a format.
#[derive(Clone, Debug)]
pub struct SelfCheck {
    /// Lines that parsed.
    pub parsed: usize,
    /// Lines that were looked at; at most [`FIRST_LINES`].
    pub of: usize,
    /// Sound lines that tell of no request: they speak for the format, too.
    pub notices: usize,
    /// The format that takes more of the lines, where there is one.
    pub guess: Option<&'static Format>,
    /// What is wrong, as a sentence for people; `None` where nothing is.
    pub sentence: Option<String>,
    /// What to do about it.
    pub hint: Option<String>,
}

impl SelfCheck {
    /// The sentence and what to do, in one line; `None` where nothing is wrong.
    pub fn text(&self) -> Option<String> {
        let sentence = self.sentence.as_ref()?;
        Some(match &self.hint {
            Some(hint) => format!("{sentence}; {hint}"),
            None => sentence.clone(),
        })
    }
}

/// The format that takes most of the lines, the first in the list of several that take the same,
/// and what there is to say about it. No format where none takes any line.
///
/// A format of one's own that begins as the combined one is read as far as that goes, and it is
/// said what is not read.
pub fn find(lines: &[&[u8]], context: &Context) -> (Option<&'static Format>, SelfCheck) {
    let lines = first(lines);
    let best = best_or_start(lines, context);
    let mut found = match best {
        Some(format) => check((format.parser)().as_ref(), lines, context),
        None => judged(&Tally::of_nothing(lines, context), lines, None, false, context),
    };
    if found.sentence.is_none()
        && let Some(rest) = best.and_then(|format| unread(format, lines, context))
    {
        found.sentence = Some(format!(
            "the lines are read as the combined log format, which has no times and no servers; \
             what goes on behind it is not read: {}",
            looks::shown(rest)
        ));
        found.hint = Some(format!("to have it read, {}", Mend::Own.hint(Setting::Option)));
    }
    (best, found)
}

/// What the first lines say of a format that was asked for.
pub fn check(parser: &dyn Parse, lines: &[&[u8]], context: &Context) -> SelfCheck {
    let lines = first(lines);
    let tally = Tally::of(parser, lines, context);
    if tally.is_well(lines.len()) {
        return judged(&tally, lines, None, true, context);
    }
    let better = best(lines, context).filter(|format| {
        let other = Tally::of((format.parser)().as_ref(), lines, context);
        other.parsed > tally.parsed
    });
    let guess = better.map(|format| specific(format, lines, context));
    judged(&tally, lines, guess, true, context)
}

/// The format that a single line is of, all of it; the first in the list of several.
pub fn of_line(line: &[u8], context: &Context) -> Option<&'static Format> {
    best(&[line], context).filter(|format| unread(format, &[line], context).is_none())
}

fn first<'a, 'l>(lines: &'a [&'l [u8]]) -> &'a [&'l [u8]] {
    lines.get(..FIRST_LINES).unwrap_or(lines)
}

/// The same, or the one that reads the lines' beginning alone, where that takes more than twice as
/// many: a few lines that were cut are no reason to leave out what all others tell.
fn best_or_start(lines: &[&[u8]], context: &Context) -> Option<&'static Format> {
    let parsed = |format: &Format| Tally::of((format.parser)().as_ref(), lines, context).parsed;
    let best = best(lines, context);
    let start = formats::find(formats::COMBINED_START)
        .filter(|start| parsed(start) > 2 * best.map_or(0, parsed));
    start.or(best)
}

/// What stands behind the combined log format in the first of most lines, where `format` takes
/// them and reads nothing of it.
fn unread<'l>(format: &Format, lines: &[&'l [u8]], context: &Context) -> Option<&'l [u8]> {
    let (parser, mut scratch) = ((format.parser)(), Scratch::default());
    let mut rests = lines.iter().filter_map(|line| {
        let rest = combined::behind(syslog::cut(line).1)?;
        let record = syslog::read(parser.as_ref(), line, context, &mut scratch).ok()?;
        // Where it holds a time, it was read, and where Apache's bytes, there is nothing more.
        (record.total.mark == Mark::Absent && record.bytes_in.is_none()).then_some(rest)
    });
    let first = rests.next()?;
    (2 * (rests.count() + 1) > lines.len()).then_some(first)
}

/// The format that all of most lines is of; of several, the one that finds most clients in them: a
/// word in the place of an address fits many a format.
fn best(lines: &[&[u8]], context: &Context) -> Option<&'static Format> {
    let mut best: Option<((usize, usize), &'static Format)> = None;
    for format in formats::ALL.iter().filter(|format| format.name != formats::COMBINED_START) {
        let Tally { parsed, clients, .. } = Tally::of((format.parser)().as_ref(), lines, context);
        if parsed > 0 && best.is_none_or(|(most, _)| (parsed, clients) > most) {
            best = Some(((parsed, clients), format));
        }
    }
    best.map(|(_, format)| format)
}

/// `haproxy` takes what `haproxy-tcp` takes: the narrower name says more, where it takes as many.
fn specific(format: &'static Format, lines: &[&[u8]], context: &Context) -> &'static Format {
    let parsed = |format: &Format| Tally::of((format.parser)().as_ref(), lines, context).parsed;
    let most = parsed(format);
    let narrower = |other: &&Format| {
        let rest = other.name.strip_prefix(format.name);
        rest.is_some_and(|rest| rest.starts_with('-')) && parsed(other) == most
    };
    formats::ALL.iter().find(narrower).unwrap_or(format)
}

/// How lines fared.
#[derive(Debug)]
struct Tally {
    parsed: usize,
    /// Requests whose client's address is told.
    clients: usize,
    notices: usize,
    /// The first line that did not parse, and why.
    first_rejected: Option<(usize, Reject)>,
}

impl Tally {
    fn of(parser: &dyn Parse, lines: &[&[u8]], context: &Context) -> Self {
        let mut tally = Self { parsed: 0, clients: 0, notices: 0, first_rejected: None };
        let mut scratch = Scratch::default();
        for (number, line) in lines.iter().enumerate() {
            match syslog::read(parser, line, context, &mut scratch) {
                Ok(record) => {
                    tally.parsed += 1;
                    tally.clients += usize::from(record.client.is_some());
                }
                Err(Reject::NotARequest(_)) => tally.notices += 1,
                Err(reject) => {
                    tally.first_rejected.get_or_insert((number, reject));
                }
            }
        }
        tally
    }

    /// Of lines that no format takes.
    fn of_nothing(lines: &[&[u8]], context: &Context) -> Self {
        let Some(format) = formats::ALL.first() else {
            return Self { parsed: 0, clients: 0, notices: 0, first_rejected: None };
        };
        Self::of((format.parser)().as_ref(), lines, context)
    }

    /// Whether nothing need be said: nine in ten of the lines that could be requests parse.
    const fn is_well(&self, of: usize) -> bool {
        self.first_rejected.is_none() || is_well(self.parsed, self.notices, of)
    }
}

const fn is_well(parsed: usize, notices: usize, of: usize) -> bool {
    let requests = of.saturating_sub(notices);
    parsed * 10 >= requests * 9 && parsed > 0
}

fn judged(
    tally: &Tally,
    lines: &[&[u8]],
    guess: Option<&'static Format>,
    is_named: bool,
    context: &Context,
) -> SelfCheck {
    let (parsed, of, notices) = (tally.parsed, lines.len(), tally.notices);
    let mut check = SelfCheck { parsed, of, notices, guess, sentence: None, hint: None };
    let Some((number, reject)) = tally.first_rejected.filter(|_| !tally.is_well(of)) else {
        return check;
    };
    let bad = Bad {
        number: number + 1,
        line: lines.get(number).copied().unwrap_or_default(),
        reject: Some(reject).filter(|_| is_named),
    };
    let counted = format!("{parsed} of the first {of} lines parsed");
    let (sentence, hint) = bad.said(&counted, guess, context, Setting::Option);
    (check.sentence, check.hint) = (Some(sentence), Some(hint));
    check
}

/// A line that did not parse.
struct Bad<'l> {
    /// Counted from 1.
    number: usize,
    line: &'l [u8],
    /// What the format that is asked for says of it.
    reject: Option<Reject>,
}

impl Bad<'_> {
    /// What is wrong with lines, shown by this one, and what to do.
    fn said(
        &self,
        counted: &str,
        guess: Option<&Format>,
        context: &Context,
        setting: Setting,
    ) -> (String, String) {
        let Self { number, line, reject } = self;
        if let Some(guess) = guess {
            // Only HAProxy's lines are usually seen behind one.
            let header = if guess.name.starts_with("haproxy") { header(line) } else { "" };
            let looks = format!("looks like {}{header}", guess.looks_like);
            let hint = format!("use {}{}", setting.name(), guess.name);
            return (format!("{counted}; line {number} {looks}"), hint);
        }
        let looks = looks::of(line, context);
        let why = reject.map_or_else(String::new, |reject| format!(" ({reject})"));
        let sentence = format!("{counted}; line {number} {}{why}", looks.what);
        (sentence, looks.mend.hint(setting))
    }
}

/// What a line lacks that other tools insist on.
fn header(line: &[u8]) -> &'static str {
    match syslog::cut(line).0 {
        None => " without syslog header",
        Some(header) if header.hostname.is_empty() => " without hostname",
        Some(_) => "",
    }
}

#[cfg(test)]
mod tests;
