//! The script language of `tests/scripts/*.test`. A line is empty, a `#` comment, or one of:
//!
//! ```text
//! clear                              forget all series
//! load 10s from 0s                   what follows are series, a point every 10 s
//!   up{job="a"} 1 2 _ 4 stale        values; `_` is a gap, `stale` a staleness marker
//!   hits 0+5x10                      0 and then 10 steps of +5 (or `-`); `7x3` is 7, 3 times more
//! closed | open                      the left edge of ranges from here on
//! eval 1m up                         an instant query at that time
//! eval 0s..1m/30s up                 a range query
//!   {job="a"} 1                      an expected series: a value, or for ranges one a step
//!   scalar 3  |  text "a"            an expected scalar or text
//!   ordered                          the series must come in this order
//!   fail part of the message         it must fail, saying this
//!   warn part of the message         it must warn, saying this
//! ```
//!
//! Numbers compare at 1e-12 relative; NaN equals NaN. In a range query `_` is an absent value.
//! A range selector's points are expected as `value@seconds`.

use whyslow_model::Labels;
use whyslow_model::labels::NAME;
use whyslow_model::matcher::Matcher;
use whyslow_model::read::SeriesPoints;
use whyslow_model::sample::stale_nan;
use whyslow_promql::{Answer, EvalOptions, InstantValue, LeftEdge, parse, parse_selector};

use crate::memory::Memory;

/// Runs a script and tells each answer that differs from what it expects.
pub(crate) fn run(name: &str, text: &str) -> Vec<String> {
    let mut state = State { store: Memory::default(), edge: LeftEdge::Open };
    let mut wrong = Vec::new();
    let lines: Vec<&str> = text.lines().collect();
    let mut at = 0;
    while at < lines.len() {
        let line_no = at + 1;
        let line = lines[at].split(" #").next().unwrap().trim_end();
        at += 1;
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let mut body = Vec::new();
        while at < lines.len() && lines[at].starts_with("  ") {
            let line = lines[at].trim();
            if !line.starts_with('#') {
                body.push(line);
            }
            at += 1;
        }
        if let Err(why) = state.block(line, &body) {
            wrong.push(format!("{name}:{line_no}: {line}\n    {why}"));
        }
    }
    wrong
}

struct State {
    store: Memory,
    edge: LeftEdge,
}

impl State {
    fn block(&mut self, head: &str, body: &[&str]) -> Result<(), String> {
        let (verb, rest) = head.split_once(' ').unwrap_or((head, ""));
        match verb {
            "clear" => self.store = Memory::default(),
            "open" => self.edge = LeftEdge::Open,
            "closed" => self.edge = LeftEdge::Closed,
            "load" => self.load(rest, body),
            "eval" => return self.eval(rest, body),
            _ => panic!("{verb:?} is no verb of the script language"),
        }
        Ok(())
    }

    fn load(&mut self, rest: &str, body: &[&str]) {
        let words: Vec<&str> = rest.split_whitespace().collect();
        let (step_ms, from_ms) = match words[..] {
            [step] => (ms(step), 0),
            [step, "from", from] => (ms(step), ms(from)),
            _ => panic!("load STEP [from TIME], not {rest:?}"),
        };
        for line in body {
            let (labels, values) = series_and_rest(line);
            let mut points = SeriesPoints { labels, ..SeriesPoints::default() };
            let mut at_ms = from_ms;
            for value in values.split_whitespace().flat_map(expand) {
                if let Some(value) = value {
                    points.times_ms.push(at_ms);
                    points.values.push(value);
                }
                at_ms += step_ms;
            }
            let known = self.store.series.iter_mut().find(|s| s.labels == points.labels);
            match known {
                Some(known) => {
                    known.times_ms.append(&mut points.times_ms);
                    known.values.append(&mut points.values);
                }
                None => self.store.series.push(points),
            }
        }
    }

    fn eval(&self, rest: &str, body: &[&str]) -> Result<(), String> {
        let (when, text) = rest.split_once(' ').expect("eval TIME QUERY");
        let (found, warnings) = match self.answer(when, text) {
            Ok(answer) => answer,
            Err(why) => {
                let expected = body.first().and_then(|l| l.strip_prefix("fail"));
                return match expected {
                    Some(part) if why.contains(part.trim()) => Ok(()),
                    _ => Err(format!("failed: {why}")),
                };
            }
        };
        let (mut expected, mut ordered) = (Vec::new(), false);
        for line in body {
            if line.starts_with("fail") {
                return Err(format!("did not fail but gave {found:?}"));
            } else if *line == "ordered" {
                ordered = true;
            } else if let Some(part) = line.strip_prefix("warn ") {
                if !warnings.iter().any(|w| w.contains(part)) {
                    return Err(format!("warned of {warnings:?} only"));
                }
            } else {
                expected.push((*line).to_owned());
            }
        }
        compare(found, &expected, ordered)
    }

    /// Each series as its name and its cells.
    fn answer(&self, when: &str, text: &str) -> Result<(Vec<Found>, Vec<String>), String> {
        let said = |message: String, hint: Option<String>| {
            hint.map_or(message.clone(), |h| format!("{message}; hint: {h}"))
        };
        let query = parse(text).map_err(|e| said(e.to_string(), e.hint))?;
        let options = EvalOptions { left_edge: self.edge, ..EvalOptions::default() };
        if let Some((from, rest)) = when.split_once("..") {
            let (to, step) = rest.split_once('/').expect("FROM..TO/STEP");
            let (from_ms, to_ms, step_ms) = (ms(from), ms(to), ms(step));
            let answer = query
                .range(&self.store, from_ms, to_ms, step_ms, &options)
                .map_err(|e| e.to_string())?;
            let steps = usize::try_from((to_ms - from_ms) / step_ms + 1).unwrap();
            let spread = |s: SeriesPoints| {
                let mut cells = vec![None; steps];
                for (t, v) in s.times_ms.iter().zip(s.values) {
                    cells[usize::try_from((t - from_ms) / step_ms).unwrap()] = Some(v);
                }
                Found { name: s.labels.to_string(), cells, times_ms: None }
            };
            return Ok((answer.matrix.into_iter().map(spread).collect(), answer.warnings));
        }
        let answer = query.instant(&self.store, ms(when), &options).map_err(|e| e.to_string())?;
        let warnings = answer.warnings.clone();
        Ok((instant(answer), warnings))
    }
}

#[derive(Debug, Clone)]
struct Found {
    name: String,
    cells: Vec<Option<f64>>,
    times_ms: Option<Vec<i64>>,
}

fn instant(answer: Answer) -> Vec<Found> {
    let one = |name: String, v| Found { name, cells: vec![Some(v)], times_ms: None };
    match answer.value {
        InstantValue::Scalar(v) => vec![one("scalar".to_owned(), v)],
        InstantValue::Text(text) => {
            vec![Found { name: format!("text {text:?}"), cells: Vec::new(), times_ms: None }]
        }
        InstantValue::Vector(samples) => {
            samples.into_iter().map(|s| one(s.labels.to_string(), s.value)).collect()
        }
        InstantValue::Matrix(matrix) => matrix
            .into_iter()
            .map(|s| Found {
                name: s.labels.to_string(),
                cells: s.values.into_iter().map(Some).collect(),
                times_ms: Some(s.times_ms),
            })
            .collect(),
    }
}

fn compare(mut found: Vec<Found>, expected: &[String], ordered: bool) -> Result<(), String> {
    let mut wanted: Vec<Found> = expected.iter().map(|l| parse_expected(l)).collect();
    if !ordered {
        found.sort_by(|a, b| a.name.cmp(&b.name));
        wanted.sort_by(|a, b| a.name.cmp(&b.name));
    }
    let equal = found.len() == wanted.len()
        && found.iter().zip(&wanted).all(|(f, w)| {
            f.name == w.name
                && f.cells.len() == w.cells.len()
                && f.cells.iter().zip(&w.cells).all(|(a, b)| same(*a, *b))
                && (w.times_ms.is_none() || w.times_ms == f.times_ms)
        });
    if equal { Ok(()) } else { Err(format!("gave   {found:?}\n    wanted {wanted:?}")) }
}

fn same(a: Option<f64>, b: Option<f64>) -> bool {
    let (Some(a), Some(b)) = (a, b) else {
        return a.is_none() && b.is_none();
    };
    a == b || (a.is_nan() && b.is_nan()) || (a - b).abs() <= 1e-12 * a.abs().max(b.abs())
}

fn parse_expected(line: &str) -> Found {
    if line.starts_with("text ") {
        return Found { name: line.to_owned(), cells: Vec::new(), times_ms: None };
    }
    let (name, rest) = match line.strip_prefix("scalar ") {
        Some(rest) => ("scalar".to_owned(), rest),
        None => {
            let (labels, rest) = series_and_rest(line);
            (labels.to_string(), rest)
        }
    };
    let words: Vec<&str> = rest.split_whitespace().collect();
    let mut times = Vec::new();
    let mut cells = Vec::new();
    for word in words {
        match word.split_once('@') {
            Some((value, at)) => {
                cells.extend(expand(value));
                times.push(ms(&format!("{at}s")));
            }
            None => cells.extend(expand(word)),
        }
    }
    let times_ms = (!times.is_empty()).then_some(times);
    Found { name, cells, times_ms }
}

/// The labels at the start of a line, and what follows them.
fn series_and_rest(line: &str) -> (Labels, &str) {
    let end = match line.find('{') {
        Some(brace) if !line[..brace].contains(' ') => closing(line) + 1,
        _ => line.find(' ').unwrap_or(line.len()),
    };
    let (series, rest) = line.split_at(end);
    if series == "{}" {
        return (Labels::empty(), rest);
    }
    let matchers = parse_selector(series).unwrap_or_else(|e| panic!("{series}: {e}"));
    let pairs = matchers.iter().map(|m: &Matcher| (m.name.as_str(), m.value.as_str()));
    assert!(pairs.clone().all(|(n, _)| n != NAME || !series.starts_with("{__name__")));
    (Labels::from_pairs(pairs), rest)
}

/// Where the first brace closes; quoted braces do not count.
fn closing(line: &str) -> usize {
    let mut quoted = false;
    let mut escaped = false;
    for (i, c) in line.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => quoted = !quoted,
            '}' if !quoted => return i,
            _ => {}
        }
    }
    panic!("no closing brace in {line:?}");
}

/// One word of values: `3`, `_`, `stale`, `0+5x10`, `7x3`.
fn expand(word: &str) -> Vec<Option<f64>> {
    if word == "_" {
        return vec![None];
    }
    if word == "stale" {
        return vec![Some(stale_nan())];
    }
    let Some((start, times)) = word.split_once('x') else {
        return vec![Some(number(word))];
    };
    let times: u32 = times.parse().unwrap();
    if start == "_" {
        return vec![None; times as usize];
    }
    let sign = start[1..].find(['+', '-']).map(|i| i + 1);
    let (start, step) = match sign {
        Some(at) => (number(&start[..at]), number(&start[at..])),
        None => (number(start), 0.0),
    };
    (0..=times).map(|i| Some(start + f64::from(i) * step)).collect()
}

fn number(word: &str) -> f64 {
    word.parse().unwrap_or_else(|_| panic!("{word:?} is no number"))
}

/// `90s`, `1m`, `1h30m`, `250ms`, `1.5s`, with an optional sign.
fn ms(text: &str) -> i64 {
    let (sign, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (-1.0, rest),
        None => (1.0, text),
    };
    let mut total = 0.0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| c.is_alphabetic()).expect("a unit");
        let unit_end = rest[digits..].find(|c: char| c.is_ascii_digit());
        let unit_end = unit_end.map_or(rest.len(), |i| digits + i);
        let unit = match &rest[digits..unit_end] {
            "ms" => 1.0,
            "s" => 1e3,
            "m" => 6e4,
            "h" => 3.6e6,
            "d" => 8.64e7,
            other => panic!("unit {other:?}"),
        };
        total += number(&rest[..digits]) * unit;
        rest = &rest[unit_end..];
    }
    #[expect(clippy::cast_possible_truncation, reason = "script times are small")]
    let ms = (sign * total).round() as i64;
    ms
}
