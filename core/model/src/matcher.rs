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
                Some(anchored(value).map_err(|e| BadPattern {
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

/// Compiles a pattern that must match a whole text, as label patterns do.
///
/// The syntax is RE2's as far as this engine has it. RE2 reads a brace that is no repetition
/// literally, as in `/orders/{id}`; where this engine refuses a pattern, that reading is tried.
///
/// # Errors
/// What the engine says of the pattern as written.
pub fn anchored(pattern: &str) -> Result<Regex, regex::Error> {
    let whole = |pattern: &str| Regex::new(&format!("^(?s:{pattern})$"));
    whole(pattern).or_else(|error| whole(&with_literal_braces(pattern)).map_err(|_| error))
}

/// Escapes opening braces that begin no repetition such as `{2}`, `{2,}` or `{2,5}`.
fn with_literal_braces(pattern: &str) -> String {
    let mut out = String::with_capacity(pattern.len() + 8);
    let mut rest = pattern;
    while let Some(at) = rest.find(['\\', '{']) {
        let (before, from) = rest.split_at(at);
        out.push_str(before);
        // An escape is copied with what it escapes, `\p{…}` and `\x{…}` with their braces.
        let skip = if from.starts_with('\\') {
            let braced = ["\\p{", "\\P{", "\\x{"].iter().any(|start| from.starts_with(start));
            let escaped = from.chars().take(2).map(char::len_utf8).sum();
            if braced { from.find('}').map_or(from.len(), |end| end + 1) } else { escaped }
        } else {
            if !is_repetition(from) {
                out.push('\\');
            }
            1
        };
        out.push_str(&from[..skip]);
        rest = &from[skip..];
    }
    out.push_str(rest);
    out
}

fn is_repetition(from_brace: &str) -> bool {
    let Some((bounds, _)) = from_brace[1..].split_once('}') else {
        return false;
    };
    let (least, most) = bounds.split_once(',').unwrap_or((bounds, ""));
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    !least.is_empty() && digits(least) && digits(most)
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
    fn a_brace_that_is_no_repetition_stands_for_itself() {
        let m = |pattern| Matcher::new("route", MatchOp::Regex, pattern).unwrap();
        assert!(m("/orders/{id}/.*").matches("/orders/{id}/items"));
        assert!(m("a{2,3}{x}").matches("aaa{x}") && !m("a{2,3}{x}").matches("a{x}"));
        assert!(m("\\{a}|\\p{Greek}+{").matches("λ{"));
        assert!(Matcher::new("route", MatchOp::Regex, "({").is_err());
    }

    #[test]
    fn a_bad_pattern_is_an_error_before_any_data_is_read() {
        assert!(Matcher::new("job", MatchOp::NotRegex, "(").is_err());
    }
}
