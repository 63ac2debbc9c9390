//! What `seriesByTag` and the tag API are asked: `tag=value`, `!=`, `=~`, `!=~`.

use whyslow_model::labels::NAME;
use whyslow_model::matcher::{MatchOp, Matcher};

use crate::path::{METRIC, PATH, label_of};

/// One condition on one tag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TagExpression {
    /// The tag.
    pub tag: String,
    /// The comparison.
    pub op: MatchOp,
    /// The value, or the pattern from its beginning on.
    pub value: String,
}

/// A text that is no condition on a tag.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadTagExpression {
    /// It has no tag or no comparison.
    #[error("{0:?} is not tag=value, tag!=value, tag=~pattern or tag!=~pattern")]
    Shape(String),
    /// The pattern does not compile.
    #[error("{0}")]
    Pattern(String),
    /// No condition asks for a tag to be there.
    #[error("at least one expression must ask for a tag that is not empty")]
    AllEmpty,
}

impl TagExpression {
    /// Reads one condition.
    ///
    /// # Errors
    /// [`BadTagExpression::Shape`].
    pub fn parse(text: &str) -> Result<Self, BadTagExpression> {
        let shape = || BadTagExpression::Shape(text.chars().take(80).collect());
        let at = text.find(['!', '=']).filter(|at| *at > 0).ok_or_else(shape)?;
        let (tag, rest) = text.split_at(at);
        let (op, value) = [
            ("!=~", MatchOp::NotRegex),
            ("=~", MatchOp::Regex),
            ("!=", MatchOp::NotEqual),
            ("=", MatchOp::Equal),
        ]
        .into_iter()
        .find_map(|(sign, op)| Some((op, rest.strip_prefix(sign)?)))
        .ok_or_else(shape)?;
        Ok(Self { tag: tag.trim().to_owned(), op, value: value.to_owned() })
    }

    /// The condition on the label that holds the tag.
    fn on(&self, label: &str) -> Result<Matcher, BadTagExpression> {
        let pattern = match self.op {
            MatchOp::Equal | MatchOp::NotEqual => self.value.clone(),
            // Graphite's patterns hold from the beginning, not to the end.
            MatchOp::Regex | MatchOp::NotRegex => format!("(?:{}).*", self.value),
        };
        Matcher::new(label, self.op, &pattern)
            .map_err(|e| BadTagExpression::Pattern(e.reason.lines().last().unwrap_or("").into()))
    }
}

/// The selections whose union is what satisfies all conditions. Series with a path have their name
/// in another label than all others, so a condition on `name` needs two.
///
/// # Errors
/// [`BadTagExpression`] where a pattern does not compile, or nothing must be there.
pub fn selections(expressions: &[TagExpression]) -> Result<Vec<Vec<Matcher>>, BadTagExpression> {
    let (own, others): (Vec<_>, Vec<_>) = expressions.iter().partition(|e| e.tag == "name");
    let mut other = Matcher::equal(NAME, METRIC);
    other.op = MatchOp::NotEqual;
    let mut of_paths = vec![Matcher::equal(NAME, METRIC)];
    let mut of_others = vec![other];
    let mut asks = false;
    for name in own {
        asks |= !name.on(NAME)?.matches_absent();
        of_paths.push(name.on(PATH)?);
        of_others.push(name.on(NAME)?);
    }
    for other in others {
        let matcher = other.on(&label_of(&other.tag))?;
        asks |= !matcher.matches_absent();
        of_paths.push(matcher);
        of_others.push(other.on(&other.tag)?);
    }
    if asks { Ok(vec![of_paths, of_others]) } else { Err(BadTagExpression::AllEmpty) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn both(texts: &[&str]) -> Result<Vec<Vec<Matcher>>, BadTagExpression> {
        let all: Vec<_> = texts.iter().map(|t| TagExpression::parse(t).unwrap()).collect();
        selections(&all)
    }

    #[test]
    fn a_name_is_sought_where_each_kind_of_series_keeps_it() {
        let selections = both(&["name=disk.used", "host=~web", "r-k!=1"]).unwrap();
        let [paths, others] = &selections[..] else { unreachable!("two selections") };
        assert!(paths[1].name == PATH && others[1].name == NAME);
        assert!(paths[2].matches("web12") && !paths[2].matches("db"));
        assert_eq!((paths[3].name.as_str(), others[3].name.as_str()), ("U__r_2d_k", "r-k"));
    }

    #[test]
    fn what_is_no_condition_is_refused() {
        for bad in ["", "a", "=b", "!a", "a!b"] {
            assert!(TagExpression::parse(bad).is_err(), "{bad}");
        }
        assert!(matches!(both(&["a=~("]), Err(BadTagExpression::Pattern(_))));
        for empty in [&["a!=b"][..], &["a="], &["a=~.*"], &[]] {
            assert_eq!(both(empty).unwrap_err(), BadTagExpression::AllEmpty, "{empty:?}");
        }
    }
}
