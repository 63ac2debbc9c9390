//! What an answer must be for a run to be ok.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Days before a certificate's end from which on a run warns.
pub const CERTIFICATE_DAYS: u32 = 14;
/// Bytes a compiled pattern may take.
const PATTERN_BYTES_MAX: usize = 1 << 20;

/// What the answer must be; everything said must hold.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Expect {
    /// HTTP statuses that are right, such as `200`, `2xx`, `200-299` or a list of those; `2xx` and `3xx` where left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<StatusSet>,
    /// Header fields of the answer and what each must hold.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, Match>,
    /// What the body must hold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<BodyRule>,
    /// What the body must not hold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body_without: Option<BodyRule>,
    /// What must hold inside a JSON body.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub json: Vec<JsonRule>,
    /// Warn when the certificate ends within so many days; 14 where left out, 0 never warns.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate_days: Option<u32>,
    /// Records that must be among the answers, such as `192.0.2.7` or `10 mail.example.`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub answers: Vec<String>,
    /// The response code that is right, such as `NXDOMAIN`; `NOERROR` where left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rcode: Option<String>,
}

impl Expect {
    /// Whether nothing is said.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// Whether the answer's body has to be kept to judge it.
    pub fn needs_body(&self) -> bool {
        self.body.is_some() || self.body_without.is_some() || !self.json.is_empty()
    }
}

/// One text to look for, or several of which each must hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum BodyRule {
    /// One.
    One(Match),
    /// Each of these.
    Each(Vec<Match>),
}

impl BodyRule {
    /// The single rules.
    pub fn rules(&self) -> &[Match] {
        match self {
            Self::One(one) => std::slice::from_ref(one),
            Self::Each(all) => all,
        }
    }
}

/// A text that must occur, or `{regex: …}` that must match.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Match {
    /// Occurs somewhere, case as written.
    Holds(String),
    /// Matches somewhere.
    Regex(RegexRule),
}

impl Match {
    /// Whether `text` fits.
    pub fn fits(&self, text: &str) -> bool {
        match self {
            Self::Holds(part) => text.contains(part.as_str()),
            Self::Regex(rule) => rule.regex.0.is_match(text),
        }
    }
}

/// As a sentence names it: `'welcome'` or `/wel+come/`.
impl fmt::Display for Match {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Holds(part) => write!(f, "'{part}'"),
            Self::Regex(rule) => write!(f, "/{}/", rule.regex.0.as_str()),
        }
    }
}

/// A regular expression to match.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RegexRule {
    /// The expression, in the syntax of Rust's `regex` crate; matches anywhere unless anchored.
    pub regex: Pattern,
}

/// A compiled regular expression.
#[derive(Clone, Debug)]
pub struct Pattern(regex::Regex);

impl Pattern {
    /// Whether it matches somewhere in `text`.
    pub fn is_match(&self, text: &str) -> bool {
        self.0.is_match(text)
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_str() == other.0.as_str()
    }
}

impl Eq for Pattern {}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_str())
    }
}

impl FromStr for Pattern {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        regex::RegexBuilder::new(text)
            .size_limit(PATTERN_BYTES_MAX)
            .build()
            .map(Self)
            .map_err(|e| e.to_string())
    }
}

impl Serialize for Pattern {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(self.0.as_str())
    }
}

impl<'de> Deserialize<'de> for Pattern {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        String::deserialize(d)?.parse().map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for Pattern {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        Cow::Borrowed("Pattern")
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "format": "regex" })
    }
}

/// A place in a JSON body and what must stand there; without `equals` and `regex` it must exist.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct JsonRule {
    /// Where, as RFC 9535 writes it: `$.items[0].name`, `$['a b']`, `$.items[*].id`, `$[-1]`.
    pub path: crate::json_path::JsonPath,
    /// The value that must stand there; one of several places suffices.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub equals: Option<serde_json::Value>,
    /// What the value, written as text, must match.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub regex: Option<Pattern>,
}

/// A set of HTTP statuses: `200`, `2xx`, `200-299`, or a list of those.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatusSet(Vec<(u16, u16)>);

impl StatusSet {
    /// What is right where nothing is said.
    pub fn usual() -> Self {
        Self(vec![(200, 399)])
    }

    /// Whether the status is in the set.
    pub fn holds(&self, status: u16) -> bool {
        self.0.iter().any(|(from, to)| (*from..=*to).contains(&status))
    }
}

/// `200, 2xx, 300-302`, as it can be typed.
impl fmt::Display for StatusSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, (from, to)) in self.0.iter().enumerate() {
            f.write_str(if i == 0 { "" } else { ", " })?;
            match (from, to) {
                (a, b) if a == b => write!(f, "{a}")?,
                (a, b) if a % 100 == 0 && *b == a + 99 => write!(f, "{}xx", a / 100)?,
                (a, b) => write!(f, "{a}-{b}")?,
            }
        }
        Ok(())
    }
}

/// One part of a status set.
#[derive(Deserialize)]
#[serde(untagged)]
enum StatusPart {
    Number(u16),
    Words(String),
}

#[derive(Deserialize)]
#[serde(untagged)]
enum StatusParts {
    One(StatusPart),
    Several(Vec<StatusPart>),
}

fn status_range(part: &StatusPart) -> Result<Vec<(u16, u16)>, String> {
    let text = match part {
        StatusPart::Number(n) => n.to_string(),
        StatusPart::Words(words) => words.clone(),
    };
    text.split(',').map(|piece| one_status(piece.trim())).collect()
}

fn one_status(text: &str) -> Result<(u16, u16), String> {
    let refused = || {
        let shown: String = text.chars().take(32).collect();
        format!("'{shown}' is no set of HTTP statuses; write 200, 2xx or 200-299")
    };
    let lower = text.to_ascii_lowercase();
    let range = if let Some(class) = lower.strip_suffix("xx") {
        let first = class.parse::<u16>().map_err(|_| refused())?.saturating_mul(100);
        (first, first.saturating_add(99))
    } else if let Some((from, to)) = text.split_once('-') {
        let number = |t: &str| t.trim().parse::<u16>().map_err(|_| refused());
        (number(from)?, number(to)?)
    } else {
        let one = text.parse::<u16>().map_err(|_| refused())?;
        (one, one)
    };
    let sound = range.0 <= range.1 && (100..=999).contains(&range.0) && range.1 <= 999;
    if sound { Ok(range) } else { Err(refused()) }
}

impl FromStr for StatusSet {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        status_range(&StatusPart::Words(text.to_owned())).map(Self)
    }
}

impl Serialize for StatusSet {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for StatusSet {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let parts = match StatusParts::deserialize(d)? {
            StatusParts::One(one) => vec![one],
            StatusParts::Several(several) => several,
        };
        let ranges: Result<Vec<_>, _> = parts.iter().map(status_range).collect();
        Ok(Self(ranges.map_err(serde::de::Error::custom)?.concat()))
    }
}

impl JsonSchema for StatusSet {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        Cow::Borrowed("StatusSet")
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let one = serde_json::json!({
            "anyOf": [
                { "type": "integer", "minimum": 100, "maximum": 999 },
                { "type": "string", "pattern": "^[0-9xX ,-]+$" }
            ]
        });
        schemars::json_schema!({
            "anyOf": [one.clone(), { "type": "array", "items": one }],
            "examples": [200, "2xx", "200-299"],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_are_numbers_classes_ranges_and_lists_of_those() {
        let cases = [
            ("200", vec![200], vec![201]),
            ("\"2xx\"", vec![200, 299], vec![300, 199]),
            ("\"200-204\"", vec![200, 204], vec![205]),
            ("[200, \"4xx\", \"500-502\"]", vec![200, 404, 501], vec![201, 503]),
            ("\"200, 301\"", vec![200, 301], vec![300]),
        ];
        for (text, held, not) in cases {
            let set: StatusSet = serde_json::from_str(text).expect(text);
            assert!(held.iter().all(|s| set.holds(*s)), "{text}");
            assert!(!not.iter().any(|s| set.holds(*s)), "{text}");
            let again: StatusSet = set.to_string().parse().expect("printed sets are read back");
            assert_eq!(again, set);
        }
    }

    #[test]
    fn what_is_no_set_of_statuses_is_refused() {
        for text in ["\"ok\"", "99", "\"300-200\"", "\"xx\"", "\"\"", "[true]", "\"66xx\""] {
            assert!(serde_json::from_str::<StatusSet>(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_pattern_that_would_take_all_memory_is_refused() {
        assert!("(a{1000}){1000}".parse::<Pattern>().is_err());
        assert!("(".parse::<Pattern>().is_err());
    }

    #[test]
    fn a_match_is_a_part_or_a_pattern() {
        let rule: BodyRule =
            serde_json::from_str(r#"["welcome", {"regex": "^<h1>"}]"#).expect("two rules");
        let fits: Vec<bool> = rule.rules().iter().map(|r| r.fits("<h1>welcome")).collect();
        assert_eq!(fits, [true, true]);
        assert!(serde_json::from_str::<BodyRule>(r#"{"regx": "a"}"#).is_err());
    }
}
