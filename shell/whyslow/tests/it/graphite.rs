//! Graphite's API as Grafana's data source meets it.

use serde_json::{Value, json};
use whyslow::remote_write::body::Body;
use whyslow_graphite::line::name_labels;
use whyslow_model::Labels;

use crate::api::Up;

const FORM: &[&str] = &["Content-Type: application/x-www-form-urlencoded"];

/// A whyslow with two paths, a tagged path and a series of other origin: a value every ten
/// seconds of the last five minutes, ending at `end_s`.
async fn filled() -> (Up, i64) {
    let up = Up::start(&[]).await;
    let end_s = whyslow_sys::clock::wall().as_millis().div_euclid(10_000) * 10;
    let mut body = Body::default();
    let mut put = |labels: &Labels, factor: f64| {
        body.series(labels.iter());
        for i in 0..30i32 {
            let at_s = end_s - 290 + i64::from(i) * 10;
            body.sample(at_s * 1000, f64::from(i) * factor);
        }
    };
    for (name, factor) in [("web.a.hits", 1.0), ("web.b.hits", 2.0), ("cpu;host=h1", 3.0)] {
        put(&name_labels(name).expect("a name"), factor);
    }
    put(&Labels::from_pairs([("__name__", "up"), ("job", "x")]), 0.0);
    let (status, said) = up.ask("POST", "/api/v1/write", &[], &body.to_bytes()).await;
    assert_eq!(status, 204, "{said}");
    (up, end_s)
}

fn document(answer: &str) -> Value {
    let body = answer.split_once("\r\n\r\n").expect("a body").1;
    serde_json::from_str(body).unwrap_or_else(|e| unreachable!("{e}: {answer}"))
}

async fn get(up: &Up, path: &str) -> Value {
    let (status, said) = up.get(path).await;
    assert_eq!(status, 200, "{path}: {said}");
    document(&said)
}

#[tokio::test]
async fn what_grafana_posts_is_answered_with_its_series() {
    let (up, end_s) = filled().await;
    let (from, until) = (end_s - 50, end_s);
    let form = format!(
        "target=sumSeries(web.*.hits)&target=alias(web.a.hits%2C'a')&from={from}&until={until}\
         &format=json&maxDataPoints=1000"
    );
    let (status, said) = up.ask("POST", "/render", FORM, form.as_bytes()).await;
    assert_eq!(status, 200, "{said}");
    let all = document(&said);
    assert_eq!(all[0]["target"], "sumSeries(web.*.hits)");
    let wanted = json!([
        [75, end_s - 40],
        [78, end_s - 30],
        [81, end_s - 20],
        [84, end_s - 10],
        [87, end_s]
    ]);
    assert_eq!(all[0]["datapoints"], wanted);
    assert_eq!(
        (&all[1]["target"], all[1]["tags"]["name"].as_str()),
        (&json!("a"), Some("web.a.hits"))
    );
    let path = format!("/render?target=summarize(web.a.hits,'1min','max')&from={from}&format=raw");
    let (status, said) = up.get(&path).await;
    assert!(status == 200 && said.contains("summarize(web.a.hits, \"1min\", \"max\"),"), "{said}");
    let csv = up.get(&format!("/render?target=web.a.hits&from={from}&format=csv")).await.1;
    assert!(csv.contains("web.a.hits,20") && csv.contains(",29\r\n"), "{csv}");
    up.running.stop().await;
}

#[tokio::test]
async fn the_tree_and_the_tags_show_every_series_where_it_belongs() {
    let (up, _) = filled().await;
    let (_, said) = up.ask("POST", "/metrics/find", FORM, b"query=web.*").await;
    let texts: Vec<Value> =
        document(&said).as_array().expect("a list").iter().map(|n| n["text"].clone()).collect();
    assert_eq!(texts, ["a", "b"]);
    let top = get(&up, "/metrics/find?query=*").await;
    assert_eq!(top[0]["id"], "web");
    assert_eq!(top[0]["expandable"], 1);
    let leaf = get(&up, "/metrics/find?query=web.a.*").await;
    assert_eq!((&leaf[0]["text"], &leaf[0]["leaf"]), (&json!("hits"), &json!(1)));
    let expanded = get(&up, "/metrics/expand?query=web.%7Ba,b%7D.hits").await;
    assert_eq!(expanded["results"], json!(["web.a.hits", "web.b.hits"]));
    assert_eq!(get(&up, "/metrics/index.json").await, json!(["web.a.hits", "web.b.hits"]));
    let tags = get(&up, "/tags/autoComplete/tags?tagPrefix=ho").await;
    assert_eq!(tags, json!(["host"]));
    let values = get(&up, "/tags/autoComplete/values?tag=host&expr=name%3Dcpu").await;
    assert_eq!(values, json!(["h1"]));
    let found = get(&up, "/tags/findSeries?expr=name%3Dup").await;
    assert_eq!(found, json!(["up;job=x"]));
    let host = get(&up, "/tags/host").await;
    assert_eq!(host["values"], json!([{"count": 1, "value": "h1"}]));
    up.running.stop().await;
}

#[tokio::test]
async fn marks_are_the_events_that_dashboards_draw() {
    let up = Up::start_with(&[], "services: {shop: {}}\n").await;
    let at_s = whyslow_sys::clock::wall().as_millis() / 1000 - 60;
    for (text, service) in [("v2 is out", "shop"), ("all of it", "")] {
        let mark = json!({"text": text, "service": service,
            "at": whyslow_model::Wall::from_millis(at_s * 1000).to_string()});
        let (status, said) = up
            .ask(
                "POST",
                "/api/v1/marks",
                &["Content-Type: application/json"],
                mark.to_string().as_bytes(),
            )
            .await;
        assert_eq!(status, 201, "{said}");
    }
    let whats = |all: &Value| -> Vec<String> {
        let mut whats: Vec<_> =
            all.as_array().expect("a list").iter().map(|e| e["what"].to_string()).collect();
        whats.sort();
        whats
    };
    let all = get(&up, "/events/get_data?from=-6h&until=now").await;
    assert_eq!(whats(&all), ["\"all of it\"", "\"v2 is out\""]);
    let own = get(&up, &format!("/events/get_data?from={}&tags=shop", at_s - 1)).await;
    assert_eq!((whats(&own), &own[0]["when"]), (vec!["\"v2 is out\"".to_owned()], &json!(at_s)));
    assert_eq!(own[0]["tags"], json!(["mark", "shop"]));
    assert_eq!(whats(&get(&up, "/events/get_data?tags=shop%20x&set=union").await).len(), 1);
    assert_eq!(get(&up, "/events/get_data?tags=shop%20x").await, json!([]));
    let before = format!("/events/get_data?from=-6h&until={}", at_s - 10);
    assert_eq!(get(&up, &before).await, json!([]));
    up.running.stop().await;
}

#[tokio::test]
async fn functions_and_version_are_told_and_mistakes_are_explained() {
    let (up, _) = filled().await;
    let functions = get(&up, "/functions").await;
    assert_eq!(functions["scale"]["params"][1]["type"], "float");
    assert_eq!(get(&up, "/functions/alias").await["group"], "Alias");
    assert_eq!(get(&up, "/functions?grouped=1").await["Alias"]["alias"]["name"], "alias");
    assert!(up.get("/version").await.1.ends_with("1.1.8"));
    assert_eq!(up.get("/functions/nope").await.0, 404);
    for (path, words) in [
        ("/render?target=nope(a)", "no function"),
        ("/render?target=a&from=soon", "is no time"),
        ("/render?target=a&format=png", "invalid parameter"),
        ("/render?target=sum(a", "expected"),
        ("/metrics/find", "is missing"),
        ("/metrics/find?query=%5Ba", "bad pattern"),
        ("/tags/findSeries", "is missing"),
        ("/tags?expr=a", "is not tag=value"),
    ] {
        let (status, said) = up.get(path).await;
        assert!(status == 400 && said.contains(words), "{path}: {said}");
    }
    up.running.stop().await;
}
