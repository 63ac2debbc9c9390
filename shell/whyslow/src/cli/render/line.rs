//! One line for a terminal: pieces of text, each with its style. Text is made printable on the way
//! in, so no piece can hold a control byte.

use std::fmt::Write as _;

use whyslow_model::{Phase, printable};

/// Columns of the widest line.
pub const WIDTH_MAX: usize = 100;

/// How a piece is marked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// As it is.
    Plain,
    /// Names and headings.
    Bold,
    /// What is beside the point.
    Dim,
    /// What is not right.
    Orange,
    /// What is fine.
    Blue,
    /// What failed.
    Reversed,
    /// A phase's bar.
    Phase(Phase),
}

impl Style {
    /// The sequence that switches it on; orange is 208 of the 256-colour table.
    const fn on(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Bold => "\u{1b}[1m",
            Self::Dim => "\u{1b}[2m",
            Self::Orange => "\u{1b}[1;38;5;208m",
            Self::Blue => "\u{1b}[1;38;5;39m",
            Self::Reversed => "\u{1b}[1;7;38;5;208m",
            Self::Phase(phase) => match phase {
                Phase::Resolve => "\u{1b}[38;5;97m",
                Phase::Connect => "\u{1b}[38;5;215m",
                Phase::Tls => "\u{1b}[38;5;30m",
                Phase::Send => "\u{1b}[38;5;179m",
                Phase::Wait => "\u{1b}[38;5;32m",
                Phase::Receive => "\u{1b}[38;5;116m",
            },
        }
    }
}

/// One line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Line(Vec<(Style, String)>);

impl Line {
    /// A line of one piece.
    pub fn of(style: Style, text: &str) -> Self {
        Self::default().with(style, text)
    }

    /// Adds a piece.
    #[must_use]
    pub fn with(mut self, style: Style, text: &str) -> Self {
        if !text.is_empty() {
            self.0.push((style, printable(text).into_owned()));
        }
        self
    }

    /// Adds words, and goes on below where they do not fit; further lines are indented as far.
    pub fn wrapped(self, words: &str, style: Style) -> Vec<Self> {
        let indent = self.width().min(WIDTH_MAX / 2);
        let mut lines = Vec::new();
        let mut line = self;
        let mut text = String::new();
        let words = printable(words);
        for word in words.split_whitespace() {
            let used = line.width() + text.chars().count() + usize::from(!text.is_empty());
            if used + word.chars().count() > WIDTH_MAX && !text.is_empty() {
                lines.push(line.with(style, &text));
                line = Self::of(Style::Plain, &" ".repeat(indent));
                text.clear();
            }
            if !text.is_empty() {
                text.push(' ');
            }
            text.push_str(word);
        }
        lines.push(line.with(style, &text).cut());
        lines
    }

    /// The line with what does not fit replaced by one ellipsis.
    #[must_use]
    pub fn cut(mut self) -> Self {
        if self.width() <= WIDTH_MAX {
            return self;
        }
        let mut room = WIDTH_MAX - 1;
        for (_, text) in &mut self.0 {
            let kept: String = text.chars().take(room).collect();
            room -= kept.chars().count();
            *text = kept;
        }
        self.with(Style::Plain, "…")
    }

    /// Characters in it.
    pub fn width(&self) -> usize {
        self.0.iter().map(|(_, text)| text.chars().count()).sum()
    }

    /// Whether there is nothing to see.
    pub fn is_empty(&self) -> bool {
        self.0.iter().all(|(_, text)| text.trim().is_empty())
    }

    /// The text alone, without blanks at the end.
    pub fn plain(&self) -> String {
        let text: String = self.0.iter().map(|(_, text)| text.as_str()).collect();
        text.trim_end().to_owned()
    }

    /// The text with its colours.
    pub fn coloured(&self) -> String {
        let mut out = String::new();
        let last = self.0.len().saturating_sub(1);
        for (index, (style, text)) in self.0.iter().enumerate() {
            let text = if index == last { text.trim_end() } else { text };
            let on = style.on();
            let off = if on.is_empty() { "" } else { "\u{1b}[0m" };
            let _ = write!(out, "{on}{text}{off}");
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_that_do_not_fit_go_on_below() {
        let words = "word ".repeat(40);
        let lines = Line::of(Style::Bold, "hint: ").wrapped(&words, Style::Plain);
        assert!(lines.len() > 1);
        assert!(lines.iter().all(|l| l.width() <= WIDTH_MAX));
        assert!(lines[1].plain().starts_with("      word"));
    }

    #[test]
    fn one_endless_word_is_cut() {
        let lines = Line::default().wrapped(&"x".repeat(500), Style::Plain);
        assert_eq!((lines.len(), lines[0].width()), (1, WIDTH_MAX));
    }

    #[test]
    fn escapes_in_a_piece_are_written_out() {
        assert_eq!(Line::of(Style::Plain, "\u{1b}[2J\u{202e}").plain(), "\\x1b[2J\\u{202e}");
    }
}
