//! The plaintext protocol: `path[;tag=value…] value timestamp`, one to a line.

use whyslow_model::Labels;
use whyslow_model::limits::{
    GRAPHITE_NAME_BYTES_MAX, LABEL_VALUE_BYTES_MAX, LABELS_PER_SERIES_MAX,
};

use crate::path;

/// One value of one path.
#[derive(Clone, Debug, PartialEq)]
pub struct Point {
    /// The series under which it is stored.
    pub labels: Labels,
    /// The value; always finite.
    pub value: f64,
    /// Milliseconds since the epoch; `None` where the sender says "now" (a time of -1).
    pub at_ms: Option<i64>,
}

/// Why a line is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, thiserror::Error)]
pub enum BadLine {
    /// Not text.
    #[error("not UTF-8 text")]
    NotUtf8,
    /// Not three fields.
    #[error("not 'path value time'")]
    Fields,
    /// No path, or one with a character no path may have.
    #[error("invalid path")]
    Path,
    /// A tag without name or value, given twice, or with a character none may have.
    #[error("invalid tag")]
    Tag,
    /// Longer, or with more tags, than a name may be.
    #[error("name too long")]
    TooLong,
    /// Not a finite number.
    #[error("invalid value")]
    Value,
    /// Not a time.
    #[error("invalid time")]
    Time,
}

impl BadLine {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::NotUtf8,
        Self::Fields,
        Self::Path,
        Self::Tag,
        Self::TooLong,
        Self::Value,
        Self::Time,
    ];

    /// In a word, for a label.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NotUtf8 => "not_utf8",
            Self::Fields => "fields",
            Self::Path => "path",
            Self::Tag => "tag",
            Self::TooLong => "too_long",
            Self::Value => "value",
            Self::Time => "time",
        }
    }
}

/// Reads one line, without its end. `None` of a blank one.
///
/// # Errors
/// [`BadLine`] where it is not taken.
pub fn parse(line: &[u8]) -> Result<Option<Point>, BadLine> {
    let text = std::str::from_utf8(line).map_err(|_| BadLine::NotUtf8)?;
    let mut fields = text.split_ascii_whitespace();
    let Some(name) = fields.next() else { return Ok(None) };
    let (Some(value), Some(time), None) = (fields.next(), fields.next(), fields.next()) else {
        return Err(BadLine::Fields);
    };
    let labels = name_labels(name)?;
    let value: f64 = value.parse().map_err(|_| BadLine::Value)?;
    if !value.is_finite() {
        return Err(BadLine::Value);
    }
    Ok(Some(Point { labels, value, at_ms: read_time(time)? }))
}

/// The series that a name with its tags stands for.
///
/// # Errors
/// [`BadLine`] where nothing may be called so.
pub fn name_labels(name: &str) -> Result<Labels, BadLine> {
    if name.len() > GRAPHITE_NAME_BYTES_MAX {
        return Err(BadLine::TooLong);
    }
    let mut parts = name.split(';');
    let path = whole_path(parts.next().unwrap_or_default())?;
    let mut tags: Vec<(&str, &str)> = Vec::new();
    for part in parts {
        let (tag, value) = part.split_once('=').ok_or(BadLine::Tag)?;
        let bad = tag.is_empty()
            || tag == "name"
            || tag.contains(['!', '^', '='])
            || value.is_empty()
            || value.starts_with('~')
            || value.contains(char::is_control)
            || tag.contains(char::is_control)
            || tags.iter().any(|(t, _)| *t == tag);
        if bad {
            return Err(BadLine::Tag);
        }
        tags.push((tag, value));
        // Two labels are the metric and the path.
        if tags.len() + 2 > LABELS_PER_SERIES_MAX || value.len() > LABEL_VALUE_BYTES_MAX {
            return Err(BadLine::TooLong);
        }
    }
    Ok(path::labels(&path, tags))
}

/// The path without empty nodes, as a file system would read it.
fn whole_path(path: &str) -> Result<String, BadLine> {
    if path.contains(|c: char| c.is_control() || c.is_whitespace()) {
        return Err(BadLine::Path);
    }
    let nodes: Vec<&str> = path.split('.').filter(|n| !n.is_empty()).collect();
    if nodes.is_empty() { Err(BadLine::Path) } else { Ok(nodes.join(".")) }
}

/// Seconds since the epoch, whole or not; -1 is "now".
fn read_time(text: &str) -> Result<Option<i64>, BadLine> {
    let seconds: f64 = text.parse().map_err(|_| BadLine::Time)?;
    if seconds == -1.0 {
        return Ok(None);
    }
    if !(0.0..=1e11).contains(&seconds) {
        return Err(BadLine::Time);
    }
    #[expect(clippy::cast_possible_truncation, reason = "checked to be in range")]
    Ok(Some((seconds * 1000.0).round() as i64))
}

/// For the fuzzer: reads every line of the bytes.
pub fn fuzz_graphite_line(bytes: &[u8]) {
    for line in bytes.split(|b| *b == b'\n') {
        if let Ok(Some(point)) = parse(line) {
            let tags = path::tags_of(&point.labels);
            assert!(tags.contains_key("name"));
            assert!(point.value.is_finite());
            let again = name_labels(&path::name_of(&tags));
            assert_eq!(again.as_ref(), Ok(&point.labels));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_a_path_a_value_and_a_time() {
        let point = parse(b"servers.web1.load 0.5 1700000000\r").unwrap().unwrap();
        assert_eq!(point.labels.to_string(), r#"graphite{path="servers.web1.load"}"#);
        assert_eq!((point.value, point.at_ms), (0.5, Some(1_700_000_000_000)));
        let tagged = parse(b"load;host=web1;dc=a-1 -1e3 -1").unwrap().unwrap();
        assert_eq!(tagged.labels.to_string(), r#"graphite{dc="a-1",host="web1",path="load"}"#);
        assert_eq!((tagged.value, tagged.at_ms), (-1000.0, None));
        assert_eq!(parse(b"  \t "), Ok(None));
    }

    #[test]
    fn empty_nodes_count_for_nothing() {
        let point = parse(b".a..b. 1 1.5").unwrap().unwrap();
        assert_eq!(point.labels.value("path"), Some("a.b"));
        assert_eq!(point.at_ms, Some(1500));
    }

    #[test]
    fn what_is_no_line_is_refused_with_its_reason() {
        let long = format!("{} 1 1", "a".repeat(GRAPHITE_NAME_BYTES_MAX + 1));
        let many: String = (0..80).map(|i| format!(";t{i}=v")).collect();
        for (line, reason) in [
            (&b"a 1"[..], BadLine::Fields),
            (b"a 1 2 3", BadLine::Fields),
            (b"a b 2", BadLine::Value),
            (b"a nan 2", BadLine::Value),
            (b"a inf 2", BadLine::Value),
            (b"a 1 now", BadLine::Time),
            (b"a 1 -2", BadLine::Time),
            (b"a 1 1e300", BadLine::Time),
            (b"... 1 1", BadLine::Path),
            (b"a\x01b 1 1", BadLine::Path),
            (b";t=v 1 1", BadLine::Path),
            (b"a;t 1 1", BadLine::Tag),
            (b"a;t= 1 1", BadLine::Tag),
            (b"a;=v 1 1", BadLine::Tag),
            (b"a;name=v 1 1", BadLine::Tag),
            (b"a;t=1;t=2 1 1", BadLine::Tag),
            (b"a;t=~x 1 1", BadLine::Tag),
            (b"\xff 1 1", BadLine::NotUtf8),
            (long.as_bytes(), BadLine::TooLong),
            (format!("a{many} 1 1").as_bytes(), BadLine::TooLong),
        ] {
            assert_eq!(parse(line), Err(reason), "{}", String::from_utf8_lossy(line));
        }
    }

    #[test]
    fn any_bytes_do_no_harm() {
        fuzz_graphite_line(b"a;x=1;\xc3\xa4=2 1 1\na;path=b 2 3\na.;__name__=c 1 1\n\0");
    }
}
