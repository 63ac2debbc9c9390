//! What stands between operators: literals, selectors, calls, aggregations, parentheses, and
//! the `[…]`, `offset` and `@` behind them.

use crate::ast::{AggregateOp, At, Expr, Kind, Shift};
use crate::error::ParseError;

use super::lex::Token;
use super::literal::DURATION_MS_MAX;
use super::{Node, Parser};

/// Words that can name no metric.
const RESERVED: [&str; 5] = ["bool", "on", "ignoring", "group_left", "group_right"];

/// The furthest time `@` may name, in seconds: the same 292 years.
#[expect(clippy::cast_precision_loss, reason = "a bound need not be exact")]
const AT_S_MAX: f64 = (DURATION_MS_MAX / 1000) as f64;

impl Parser {
    pub(super) fn primary(&mut self) -> Result<Node, ParseError> {
        let mut node = self.atom()?;
        loop {
            node = if self.is_mark("[") {
                self.bracket(node)?
            } else if self.is_word("offset") {
                self.offset(node)?
            } else if self.is_mark("@") {
                self.pin(node)?
            } else {
                return Ok(node);
            };
        }
    }

    fn atom(&mut self) -> Result<Node, ParseError> {
        let from = self.at();
        match self.token().clone() {
            Token::Number(n) => {
                self.advance();
                Ok(Node::new(Expr::Number(n), Kind::Scalar, from))
            }
            Token::Text(text) => {
                self.advance();
                Ok(Node::new(Expr::Text(text), Kind::Text, from))
            }
            Token::Mark("(") => {
                self.advance();
                let inner = self.nested(|p| p.expression(0))?;
                self.expect_mark(")", "to close the parenthesis")?;
                Ok(Node { from, bare: false, ..inner })
            }
            Token::Mark("{") => self.instant_selector(),
            Token::Word(word) => self.word(&word, from),
            Token::Duration(_) | Token::Mark(_) | Token::End => {
                Err(self.unexpected("expected an expression"))
            }
        }
    }

    fn word(&mut self, word: &str, from: usize) -> Result<Node, ParseError> {
        let number = match word.to_ascii_lowercase().as_str() {
            "inf" => Some(f64::INFINITY),
            "nan" => Some(f64::NAN),
            _ => None,
        };
        if let Some(n) = number {
            self.advance();
            return Ok(Node::new(Expr::Number(n), Kind::Scalar, from));
        }
        let opens = *self.token_after() == Token::Mark("(");
        if let Some(op) = AggregateOp::named(word) {
            let groups = matches!(self.token_after(),
                Token::Word(w) if w.eq_ignore_ascii_case("by") || w.eq_ignore_ascii_case("without"));
            if opens || groups {
                return self.aggregate(op);
            }
        }
        if opens {
            return self.call(word);
        }
        if RESERVED.iter().any(|r| word.eq_ignore_ascii_case(r)) {
            let hint = "to select a metric of this name write {__name__=\"…\"}";
            return Err(self.unexpected("expected an expression").with_hint(hint));
        }
        self.instant_selector()
    }

    fn instant_selector(&mut self) -> Result<Node, ParseError> {
        let from = self.at();
        let matchers = self.series_selector()?;
        let selector = crate::ast::Selector { matchers, shift: Shift::default() };
        let node = Node::new(Expr::Instant(selector), Kind::Vector, from);
        Ok(Node { bare: true, ..node })
    }

    /// `[5m]` or `[5m:30s]`.
    fn bracket(&mut self, node: Node) -> Result<Node, ParseError> {
        let bracket_at = self.at();
        self.advance();
        let range_ms = self.positive_duration()?;
        let mut step_ms = None;
        let subquery = self.take_mark(":");
        if subquery && !self.is_mark("]") {
            step_ms = Some(self.positive_duration()?);
        }
        self.expect_mark("]", "after the duration")?;
        if subquery {
            return subquery_of(node, range_ms, step_ms);
        }
        let (Expr::Instant(selector), true) = (node.expr, node.bare) else {
            let error = ParseError::new(bracket_at, "a range can follow a selector only");
            return Err(
                error.with_hint("for a range of an expression write a subquery, as in [5m:]")
            );
        };
        if selector.shift != Shift::default() {
            let message = "offset and @ stand behind the range, not before it";
            return Err(ParseError::new(bracket_at, message));
        }
        let expr = Expr::Range { selector, range_ms };
        Ok(Node { bare: true, ..Node::new(expr, Kind::Range, node.from) })
    }

    fn positive_duration(&mut self) -> Result<i64, ParseError> {
        let at = self.at();
        let ms = self.duration()?;
        if ms <= 0 {
            return Err(ParseError::new(at, "a duration must be longer than 0"));
        }
        Ok(ms)
    }

    /// A duration, or a number of seconds.
    fn duration(&mut self) -> Result<i64, ParseError> {
        let at = self.at();
        match *self.token() {
            Token::Duration(ms) => {
                self.advance();
                Ok(ms)
            }
            Token::Number(seconds) => {
                self.advance();
                milliseconds(seconds).ok_or_else(|| {
                    ParseError::new(at, format!("{seconds} seconds are no duration"))
                })
            }
            Token::Word(_) | Token::Text(_) | Token::Mark(_) | Token::End => {
                let hint = "a duration looks like 5m or 1h30m";
                Err(self.unexpected("expected a duration").with_hint(hint))
            }
        }
    }

    fn offset(&mut self, mut node: Node) -> Result<Node, ParseError> {
        let at = self.at();
        self.advance();
        let negative = self.take_mark("-");
        if !negative {
            self.take_mark("+");
        }
        let ms = self.duration()?;
        let shift = shift_of(&mut node, at, "offset")?;
        if shift.offset_ms != 0 {
            return Err(ParseError::new(at, "offset may be set once"));
        }
        shift.offset_ms = if negative { -ms } else { ms };
        Ok(node)
    }

    fn pin(&mut self, mut node: Node) -> Result<Node, ParseError> {
        let at = self.at();
        self.advance();
        let pinned = self.pinned_time()?;
        let shift = shift_of(&mut node, at, "@")?;
        if shift.at.is_some() {
            return Err(ParseError::new(at, "@ may be set once"));
        }
        shift.at = Some(pinned);
        Ok(node)
    }

    fn pinned_time(&mut self) -> Result<At, ParseError> {
        for (word, pinned) in [("start", At::Start), ("end", At::End)] {
            if self.take_word(word) {
                self.expect_mark("(", "after the word")?;
                self.expect_mark(")", "after the parenthesis")?;
                return Ok(pinned);
            }
        }
        let negative = self.take_mark("-");
        if !negative {
            self.take_mark("+");
        }
        let at = self.at();
        let Token::Number(seconds) = *self.token() else {
            return Err(self.unexpected("expected a Unix time, start() or end()"));
        };
        self.advance();
        let ms = milliseconds(if negative { -seconds } else { seconds });
        ms.map(At::Ms).ok_or_else(|| ParseError::new(at, "this time is too far away for @"))
    }
}

fn milliseconds(seconds: f64) -> Option<i64> {
    #[expect(clippy::cast_possible_truncation, reason = "the bound is checked")]
    (seconds.abs() <= AT_S_MAX).then(|| (seconds * 1000.0).round() as i64)
}

fn subquery_of(node: Node, range_ms: i64, step_ms: Option<i64>) -> Result<Node, ParseError> {
    if node.kind != Kind::Vector {
        let message = format!("a subquery needs an instant vector, not a {}", node.kind.name());
        return Err(ParseError::new(node.from, message));
    }
    let (from, height) = (node.from, node.height);
    let inner = Box::new(node.expr);
    let expr = Expr::Subquery { inner, range_ms, step_ms, shift: Shift::default() };
    let node = Node::new(expr, Kind::Range, from).above(height)?;
    Ok(Node { bare: true, ..node })
}

fn shift_of<'n>(node: &'n mut Node, at: usize, word: &str) -> Result<&'n mut Shift, ParseError> {
    let shift = if node.bare { node.expr.shift_mut() } else { None };
    shift.ok_or_else(|| {
        ParseError::new(at, format!("{word} can follow a selector or a subquery only"))
    })
}
