//! What `/render` is asked for: paths, numbers, texts and calls, one inside another.

use whyslow_model::limits::{GRAPHITE_DEPTH_MAX, GRAPHITE_TARGET_BYTES_MAX};

use crate::error::RenderError;

/// A target, or a part of one.
#[derive(Clone, Debug, PartialEq)]
pub enum Expression {
    /// A pattern of paths.
    Path(String),
    /// A number.
    Number(f64),
    /// A text in quotes.
    Text(String),
    /// `true` or `false`.
    Boolean(bool),
    /// `None`.
    Nothing,
    /// A function with what it is called with.
    Call {
        /// The function's name.
        name: String,
        /// In the order given.
        arguments: Vec<Argument>,
    },
}

/// What a function is called with.
#[derive(Clone, Debug, PartialEq)]
pub struct Argument {
    /// The parameter, where it is named.
    pub name: Option<String>,
    /// The value.
    pub value: Expression,
}

impl Expression {
    /// The first path within, from the left.
    pub fn first_path(&self) -> Option<&str> {
        match self {
            Self::Path(path) => Some(path),
            Self::Call { arguments, .. } => arguments.first()?.value.first_path(),
            Self::Number(_) | Self::Text(_) | Self::Boolean(_) | Self::Nothing => None,
        }
    }
}

/// Reads a target.
///
/// # Errors
/// [`RenderError::BadTarget`] with the place of what cannot be read, and
/// [`RenderError::Limit`] for a target too long or too deep.
pub fn parse(text: &str) -> Result<Expression, RenderError> {
    if text.len() > GRAPHITE_TARGET_BYTES_MAX {
        return Err(RenderError::Limit { what: "bytes", limit: GRAPHITE_TARGET_BYTES_MAX });
    }
    let mut parser = Parser { text, at: 0, depth: 0, pipes: 0 };
    let expression = parser.piped()?;
    parser.skip_blank();
    if parser.at < text.len() {
        return Err(parser.bad("an end"));
    }
    Ok(expression)
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
    /// Each pipe is one more level when it is evaluated.
    pipes: usize,
}

impl<'a> Parser<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn skip_blank(&mut self) {
        self.at = self.text.len() - self.rest().trim_start().len();
    }

    fn peek(&mut self) -> Option<char> {
        self.skip_blank();
        self.rest().chars().next()
    }

    fn take(&mut self, wanted: char) -> bool {
        let is = self.peek() == Some(wanted);
        if is {
            self.at += wanted.len_utf8();
        }
        is
    }

    fn bad(&self, wanted: &str) -> RenderError {
        let found: String = self.rest().chars().take(20).collect();
        let found = if found.is_empty() { "the end".to_owned() } else { format!("{found:?}") };
        let place = self.text[..self.at].chars().count() + 1;
        RenderError::BadTarget(format!("expected {wanted} at character {place}, found {found}"))
    }

    /// `expression|call(…)|call(…)`: each call takes what stands before it as its first argument.
    fn piped(&mut self) -> Result<Expression, RenderError> {
        self.depth += 1;
        if self.depth > GRAPHITE_DEPTH_MAX {
            return Err(RenderError::Limit { what: "nested calls", limit: GRAPHITE_DEPTH_MAX });
        }
        let mut expression = self.single()?;
        while self.take('|') {
            self.pipes += 1;
            if self.depth + self.pipes > GRAPHITE_DEPTH_MAX {
                return Err(RenderError::Limit { what: "nested calls", limit: GRAPHITE_DEPTH_MAX });
            }
            let Expression::Call { name, mut arguments } = self.single()? else {
                return Err(self.bad("a function after '|'"));
            };
            arguments.insert(0, Argument { name: None, value: expression });
            expression = Expression::Call { name, arguments };
        }
        self.depth -= 1;
        Ok(expression)
    }

    fn single(&mut self) -> Result<Expression, RenderError> {
        match self.peek() {
            Some('"' | '\'') => self.text(),
            Some(_) => self.word(),
            None => Err(self.bad("a path or a function")),
        }
    }

    /// A text in quotes; a backslash keeps its quote, and itself where it escapes nothing.
    fn text(&mut self) -> Result<Expression, RenderError> {
        let mut chars = self.rest().char_indices();
        let Some((_, quote)) = chars.next() else { return Err(self.bad("a text")) };
        let mut text = String::new();
        while let Some((at, c)) = chars.next() {
            match c {
                c if c == quote => {
                    self.at += at + c.len_utf8();
                    return Ok(Expression::Text(text));
                }
                '\\' if chars.clone().next().is_some_and(|(_, next)| next == quote) => {
                    text.push(quote);
                    chars.next();
                }
                c => text.push(c),
            }
        }
        Err(self.bad("a closed quote"))
    }

    /// A number, a word that stands for a value, a call or a path.
    fn word(&mut self) -> Result<Expression, RenderError> {
        let word = self.bare()?;
        if self.rest().trim_start().starts_with('(') && is_function_name(word) {
            return self.call(word.to_owned());
        }
        if let Some(number) = number(word) {
            return Ok(Expression::Number(number));
        }
        Ok(match word {
            "true" | "True" => Expression::Boolean(true),
            "false" | "False" => Expression::Boolean(false),
            "None" | "none" => Expression::Nothing,
            path => Expression::Path(path.to_owned()),
        })
    }

    /// Everything up to a delimiter outside of braces and brackets.
    fn bare(&mut self) -> Result<&'a str, RenderError> {
        let rest = self.rest();
        let (mut braces, mut end, mut escaped) = (0usize, rest.len(), false);
        for (at, c) in rest.char_indices() {
            if escaped {
                escaped = false;
                continue;
            }
            match c {
                '\\' => escaped = true,
                '{' => braces += 1,
                '}' => braces = braces.saturating_sub(1),
                ',' if braces > 0 => {}
                ',' | '(' | ')' | '|' | '"' | '\'' => {
                    end = at;
                    break;
                }
                c if c.is_whitespace() => {
                    end = at;
                    break;
                }
                _ => {}
            }
        }
        if end == 0 {
            return Err(self.bad("a path, a function, a number or a text"));
        }
        self.at += end;
        Ok(&rest[..end])
    }

    fn call(&mut self, name: String) -> Result<Expression, RenderError> {
        self.take('(');
        let mut arguments = Vec::new();
        if self.take(')') {
            return Ok(Expression::Call { name, arguments });
        }
        loop {
            let named = self.parameter();
            let value = self.piped()?;
            arguments.push(Argument { name: named, value });
            if self.take(')') {
                return Ok(Expression::Call { name, arguments });
            }
            if !self.take(',') {
                return Err(self.bad("',' or ')'"));
            }
        }
    }

    /// `name=` before a value. A path may hold a `=` too, but its name holds a dot or a `;` first.
    fn parameter(&mut self) -> Option<String> {
        self.skip_blank();
        let rest = self.rest();
        let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))?;
        let after = rest[end..].trim_start();
        let value = after.strip_prefix('=')?;
        if end == 0 || value.starts_with('=') {
            return None;
        }
        self.at = self.text.len() - value.len();
        Some(rest[..end].to_owned())
    }
}

fn is_function_name(word: &str) -> bool {
    word.starts_with(|c: char| c.is_ascii_alphabetic())
        && word.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

fn number(word: &str) -> Option<f64> {
    match word {
        "inf" | "Inf" | "INF" => return Some(f64::INFINITY),
        "-inf" | "-Inf" | "-INF" => return Some(f64::NEG_INFINITY),
        _ => {}
    }
    let starts =
        word.trim_start_matches(['-', '+']).starts_with(|c: char| c.is_ascii_digit() || c == '.');
    let number: f64 = word.parse().ok().filter(|_| starts)?;
    number.is_finite().then_some(number)
}

/// For the fuzzer: reads the bytes as a target, which is no deeper than it may be.
pub fn fuzz_graphite_target(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let Ok(expression) = parse(&text) else { return };
    assert!(depth(&expression) <= GRAPHITE_DEPTH_MAX);
    if let Some(path) = expression.first_path() {
        assert!(!path.is_empty() && text.contains(path), "{path:?} is nowhere in {text:?}");
        // A path that the parser gives may still be no pattern, which is told later.
        let _ = crate::Glob::new(path).and_then(|glob| glob.matcher_below());
    }
}

fn depth(expression: &Expression) -> usize {
    let Expression::Call { arguments, .. } = expression else { return 0 };
    1 + arguments.iter().map(|a| depth(&a.value)).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(name: &str, values: Vec<Expression>) -> Expression {
        let arguments = values.into_iter().map(|value| Argument { name: None, value }).collect();
        Expression::Call { name: name.to_owned(), arguments }
    }

    fn path(text: &str) -> Expression {
        Expression::Path(text.to_owned())
    }

    #[test]
    fn a_target_is_a_path_or_a_call() {
        assert_eq!(parse(" a.b-c.{d,e}.*[0-9]; "), Ok(path("a.b-c.{d,e}.*[0-9];")));
        assert_eq!(
            parse("alias(sum( a.*.b , 1min.x), \"it's \\\"so\\\" \\d\")"),
            Ok(call(
                "alias",
                vec![
                    call("sum", vec![path("a.*.b"), path("1min.x")]),
                    Expression::Text("it's \"so\" \\d".to_owned())
                ]
            ))
        );
        assert_eq!(
            parse("f(-1.5,true,None,1e3,'x')"),
            Ok(call(
                "f",
                vec![
                    Expression::Number(-1.5),
                    Expression::Boolean(true),
                    Expression::Nothing,
                    Expression::Number(1000.0),
                    Expression::Text("x".to_owned())
                ]
            ))
        );
    }

    #[test]
    fn a_pipe_is_a_call_around_what_stands_before_it() {
        assert_eq!(parse("a.b|scale(2)|sum()"), parse("sum(scale(a.b,2))"));
    }

    #[test]
    fn a_parameter_may_be_named() {
        let Ok(Expression::Call { arguments, .. }) = parse("f(a.b;c=d, func = 'max')") else {
            unreachable!("it is a call")
        };
        assert_eq!(arguments[0].value, path("a.b;c=d"));
        assert_eq!(arguments[1].name.as_deref(), Some("func"));
    }

    #[test]
    fn what_cannot_be_read_is_told_with_its_place() {
        for (text, word) in [
            ("", "found the end"),
            ("f(a", "',' or ')'"),
            ("f(a,)", "character 5"),
            ("a b", "character 3"),
            ("f('a", "closed quote"),
            ("a|b", "a function after"),
            ("f(a))", "an end"),
        ] {
            let error = parse(text).unwrap_err().to_string();
            assert!(error.contains(word), "{text}: {error}");
        }
    }

    #[test]
    fn depth_and_length_have_bounds() {
        let deep = format!("{}a{}", "f(".repeat(40), ")".repeat(40));
        assert!(matches!(parse(&deep), Err(RenderError::Limit { what: "nested calls", .. })));
        let piped = format!("a{}", "|f()".repeat(40));
        assert!(matches!(parse(&piped), Err(RenderError::Limit { what: "nested calls", .. })));
        let long = "a".repeat(GRAPHITE_TARGET_BYTES_MAX + 1);
        assert!(matches!(parse(&long), Err(RenderError::Limit { what: "bytes", .. })));
    }
}
