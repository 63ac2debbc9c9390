//! What a detector says of itself, and the words its sentences are made of.

use crate::segment::Segment;

/// A detector as its plane's list and documentation show it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct About {
    /// The code of its readings and findings.
    pub code: &'static str,
    /// What it notices, in a few words.
    pub summary: &'static str,
    /// What it holds against what.
    pub looks_at: &'static str,
    /// From when on a reading is abnormal.
    pub abnormal: &'static str,
    /// The parts of the world that can explain it, likeliest first.
    pub implicates: &'static [Segment],
    /// What to look at next.
    pub advice: &'static str,
}

impl About {
    /// Its section of a page of Markdown.
    pub fn section(&self) -> String {
        let Self { code, summary, looks_at, abnormal, implicates, advice } = self;
        let segments: Vec<&str> = implicates.iter().map(|s| s.as_str()).collect();
        let segments = segments.join(", ");
        format!(
            "\n## `{code}`\n\n{summary}\n\n- Looks at: {looks_at}\n- Abnormal: {abnormal}\n\
             - Implicates: {segments}\n- Look next: {advice}\n"
        )
    }
}

/// A length of time as a sentence says it.
pub fn ms(seconds: f64) -> String {
    let ms = seconds * 1000.0;
    if ms < 9.95 { format!("{ms:.1} ms") } else { format!("{ms:.0} ms") }
}

/// A share as a sentence says it.
pub fn percent(share: f64) -> String {
    let percent = share * 100.0;
    if percent < 9.95 { format!("{percent:.1} %") } else { format!("{percent:.0} %") }
}
