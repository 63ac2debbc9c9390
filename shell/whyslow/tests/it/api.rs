//! The API as a client meets it: a running whyslow on a port of its own.

use std::fs;
use std::net::SocketAddr;
use std::sync::Arc;

use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use whyslow::config::{Current, Origin};
use whyslow::pipeline::Running;
use whyslow::prober::sockets::Sockets;
use whyslow::remote_write::body::Body;

/// A running whyslow with one agent, `web1`, whose token is `agent-token`.
pub(crate) struct Up {
    pub(crate) running: Running,
    origin: Origin,
    dir: TempDir,
}

async fn start(origin: Origin) -> Running {
    let current = Arc::new(Current::open(origin).expect("a good configuration"));
    Running::start(current, Sockets::without("a test")).await.expect("a start")
}

impl Up {
    pub(crate) async fn start(targets: &[&str]) -> Self {
        Self::start_with(targets, "").await
    }

    /// With more lines of configuration.
    pub(crate) async fn start_with(targets: &[&str], more: &str) -> Self {
        let dir = TempDir::new().expect("a directory");
        let path = |name: &str| dir.path().join(name);
        fs::write(path("token"), "agent-token\n").expect("a file");
        let config = "listen: 127.0.0.1:0\nagents: {web1: {token: {file: token}}}\n";
        fs::write(path("whyslow.yaml"), format!("{config}{more}")).expect("a file");
        let origin = Origin {
            file: Some(path("whyslow.yaml")),
            data: Some(path("data")),
            targets: targets.iter().map(|t| (*t).to_owned()).collect(),
            ..Origin::default()
        };
        Self { running: start(origin.clone()).await, origin, dir }
    }

    /// The same after an orderly end and a new start.
    pub(crate) async fn again(self) -> Self {
        let Self { running, origin, dir } = self;
        running.stop().await;
        Self { running: start(origin.clone()).await, origin, dir }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.running.address()
    }

    /// One request; gives the status and the whole answer.
    pub(crate) async fn ask(
        &self,
        method: &str,
        path: &str,
        headers: &[&str],
        body: &[u8],
    ) -> (u16, String) {
        let mut stream = TcpStream::connect(self.address()).await.expect("a connection");
        let more: String = headers.iter().map(|h| format!("{h}\r\n")).collect();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nContent-Length: {}\r\n\
             {more}\r\n",
            self.address(),
            body.len()
        );
        stream.write_all(&[head.as_bytes(), body].concat()).await.expect("a request");
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.expect("an answer");
        let answer = String::from_utf8(answer).expect("text");
        let status = answer.split(' ').nth(1).and_then(|s| s.parse().ok()).expect("a status");
        (status, answer)
    }

    pub(crate) async fn get(&self, path: &str) -> (u16, String) {
        self.ask("GET", path, &[], b"").await
    }
}

fn write_request(names: &[&str], at_ms: i64) -> Vec<u8> {
    let mut body = Body::default();
    for name in names {
        body.series([("__name__", *name)]);
        body.sample(at_ms, 4.5);
    }
    body.to_bytes()
}

#[tokio::test]
async fn what_remote_write_acknowledges_is_answered_and_bad_series_do_not_harm_good_ones() {
    let up = Up::start(&[]).await;
    let now_ms = whyslow_sys::clock::wall().as_millis();
    let good = write_request(&["temperature"], now_ms);
    assert_eq!(up.ask("POST", "/api/v1/write", &[], &good).await.0, 204);
    let mixed = write_request(&["not-a-name", "pressure"], now_ms);
    let (status, said) = up.ask("POST", "/api/v1/write", &[], &mixed).await;
    assert!(status == 400 && said.contains("1 × invalid metric name"), "{said}");
    let far = write_request(&["temperature"], now_ms - 400 * 86_400_000);
    assert_eq!(up.ask("POST", "/api/v1/write", &[], &far).await.0, 400);
    for name in ["temperature", "pressure"] {
        let (status, said) = up.get(&format!("/api/v1/query?query={name}")).await;
        assert!(status == 200 && said.contains(r#","4.5"]"#), "{said}");
    }
    let (_, said) = up.get("/api/v1/label/__name__/values").await;
    assert!(said.contains(r#""data":["pressure","temperature"]"#), "{said}");
    up.running.stop().await;
}

#[tokio::test]
async fn observations_come_from_agents_once_each_and_are_found_by_filters() {
    let up = Up::start(&[]).await;
    let at = whyslow_sys::clock::wall();
    let line = |id: &str, agent: &str| {
        format!(r#"{{"id":"{id}","at":"{at}","plane":"host","agent":"{agent}"}}"#)
    };
    let body = [line("a", "web1"), line("b", "web2"), line("c", "web1")].join("\n");
    let path = "/api/v1/observations";
    assert_eq!(up.ask("POST", path, &[], body.as_bytes()).await.0, 401);
    let wrong = ["Authorization: Bearer nonsense"];
    assert_eq!(up.ask("POST", path, &wrong, body.as_bytes()).await.0, 401);
    let token = ["Authorization: Bearer agent-token"];
    let (status, said) = up.ask("POST", path, &token, body.as_bytes()).await;
    assert!(status == 400 && said.contains(r#""line":2"#) && said.contains(r#""new":2"#), "{said}");
    let again = line("a", "web1");
    let (status, said) = up.ask("POST", path, &token, again.as_bytes()).await;
    assert!(status == 200 && said.contains(r#""known":1"#), "{said}");
    let (_, said) = up.get("/api/v1/observations?plane=host").await;
    assert!(said.contains(r#""id":"a""#) && !said.contains(r#""id":"b""#), "{said}");
    let (_, said) = up.get("/api/v1/observations?plane=probe").await;
    assert!(said.contains(r#""data":[]"#), "{said}");
    assert_eq!(up.get("/api/v1/observations?plane=moon").await.0, 400);
    assert_eq!(up.get("/api/v1/observations?cursor=x").await.0, 400);
    up.running.stop().await;
}

#[tokio::test]
async fn a_page_marks_adds_and_takes_away_by_forms() {
    let up = Up::start(&[]).await;
    let origin = format!("Origin: http://{}", up.address());
    let form = [origin.as_str(), "Content-Type: application/x-www-form-urlencoded"];
    let mark = b"text=timestamps+on&back=%2Fservices%2Fshop";
    let (status, said) = up.ask("POST", "/api/v1/marks", &form, mark).await;
    assert!(status == 303 && said.contains("location: /services/shop"), "{said}");
    assert!(up.get("/api/v1/marks").await.1.contains("timestamps on"));

    let add = b"url=http%3A%2F%2F127.0.0.1%3A1%2F";
    let (status, said) = up.ask("POST", "/api/v1/checks", &form, add).await;
    assert_eq!(status, 303, "{said}");
    let id = "127.0.0.1-1:page:direct";
    let (_, said) = up.get("/api/v1/checks").await;
    assert!(said.contains(id) && said.contains(r#""added":true"#), "{said}");
    let (status, said) = up.ask("POST", "/api/v1/checks", &form, b"url=nonsense").await;
    assert!(status == 400 && said.contains("hint"), "{said}");
    let (status, _) = up.ask("DELETE", &format!("/api/v1/checks/{id}"), &[], b"").await;
    assert_eq!(status, 200);
    assert!(!up.get("/api/v1/checks").await.1.contains(id));
    up.running.stop().await;
}

#[tokio::test]
async fn a_run_is_told_live_and_found_by_its_id() {
    let up = Up::start(&["tcp:127.0.0.1:1"]).await;
    let stream = TcpStream::connect(up.address()).await.expect("a connection");
    let mut stream = BufReader::new(stream);
    let head = format!("GET /api/v1/live HTTP/1.1\r\nHost: {}\r\n\r\n", up.address());
    stream.write_all(head.as_bytes()).await.expect("a request");
    let mut line = String::new();
    while !line.starts_with("data:") {
        line.clear();
        assert!(stream.read_line(&mut line).await.expect("an event") > 0, "the stream ended");
    }
    let event: serde_json::Value = serde_json::from_str(&line[5..]).expect("JSON");
    assert_eq!((&event["event"], &event["code"]), (&"run".into(), &"connect_refused".into()));
    let id = event["id"].as_str().expect("an id");
    let (status, said) = up.get(&format!("/api/v1/runs/{id}")).await;
    assert!(status == 200 && said.contains("whyslow.check/1"), "{said}");
    let (_, said) = up.get("/api/v1/checks").await;
    assert!(said.contains(r#""state":"down""#), "{said}");
    let (_, said) = up.get("/api/v1/checks/127.0.0.1-1:port:direct/runs?outcome=failed").await;
    assert!(said.contains(id), "{said}");
    up.running.stop().await;
}

#[tokio::test]
async fn every_family_of_metrics_is_described_once_and_before_its_samples() {
    let up = Up::start(&[]).await;
    let (status, said) = up.get("/metrics").await;
    assert_eq!(status, 200);
    let mut families: Vec<&str> = Vec::new();
    for line in said.lines().filter(|l| l.starts_with("# TYPE ")) {
        let name = line.split(' ').nth(2).expect("a name");
        assert!(!families.contains(&name), "{name} twice");
        families.push(name);
    }
    assert!(families.contains(&"whyslow_self_store_series"), "{said}");
    assert!(families.contains(&"process_resident_memory_bytes"), "{said}");
    up.running.stop().await;
}

#[tokio::test]
async fn queries_that_make_no_sense_are_refused_in_prometheus_words() {
    let up = Up::start(&[]).await;
    for path in [
        "/api/v1/query",
        "/api/v1/query?query=sum(",
        "/api/v1/query_range?query=up&start=0&end=1&step=0",
        "/api/v1/query_range?query=up&start=0&end=99999999&step=1",
        "/api/v1/query_range?query=up&start=2&end=1&step=1",
        "/api/v1/series",
        "/api/v1/label/a-b/values",
    ] {
        let (status, said) = up.get(path).await;
        assert!(status == 400 && said.contains(r#""errorType":"bad_data""#), "{path}: {said}");
    }
    let (status, said) = up.get("/api/v1/query?query=vector(1)%2Bvector(2)&time=5").await;
    assert!(status == 200 && said.contains(r#""value":[5,"3"]"#), "{said}");
    up.running.stop().await;
}

#[tokio::test]
async fn the_configuration_in_force_is_told_without_secrets_and_without_what_pages_added() {
    let up = Up::start(&["http://127.0.0.1:9/?key=hunter2"]).await;
    let body = br#"{"target": "tcp:127.0.0.1:9"}"#;
    up.ask("POST", "/api/v1/checks", &["Content-Type: application/json"], body).await;
    let (status, answer) = up.get("/api/v1/config").await;
    assert_eq!(status, 200, "{answer}");
    assert!(answer.contains(r#""generation""#) && answer.contains("127.0.0.1-9"), "{answer}");
    assert!(!answer.contains("hunter2") && !answer.contains("agent-token"), "{answer}");
    up.running.stop().await;
}

#[tokio::test]
async fn without_its_writer_everything_ends_instead_of_measuring_for_nothing() {
    let up = Up::start(&[]).await;
    up.running.state().db.clone().close().await;
    assert!(up.running.run_until(std::future::pending()).await.is_err());
    up.running.stop().await;
}
