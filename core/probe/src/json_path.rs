//! Places in a JSON document: the part of RFC 9535 that names places without computing them
//! (`$`, `.name`, `['name']`, `[0]`, `[-1]`, `[*]`, `.*`, `..name`).

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

/// Bytes of one path.
const PATH_BYTES_MAX: usize = 1024;
/// Places one path may lead to.
const PLACES_MAX: usize = 10_000;

/// A path to zero or more places in a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JsonPath {
    text: String,
    steps: Vec<Step>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    Name(String),
    Index(i64),
    All,
    /// The node and everything below it.
    Below,
}

impl JsonPath {
    /// The values the path leads to in document order, at most 10 000 of them.
    pub fn places<'a>(&self, document: &'a Value) -> Vec<&'a Value> {
        let mut here = vec![document];
        for step in &self.steps {
            let mut next = Vec::new();
            for value in here {
                follow(step, value, &mut next);
                next.truncate(PLACES_MAX);
            }
            here = next;
        }
        here
    }
}

fn follow<'a>(step: &Step, value: &'a Value, next: &mut Vec<&'a Value>) {
    match (step, value) {
        (Step::Name(name), Value::Object(members)) => next.extend(members.get(name)),
        (Step::Index(at), Value::Array(items)) => next.extend(item(items, *at)),
        (Step::All, Value::Array(items)) => next.extend(items),
        (Step::All, Value::Object(members)) => next.extend(members.values()),
        (Step::Below, _) => below(value, next),
        (Step::Name(_) | Step::Index(_) | Step::All, _) => {}
    }
}

fn item(items: &[Value], at: i64) -> Option<&Value> {
    let place = if at < 0 { i64::try_from(items.len()).ok()?.checked_add(at)? } else { at };
    items.get(usize::try_from(place).ok()?)
}

/// Depth is bounded by the JSON reader's own limit of 128.
fn below<'a>(value: &'a Value, next: &mut Vec<&'a Value>) {
    if next.len() >= PLACES_MAX {
        return;
    }
    next.push(value);
    match value {
        Value::Array(items) => items.iter().for_each(|v| below(v, next)),
        Value::Object(members) => members.values().for_each(|v| below(v, next)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// A text that is no path.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("JSON path: {what} at position {at}; write it as $.items[0].name")]
pub struct NotAPath {
    what: &'static str,
    at: usize,
}

impl FromStr for JsonPath {
    type Err = NotAPath;

    fn from_str(text: &str) -> Result<Self, NotAPath> {
        let refused = |what, rest: &str| NotAPath { what, at: text.len() - rest.len() + 1 };
        if text.len() > PATH_BYTES_MAX {
            return Err(NotAPath { what: "longer than 1024 bytes", at: PATH_BYTES_MAX });
        }
        let mut rest = text.strip_prefix('$').ok_or(NotAPath { what: "no $", at: 1 })?;
        let mut steps = Vec::new();
        while !rest.is_empty() {
            if let Some(after) = rest.strip_prefix("..") {
                steps.push(Step::Below);
                rest = if after.starts_with('[') {
                    after
                } else {
                    member(after, &mut steps).ok_or_else(|| refused("no name", after))?
                };
            } else if let Some(after) = rest.strip_prefix('.') {
                rest = member(after, &mut steps).ok_or_else(|| refused("no name", after))?;
            } else if let Some(after) = rest.strip_prefix('[') {
                rest = bracket(after, &mut steps)
                    .ok_or_else(|| refused("neither an index, a quoted name nor *", after))?;
            } else {
                return Err(refused("neither . nor [", rest));
            }
        }
        Ok(Self { text: text.to_owned(), steps })
    }
}

fn member<'a>(rest: &'a str, steps: &mut Vec<Step>) -> Option<&'a str> {
    if let Some(after) = rest.strip_prefix('*') {
        steps.push(Step::All);
        return Some(after);
    }
    let inside = |c: char| c.is_alphanumeric() || c == '_' || c == '-' || !c.is_ascii();
    let end = rest.find(|c| !inside(c)).unwrap_or(rest.len());
    if end == 0 {
        return None;
    }
    steps.push(Step::Name(rest[..end].to_owned()));
    Some(&rest[end..])
}

fn bracket<'a>(rest: &'a str, steps: &mut Vec<Step>) -> Option<&'a str> {
    if let Some(after) = rest.strip_prefix("*]") {
        steps.push(Step::All);
        return Some(after);
    }
    if let Some(quote @ ('\'' | '"')) = rest.chars().next() {
        let (name, after) = quoted(&rest[1..], quote)?;
        steps.push(Step::Name(name));
        return after.strip_prefix(']');
    }
    let (number, after) = rest.split_once(']')?;
    steps.push(Step::Index(number.parse().ok()?));
    Some(after)
}

/// The text up to the closing quote, a backslash taking the next character as it is.
fn quoted(rest: &str, quote: char) -> Option<(String, &str)> {
    let mut name = String::new();
    let mut chars = rest.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' => name.push(chars.next()?.1),
            c if c == quote => return Some((name, &rest[at + c.len_utf8()..])),
            c => name.push(c),
        }
    }
    None
}

impl fmt::Display for JsonPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Serialize for JsonPath {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for JsonPath {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        String::deserialize(d)?.parse().map_err(serde::de::Error::custom)
    }
}

impl schemars::JsonSchema for JsonPath {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        Cow::Borrowed("JsonPath")
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "pattern": r"^\$",
            "examples": ["$.status", "$.items[0].name"],
        })
    }
}

/// For the fuzzer: the first line is a path, the rest a document.
pub fn fuzz_json_path(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let (path, document) = text.split_once('\n').unwrap_or((text, "{}"));
    let Ok(path) = path.parse::<JsonPath>() else { return };
    if let Ok(document) = serde_json::from_str(document) {
        assert!(path.places(&document).len() <= PLACES_MAX);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_leads_to_the_places_it_names() {
        let document = serde_json::json!({
            "status": "ok",
            "items": [{"id": 1}, {"id": 2, "deep": {"id": 3}}],
            "a b": true,
            "it's": 7
        });
        let cases = [
            ("$.status", r#"["ok"]"#),
            ("$['a b']", "[true]"),
            (r"$['it\'s']", "[7]"),
            ("$.items[0].id", "[1]"),
            ("$.items[-1].id", "[2]"),
            ("$.items[*].id", "[1,2]"),
            ("$..id", "[1,2,3]"),
            ("$.items.*.deep.id", "[3]"),
            ("$.items[9]", "[]"),
            ("$.items[-9]", "[]"),
            ("$.status.x", "[]"),
        ];
        for (path, found) in cases {
            let path: JsonPath = path.parse().expect(path);
            let places = serde_json::to_string(&path.places(&document)).expect("values");
            assert_eq!(places, found, "{path}");
        }
        assert_eq!("$".parse::<JsonPath>().expect("the root").places(&document), [&document]);
    }

    #[test]
    fn what_is_no_path_is_refused_with_its_position() {
        let cases =
            ["", "status", "$status", "$.", "$[", "$[x]", "$['a", "$['a'", "$.a[1", "$..", "$. a"];
        for text in cases {
            assert!(text.parse::<JsonPath>().is_err(), "{text}");
        }
        let refused = "$.a[x]".parse::<JsonPath>().expect_err("x is no index");
        assert_eq!(refused.at, 5);
    }

    proptest::proptest! {
        #[test]
        fn no_text_breaks_the_parser(path in r"\$[.\[\]'\\a0*-]{0,20}", rest in ".{0,20}") {
            fuzz_json_path(format!("{path}{rest}\n[{{\"a\":[0]}}]").as_bytes());
        }
    }
}
