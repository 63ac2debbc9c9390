//! Window rows as Graphite lines: `edge.www.app.web1.~api~v1.hits 1234 1700000000`.

use std::fmt::{self, Write as _};
use std::str::FromStr;

use whyslow_edge::row::{Key, Row, Timing};
use whyslow_edge::windows::Grouping;

/// What a template may hold between `<` and `>`.
const FIELDS: [&str; 7] = ["source", "service", "vip", "backend", "server", "route", "metric"];

/// How a row's values are called: text and `<fields>`, with dots between.
///
/// A node whose field a row does not tell apart is left out, so that the rows of a vip, a backend,
/// a server and a route stand at different depths and no pattern meets two of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    text: String,
    nodes: Vec<Vec<Part>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    Field(usize),
}

/// A text that is no template.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "'{0}' is not a template; write nodes of letters and <source>, <service>, <vip>, \
         <backend>, <server>, <route>, <metric>, with dots between, such as {DEFAULT}"
)]
pub struct BadTemplate(String);

const DEFAULT: &str = "edge.<vip>.<backend>.<server>.<route>.<metric>";

impl Default for Template {
    fn default() -> Self {
        DEFAULT.parse().unwrap_or_else(|_| Self { text: String::new(), nodes: Vec::new() })
    }
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for Template {
    type Err = BadTemplate;

    fn from_str(text: &str) -> Result<Self, BadTemplate> {
        let refused = || BadTemplate(text.chars().take(80).collect());
        let whole =
            if text.contains("<metric>") { text.to_owned() } else { format!("{text}.<metric>") };
        let nodes = whole.split('.').map(parts).collect::<Option<Vec<_>>>().ok_or_else(refused)?;
        if text.is_empty() || text.len() > 500 || nodes.iter().any(Vec::is_empty) {
            return Err(refused());
        }
        Ok(Self { text: text.to_owned(), nodes })
    }
}

/// The texts and fields of one node.
fn parts(node: &str) -> Option<Vec<Part>> {
    let mut parts = Vec::new();
    let mut rest = node;
    while !rest.is_empty() {
        if let Some(field) = rest.strip_prefix('<') {
            let (name, after) = field.split_once('>')?;
            parts.push(Part::Field(FIELDS.iter().position(|f| *f == name)?));
            rest = after;
        } else {
            let (text, after) = rest.split_at(rest.find('<').unwrap_or(rest.len()));
            if !text.bytes().all(plain) {
                return None;
            }
            parts.push(Part::Text(text.to_owned()));
            rest = after;
        }
    }
    Some(parts)
}

/// What stands for itself in a node.
const fn plain(b: u8) -> bool {
    b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b':' | b'@' | b'+')
}

/// A field's value as part of a node, so that no two values look alike: `/`, of which routes are
/// full, as `~`, and everything else that has a meaning in paths or patterns by its bytes, `%2E`.
fn escape(value: &str, out: &mut String) {
    for b in value.bytes() {
        match b {
            b'/' => out.push('~'),
            b if plain(b) => out.push(char::from(b)),
            // Writing into a string does not fail.
            b => {
                let _ = write!(out, "%{b:02X}");
            }
        }
    }
}

/// The lines of one window's rows, one value each, at the window's start; each ends in a line feed.
pub fn graphite_lines(
    template: &Template,
    source: &str,
    service: Option<&str>,
    rows: &[Row],
    mut push: impl FnMut(&str),
) {
    let mut line = String::new();
    for row in rows {
        let is_told = matches!(
            Grouping::of(&row.key),
            Some(Grouping::Vip | Grouping::Backend | Grouping::Server | Grouping::Leaf)
        );
        if !is_told {
            continue;
        }
        values(row, |metric, value| {
            line.clear();
            template.write(source, service, &row.key, metric, &mut line);
            let _ = writeln!(line, " {value} {}", row.start_s);
            push(&line);
        });
    }
}

impl Template {
    fn write(
        &self,
        source: &str,
        service: Option<&str>,
        key: &Key,
        metric: &str,
        out: &mut String,
    ) {
        let field = |place: usize| match FIELDS[place] {
            "source" => Some(source),
            "service" => service,
            "vip" => key.vip.as_deref(),
            "backend" => key.backend.as_deref(),
            "server" => key.server.as_deref(),
            "route" => key.route.as_deref(),
            _ => Some(metric),
        };
        let there = |part: &Part| match part {
            Part::Text(_) => true,
            Part::Field(place) => field(*place).is_some(),
        };
        for node in self.nodes.iter().filter(|node| node.iter().all(there)) {
            if !out.is_empty() {
                out.push('.');
            }
            for part in node {
                match part {
                    Part::Text(text) => out.push_str(text),
                    Part::Field(place) => escape(field(*place).unwrap_or_default(), out),
                }
            }
        }
    }
}

/// Each value of a row with its name. Latencies are milliseconds, and absent where none was timed.
#[expect(clippy::cast_precision_loss, reason = "counts and bytes below 2^53")]
fn values(row: &Row, mut push: impl FnMut(&str, f64)) {
    let totals = &row.totals;
    push("hits", totals.hits as f64);
    push("tps_avg", totals.hits as f64 / f64::from(row.span_s.max(1)));
    push("tps_max", f64::from(totals.peak_per_s));
    timing("latency", &totals.latency, &mut push);
    for (name, q) in [("p50", 0.5), ("p90", 0.9), ("p99", 0.99)] {
        if let Some(seconds) = totals.latency.histogram.quantile(q) {
            push(name, seconds * 1000.0);
        }
    }
    for (code, n) in &totals.codes {
        push(&format!("http_{code}"), *n as f64);
    }
    push("bytes_out", totals.bytes_out as f64);
    push("client_aborted", totals.client_aborted as f64);
    push("retries", totals.retries as f64);
}

#[expect(clippy::cast_precision_loss, reason = "2^53 µs are 285 years")]
fn timing(name: &str, timing: &Timing, push: &mut impl FnMut(&str, f64)) {
    let count = timing.histogram.count();
    if count == 0 {
        return;
    }
    push(&format!("{name}_avg"), timing.sum_us as f64 / count as f64 / 1000.0);
    push(&format!("{name}_max"), timing.max_us as f64 / 1000.0);
    push(&format!("{name}_total"), timing.sum_us as f64 / 1000.0);
}

#[cfg(test)]
mod tests {
    use super::*;
    use whyslow_edge::row::Totals;

    fn row(server: Option<&str>, route: Option<&str>) -> Row {
        let mut totals = Totals { hits: 20, peak_per_s: 5, ..Totals::default() };
        totals.latency.observe(2_000);
        totals.latency.observe(4_000);
        totals.codes.insert(200, 20);
        let key = Key {
            vip: Some("www".into()),
            backend: Some("app".into()),
            server: server.map(Into::into),
            route: route.map(Into::into),
            ..Key::default()
        };
        Row { start_s: 100, span_s: 10, key, totals }
    }

    fn lines(template: &str, row: Row) -> Vec<String> {
        let mut all = Vec::new();
        let template = template.parse().unwrap();
        graphite_lines(&template, "lb1", Some("shop"), &[row], |l| all.push(l.to_owned()));
        all
    }

    #[test]
    fn a_row_is_a_line_for_each_of_its_values() {
        let all = lines(DEFAULT, row(Some("web1"), Some("/api/{id}")));
        let name = "edge.www.app.web1.~api~%7Bid%7D";
        for (metric, value) in [
            ("hits", "20"),
            ("tps_avg", "2"),
            ("tps_max", "5"),
            ("latency_avg", "3"),
            ("latency_max", "4"),
            ("latency_total", "6"),
            ("http_200", "20"),
        ] {
            let line = format!("{name}.{metric} {value} 100\n");
            assert!(all.contains(&line), "{line} {all:?}");
        }
        for line in &all {
            let point = whyslow_graphite::line::parse(line.as_bytes()).unwrap().unwrap();
            assert_eq!(point.at_ms, Some(100_000));
        }
    }

    #[test]
    fn rows_of_other_depths_stand_at_other_depths() {
        assert_eq!(lines(DEFAULT, row(Some("web1"), None))[0], "edge.www.app.web1.hits 20 100\n");
        assert_eq!(lines(DEFAULT, row(None, None))[0], "edge.www.app.hits 20 100\n");
        assert!(lines(DEFAULT, row(None, Some("/"))).is_empty());
        let own = lines("lb.<source>-<vip>.<service>", row(None, None));
        assert_eq!(own[0], "lb.lb1-www.shop.hits 20 100\n");
    }

    #[test]
    fn hostile_names_make_no_other_path() {
        let all = lines(DEFAULT, row(Some("a.b c\n1 2"), Some("*")));
        assert_eq!(all[0], "edge.www.app.a%2Eb%20c%0A1%202.%2A.hits 20 100\n");
    }

    #[test]
    fn what_is_no_template_is_refused() {
        for bad in ["", "a..b", "a.<vip", "a.<nope>", "a b", "a.é", "a.", ".a"] {
            assert!(bad.parse::<Template>().is_err(), "{bad}");
        }
    }
}
