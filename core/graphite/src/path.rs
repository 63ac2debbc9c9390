//! How a Graphite name is stored, and how a stored series is called in Graphite.
//!
//! ```text
//! a.b.c                    graphite{path="a.b.c"}
//! disk.used;host=h1;r-k=2  graphite{path="disk.used",host="h1",U__r_2d_k="2"}
//! probe_success;check=home probe_success{check="home"}
//! ```
//!
//! What comes in by Graphite's plaintext has the metric [`METRIC`], its path in the label
//! [`PATH`], and its tags as labels. A tag that no label may be called is written as Prometheus
//! writes such names: `U__`, then letters and digits as they are, `_` doubled, everything else as
//! its code point in hexadecimal between underscores. Every other series is a tagged one in
//! Graphite, its metric being the tag `name`.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use whyslow_model::labels::{Labels, NAME};

/// The metric of everything that has a Graphite path.
pub const METRIC: &str = "graphite";
/// The label that holds the path.
pub const PATH: &str = "path";
/// What a label begins with whose tag needs escapes.
const ESCAPED: &str = "U__";

/// The series of a path with these tags, in any order.
pub fn labels<'a>(path: &str, tags: impl IntoIterator<Item = (&'a str, &'a str)>) -> Labels {
    let own = [(NAME.to_owned(), METRIC.to_owned()), (PATH.to_owned(), path.to_owned())];
    let tags = tags.into_iter().map(|(tag, value)| (label_of(tag), value.to_owned()));
    // The path comes last, so that nothing takes its place.
    Labels::from_pairs(tags.chain(own))
}

/// The label that holds a tag.
pub fn label_of(tag: &str) -> String {
    let starts_well = tag.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    let plain = starts_well && tag.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    if plain && tag != PATH && !tag.starts_with("__") && !tag.starts_with(ESCAPED) {
        return tag.to_owned();
    }
    let mut label = ESCAPED.to_owned();
    for c in tag.chars() {
        match c {
            '_' => label.push_str("__"),
            c if c.is_ascii_alphanumeric() => label.push(c),
            // Writing into a string does not fail.
            c => {
                let _ = write!(label, "_{:x}_", u32::from(c));
            }
        }
    }
    label
}

/// The tag that a label holds.
pub fn tag_of(label: &str) -> String {
    let Some(mut rest) = label.strip_prefix(ESCAPED) else { return label.to_owned() };
    let mut tag = String::with_capacity(rest.len());
    while let Some(at) = rest.find('_') {
        tag.push_str(&rest[..at]);
        let after = &rest[at + 1..];
        let Some((code, behind)) = after.split_once('_') else { return label.to_owned() };
        if code.is_empty() {
            tag.push('_');
        } else {
            match u32::from_str_radix(code, 16).ok().and_then(char::from_u32) {
                Some(c) => tag.push(c),
                None => return label.to_owned(),
            }
        }
        rest = behind;
    }
    tag.push_str(rest);
    tag
}

/// A series' tags as Graphite knows them, `name` among them.
pub fn tags_of(labels: &Labels) -> BTreeMap<String, String> {
    let is_path = has_path(labels);
    let mut tags: BTreeMap<String, String> = labels
        .iter()
        .filter(|(n, _)| *n != NAME && !(is_path && *n == PATH))
        .map(|(n, v)| (if is_path { tag_of(n) } else { n.to_owned() }, v.to_owned()))
        .collect();
    let own = if is_path { labels.value(PATH) } else { labels.metric() };
    tags.insert("name".to_owned(), own.unwrap_or_default().to_owned());
    tags
}

/// `path`, or `name;tag=value;…` where there are tags, in the order of the tags.
pub fn name_of(tags: &BTreeMap<String, String>) -> String {
    let mut name = tags.get("name").cloned().unwrap_or_default();
    for (tag, value) in tags.iter().filter(|(t, _)| *t != "name") {
        name.push(';');
        name.push_str(tag);
        name.push('=');
        name.push_str(value);
    }
    name
}

/// Whether the series came with a Graphite path.
pub fn has_path(labels: &Labels) -> bool {
    labels.metric() == Some(METRIC) && labels.value(PATH).is_some()
}

/// Whether the series is found by tags: all but bare paths are.
pub fn is_tagged(labels: &Labels) -> bool {
    !(has_path(labels) && labels.len() == 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_comes_back_from_the_store_as_it_went_in() {
        for (path, tags, name) in [
            ("a.b.c", &[][..], "a.b.c"),
            ("disk.used", &[("r-k", "2"), ("host", "h1")], "disk.used;host=h1;r-k=2"),
            ("x", &[("path", "p"), ("__name__", "n"), ("U__a", "b")], ""),
            ("x", &[("ünder_score", "1"), ("1st", "2")], "x;1st=2;ünder_score=1"),
        ] {
            let labels = labels(path, tags.iter().copied());
            assert_eq!(labels.value(PATH), Some(path));
            let back = tags_of(&labels);
            assert_eq!(back.len(), tags.len() + 1, "{back:?}");
            for (tag, value) in tags {
                assert_eq!(back.get(*tag).map(String::as_str), Some(*value));
            }
            if !name.is_empty() {
                assert_eq!(name_of(&back), name);
            }
        }
    }

    #[test]
    fn labels_of_other_origin_are_tags_as_they_are() {
        let l = Labels::from_pairs([(NAME, "up"), ("path", "x"), ("U__a_2d_", "y")]);
        assert_eq!(name_of(&tags_of(&l)), "up;U__a_2d_=y;path=x");
        assert!(is_tagged(&l));
    }

    #[test]
    fn a_label_that_only_looks_escaped_stays_as_it_is() {
        for label in ["U__a_zz_", "U__a_", "U___110000_"] {
            assert_eq!(tag_of(label), label);
        }
    }
}
