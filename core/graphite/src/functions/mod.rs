//! The functions of `/render`: one list, from which `/functions` is told as well.

mod alias;
mod arithmetic;
mod call;
mod combine;
mod filter;
mod graph;
mod group;
mod moving;
mod percent;
mod shape;
mod sort;
mod summarize;

use std::fmt::Write as _;

use serde_json::{Map, Value, json};

use crate::error::RenderError;
use crate::series::Series;
pub(crate) use call::Call;

/// One function.
#[derive(Clone, Copy, Debug)]
pub struct Function {
    /// Its name.
    pub name: &'static str,
    /// Where it stands in a menu.
    pub group: &'static str,
    /// What it does, in a sentence.
    pub description: &'static str,
    /// What it takes.
    pub parameters: &'static [Parameter],
    pub(crate) run: Run,
}

pub(crate) type Answer = Result<Vec<Series>, RenderError>;
pub(crate) type Run = fn(&mut Call<'_, '_>) -> Answer;

/// One thing a function takes.
#[derive(Clone, Copy, Debug)]
pub struct Parameter {
    /// Its name.
    pub name: &'static str,
    /// What it is.
    pub kind: Kind,
    /// Whether it must be given.
    pub required: bool,
    /// Whether several may be given; only of the last.
    pub multiple: bool,
    /// What it is where it is not given, as JSON.
    pub default: Option<&'static str>,
    /// What to offer for it.
    pub suggestions: &'static [&'static str],
}

/// What a parameter is, in the words that Graphite's clients know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is the word of its name")]
pub enum Kind {
    AggFunc,
    AggOrSeriesFunc,
    Any,
    Boolean,
    Float,
    Integer,
    IntOrInterval,
    Interval,
    Node,
    NodeOrTag,
    SeriesList,
    String,
    Tag,
}

impl Kind {
    const fn as_str(self) -> &'static str {
        match self {
            Self::AggFunc => "aggFunc",
            Self::AggOrSeriesFunc => "aggOrSeriesFunc",
            Self::Any => "any",
            Self::Boolean => "boolean",
            Self::Float => "float",
            Self::Integer => "integer",
            Self::IntOrInterval => "intOrInterval",
            Self::Interval => "interval",
            Self::Node => "node",
            Self::NodeOrTag => "nodeOrTag",
            Self::SeriesList => "seriesList",
            Self::String => "string",
            Self::Tag => "tag",
        }
    }
}

/// A parameter that must be given.
pub(crate) const fn needed(name: &'static str, kind: Kind) -> Parameter {
    Parameter { name, kind, required: true, multiple: false, default: None, suggestions: &[] }
}

impl Parameter {
    /// It need not be given.
    pub(crate) const fn optional(mut self) -> Self {
        self.required = false;
        self
    }

    /// It is this, in JSON, where it is not given.
    pub(crate) const fn or(mut self, default: &'static str) -> Self {
        self.required = false;
        self.default = Some(default);
        self
    }

    /// Several may be given.
    pub(crate) const fn many(mut self) -> Self {
        self.multiple = true;
        self
    }

    /// What to offer.
    pub(crate) const fn such_as(mut self, suggestions: &'static [&'static str]) -> Self {
        self.suggestions = suggestions;
        self
    }

    fn to_json(self) -> Value {
        let mut all = Map::new();
        all.insert("name".into(), self.name.into());
        all.insert("type".into(), self.kind.as_str().into());
        if self.required {
            all.insert("required".into(), true.into());
        }
        if self.multiple {
            all.insert("multiple".into(), true.into());
        }
        if let Some(default) = self.default {
            all.insert("default".into(), serde_json::from_str(default).unwrap_or(Value::Null));
        }
        if matches!(self.kind, Kind::AggFunc | Kind::AggOrSeriesFunc) {
            let names = crate::Reduction::NAMES.iter().map(|(name, _)| *name);
            all.insert("options".into(), names.collect());
        }
        if !self.suggestions.is_empty() {
            all.insert("suggestions".into(), json!(self.suggestions));
        }
        Value::Object(all)
    }
}

impl Function {
    /// The function as `/functions` tells it.
    pub fn to_json(&self) -> Value {
        let mut signature = format!("{}(", self.name);
        for (i, p) in self.parameters.iter().enumerate() {
            let comma = if i == 0 { "" } else { ", " };
            let star = if p.multiple { "*" } else { "" };
            // Writing into a string does not fail.
            let _ = write!(signature, "{comma}{star}{}", p.name);
            if let Some(default) = p.default {
                let _ = write!(signature, "={default}");
            }
        }
        signature.push(')');
        json!({
            "name": self.name,
            "function": signature,
            "description": self.description,
            "module": "whyslow",
            "group": self.group,
            "params": self.parameters.iter().map(|p| p.to_json()).collect::<Vec<_>>(),
        })
    }
}

/// The function of this name.
pub fn find(name: &str) -> Option<&'static Function> {
    all().find(|f| f.name == name)
}

/// All functions, by group.
pub fn all() -> impl Iterator<Item = &'static Function> {
    ALL.iter().flat_map(|group| group.iter())
}

/// One list a file.
const ALL: &[&[Function]] = &[
    combine::FUNCTIONS,
    group::FUNCTIONS,
    percent::FUNCTIONS,
    arithmetic::FUNCTIONS,
    shape::FUNCTIONS,
    summarize::FUNCTIONS,
    moving::FUNCTIONS,
    filter::FUNCTIONS,
    sort::FUNCTIONS,
    alias::FUNCTIONS,
    graph::FUNCTIONS,
];

/// A number with six digits and no more than it needs, as C's `%g` prints it.
pub(crate) fn short(number: f64) -> String {
    if number == 0.0 || !number.is_finite() {
        return if number.is_nan() { "nan".into() } else { format!("{number}") };
    }
    let scientific = format!("{number:.5e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let trimmed = |text: &str| {
        let cut = if text.contains('.') { text.trim_end_matches('0') } else { text };
        cut.trim_end_matches('.').to_owned()
    };
    if (-4..6).contains(&exponent) {
        let decimals = usize::try_from(5 - exponent).unwrap_or(0);
        return trimmed(&format!("{number:.decimals$}"));
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{}e{sign}{:02}", trimmed(digits), exponent.abs())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_function_is_named_once_and_described() {
        let mut names = BTreeSet::new();
        for function in all() {
            assert!(names.insert(function.name), "{} twice", function.name);
            assert!(function.description.ends_with('.'), "{}", function.name);
            let (last, others) = function.parameters.split_last().unwrap();
            assert!(others.iter().all(|p| !p.multiple), "{last:?}");
            for p in function.parameters {
                let default = p.default.map(serde_json::from_str::<Value>);
                assert!(default.is_none_or(|d| d.is_ok()), "{} {}", function.name, p.name);
            }
        }
        assert!(names.len() > 60, "{}", names.len());
    }

    #[test]
    fn a_function_is_told_in_the_shape_grafana_reads() {
        let told = find("movingAverage").unwrap().to_json();
        assert_eq!(told["group"], "Calculate");
        assert_eq!(told["params"][0]["type"], "seriesList");
        assert_eq!(told["params"][1]["type"], "intOrInterval");
        assert_eq!(told["params"][0]["required"], true);
        assert_eq!(find("highest").unwrap().to_json()["params"][1]["default"], 1);
    }

    #[test]
    fn numbers_are_as_short_as_c_prints_them() {
        for (number, text) in [
            (0.0, "0"),
            (10.0, "10"),
            (0.5, "0.5"),
            (-2.25, "-2.25"),
            (1e6, "1e+06"),
            (123_456.0, "123456"),
            (1_234_567.0, "1.23457e+06"),
            (0.0001, "0.0001"),
            (0.000_012_5, "1.25e-05"),
            (1.0 / 3.0, "0.333333"),
            (f64::INFINITY, "inf"),
        ] {
            assert_eq!(short(number), text);
        }
    }
}
