//! Label matchers, compiled once.

use regex::Regex;

/// How a matcher compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MatchOp {
    /// `=`
    Equal,
    /// `!=`
    NotEqual,
    /// `=~`, anchored at both ends.
    Regex,
    /// `!~`, anchored at both ends.
    NotRegex,
}

/// One condition on one label. An absent label has the empty value.
#[derive(Clone, Debug)]
pub struct Matcher {
    /// The label's name.
    pub name: String,
    /// The comparison.
    pub op: MatchOp,
    /// The value or pattern as written.
    pub value: String,
    /// Present exactly for the two regex comparisons.
    compiled: Option<Regex>,
}

/// A pattern the regex engine refuses.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("bad pattern {pattern:?} for label {name:?}: {reason}")]
pub struct BadPattern {
    /// The label.
    pub name: String,
    /// The pattern as written.
    pub pattern: String,
    /// What the engine said.
    pub reason: String,
}

impl Matcher {
    /// Compiles the pattern of a regex comparison.
    ///
    /// # Errors
    /// [`BadPattern`] where the pattern does not compile or is too large.
    pub fn new(name: &str, op: MatchOp, value: &str) -> Result<Self, BadPattern> {
        let compiled = match op {
            MatchOp::Equal | MatchOp::NotEqual => None,
            MatchOp::Regex | MatchOp::NotRegex => {
                let anchored = format!("^(?s:{value})$");
                Some(Regex::new(&anchored).map_err(|e| BadPattern {
                    name: name.to_owned(),
                    pattern: value.to_owned(),
                    reason: e.to_string(),
                })?)
            }
        };
        Ok(Self { name: name.to_owned(), op, value: value.to_owned(), compiled })
    }

    /// `name="value"`, which cannot fail.
    pub fn equal(name: &str, value: &str) -> Self {
        Self { name: name.to_owned(), op: MatchOp::Equal, value: value.to_owned(), compiled: None }
    }

    /// Whether a label with this value (empty for an absent one) satisfies the condition.
    pub fn matches(&self, value: &str) -> bool {
        match (self.op, &self.compiled) {
            (MatchOp::Equal, _) => value == self.value,
            (MatchOp::NotEqual, _) => value != self.value,
            (MatchOp::Regex, Some(re)) => re.is_match(value),
            (MatchOp::NotRegex, Some(re)) => !re.is_match(value),
            (MatchOp::Regex | MatchOp::NotRegex, None) => {
                unreachable!("Matcher::new compiles every pattern")
            }
        }
    }

    /// Whether a series without the label satisfies the condition.
    pub fn matches_absent(&self) -> bool {
        self.matches("")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_is_anchored_at_both_ends_even_with_alternatives() {
        let m = Matcher::new("job", MatchOp::Regex, "a|b").unwrap();
        assert!(m.matches("a") && m.matches("b"));
        assert!(!m.matches("ab") && !m.matches("xb"));
    }

    #[test]
    fn a_bad_pattern_is_an_error_before_any_data_is_read() {
        assert!(Matcher::new("job", MatchOp::NotRegex, "(").is_err());
    }
}
