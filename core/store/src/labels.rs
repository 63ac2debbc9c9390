//! Label sets as bytes, in which the registry of series keeps them.

use whyslow_model::Labels;
use whyslow_model::limits::{LABEL_VALUE_BYTES_MAX, LABELS_PER_SERIES_MAX};

use crate::bits::{put_varint, varint};

/// Each name and each value as its length and its text, in the order of the set.
pub fn pack(labels: &Labels) -> Vec<u8> {
    let mut out = Vec::new();
    for (name, value) in labels.iter() {
        for text in [name, value] {
            put_varint(&mut out, text.len() as u64);
            out.extend_from_slice(text.as_bytes());
        }
    }
    out
}

/// Undoes [`pack`]; `None` for bytes it never writes.
pub fn unpack(bytes: &[u8]) -> Option<Vec<(&str, &str)>> {
    let mut rest = bytes;
    let mut pairs: Vec<(&str, &str)> = Vec::new();
    while !rest.is_empty() {
        let name = text(&mut rest)?;
        let value = text(&mut rest)?;
        let ascends = pairs.last().is_none_or(|last| last.0 < name);
        if !ascends || value.is_empty() {
            return None;
        }
        pairs.push((name, value));
    }
    Some(pairs)
}

/// Reads anything at all, for the fuzzer.
pub fn fuzz_labels(bytes: &[u8]) {
    if let Some(pairs) = unpack(bytes) {
        let labels = Labels::from_pairs(pairs.iter().copied());
        assert_eq!(unpack(&pack(&labels)), Some(pairs), "a label set survives its bytes");
    }
}

/// Whether a series may bear these labels: not none, not too many, no value too long.
pub fn within_limits<'a>(pairs: impl Iterator<Item = (&'a str, &'a str)>) -> bool {
    let mut count = 0;
    for (name, value) in pairs {
        count += 1;
        if name.len() > LABEL_VALUE_BYTES_MAX || value.len() > LABEL_VALUE_BYTES_MAX {
            return false;
        }
    }
    (1..=LABELS_PER_SERIES_MAX).contains(&count)
}

fn text<'a>(rest: &mut &'a [u8]) -> Option<&'a str> {
    let len = usize::try_from(varint(rest)?).ok()?;
    let (bytes, after) = rest.split_at_checked(len)?;
    *rest = after;
    std::str::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_label_set_comes_back(pairs in prop::collection::vec(("[a-z]{1,3}", ".{0,9}"), 0..9)) {
            let labels = Labels::from_pairs(pairs);
            let bytes = pack(&labels);
            prop_assert_eq!(unpack(&bytes).map(Labels::from_pairs), Some(labels));
        }

        #[test]
        fn anything_at_all_is_read_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..99)) {
            fuzz_labels(&bytes);
        }
    }

    #[test]
    fn a_series_has_a_label_and_no_endless_one() {
        assert!(!within_limits([].into_iter()));
        assert!(within_limits([("a", "b")].into_iter()));
        let long = "x".repeat(LABEL_VALUE_BYTES_MAX + 1);
        assert!(!within_limits([("a", long.as_str())].into_iter()));
    }
}
