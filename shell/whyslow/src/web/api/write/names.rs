//! Which label sets a sender may use.

use whyslow_model::labels::NAME;
use whyslow_model::limits::{LABEL_VALUE_BYTES_MAX, LABELS_PER_SERIES_MAX};

/// Why a series is refused for its labels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum BadLabels {
    /// Not pairs of UTF-8 texts.
    NotUtf8,
    /// No `__name__`.
    NoName,
    /// A metric name outside `[a-zA-Z_:][a-zA-Z0-9_:]*`.
    Name,
    /// A label name outside `[a-zA-Z_][a-zA-Z0-9_]*`.
    LabelName,
    /// One label given twice.
    Doubled,
    /// More labels than [`LABELS_PER_SERIES_MAX`].
    TooMany,
    /// A name or value longer than [`LABEL_VALUE_BYTES_MAX`].
    TooLong,
}

impl BadLabels {
    /// In words.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NotUtf8 => "a label is not UTF-8 text",
            Self::NoName => "no metric name",
            Self::Name => "invalid metric name",
            Self::LabelName => "invalid label name",
            Self::Doubled => "a label given twice",
            Self::TooMany => "too many labels",
            Self::TooLong => "a label is too long",
        }
    }
}

/// Checks the labels of one series and sorts them by name.
///
/// # Errors
/// [`BadLabels`] where no series may be called so.
pub fn check(labels: &mut [(&str, &str)]) -> Result<(), BadLabels> {
    if labels.len() > LABELS_PER_SERIES_MAX {
        return Err(BadLabels::TooMany);
    }
    // Nearly every sender has sorted them already.
    if !labels.is_sorted() {
        labels.sort_unstable();
    }
    if labels.windows(2).any(|two| two[0].0 == two[1].0) {
        return Err(BadLabels::Doubled);
    }
    let mut metric = "";
    for (name, value) in labels {
        if name.len() > LABEL_VALUE_BYTES_MAX || value.len() > LABEL_VALUE_BYTES_MAX {
            return Err(BadLabels::TooLong);
        }
        if !is_name(name, |_| false) {
            return Err(BadLabels::LabelName);
        }
        if *name == NAME {
            metric = value;
        }
    }
    if metric.is_empty() {
        return Err(BadLabels::NoName);
    }
    if is_name(metric, |b| b == b':') { Ok(()) } else { Err(BadLabels::Name) }
}

/// Whether a text is letters, digits and underscores, not starting with a digit, or `more`.
pub fn is_name(text: &str, more: impl Fn(u8) -> bool) -> bool {
    let starts_well = text.bytes().next().is_some_and(|b| !b.is_ascii_digit());
    starts_well && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || more(b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_in_any_order_are_sorted() {
        let mut labels = [("job", "x"), ("__name__", "up:rate5m"), ("zone", "")];
        assert_eq!(check(&mut labels), Ok(()));
        assert_eq!(labels[0].0, "__name__");
    }

    #[test]
    fn a_name_no_series_may_have_is_refused_with_its_reason() {
        let long = "v".repeat(LABEL_VALUE_BYTES_MAX + 1);
        let many: Vec<String> = (0..=LABELS_PER_SERIES_MAX).map(|i| format!("l{i}")).collect();
        let many: Vec<(&str, &str)> = many.iter().map(|l| (l.as_str(), "v")).collect();
        for (labels, reason) in [
            (&[][..], BadLabels::NoName),
            (&[("job", "x")], BadLabels::NoName),
            (&[("__name__", "")], BadLabels::NoName),
            (&[("__name__", "1up")], BadLabels::Name),
            (&[("__name__", "up-x")], BadLabels::Name),
            (&[("__name__", "up"), ("a-b", "x")], BadLabels::LabelName),
            (&[("__name__", "up"), ("a:b", "x")], BadLabels::LabelName),
            (&[("__name__", "up"), ("", "x")], BadLabels::LabelName),
            (&[("__name__", "up"), ("ü", "x")], BadLabels::LabelName),
            (&[("__name__", "up"), ("a", "1"), ("a", "1")], BadLabels::Doubled),
            (&[("a", "1"), ("__name__", "up"), ("a", "2")], BadLabels::Doubled),
            (&[("__name__", "up"), ("a", &long)], BadLabels::TooLong),
            (&many, BadLabels::TooMany),
        ] {
            assert_eq!(check(&mut labels.to_vec()), Err(reason), "{labels:?}");
        }
    }
}
