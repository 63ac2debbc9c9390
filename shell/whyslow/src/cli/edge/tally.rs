//! What became of the lines.

use std::collections::BTreeMap;

/// Rejected lines that are shown.
pub(super) const SAMPLES: usize = 10;
/// Bytes of such a line that are shown.
const SAMPLE_BYTES_MAX: usize = 200;

/// Lines read, parsed and rejected. `parsed` and the rejected ones sum to `lines`.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) lines: u64,
    pub(super) parsed: u64,
    pub(super) reasons: BTreeMap<String, u64>,
    /// The first rejected lines, in their order.
    pub(super) samples: Vec<Sample>,
}

/// A rejected line.
#[derive(Clone, Debug)]
pub(super) struct Sample {
    /// Which input it is of.
    pub(super) input: usize,
    /// Its number in that input, from 1.
    pub(super) line_no: u64,
    /// Why.
    pub(super) reason: String,
    /// Its beginning.
    pub(super) text: String,
}

impl Tally {
    /// Counts a line that was rejected; the line itself is counted already.
    pub(super) fn reject(&mut self, input: usize, reason: &dyn std::fmt::Display, line: &[u8]) {
        let reason = reason.to_string();
        if self.samples.len() < SAMPLES {
            let text = &line[..line.len().min(SAMPLE_BYTES_MAX)];
            self.samples.push(Sample {
                input,
                line_no: self.lines,
                reason: reason.clone(),
                text: String::from_utf8_lossy(text).into_owned(),
            });
        }
        *self.reasons.entry(reason).or_default() += 1;
    }

    /// Lines that were rejected.
    pub(super) fn rejected(&self) -> u64 {
        self.lines - self.parsed
    }

    /// Adds the tally of a later piece, whose first line is number `before + 1` of its input.
    pub(super) fn add(&mut self, later: Self, before: u64) {
        self.lines += later.lines;
        self.parsed += later.parsed;
        for (reason, n) in later.reasons {
            *self.reasons.entry(reason).or_default() += n;
        }
        let room = SAMPLES.saturating_sub(self.samples.len());
        let moved = later.samples.into_iter().take(room);
        self.samples.extend(moved.map(|s| Sample { line_no: s.line_no + before, ..s }));
    }
}
