//! The name of a series: a sorted set of label pairs, shared and cheap to clone.

use std::fmt;
use std::sync::Arc;

/// The label that holds a metric's name, as Prometheus spells it.
pub const NAME: &str = "__name__";

/// A sorted set of `(name, value)` pairs.
///
/// Invariant: names strictly ascend, and no value is empty (an empty label is an absent one).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Labels(Arc<[(Arc<str>, Arc<str>)]>);

impl Default for Labels {
    fn default() -> Self {
        Self::empty()
    }
}

impl Labels {
    /// The label set of nothing.
    pub fn empty() -> Self {
        Self(Arc::from([]))
    }

    /// Sorts the pairs, drops empty values and keeps the last of a name given twice.
    pub fn from_pairs<N, V>(pairs: impl IntoIterator<Item = (N, V)>) -> Self
    where
        N: Into<Arc<str>>,
        V: Into<Arc<str>>,
    {
        let mut all: Vec<(Arc<str>, Arc<str>)> =
            pairs.into_iter().map(|(n, v)| (n.into(), v.into())).collect();
        // Stable, so of equal names the last given stays last.
        all.sort_by(|a, b| a.0.cmp(&b.0));
        let mut kept: Vec<(Arc<str>, Arc<str>)> = Vec::with_capacity(all.len());
        for pair in all {
            if kept.last().is_some_and(|last| last.0 == pair.0) {
                kept.pop();
            }
            kept.push(pair);
        }
        kept.retain(|(_, v)| !v.is_empty());
        Self(kept.into())
    }

    /// The value of `name`, or `None` where the label is absent.
    pub fn value(&self, name: &str) -> Option<&str> {
        let at = self.0.binary_search_by(|(n, _)| (**n).cmp(name)).ok()?;
        Some(&self.0[at].1)
    }

    /// The metric name, or `None` where a function dropped it.
    pub fn metric(&self) -> Option<&str> {
        self.value(NAME)
    }

    /// The pairs in ascending order of name, to be shared without copying the text.
    pub fn pairs(&self) -> &[(Arc<str>, Arc<str>)] {
        &self.0
    }

    /// The pairs in ascending order of name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(n, v)| (&**n, &**v))
    }

    /// How many labels there are, the metric name included.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is no label at all.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The set of the labels for which `keep` says yes.
    pub fn filtered(&self, mut keep: impl FnMut(&str) -> bool) -> Self {
        Self(self.0.iter().filter(|(n, _)| keep(n)).cloned().collect())
    }

    /// The set without the metric name.
    pub fn without_metric(&self) -> Self {
        self.filtered(|n| n != NAME)
    }

    /// The set with `name` set to `value`, or removed where `value` is empty.
    pub fn with(&self, name: &str, value: &str) -> Self {
        let own = self.0.iter().cloned();
        Self::from_pairs(own.chain([(Arc::from(name), Arc::from(value))]))
    }
}

/// As PromQL writes a series: `name{a="b",c="d"}`.
impl fmt::Display for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.metric().unwrap_or(""))?;
        f.write_str("{")?;
        let named = self.iter().filter(|(n, _)| *n != NAME);
        for (i, (n, v)) in named.enumerate() {
            let comma = if i == 0 { "" } else { "," };
            write!(f, "{comma}{n}={v:?}")?;
        }
        f.write_str("}")
    }
}

impl fmt::Debug for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_sorted_and_the_last_of_a_name_wins() {
        let l = Labels::from_pairs([("b", "1"), ("a", "2"), ("b", "3")]);
        assert_eq!(l.iter().collect::<Vec<_>>(), [("a", "2"), ("b", "3")]);
    }

    #[test]
    fn an_empty_value_is_an_absent_label() {
        let l = Labels::from_pairs([("a", "1")]).with("a", "");
        assert!(l.is_empty());
        assert_eq!(Labels::from_pairs([("a", "1"), ("a", "")]), Labels::empty());
    }

    #[test]
    fn a_series_prints_as_promql_writes_it() {
        let l = Labels::from_pairs([(NAME, "up"), ("job", "a\"b")]);
        assert_eq!(l.to_string(), r#"up{job="a\"b"}"#);
    }
}
