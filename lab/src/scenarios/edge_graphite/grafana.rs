//! The requests that Grafana's Graphite data source sends, by its browser's part and by its
//! server's, to graphite-web and to whyslow: both answer the same.

use std::collections::BTreeSet;

use anyhow::{Result, ensure};
use serde_json::Value;

use crate::up::{Answer, Up, curl};

const FORM: &str = "Content-Type: application/x-www-form-urlencoded";
/// Answers to relative times may differ where a step ends between the two.
const TRIES: usize = 3;
/// What is drawn, with commas and parentheses as browsers and Go write them.
const TARGETS: [&str; 5] = [
    "sumSeries(web.*.hits)",
    "alias(web.a.hits%2C%20'a')",
    "aliasByNode%28web.%2A.latency%2C+1%29",
    "seriesByTag%28%27name%3Ddisk.used%27%2C%20%27host%3D~a%7Cb%27%29",
    "summarize(web.a.hits%2C%20'1min'%2C%20'max')",
];

struct Both<'a> {
    up: &'a Up,
    theirs: &'a str,
    asked: usize,
}

pub(super) fn replay(up: &Up, theirs: &str, end_s: i64) -> Result<()> {
    let mut both = Both { up, theirs, asked: 0 };
    renders(&mut both, end_s)?;
    finds(&mut both, end_s)?;
    tags(&mut both, end_s)?;
    functions(&mut both)?;
    events(&mut both, end_s)?;
    strangers(&mut both)?;
    println!("  Grafana's data source: {} requests are answered as by graphite-web", both.asked);
    Ok(())
}

impl Both<'_> {
    /// The answers to one request: ours, theirs.
    fn ask(&mut self, path: &str, more: &[&str]) -> Result<(Answer, Answer)> {
        self.asked += 1;
        let one = |server: &str| curl(&[more, &[&format!("{server}{path}")]].concat());
        Ok((one(&self.up.url(""))?, one(self.theirs)?))
    }

    /// Asks until both answers are the same after `shown`.
    fn same<T: PartialEq + std::fmt::Debug>(
        &mut self,
        path: &str,
        more: &[&str],
        shown: impl Fn(&Value) -> T,
    ) -> Result<()> {
        let read = |answer: &Answer| -> Result<T> {
            ensure!(answer.status == 200, "{path}: {} {}", answer.status, answer.body);
            Ok(shown(&serde_json::from_str(&answer.body)?))
        };
        let mut last = None;
        for _ in 0..TRIES {
            let (own, other) = self.ask(path, more)?;
            let (own, other) = (read(&own)?, read(&other)?);
            if own == other {
                return Ok(());
            }
            last = Some((own, other));
            self.asked -= 1;
        }
        let (own, other) = last.unzip();
        ensure!(false, "{path} {more:?}: {own:?}\ntheirs {other:?}");
        Ok(())
    }
}

/// `/render`: panels in both orders of parameters, absolute and relative; the health check.
fn renders(both: &mut Both<'_>, end_s: i64) -> Result<()> {
    let series = |v: &Value| -> Vec<(String, Value)> {
        let all = v.as_array().cloned().unwrap_or_default();
        all.iter().map(|s| (s["target"].to_string(), rounded(&s["datapoints"]))).collect()
    };
    let from = end_s - 1800;
    for target in TARGETS {
        for form in [
            format!("target={target}&from={from}&until={end_s}&format=json&maxDataPoints=400"),
            format!("format=json&from={from}&maxDataPoints=60&target={target}&until={end_s}"),
            format!("target={target}&from=-20min&until=-1min&format=json&maxDataPoints=1000"),
            format!(
                "target={target}&from=-6h&until=now&format=json&maxDataPoints=100&cacheTimeout=60"
            ),
        ] {
            both.same("/render", &["-H", FORM, "-d", &form], series)?;
        }
    }
    let two = format!(
        "target={}&target={}&from={from}&until={end_s}&format=json&maxDataPoints=400",
        TARGETS[0], TARGETS[1]
    );
    both.same("/render", &["-H", FORM, "-d", &two], series)?;
    both.same(&format!("/render?{two}"), &["-g"], series)?;
    let health = format!(
        "format=json&from={from}&maxDataPoints=100&target=constantLine%28100%29&until={end_s}"
    );
    let values = |v: &Value| -> BTreeSet<String> {
        let points = v[0]["datapoints"].as_array().cloned().unwrap_or_default();
        points.iter().map(|point| format!("{:?}", point[0].as_f64())).collect()
    };
    both.same("/render", &["-H", FORM, "-d", &health], values)
}

/// Values to nine places: sums are added up in another order.
fn rounded(points: &Value) -> Value {
    let round = |point: &Value| match point[0].as_f64() {
        Some(value) => serde_json::json!([format!("{value:.9}"), point[1]]),
        None => serde_json::json!([null, point[1]]),
    };
    points.as_array().into_iter().flatten().map(round).collect()
}

/// `/metrics/find` as template variables, the query editor and the health check of old send it.
fn finds(both: &mut Both<'_>, end_s: i64) -> Result<()> {
    let nodes = |v: &Value| -> BTreeSet<(String, bool)> {
        let all = v.as_array().cloned().unwrap_or_default();
        let node = |n: &Value| (n["text"].to_string(), n["expandable"] == 1);
        // Tagged files lie in a directory that no other Graphite shows.
        all.iter().map(node).filter(|(text, _)| text != "\"_tagged\"").collect()
    };
    let times = format!("from={}&until={end_s}", end_s - 3600);
    for query in ["*", "web.*", "web.*.*", "web.{a%2Cb}.*", "web.a.hits", "nothing.*"] {
        let form = format!("query={query}");
        for path in ["/metrics/find".to_owned(), format!("/metrics/find?{times}")] {
            both.same(&path, &["-H", FORM, "-d", &form], nodes)?;
        }
        both.same(&format!("/metrics/find?query={query}&{times}"), &["-g"], nodes)?;
        let relative = format!("/metrics/find?query={query}&from=-6h&until=now");
        both.same(&relative, &["-g"], nodes)?;
        if query != "*" {
            let expand = format!("/metrics/expand?query={query}&{times}");
            both.same(&expand, &["-g"], |v| v["results"].clone())?;
        }
    }
    Ok(())
}

/// Tags, their values and both completions.
fn tags(both: &mut Both<'_>, end_s: i64) -> Result<()> {
    let times = format!("from={}&until={end_s}", end_s - 3600);
    let names = |v: &Value| -> BTreeSet<String> {
        v.as_array().into_iter().flatten().map(|t| t["tag"].to_string()).collect()
    };
    both.same(&format!("/tags?{times}"), &[], names)?;
    let values = |v: &Value| -> BTreeSet<(String, String)> {
        let all = v["values"].as_array().into_iter().flatten();
        all.map(|one| (one["value"].to_string(), one["count"].to_string())).collect()
    };
    for tag in ["host", "name", "center"] {
        both.same(&format!("/tags/{tag}?{times}"), &[], values)?;
    }
    for query in [
        "tags?limit=10000",
        "tags?tagPrefix=h",
        "tags?expr=name%3Ddisk.used&limit=10000",
        "tags?expr=name%3Ddisk.used&expr=host%3D~a%7Cb&tagPrefix=c",
        "values?tag=host&limit=10000",
        "values?expr=name%3Ddisk.used&tag=host&valuePrefix=b",
        "values?expr=host!%3Da&expr=name%3Ddisk.used&tag=center&limit=1",
    ] {
        let path = format!("/tags/autoComplete/{query}");
        both.same(&path, &[], Value::clone)?;
        both.same(&format!("{path}&{times}"), &[], Value::clone)?;
    }
    both.same("/tags/findSeries?expr=name%3Ddisk.used", &[], |v| {
        v.as_array().into_iter().flatten().map(Value::to_string).collect::<BTreeSet<_>>()
    })
}

/// What the editor knows of functions: group and parameters, of which whyslow may have fewer
/// optional ones, and take more kinds of number.
fn functions(both: &mut Both<'_>) -> Result<()> {
    let (own, other) = both.ask("/functions", &[])?;
    // Python writes a default without end as JSON has none.
    let other = other.body.replace(": Infinity", ": null");
    let (own, other): (Value, Value) =
        (serde_json::from_str(&own.body)?, serde_json::from_str(&other)?);
    let own = own.as_object().cloned().unwrap_or_default();
    ensure!(own.len() > 50, "{} functions", own.len());
    let kind = |p: &Value| match p["type"].as_str().unwrap_or_default() {
        "integer" | "float" | "intOrInf" => "number".to_owned(),
        kind => kind.to_owned(),
    };
    let shown = |f: &Value, most: usize| {
        let all = f["params"].as_array().cloned().unwrap_or_default();
        let left = all.iter().skip(most).filter(|p| p["required"] == true).count();
        let first: Vec<_> = all.iter().take(most).map(|p| (p["name"].clone(), kind(p))).collect();
        (f["name"].clone(), f["group"].clone(), first, left)
    };
    let mut differ = Vec::new();
    for (name, function) in &own {
        let most = function["params"].as_array().map_or(0, Vec::len);
        let (here, there) = (shown(function, most), shown(&other[name], most));
        if here != there {
            differ.push(format!("{here:?}\ntheirs {there:?}"));
        }
    }
    ensure!(differ.is_empty(), "{}", differ.join("\n"));
    let (own, other) = both.ask("/version", &[])?;
    ensure!(own.body.trim() == other.body.trim(), "{} theirs {}", own.body, other.body);
    Ok(())
}

/// Annotations: a mark here is an event there.
fn events(both: &mut Both<'_>, end_s: i64) -> Result<()> {
    let at = jiff::Timestamp::from_second(end_s - 60)?;
    let mark = format!("{{\"text\":\"v2 is out\",\"service\":\"shop\",\"at\":\"{at}\"}}");
    let url = both.up.url("/api/v1/marks");
    let marked = curl(&["-H", "Content-Type: application/json", "-d", &mark, &url])?;
    ensure!(marked.status == 201, "{}", marked.body);
    let event =
        format!("{{\"what\":\"v2 is out\",\"tags\":[\"mark\",\"shop\"],\"when\":{}}}", end_s - 60);
    let noted = curl(&["-d", &event, &format!("{}/events/", both.theirs)])?;
    ensure!(noted.status == 200, "{}", noted.body);
    let shown = |v: &Value| -> Vec<String> {
        let all = v.as_array().into_iter().flatten();
        all.map(|e| format!("{} {} {} {}", e["when"], e["what"], e["tags"], e["data"])).collect()
    };
    for tags in ["", "&tags=shop", "&tags=mark%20shop", "&tags=other", "&tags=shop%20x&set=union"] {
        for times in
            [format!("from={}&until={end_s}", end_s - 600), "from=-6h&until=now".to_owned()]
        {
            both.same(&format!("/events/get_data?{times}{tags}"), &[], shown)?;
        }
    }
    let before = format!("/events/get_data?from={}&until={}", end_s - 600, end_s - 300);
    both.same(&before, &[], shown)
}

/// Neither lets another site's page read it: Grafana asks from its server.
fn strangers(both: &mut Both<'_>) -> Result<()> {
    for more in [
        &["-i", "-H", "Origin: http://grafana.lab"][..],
        &["-i", "-X", "OPTIONS", "-H", "Origin: http://grafana.lab"],
    ] {
        let (own, other) = both.ask("/metrics/find?query=*", more)?;
        for answer in [own, other] {
            let allowed = answer.body.to_lowercase().contains("access-control-allow-origin");
            ensure!(!allowed, "{}", answer.body);
        }
    }
    Ok(())
}
