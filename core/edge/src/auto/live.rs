//! The check of the first lines for a log that is read as it grows: of its first lines, then of
//! each further thousand.

use super::mend::Setting;
use super::{Bad, FIRST_LINES, best, is_well, specific};
use crate::format::{Context, Reject};

/// Rejected lines that are kept of a live log, from which its format is guessed.
const KEPT_LINES: usize = 8;
/// Bytes of a line that are kept of a live log; a longer one says nothing of its format.
const KEPT_BYTES: usize = 16 << 10;

/// The same check of a log that is read as it grows: of its first lines, then of each further
/// [`FIRST_LINES`] anew.
#[derive(Debug, Default)]
pub struct LiveCheck {
    parsed: usize,
    notices: usize,
    of: usize,
    /// The first rejected ones, each with its number and why.
    rejected: Vec<(usize, Reject, Vec<u8>)>,
    /// Whether there were other lines before these.
    later: bool,
    /// Whether a line came since it was judged.
    news: bool,
}

impl LiveCheck {
    /// A line that was read as a request.
    pub const fn handle_parsed(&mut self) {
        self.parsed += 1;
        self.of += 1;
        self.news = true;
    }

    /// A line that was not.
    pub fn handle_rejected(&mut self, line: &[u8], reject: Reject, is_notice: bool) {
        self.notices += usize::from(is_notice);
        if !is_notice && self.rejected.len() < KEPT_LINES && line.len() <= KEPT_BYTES {
            self.rejected.push((self.of, reject, line.to_vec()));
        }
        self.of += 1;
        self.news = true;
    }

    /// What is to be said of the lines so far, in one line; outside, `None` where no line came
    /// since it was asked last. `is_known` is false while a format is still looked for.
    pub fn poll_text(&mut self, context: &Context, is_known: bool) -> Option<Option<String>> {
        if !std::mem::take(&mut self.news) {
            return None;
        }
        let text = self.text(context, is_known);
        if self.of >= FIRST_LINES {
            *self = Self { later: true, ..Self::default() };
        }
        Some(text)
    }

    fn text(&self, context: &Context, is_known: bool) -> Option<String> {
        let (number, reject, line) = self.rejected.first()?;
        if is_well(self.parsed, self.notices, self.of) {
            return None;
        }
        let lines: Vec<&[u8]> = self.rejected.iter().map(|(_, _, line)| &**line).collect();
        let guess = best(&lines, context).filter(|_| is_known);
        let guess = guess.map(|format| specific(format, &lines, context));
        let (parsed, of, which) = (self.parsed, self.of, if self.later { "last" } else { "first" });
        let counted = format!("{parsed} of the {which} {of} lines parsed");
        let reject = Some(*reject).filter(|_| is_known);
        let bad = Bad { number: number + 1, line, reject };
        let (sentence, hint) = bad.said(&counted, guess, context, Setting::Key);
        Some(format!("{sentence}; {hint}"))
    }
}
