//! What is wrong with a configuration, and how it is told: where, what, in which key, and what
//! to write instead.

use std::fmt::Write as _;

use serde::Serialize;
use whyslow_model::limits::CONFIG_PROBLEMS_MAX;

/// A place in one of the files read. Lines and columns count from 1, columns in characters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct At {
    /// Which of the files, in the order in which they were read.
    pub file: usize,
    /// The line.
    pub line: usize,
    /// The column.
    pub column: usize,
    /// How many characters the caret underlines, at least one.
    pub width: usize,
}

/// One mistake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where it stands.
    pub at: At,
    /// The key path, such as `services.shop.checks[0].warn`; empty for the file itself.
    pub path: String,
    /// What is wrong.
    pub what: String,
    /// What to write instead.
    pub hint: Option<String>,
    /// Another place that belongs to it, and why.
    pub also: Option<(At, String)>,
    /// Whether what stands there is probably a secret, and must not be shown.
    pub masked: bool,
}

impl Problem {
    /// A mistake with its place and key path.
    pub fn new(at: At, path: String, what: impl Into<String>) -> Self {
        Self { at, path, what: what.into(), hint: None, also: None, masked: false }
    }

    /// Adds what to write instead.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// One file as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// Its name, as shown to people.
    pub name: String,
    /// Its text.
    pub text: String,
}

/// Everything that is wrong with a configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Problems {
    /// The files read.
    pub sources: Vec<Source>,
    /// The mistakes, in the order in which they stand; at most [`CONFIG_PROBLEMS_MAX`].
    pub list: Vec<Problem>,
    /// How many more there are.
    pub more: usize,
}

impl Problems {
    /// Sorts by place, drops the same told twice, and keeps the first [`CONFIG_PROBLEMS_MAX`].
    pub fn new(sources: Vec<Source>, mut list: Vec<Problem>) -> Self {
        list.sort_by_key(|p| (p.at.file, p.at.line, p.at.column));
        list.dedup_by(|a, b| a.at == b.at && a.what == b.what);
        let more = list.len().saturating_sub(CONFIG_PROBLEMS_MAX);
        list.truncate(CONFIG_PROBLEMS_MAX);
        Self { sources, list, more }
    }

    /// How many there are in all.
    pub const fn count(&self) -> usize {
        self.list.len() + self.more
    }

    /// `3 mistakes`.
    pub fn counted(&self) -> String {
        match self.count() {
            1 => "1 mistake".to_owned(),
            n => format!("{n} mistakes"),
        }
    }

    /// For a machine: one element per mistake.
    pub fn listed(&self) -> Vec<Listed<'_>> {
        self.list.iter().map(|p| self.listed_one(p)).collect()
    }

    fn listed_one<'a>(&'a self, problem: &'a Problem) -> Listed<'a> {
        let Problem { at, path, what, hint, .. } = problem;
        Listed { file: self.name_of(at.file), line: at.line, column: at.column, path, what, hint }
    }

    fn name_of(&self, file: usize) -> &str {
        self.sources.get(file).map_or("", |s| s.name.as_str())
    }

    fn line_of(&self, at: At) -> Option<&str> {
        self.sources.get(at.file)?.text.lines().nth(at.line.checked_sub(1)?)
    }

    fn write_one(&self, out: &mut String, problem: &Problem) {
        let Problem { at, path, what, hint, also, masked: _ } = problem;
        let name = self.name_of(at.file);
        let _ = writeln!(out, "{name}:{}:{}: {}", at.line, at.column, shown(what));
        self.write_snippet(out, *at);
        if !path.is_empty() {
            let _ = writeln!(out, "  key: {}", shown(path));
        }
        if let Some((at, why)) = also {
            let name = self.name_of(at.file);
            let _ = writeln!(out, "  {}: {name}:{}:{}", shown(why), at.line, at.column);
        }
        if let Some(hint) = hint {
            let _ = writeln!(out, "  hint: {}", shown(hint));
        }
    }

    /// The source line with a caret under the place, cut to a window where the line is long.
    fn write_snippet(&self, out: &mut String, at: At) {
        let Some(line) = self.line_of(at) else { return };
        let column = at.column.saturating_sub(1);
        let mut chars: Vec<char> = line.trim_end().chars().map(plain).collect();
        self.mask(&mut chars, at);
        let near = chars.len() <= SNIPPET_WIDTH || column < SNIPPET_WIDTH * 3 / 4;
        let skip = if near { 0 } else { column - SNIPPET_WIDTH / 2 };
        let text: String = chars.into_iter().skip(skip).take(SNIPPET_WIDTH).collect();
        let number = at.line.to_string();
        let gutter = " ".repeat(number.len());
        let caret_at = column - skip;
        let room = SNIPPET_WIDTH.saturating_sub(caret_at).max(1);
        let carets = "^".repeat(at.width.clamp(1, room));
        let _ = writeln!(out, " {number} | {text}");
        let _ = writeln!(out, " {gutter} | {}{carets}", " ".repeat(caret_at));
    }

    /// Covers what is probably a secret, whichever mistake on the line is being told.
    fn mask(&self, chars: &mut [char], at: At) {
        let here = |p: &&Problem| p.masked && p.at.file == at.file && p.at.line == at.line;
        for secret in self.list.iter().filter(here) {
            let from = secret.at.column.saturating_sub(1).min(chars.len());
            let to = (from + secret.at.width).min(chars.len());
            chars[from..to].fill('•');
        }
    }
}

/// Characters of a source line that are shown.
const SNIPPET_WIDTH: usize = 88;

/// One mistake as JSON tells it.
#[derive(Debug, Serialize)]
#[expect(missing_docs, reason = "the fields of Problem")]
pub struct Listed<'a> {
    pub file: &'a str,
    pub line: usize,
    pub column: usize,
    pub path: &'a str,
    pub what: &'a str,
    pub hint: &'a Option<String>,
}

impl std::fmt::Display for Problems {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut text = String::new();
        for problem in &self.list {
            self.write_one(&mut text, problem);
        }
        if self.more > 0 {
            let _ = writeln!(text, "… and {} more", self.more);
        }
        f.write_str(&text)
    }
}

impl std::error::Error for Problems {}

/// A tab is one column wide here as it is in the count, and nothing else moves the cursor.
fn plain(c: char) -> char {
    if c == '\t' {
        ' '
    } else if whyslow_model::is_unprintable(c) {
        '\u{fffd}'
    } else {
        c
    }
}

fn shown(text: &str) -> String {
    text.chars().map(plain).collect()
}

/// The one of `known` that `typed` was probably meant to be.
pub fn did_you_mean<'a>(typed: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let typed = typed.to_ascii_lowercase();
    let close = |k: &'a str| {
        let lower = k.to_ascii_lowercase();
        let edits = strsim::osa_distance(&typed, &lower);
        let slip = edits <= 2 && edits < k.len().min(typed.len());
        (slip || strsim::jaro_winkler(&typed, &lower) >= 0.9).then_some((edits, k))
    };
    known.into_iter().filter_map(close).min_by_key(|(edits, _)| *edits).map(|(_, k)| k)
}

/// `a, b, c`, cut short where there are many.
pub fn enumerated<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    const SHOWN: usize = 16;
    let all: Vec<&str> = names.into_iter().collect();
    let mut text = all.iter().take(SHOWN).copied().collect::<Vec<_>>().join(", ");
    if all.len() > SHOWN {
        let _ = write!(text, ", … ({} in all)", all.len());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_hand_is_recognised_and_a_different_word_is_not() {
        let known = ["timeout", "timeouts", "target", "paths"];
        assert_eq!(did_you_mean("tiemout", known), Some("timeout"));
        assert_eq!(did_you_mean("Target", known), Some("target"));
        assert_eq!(did_you_mean("color", known), None);
        assert_eq!(did_you_mean("x", ["y"]), None);
    }

    #[test]
    fn a_long_line_is_cut_around_the_caret_and_control_bytes_do_not_reach_the_terminal() {
        let text = format!("{}\u{1b}]0;x\u{7}key: value", " ".repeat(300));
        let source = Source { name: "a.yaml".into(), text };
        let at = At { file: 0, line: 1, column: 306, width: 3 };
        let problem = Problem::new(at, String::new(), "wrong");
        let shown = Problems::new(vec![source], vec![problem]).to_string();
        assert!(shown.lines().all(|l| l.chars().count() <= 100), "{shown}");
        assert!(!shown.contains('\u{1b}') && !shown.contains('\u{7}'), "{shown}");
    }
}
