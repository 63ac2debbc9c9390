//! Patterns of paths: `*` and `?` within a node, `[a-z]`, `{one,other}`.

use whyslow_model::limits::GRAPHITE_NAME_BYTES_MAX;
use whyslow_model::matcher::{MatchOp, Matcher};

use crate::path::PATH;

/// A pattern of paths.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Glob {
    text: String,
    /// One regular expression a node.
    nodes: Vec<String>,
    literal: bool,
}

/// A text that is no pattern of paths.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("bad pattern {text:?}: {what}")]
pub struct BadGlob {
    /// The pattern, shortened.
    pub text: String,
    /// What is wrong with it.
    pub what: &'static str,
}

impl Glob {
    /// Reads a pattern.
    ///
    /// # Errors
    /// [`BadGlob`] for an unclosed bracket or brace, or a pattern longer than any path.
    pub fn new(text: &str) -> Result<Self, BadGlob> {
        let bad = |what| BadGlob { text: text.chars().take(80).collect(), what };
        if text.len() > 4 * GRAPHITE_NAME_BYTES_MAX {
            return Err(bad("it is too long"));
        }
        let mut translation = Translation::default();
        translation.read(text).map_err(bad)?;
        let literal = !text.contains(['*', '?', '[', '{', '\\']);
        Ok(Self { text: text.to_owned(), nodes: translation.nodes, literal })
    }

    /// The pattern as written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether it names exactly one path.
    pub const fn is_literal(&self) -> bool {
        self.literal
    }

    /// How many nodes a path has that it matches.
    pub const fn depth(&self) -> usize {
        self.nodes.len()
    }

    /// The condition on the label of the path.
    ///
    /// # Errors
    /// [`BadGlob`] where the pattern is larger than the regular expression engine takes.
    pub fn matcher(&self) -> Result<Matcher, BadGlob> {
        if self.literal {
            return Ok(Matcher::equal(PATH, &self.text));
        }
        self.regex(&self.nodes.join("\\."))
    }

    /// The condition on the label of a path that matches, or lies below one that does.
    ///
    /// # Errors
    /// As [`Glob::matcher`].
    pub fn matcher_below(&self) -> Result<Matcher, BadGlob> {
        self.regex(&format!("{}(?:\\..*)?", self.nodes.join("\\.")))
    }

    fn regex(&self, pattern: &str) -> Result<Matcher, BadGlob> {
        Matcher::new(PATH, MatchOp::Regex, pattern).map_err(|_| BadGlob {
            text: self.text.chars().take(80).collect(),
            what: "it is too large, or a range in brackets is backwards",
        })
    }
}

#[derive(Default)]
struct Translation {
    nodes: Vec<String>,
    node: String,
    open: usize,
}

impl Translation {
    fn read(&mut self, text: &str) -> Result<(), &'static str> {
        let mut rest = text.chars();
        while let Some(c) = rest.next() {
            match c {
                '.' if self.open == 0 => self.nodes.push(std::mem::take(&mut self.node)),
                '*' => self.node.push_str("[^.]*"),
                '?' => self.node.push_str("[^.]"),
                '{' => {
                    self.open += 1;
                    self.node.push_str("(?:");
                }
                '}' if self.open > 0 => {
                    self.open -= 1;
                    self.node.push(')');
                }
                ',' if self.open > 0 => self.node.push('|'),
                '[' => {
                    let Some((class, after)) = rest.as_str().split_once(']') else {
                        return Err("a bracket is not closed");
                    };
                    self.class(class)?;
                    rest = after.chars();
                }
                '\\' => {
                    let escaped = rest.next().ok_or("nothing follows the last backslash")?;
                    self.literal(escaped);
                }
                other => self.literal(other),
            }
        }
        if self.open > 0 {
            return Err("a brace is not closed");
        }
        self.nodes.push(std::mem::take(&mut self.node));
        Ok(())
    }

    fn literal(&mut self, c: char) {
        let mut buffer = [0; 4];
        self.node.push_str(&regex::escape(c.encode_utf8(&mut buffer)));
    }

    fn class(&mut self, class: &str) -> Result<(), &'static str> {
        let (negated, members) = match class.strip_prefix(['!', '^']) {
            Some(members) => (true, members),
            None => (false, class),
        };
        if members.is_empty() {
            return Err("brackets hold nothing");
        }
        self.node.push_str(if negated { "[^." } else { "[" });
        for c in members.chars() {
            match c {
                // What means something within brackets to a regular expression, but not here.
                '[' | '\\' | '^' | '&' | '~' => {
                    self.node.push('\\');
                    self.node.push(c);
                }
                c => self.node.push(c),
            }
        }
        self.node.push(']');
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, path: &str) -> bool {
        Glob::new(pattern).unwrap().matcher().unwrap().matches(path)
    }

    #[test]
    fn wildcards_stay_within_a_node() {
        assert!(matches("a.*.c", "a.b.c") && !matches("a.*.c", "a.b.x.c"));
        assert!(matches("a.b?", "a.b1") && !matches("a.b?", "a.b.") && !matches("a.b?", "a.b"));
        assert!(matches("web[1-3]", "web2") && !matches("web[1-3]", "web4"));
        assert!(matches("web[!1-3]", "web4") && !matches("web[!1-3]", "web2"));
        assert!(matches("a.{b,c*}.d", "a.cx.d") && !matches("a.{b,c*}.d", "a.x.d"));
        assert!(matches("{a.b,c}.d", "a.b.d") && matches("{a.b,c}.d", "c.d"));
        assert!(matches("{a,{b,c}}x", "cx"));
        assert!(matches("a+b.(c)", "a+b.(c)") && !matches("a+b", "aab"));
        assert!(matches("a\\*", "a*") && !matches("a\\*", "ab"));
    }

    #[test]
    fn what_is_below_matches_too_where_asked() {
        let below = Glob::new("a.*").unwrap().matcher_below().unwrap();
        assert!(below.matches("a.b") && below.matches("a.b.c.d") && !below.matches("a"));
    }

    #[test]
    fn what_is_no_pattern_is_refused() {
        for bad in ["a.[b", "a.{b", "a.[]", "a\\", &"a".repeat(9000)] {
            assert!(Glob::new(bad).is_err(), "{bad}");
        }
        assert!(Glob::new("a[z-a]").unwrap().matcher().is_err());
    }
}
