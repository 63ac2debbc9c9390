//! `name{label="value",…}`.

use whyslow_model::labels::NAME;
use whyslow_model::matcher::{MatchOp, Matcher};

use crate::error::ParseError;

use super::Parser;
use super::lex::Token;

impl Parser {
    /// A metric name, label matchers, or both.
    pub(super) fn series_selector(&mut self) -> Result<Vec<Matcher>, ParseError> {
        let from = self.at();
        let mut matchers = Vec::new();
        if let Token::Word(name) = self.token() {
            matchers.push(Matcher::equal(NAME, name));
            self.advance();
        }
        let named = !matchers.is_empty();
        if self.is_mark("{") {
            self.label_matchers(&mut matchers)?;
        } else if !named {
            return Err(self.unexpected("expected a metric name or \"{\""));
        }
        if named && matchers[1..].iter().any(|m| m.name == NAME) {
            return Err(ParseError::new(from, "the metric name is set twice"));
        }
        if matchers.iter().all(Matcher::matches_absent) {
            let error = ParseError::new(from, "this selects every series there is");
            return Err(error.with_hint("name a metric, or a label that must not be empty"));
        }
        Ok(matchers)
    }

    fn label_matchers(&mut self, matchers: &mut Vec<Matcher>) -> Result<(), ParseError> {
        self.advance();
        while !self.take_mark("}") {
            matchers.push(self.label_matcher()?);
            if !self.is_mark("}") {
                self.expect_mark(",", "or \"}\" after a label matcher")?;
            }
        }
        Ok(())
    }

    fn label_matcher(&mut self) -> Result<Matcher, ParseError> {
        let Token::Word(name) = self.token().clone() else {
            return Err(self.unexpected("expected a label name"));
        };
        self.advance();
        let op = self.match_op()?;
        self.advance();
        let at = self.at();
        let Token::Text(value) = self.token().clone() else {
            return Err(self.unexpected("expected the label's value in quotes"));
        };
        self.advance();
        Matcher::new(&name, op, &value).map_err(|bad| {
            let error = ParseError::new(at, format!("bad pattern {value:?}"));
            error.with_hint(bad.reason.lines().last().unwrap_or_default().trim().to_owned())
        })
    }

    fn match_op(&self) -> Result<MatchOp, ParseError> {
        let written = if let Token::Mark(mark) = self.token() { mark } else { "" };
        match written {
            "=" => Ok(MatchOp::Equal),
            "!=" => Ok(MatchOp::NotEqual),
            "=~" => Ok(MatchOp::Regex),
            "!~" => Ok(MatchOp::NotRegex),
            "==" => Err(self.unexpected("expected a label operator").with_hint("write =")),
            _ => Err(self.unexpected("expected =, !=, =~ or !~ after the label name")),
        }
    }
}
