//! `whyslow query 'PROMQL'`.

use serde::Serialize;
use serde_json::Value;
use whyslow_model::Duration;
use whyslow_model::stats::quantile;

use super::server::ServerArgs;
use super::{Exit, Output, Stop};

/// Asks a running whyslow in PromQL.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The query, such as 'probe_success == 0'.
    query: String,
    /// Answers for many times: from this long ago until now.
    #[arg(long, value_name = "D")]
    range: Option<Duration>,
    /// The distance between two of those times; a sixtieth of the range where left out.
    #[arg(long, value_name = "D", requires = "range")]
    step: Option<Duration>,
    /// Answers for this time, RFC 3339, instead of now.
    #[arg(long, value_name = "TIME")]
    at: Option<whyslow_model::Wall>,
    /// Prints one JSON document instead of a table.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ServerArgs,
}

/// The document of `--json`; the last three fields are those of the Prometheus API.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document<'a> {
    schema: &'static str,
    query: &'a str,
    result_type: &'a Value,
    result: &'a Value,
    warnings: &'a Value,
}

/// Names and values for the API.
type Parameters = Vec<(&'static str, String)>;

pub(super) fn run(args: &Args, out: &mut Output) -> Result<Exit, Stop> {
    let (path, parameters) = args.request()?;
    let pairs: Vec<(&str, &str)> = parameters.iter().map(|(n, v)| (*n, v.as_str())).collect();
    let answer = args.server.ask(async |client| client.post_form(path, &pairs).await)?;
    let (result_type, result) = (&answer["data"]["resultType"], &answer["data"]["result"]);
    if args.json {
        let (schema, query) = ("whyslow.query/1", args.query.as_str());
        let warnings = &answer["warnings"];
        out.json(&Document { schema, query, result_type, result, warnings })?;
        return Ok(Exit::Ok);
    }
    for warning in answer["warnings"].as_array().into_iter().flatten() {
        out.note(format_args!("warning: {}", visible(warning.as_str().unwrap_or_default())));
    }
    for line in lines(result_type.as_str().unwrap_or_default(), result) {
        out.line(line)?;
    }
    Ok(Exit::Ok)
}

impl Args {
    fn request(&self) -> Result<(&'static str, Parameters), Stop> {
        let query = ("query", self.query.clone());
        let end = self.at.unwrap_or_else(whyslow_sys::clock::wall);
        let Some(range) = self.range else {
            return Ok(("/api/v1/query", vec![query, ("time", end.to_string())]));
        };
        let step_ms = self.step.map_or(range.as_millis() / 60, Duration::as_millis).max(1);
        if range.as_millis() == 0 {
            return Err(Stop::usage("--range is longer than nothing"));
        }
        let start = end.before(range.std());
        #[expect(clippy::cast_precision_loss, reason = "steps are far below 2^53 ms")]
        let step_s = step_ms as f64 / 1000.0;
        let times = [("start", start.to_string()), ("end", end.to_string())];
        let step = ("step", step_s.to_string());
        Ok(("/api/v1/query_range", [query].into_iter().chain(times).chain([step]).collect()))
    }
}

/// The table's lines; "nothing" is an answer too.
fn lines(result_type: &str, result: &Value) -> Vec<String> {
    let items = result.as_array().map(Vec::as_slice).unwrap_or_default();
    match result_type {
        "scalar" | "string" => {
            vec![visible(items.get(1).and_then(Value::as_str).unwrap_or_default())]
        }
        _ if items.is_empty() => vec!["no series".to_owned()],
        "vector" => {
            let values = items.iter().map(|i| visible(i["value"][1].as_str().unwrap_or_default()));
            let rows = names(items).into_iter().zip(values).map(|(n, v)| vec![n, v]);
            with_common(items, table(&["series", "value"], rows.collect()))
        }
        _ => {
            let rows = names(items).into_iter().zip(items);
            let rows = rows.map(|(name, item)| [vec![name], spread(item)].concat()).collect();
            let head = ["series", "points", "least", "median", "most", "last", "course"];
            with_common(items, table(&head, rows))
        }
    }
}

/// Each series by the labels in which it differs from the others.
fn names(items: &[Value]) -> Vec<String> {
    let common = common_labels(items);
    items
        .iter()
        .map(|item| {
            let labels = item["metric"].as_object();
            let metric = labels.and_then(|l| l.get("__name__")).and_then(Value::as_str);
            let own = labels.into_iter().flatten().filter(|(name, value)| {
                *name != "__name__" && !common.iter().any(|(n, v)| n == *name && *v == **value)
            });
            let own: Vec<String> = own.map(|(n, v)| label(n, v)).collect();
            format!("{}{{{}}}", visible(metric.unwrap_or_default()), own.join(","))
        })
        .collect()
}

fn with_common(items: &[Value], mut table: Vec<String>) -> Vec<String> {
    let common = common_labels(items);
    if !common.is_empty() {
        let all: Vec<String> = common.iter().map(|(n, v)| label(n, v)).collect();
        table.insert(0, format!("all with {}", all.join(", ")));
    }
    table
}

/// Labels that all of several series have in common.
fn common_labels(items: &[Value]) -> Vec<(String, Value)> {
    let [first, rest @ ..] = items else { return Vec::new() };
    if rest.is_empty() {
        return Vec::new();
    }
    let labels = first["metric"].as_object().into_iter().flatten();
    labels
        .filter(|(name, value)| {
            *name != "__name__" && rest.iter().all(|r| &r["metric"][name.as_str()] == *value)
        })
        .map(|(n, v)| (n.clone(), v.clone()))
        .collect()
}

fn label(name: &str, value: &Value) -> String {
    format!("{}={:?}", visible(name), value.as_str().unwrap_or_default())
}

/// Points, least, median, most and last value of one series, and its course as a line of bars.
fn spread(item: &Value) -> Vec<String> {
    let texts: Vec<&str> = item["values"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|point| point[1].as_str().unwrap_or_default())
        .collect();
    let numbers: Vec<f64> = texts.iter().map(|t| t.parse().unwrap_or(f64::NAN)).collect();
    let mut sorted: Vec<f64> = numbers.iter().copied().filter(|v| !v.is_nan()).collect();
    sorted.sort_by(f64::total_cmp);
    let shown = |v: Option<f64>| v.map_or_else(|| "-".to_owned(), |v| v.to_string());
    vec![
        texts.len().to_string(),
        shown(sorted.first().copied()),
        shown(quantile(&sorted, 0.5)),
        shown(sorted.last().copied()),
        texts.last().map_or_else(|| "-".to_owned(), |t| visible(t)),
        course(&numbers),
    ]
}

const COURSE_WIDTH: usize = 30;
const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// The largest value of each thirtieth, as bars that start at zero unless there are values below.
fn course(values: &[f64]) -> String {
    let finite = || values.iter().copied().filter(|v| v.is_finite());
    let least = finite().fold(0.0, f64::min);
    let most = finite().fold(f64::MIN, f64::max);
    let per_bar = values.len().div_ceil(COURSE_WIDTH).max(1);
    let bar = |part: &[f64]| {
        let peak = part.iter().copied().filter(|v| v.is_finite()).reduce(f64::max);
        peak.map_or(' ', |v| {
            let height = if most > least { (v - least) / (most - least) * 7.0 } else { 0.0 };
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 7")]
            let height = height.round() as usize;
            BARS[height.min(7)]
        })
    };
    values.chunks(per_bar).map(bar).collect()
}

/// Rows under a head: the first column and the last text, numbers between them to the right.
fn table(head: &[&str], rows: Vec<Vec<String>>) -> Vec<String> {
    let head: Vec<String> = head.iter().map(|h| (*h).to_owned()).collect();
    let all: Vec<Vec<String>> = [head].into_iter().chain(rows).collect();
    let width = |column: usize| {
        all.iter().filter_map(|row| row.get(column)).map(|c| c.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..all[0].len()).map(width).collect();
    let line = |row: &Vec<String>| {
        let cells = row.iter().zip(&widths).enumerate().map(|(i, (cell, width))| {
            if i == 0 || widths.len() == 7 && i == 6 {
                format!("{cell:<width$}")
            } else {
                format!("{cell:>width$}")
            }
        });
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    all.iter().map(line).collect()
}

/// Text from outside with what could steer a terminal escaped.
fn visible(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if whyslow_model::is_unprintable(c) {
            out.extend(c.escape_unicode());
        } else {
            out.push(c);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_vector_shows_the_labels_in_which_its_series_differ() {
        let result = json!([
            {"metric": {"__name__": "up", "job": "a", "zone": "x"}, "value": [1, "1"]},
            {"metric": {"__name__": "up", "job": "bb", "zone": "x"}, "value": [1, "0.25"]},
        ]);
        assert_eq!(
            lines("vector", &result),
            [
                r#"all with zone="x""#,
                "series        value",
                r#"up{job="a"}       1"#,
                r#"up{job="bb"}   0.25"#,
            ]
        );
    }

    #[test]
    fn a_range_shows_its_spread_and_course() {
        let result = json!([{"metric": {"job": "a"}, "values": [[1, "0"], [2, "7"], [3, "3.5"]]}]);
        let lines = lines("matrix", &result);
        assert!(lines[1].contains("3      0     3.5     7   3.5  ▁█▅"), "{lines:?}");
    }

    #[test]
    fn control_bytes_from_outside_are_escaped() {
        let result = json!([{"metric": {"job": "\u{1b}[31m"}, "value": [1, "\u{7}"]}]);
        let text = lines("vector", &result).join("\n");
        assert!(!text.contains('\u{1b}') && !text.contains('\u{7}'), "{text}");
    }

    #[test]
    fn nothing_found_is_said() {
        assert_eq!(lines("vector", &json!([])), ["no series"]);
        assert_eq!(lines("scalar", &json!([1, "2.5"])), ["2.5"]);
    }
}
