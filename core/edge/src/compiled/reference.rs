//! The engine against regular expressions made of the same format string: a reading of theirs is
//! ours too, field by field, on sound lines and on damaged ones.

use proptest::prelude::*;
use regex::bytes::Regex;

use super::values::{Number, Text};
use super::{Fields, FormatError, Values, compile, number, scan};

/// How a variable is written, what it may hold, and where its value goes.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Integer(Number),
    Decimal(Number),
    Word(Text),
    Plain(Text),
    Text(Option<Text>),
    List(Text),
    Date,
}

const VARIABLES: &[(&str, Kind)] = &[
    ("status", Kind::Integer(Number::Code)),
    ("body_bytes_sent", Kind::Integer(Number::BodyOut)),
    ("request_length", Kind::Integer(Number::BytesIn)),
    ("request_time", Kind::Decimal(Number::Total)),
    ("msec", Kind::Decimal(Number::Epoch)),
    ("host", Kind::Word(Text::Host)),
    ("server_name", Kind::Word(Text::Vip)),
    ("request_method", Kind::Plain(Text::Method)),
    ("proxy_host", Kind::Word(Text::Backend)),
    ("uri", Kind::Text(Some(Text::Path))),
    ("request", Kind::Text(Some(Text::Request))),
    ("http_user_agent", Kind::Text(None)),
    ("remote_user", Kind::Text(None)),
    ("upstream_addr", Kind::List(Text::UpstreamAddr)),
    ("upstream_status", Kind::List(Text::UpstreamStatus)),
    ("time_local", Kind::Date),
];
const LITERALS: &[&str] =
    &[" ", " \"", "\" ", "\" \"", " - ", " [", "] ", "|", ",", " rt=", "\"", "/", "", " (", "): "];

impl Kind {
    /// The bytes such a field may be.
    const fn pattern(self) -> &'static str {
        match self {
            Self::Integer(_) => r"[+-]?[0-9]{0,18}",
            Self::Decimal(_) => r"[+-]?[0-9]{0,12}(?:\.[0-9]+)?",
            Self::Word(_) => r#"[^ \t"]*"#,
            Self::Plain(_) => r#"[^ \t",]*"#,
            Self::Text(_) => r#"(?:[^"\\]|\\.)*"#,
            Self::List(_) => r#"[^ \t",]*(?:(?:, | : )[^ \t",]*)*"#,
            Self::Date => "[0-9]{2}/[A-Z][a-z]{2}/[0-9]{4}:[0-9]{2}:[0-9]{2}:[0-9]{2} [+-][0-9]{4}",
        }
    }

    /// Values of the kind, with what other fields and literals look like among them.
    fn values(self) -> BoxedStrategy<String> {
        let date = "22/Nov/2026:10:11:12 +0100";
        match self {
            Self::Integer(_) => "-|[0-9]{1,4}".boxed(),
            Self::Decimal(_) => r"-|[0-9]{1,3}\.[0-9]{3}".boxed(),
            Self::Word(_) => r"[a-c0-9.:|/\[\]-]{0,6}".boxed(),
            Self::Plain(_) => r"[a-c0-9.:|/\[\]-]{0,6}".boxed(),
            Self::Text(_) => prop_oneof![
                r"[a-b0-9 .:|/\[\]()-]{0,12}",
                r#"(\\"|\\\\|[ab0-9 ]){0,6}"#,
                Just(format!("x [{date}] 200 5")),
                Just("1 2 - 3 rt=4 (5): 6".to_owned()),
            ]
            .boxed(),
            Self::List(_) => "(-|[0-9.:]{1,6})((, | : )(-|[0-9.:]{1,6})){0,2}".boxed(),
            Self::Date => Just(date.to_owned()).boxed(),
        }
    }

    /// What the engine made of a field, beside what it must make of these bytes.
    fn same(self, values: &Values<'_>, capture: &[u8]) -> bool {
        match self {
            Self::Integer(n) => values.number(n) == number::integer(capture).and_then(|r| r.value),
            Self::Decimal(n) => values.number(n) == number::decimal(capture).and_then(|r| r.value),
            Self::Word(t) | Self::Plain(t) | Self::List(t) | Self::Text(Some(t)) => {
                values.text(t) == capture
            }
            Self::Text(None) => true,
            Self::Date => values.at_us == Some(1_795_338_672_000_000),
        }
    }
}

/// A format of distinct variables, and a line of it.
fn format_and_line() -> impl Strategy<Value = (Vec<(usize, usize)>, String)> {
    let indices: Vec<usize> = (0..VARIABLES.len()).collect();
    let chosen = proptest::sample::subsequence(indices, 1..8).prop_shuffle();
    let with_literals = chosen.prop_flat_map(|chosen| {
        let literals = proptest::collection::vec(0..LITERALS.len(), chosen.len());
        (Just(chosen), literals)
    });
    with_literals.prop_flat_map(|(chosen, literals)| {
        let fields: Vec<_> = chosen.iter().map(|v| VARIABLES[*v].1.values()).collect();
        let pairs: Vec<_> = chosen.into_iter().zip(literals).collect();
        (Just(pairs.clone()), fields).prop_map(move |(_, fields)| {
            let line =
                fields.iter().zip(&pairs).fold(String::new(), |line, (field, (_, literal))| {
                    line + field + LITERALS[*literal]
                });
            (pairs.clone(), line)
        })
    })
}

/// Holds a line against both; says whether there was something to compare.
fn agree(format: &[(usize, usize)], line: &[u8], sound: bool) -> bool {
    let text: String =
        format.iter().map(|(v, l)| format!("${{{}}}{}", VARIABLES[*v].0, LITERALS[*l])).collect();
    // Quoted, so that a space at its end counts.
    let text = format!("'{text}'");
    let compiled = match compile(&text) {
        Ok(compiled) => compiled,
        Err(FormatError::Ambiguous { .. } | FormatError::NothingKnown) => return false,
        Err(other) => panic!("{text}: {other}"),
    };
    let pattern: String = format
        .iter()
        .map(|(v, l)| format!("({}){}", VARIABLES[*v].1.pattern(), regex::escape(LITERALS[*l])))
        .collect();
    let Some(captures) = Regex::new(&format!("(?s-u)^{pattern}$")).unwrap().captures(line) else {
        assert!(!sound, "a line of {text} is none by its own regular expression: {line:?}");
        return false;
    };
    let mut fields = Fields::default();
    let mut values = Values::new(line, &mut fields, crate::format::Wanted::default());
    let shown = String::from_utf8_lossy(line);
    match scan::scan(&compiled.layout, 0, &mut values) {
        // Damage may leave a number too large or a day that does not exist.
        Err(reject) => assert!(!sound, "{text} rejects {shown}: {reject}"),
        Ok(()) => {
            for (i, (v, _)) in format.iter().enumerate() {
                let (name, kind) = VARIABLES[*v];
                let same =
                    kind.same(&values, &captures[i + 1]) || (!sound && matches!(kind, Kind::Date));
                assert!(same, "{name} of {text} in {shown}: {:?}", captures.get(i + 1));
            }
        }
    }
    true
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn lines_are_read_as_by_regular_expressions(
        (format, line) in format_and_line(),
        damage in proptest::option::of((any::<prop::sample::Index>(), "[ \"\\[a0-]{0,2}")),
    ) {
        let mut bytes = line.into_bytes();
        let sound = damage.is_none();
        if let Some((at, patch)) = damage
            && !bytes.is_empty()
        {
            let at = at.index(bytes.len());
            bytes.splice(at..=at, patch.into_bytes());
        }
        agree(&format, &bytes, sound);
    }
}

#[test]
fn most_of_the_formats_tried_are_compared() {
    use proptest::strategy::ValueTree;
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let compared = (0..300).filter(|_| {
        let (format, line) = format_and_line().new_tree(&mut runner).unwrap().current();
        agree(&format, line.as_bytes(), true)
    });
    let compared = compared.count();
    assert!(compared > 60, "{compared} of 300");
}
