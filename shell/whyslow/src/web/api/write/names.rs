//! Which label sets a sender may use, and the ones already met.

use std::sync::{Mutex, PoisonError};

use whyslow_model::labels::{Labels, NAME};
use whyslow_model::limits::{LABEL_VALUE_BYTES_MAX, LABELS_PER_SERIES_MAX, REMOTE_WRITE_NAMES_MAX};

use whyslow_store::remote_write::read_labels;

/// Why a series is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Refusal {
    /// Not pairs of UTF-8 texts.
    NotUtf8,
    /// No `__name__`.
    NoName,
    /// A metric name outside `[a-zA-Z_:][a-zA-Z0-9_:]*`.
    BadName,
    /// A label name outside `[a-zA-Z_][a-zA-Z0-9_]*`.
    BadLabelName,
    /// One label given twice.
    DoubledLabel,
    /// More labels than [`LABELS_PER_SERIES_MAX`].
    TooManyLabels,
    /// A name or value longer than [`LABEL_VALUE_BYTES_MAX`].
    TooLong,
}

impl Refusal {
    /// In words.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NotUtf8 => "a label is not UTF-8 text",
            Self::NoName => "no metric name",
            Self::BadName => "an invalid metric name",
            Self::BadLabelName => "an invalid label name",
            Self::DoubledLabel => "a label given twice",
            Self::TooManyLabels => "too many labels",
            Self::TooLong => "a label that is too long",
        }
    }
}

/// Label sets by the bytes that named them. A sender repeats itself every few seconds, so
/// nearly every series costs one look-up and no allocation.
///
/// Bounded: what has not been met for a whole generation is forgotten.
#[derive(Debug, Default)]
pub struct Names {
    generations: Mutex<Generations>,
}

#[derive(Debug, Default)]
struct Generations {
    young: Table,
    old: Table,
}

type Table = hashbrown::HashMap<Box<[u8]>, Labels, foldhash::fast::RandomState>;

impl Names {
    /// The label set these label fields name.
    ///
    /// # Errors
    /// [`Refusal`] where no series may be called so.
    pub fn labels(&self, label_bytes: &[u8]) -> Result<Labels, Refusal> {
        let mut known = self.generations.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(labels) = known.young.get(label_bytes) {
            return Ok(labels.clone());
        }
        let (name, labels) = match known.old.remove_entry(label_bytes) {
            Some(entry) => entry,
            None => (label_bytes.into(), checked(label_bytes)?),
        };
        if known.young.len() >= REMOTE_WRITE_NAMES_MAX / 2 {
            known.old = std::mem::take(&mut known.young);
        }
        known.young.insert(name, labels.clone());
        Ok(labels)
    }
}

fn checked(label_bytes: &[u8]) -> Result<Labels, Refusal> {
    let mut pairs = Vec::new();
    read_labels(label_bytes, &mut pairs).map_err(|_| Refusal::NotUtf8)?;
    if pairs.len() > LABELS_PER_SERIES_MAX {
        return Err(Refusal::TooManyLabels);
    }
    pairs.sort_unstable();
    if pairs.windows(2).any(|two| two[0].0 == two[1].0) {
        return Err(Refusal::DoubledLabel);
    }
    for (name, value) in &pairs {
        if name.len() > LABEL_VALUE_BYTES_MAX || value.len() > LABEL_VALUE_BYTES_MAX {
            return Err(Refusal::TooLong);
        }
        if !is_label_name(name) {
            return Err(Refusal::BadLabelName);
        }
    }
    let labels = Labels::from_pairs(pairs);
    match labels.value(NAME) {
        None => Err(Refusal::NoName),
        Some(name) if !is_metric_name(name) => Err(Refusal::BadName),
        Some(_) => Ok(labels),
    }
}

fn is_label_name(name: &str) -> bool {
    is_metric_name(name) && !name.contains(':')
}

fn is_metric_name(name: &str) -> bool {
    let starts_well = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_' || c == ':');
    starts_well && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b':')
}

#[cfg(test)]
mod tests {
    use super::super::sent;
    use super::*;
    use whyslow_model::reader::Reader;
    use whyslow_store::remote_write::{Series, next_item};

    fn named(labels: &[(&str, &str)]) -> Result<Labels, Refusal> {
        let bytes = sent::request(&[(labels, &[])]);
        let mut read = Series::default();
        next_item(&mut Reader::new(&bytes), &mut read).unwrap();
        Names::default().labels(&read.label_bytes)
    }

    #[test]
    fn labels_are_sorted_and_empty_values_are_absent_labels() {
        let labels = named(&[("job", "x"), ("__name__", "up"), ("zone", "")]).unwrap();
        assert_eq!(labels.to_string(), r#"up{job="x"}"#);
    }

    #[test]
    fn a_name_no_series_may_have_is_refused_with_its_reason() {
        let long = "v".repeat(LABEL_VALUE_BYTES_MAX + 1);
        let many: Vec<String> = (0..=LABELS_PER_SERIES_MAX).map(|i| format!("l{i}")).collect();
        let many: Vec<(&str, &str)> = many.iter().map(|l| (l.as_str(), "v")).collect();
        for (labels, refusal) in [
            (&[][..], Refusal::NoName),
            (&[("job", "x")], Refusal::NoName),
            (&[("__name__", "")], Refusal::NoName),
            (&[("__name__", "1up")], Refusal::BadName),
            (&[("__name__", "up"), ("a-b", "x")], Refusal::BadLabelName),
            (&[("__name__", "up"), ("a:b", "x")], Refusal::BadLabelName),
            (&[("__name__", "up"), ("", "x")], Refusal::BadLabelName),
            (&[("__name__", "up"), ("a", "1"), ("a", "1")], Refusal::DoubledLabel),
            (&[("__name__", "up"), ("a", &long)], Refusal::TooLong),
            (&many, Refusal::TooManyLabels),
        ] {
            assert_eq!(named(labels), Err(refusal), "{labels:?}");
        }
    }

    #[test]
    fn a_label_that_is_no_text_is_refused() {
        assert_eq!(Names::default().labels(&[0x0a, 3, 0x0a, 1, 0xff]), Err(Refusal::NotUtf8));
    }
}
