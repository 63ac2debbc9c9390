//! Links to other systems: lines in, lines out, samples out.

use std::sync::Arc;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use whyslow_edge::row::{Key, Row, Totals};

use crate::api::Up;

/// Asks until the answer holds `words`; the test's own time limit ends it.
async fn until(up: &Up, path: &str, words: &str) -> String {
    loop {
        let (_, said) = up.get(path).await;
        if said.contains(words) {
            return said;
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn lines_that_come_in_are_stored_and_bad_ones_counted() {
    let up = Up::start_with(&[], "graphite: {listen: \"127.0.0.1:0\"}\n").await;
    let address = up.running.state().links.graphite_address().expect("a listener");
    let now_s = whyslow_sys::clock::wall().as_millis() / 1000;
    let mut sender = TcpStream::connect(address).await.expect("a connection");
    let lines =
        format!("a.b 1.5 {now_s}\nnonsense\nload;host=h 2 -1\na.c x {now_s}\na.d 3 {now_s}");
    sender.write_all(lines.as_bytes()).await.expect("a write");
    drop(sender);
    let found = until(&up, "/metrics/index.json", "a.d").await;
    assert!(found.contains(r#"["a.b","a.d"]"#), "{found}");
    let (_, value) = up.get("/api/v1/query?query=graphite%7Bhost=%22h%22%7D").await;
    assert!(value.contains(r#""path":"load"},"value":["#) && value.contains(r#","2"]"#), "{value}");
    let counted = up.get("/metrics").await.1;
    for line in [
        r#"whyslow_self_graphite_lines_in_total{result="stored"} 3"#,
        r#"whyslow_self_graphite_lines_in_total{result="bad_fields"} 1"#,
        r#"whyslow_self_graphite_lines_in_total{result="bad_value"} 1"#,
    ] {
        assert!(counted.contains(line), "{line} in {counted}");
    }
    up.running.stop().await;
}

fn row(start_s: i64, hits: u64) -> Row {
    let name = |text: &str| Some(Arc::from(text));
    let key = Key {
        vip: name("www"),
        backend: name("app"),
        server: name("web1"),
        route: name("/"),
        ..Key::default()
    };
    let mut totals = Totals { hits, ..Totals::default() };
    totals.codes.insert(200, hits);
    (0..hits).for_each(|_| totals.latency.observe(5000));
    Row { start_s, span_s: 10, key, totals }
}

/// The lines of one connection that tell hits, until `last` is among them.
async fn hits(listener: &TcpListener, last: &str) -> (Vec<String>, BufReader<TcpStream>) {
    let (stream, _) = listener.accept().await.expect("a connection");
    let mut reader = BufReader::new(stream);
    let mut all = Vec::new();
    loop {
        let mut line = String::new();
        assert!(reader.read_line(&mut line).await.expect("a line") > 0, "an end after {all:?}");
        if line.contains(".hits ") {
            all.push(line.trim().to_owned());
        }
        if line.trim() == last {
            return (all, reader);
        }
    }
}

#[tokio::test]
async fn a_graphite_that_goes_and_comes_back_misses_no_line() {
    let peer = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = peer.local_addr().expect("an address");
    let config = format!("graphite: {{send_to: \"{address}\", keep: true}}\n");
    let up = Up::start_with(&[], &config).await;
    let outputs = Arc::clone(&up.running.state().outputs);
    let start_s = whyslow_sys::clock::wall().as_millis() / 10_000 * 10 - 100;
    let told = |i: i64| format!("edge.www.app.web1.~.hits {} {}", i + 1, start_s + i * 10);
    let mut kept = outputs.handle_window("lb1", None, &[row(start_s, 1)]);
    let (first, reader) = hits(&peer, &told(0)).await;
    assert_eq!(first, [told(0)]);
    // It goes; what is told meanwhile waits.
    drop((reader, peer));
    for (i, hits) in (1..5).zip(2u64..) {
        kept.extend(outputs.handle_window("lb1", None, &[row(start_s + i * 10, hits)]));
    }
    let peer = TcpListener::bind(address).await.expect("the same port");
    let (rest, _reader) = hits(&peer, &told(4)).await;
    // What was written last is written again, since nobody knows whether it arrived.
    assert_eq!(rest, (0..5).map(told).collect::<Vec<_>>());
    let names = kept.iter().filter(|s| s.labels.value("path") == Some("edge.www.app.web1.~.hits"));
    assert_eq!(names.map(|s| s.value).collect::<Vec<_>>(), [1.0, 2.0, 3.0, 4.0, 5.0]);
    up.running.stop().await;
}

#[tokio::test]
async fn what_is_stored_is_written_to_the_receiver_that_selects_it() {
    let receiver = Up::start(&[]).await;
    let url = format!("http://{}/api/v1/write", receiver.address());
    let config =
        format!("remote_write: [{{url: \"{url}\", select: ['{{__name__=~\"edge_.*\"}}']}}]\n");
    let up = Up::start_with(&[], &config).await;
    let mut body = whyslow::remote_write::body::Body::default();
    let now_ms = whyslow_sys::clock::wall().as_millis();
    for name in ["edge_a", "other"] {
        body.series([("__name__", name)]);
        body.sample(now_ms, 7.25);
    }
    let (status, said) = up.ask("POST", "/api/v1/write", &[], &body.to_bytes()).await;
    assert_eq!(status, 204, "{said}");
    let found = until(&receiver, "/api/v1/query?query=edge_a", "7.25").await;
    assert!(found.contains("edge_a"), "{found}");
    let (_, other) = receiver.get("/api/v1/query?query=other").await;
    assert!(other.contains(r#""result":[]"#), "{other}");
    let line =
        format!("whyslow_self_remote_write_samples_total{{peer=\"{url}\",result=\"sent\"}} 1");
    until(&up, "/metrics", &line).await;
    up.running.stop().await;
    receiver.running.stop().await;
}
