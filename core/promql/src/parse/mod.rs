//! Text to a checked tree: one pass, a token of look-ahead, no backtracking.
//!
//! The language is that of Prometheus 2.42; numbers as durations (`[300]`, seconds) are
//! accepted as newer versions do.

mod aggregate;
mod binary;
mod call;
mod lex;
mod literal;
mod primary;
mod selector;

use whyslow_model::matcher::Matcher;

use crate::ast::{Expr, Kind};
use crate::error::ParseError;
use crate::query::Query;
pub(crate) use aggregate::is_label_name;
use lex::{Lexeme, Token};

/// Bytes of one query's text.
pub const QUERY_BYTES_MAX: usize = 64 << 10;

/// How deep one query may nest; evaluation recurses once a level.
pub const QUERY_DEPTH_MAX: usize = 100;

/// Parses and checks a query.
///
/// # Errors
/// [`ParseError`] with the place of the first mistake.
pub fn parse(text: &str) -> Result<Query, ParseError> {
    let mut parser = Parser::new(text)?;
    let node = parser.expression(0)?;
    parser.expect_end()?;
    Ok(Query::new(node.expr, node.kind))
}

/// Parses a series selector, such as `up{job="a"}`, into its matchers: what `match[]` of the
/// series API holds.
///
/// # Errors
/// [`ParseError`] where the text is not exactly one selector without range, offset and `@`.
pub fn parse_selector(text: &str) -> Result<Vec<Matcher>, ParseError> {
    let mut parser = Parser::new(text)?;
    let matchers = parser.series_selector()?;
    parser.expect_end()?;
    Ok(matchers)
}

/// A checked part of the query, with what its surroundings need to know of it.
struct Node {
    expr: Expr,
    kind: Kind,
    /// Where its text begins.
    from: usize,
    /// Levels below and including this one.
    height: usize,
    /// Whether `[…]`, `offset` and `@` may follow: selectors and subqueries without parentheses.
    bare: bool,
}

impl Node {
    fn new(expr: Expr, kind: Kind, from: usize) -> Self {
        Self { expr, kind, from, height: 1, bare: false }
    }

    /// The node that stands `above` the tallest of its children.
    fn above(self, tallest: usize) -> Result<Self, ParseError> {
        let height = tallest + 1;
        if height > QUERY_DEPTH_MAX {
            let message = format!("the query nests deeper than {QUERY_DEPTH_MAX} levels");
            return Err(ParseError::new(self.from, message));
        }
        Ok(Self { height, ..self })
    }
}

struct Parser {
    lexemes: Vec<Lexeme>,
    next: usize,
    /// Open levels of recursion, bounded like the tree's height.
    depth: usize,
}

impl Parser {
    fn new(text: &str) -> Result<Self, ParseError> {
        if text.len() > QUERY_BYTES_MAX {
            let message = format!("the query is longer than {QUERY_BYTES_MAX} bytes");
            return Err(ParseError::new(0, message));
        }
        let parser = Self { lexemes: lex::lex(text)?, next: 0, depth: 0 };
        if *parser.token() == Token::End {
            return Err(ParseError::new(0, "there is no expression"));
        }
        Ok(parser)
    }

    fn token(&self) -> &Token {
        &self.lexemes[self.next].token
    }

    fn token_after(&self) -> &Token {
        &self.lexemes[(self.next + 1).min(self.lexemes.len() - 1)].token
    }

    fn at(&self) -> usize {
        self.lexemes[self.next].from
    }

    /// Steps over the current token; stays on the last one, which is the end.
    fn advance(&mut self) -> Token {
        let token = self.token().clone();
        self.next = (self.next + 1).min(self.lexemes.len() - 1);
        token
    }

    fn is_mark(&self, mark: &str) -> bool {
        matches!(self.token(), Token::Mark(m) if *m == mark)
    }

    fn take_mark(&mut self, mark: &str) -> bool {
        let there = self.is_mark(mark);
        if there {
            self.advance();
        }
        there
    }

    fn expect_mark(&mut self, mark: &str, place: &str) -> Result<(), ParseError> {
        if self.take_mark(mark) {
            return Ok(());
        }
        Err(self.unexpected(&format!("expected {mark:?} {place}")))
    }

    /// Whether the current token is this word, in any case.
    fn is_word(&self, word: &str) -> bool {
        matches!(self.token(), Token::Word(w) if w.eq_ignore_ascii_case(word))
    }

    fn take_word(&mut self, word: &str) -> bool {
        let there = self.is_word(word);
        if there {
            self.advance();
        }
        there
    }

    fn expect_end(&self) -> Result<(), ParseError> {
        if *self.token() == Token::End {
            return Ok(());
        }
        Err(self.unexpected("expected an operator or the end"))
    }

    /// An error at the current token, which is named.
    fn unexpected(&self, expected: &str) -> ParseError {
        let found = match self.token() {
            Token::End => "end of the query".to_owned(),
            Token::Word(word) => format!("{word:?}"),
            Token::Number(number) => format!("number {number}"),
            Token::Duration(ms) => format!("duration of {ms} ms"),
            Token::Text(text) => format!("text {text:?}"),
            Token::Mark(mark) => format!("{mark:?}"),
        };
        ParseError::new(self.at(), format!("unexpected {found}: {expected}"))
    }

    /// Runs `parse` one level deeper.
    fn nested<T>(
        &mut self,
        parse: impl FnOnce(&mut Self) -> Result<T, ParseError>,
    ) -> Result<T, ParseError> {
        if self.depth >= QUERY_DEPTH_MAX {
            let message = format!("the query nests deeper than {QUERY_DEPTH_MAX} levels");
            return Err(ParseError::new(self.at(), message));
        }
        self.depth += 1;
        let parsed = parse(self);
        self.depth -= 1;
        parsed
    }

    fn take_label(&mut self) -> Option<String> {
        let Token::Word(word) = self.token() else {
            return None;
        };
        let label = is_label_name(word).then(|| word.clone())?;
        self.advance();
        Some(label)
    }

    /// `(a, b,)`: label names, keywords included.
    fn label_list(&mut self) -> Result<Vec<String>, ParseError> {
        self.expect_mark("(", "before the label names")?;
        let mut labels: Vec<String> = Vec::new();
        while !self.take_mark(")") {
            let Some(label) = self.take_label() else {
                return Err(self.unexpected("expected a label name"));
            };
            if !labels.contains(&label) {
                labels.push(label);
            }
            if !self.is_mark(")") {
                self.expect_mark(",", "or \")\" after a label name")?;
            }
        }
        Ok(labels)
    }
}
