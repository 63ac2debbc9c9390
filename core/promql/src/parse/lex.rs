//! Characters to tokens. Words are not told apart here: whether `sum` is an aggregation, a
//! metric or a label depends on where it stands, and the parser knows that.

use crate::error::ParseError;

use super::literal;

/// One token.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token {
    /// A word, colons included outside of braces.
    Word(String),
    Number(f64),
    /// Milliseconds.
    Duration(i64),
    Text(String),
    /// Punctuation and operators, as written.
    Mark(&'static str),
    End,
}

/// A token and where it begins.
#[derive(Clone, Debug)]
pub(super) struct Lexeme {
    pub(super) token: Token,
    pub(super) from: usize,
}

/// Longest first, so that `<=` is not read as `<`.
const MARKS: [&str; 23] = [
    "=~", "!~", "!=", "==", "<=", ">=", "=", "<", ">", "+", "-", "*", "/", "%", "^", "(", ")", "{",
    "}", "[", "]", ",", "@",
];

/// Splits the whole text; the last lexeme is [`Token::End`].
pub(super) fn lex(text: &str) -> Result<Vec<Lexeme>, ParseError> {
    let mut lexer = Lexer { text, at: 0, braces: false, brackets: false };
    let mut all = Vec::new();
    loop {
        let lexeme = lexer.next()?;
        let done = lexeme.token == Token::End;
        all.push(lexeme);
        if done {
            return Ok(all);
        }
    }
}

struct Lexer<'a> {
    text: &'a str,
    at: usize,
    /// Inside `{}` a colon belongs to no word.
    braces: bool,
    /// Inside `[]` a colon parts range and step.
    brackets: bool,
}

impl Lexer<'_> {
    fn next(&mut self) -> Result<Lexeme, ParseError> {
        self.skip_blanks();
        let from = self.at;
        let rest = &self.text[from..];
        let Some(first) = rest.chars().next() else {
            return Ok(Lexeme { token: Token::End, from });
        };
        let (token, length) = if first == ':' && self.brackets {
            (Token::Mark(":"), 1)
        } else if first.is_ascii_digit() || (first == '.' && digit_at(rest, 1)) {
            literal::number_or_duration(rest, from)?
        } else if matches!(first, '"' | '\'' | '`') {
            let (text, length) = literal::quoted(rest, from)?;
            (Token::Text(text), length)
        } else if self.starts_word(first) {
            let end = rest.find(|c| !self.continues_word(c)).unwrap_or(rest.len());
            (Token::Word(rest[..end].to_owned()), end)
        } else {
            self.mark(rest, from, first)?
        };
        self.at += length;
        Ok(Lexeme { token, from })
    }

    fn mark(&mut self, rest: &str, from: usize, first: char) -> Result<(Token, usize), ParseError> {
        let Some(mark) = MARKS.iter().find(|m| rest.starts_with(**m)) else {
            return Err(ParseError::new(from, format!("unexpected character {first:?}")));
        };
        match *mark {
            "{" => self.braces = true,
            "}" => self.braces = false,
            "[" => self.brackets = true,
            "]" => self.brackets = false,
            _ => {}
        }
        Ok((Token::Mark(mark), mark.len()))
    }

    /// Blanks and comments (`#` to the end of the line).
    fn skip_blanks(&mut self) {
        loop {
            let rest = &self.text[self.at..];
            let trimmed = rest.trim_start_matches([' ', '\t', '\n', '\r']);
            self.at += rest.len() - trimmed.len();
            if !trimmed.starts_with('#') {
                return;
            }
            self.at += trimmed.find(['\n', '\r']).unwrap_or(trimmed.len());
        }
    }

    fn starts_word(&self, c: char) -> bool {
        c.is_ascii_alphabetic() || c == '_' || (c == ':' && !self.braces)
    }

    fn continues_word(&self, c: char) -> bool {
        c.is_ascii_alphanumeric() || c == '_' || (c == ':' && !self.braces && !self.brackets)
    }
}

fn digit_at(text: &str, at: usize) -> bool {
    text.as_bytes().get(at).is_some_and(u8::is_ascii_digit)
}
