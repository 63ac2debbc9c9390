//! Links to other systems: lines in, lines out, samples out.

use std::sync::Arc;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use whyslow::storage::{Batch, EdgeBatch};
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

/// Stores a window as a balancer's log would have it, of which windows before `settled_s` cannot
/// change any more.
async fn store(up: &Up, revision: u32, row: Row, settled_s: i64) {
    let resume = format!("{{\"revision\":{revision},\"before_s\":{settled_s}}}");
    let edge = EdgeBatch {
        rows: vec![("lb1".into(), revision, row)],
        resume: vec![("lb1".into(), resume.into_bytes())],
        ..EdgeBatch::default()
    };
    let stored = up.running.state().db.append(Batch { edge, ..Batch::default() }).await;
    assert_eq!(stored.expect("room").edge.rows, 1);
}

#[tokio::test]
async fn a_graphite_that_goes_and_comes_back_misses_no_line_over_a_restart() {
    let peer = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = peer.local_addr().expect("an address");
    let config = format!("graphite: {{send_to: \"{address}\"}}\n");
    let up = Up::start_with(&[], &config).await;
    let start_s = whyslow_sys::clock::wall().as_millis() / 10_000 * 10 - 100;
    let told = |i: i64, hits: i64| format!("edge.www.app.web1.~.hits {hits} {}", start_s + i * 10);
    store(&up, 1, row(start_s, 1), 0).await;
    let (first, reader) = hits(&peer, &told(0, 1)).await;
    assert_eq!(first, [told(0, 1)]);
    // It goes; what is told meanwhile waits in the store, each window as it is last.
    drop((reader, peer));
    for (i, hits) in (1..5).zip(2u64..) {
        store(&up, 2, row(start_s + i * 10, hits), 0).await;
    }
    let up = up.again().await;
    store(&up, 3, row(start_s + 10, 77), 0).await;
    let peer = TcpListener::bind(address).await.expect("the same port");
    let (rest, reader) = hits(&peer, &told(1, 77)).await;
    // What was written last is written again, since nobody knows whether it arrived.
    let wanted = [told(0, 1), told(2, 3), told(3, 4), told(4, 5), told(1, 77)];
    assert_eq!(rest, wanted);
    until(&up, "/metrics", &format!("graphite_windows_pending{{peer=\"{address}\"}} 0")).await;
    // A peer that ends its side after ours has read all of it.
    let reading = tokio::spawn(async move {
        let mut rest = String::new();
        let mut reader = reader;
        let read = tokio::io::AsyncReadExt::read_to_string(&mut reader, &mut rest).await;
        assert!(read.is_ok_and(|_| !rest.contains(".hits ")), "{rest}");
    });
    let up = up.again().await;
    reading.await.expect("an end");
    store(&up, 4, row(start_s + 50, 6), 0).await;
    assert_eq!(hits(&peer, &told(5, 6)).await.0, [told(5, 6)]);
    up.running.stop().await;
}

#[tokio::test]
async fn values_are_kept_as_their_windows_are_at_last() {
    let up = Up::start_with(&[], "graphite: {keep: true}\n").await;
    let start_s = whyslow_sys::clock::wall().as_millis() / 10_000 * 10 - 100;
    store(&up, 1, row(start_s, 1), start_s).await;
    store(&up, 2, row(start_s, 5), start_s).await;
    store(&up, 3, row(start_s + 10, 7), start_s + 10).await;
    let path = "/render?target=edge.www.app.web1.~.hits&format=raw&from=-10min";
    let said = until(&up, path, ",5,").await;
    assert!(!said.contains(",7,"), "{said}");
    store(&up, 4, row(start_s + 10, 8), start_s + 20).await;
    until(&up, path, ",5,8,").await;
    let refused = "whyslow_self_store_samples_total{result=\"conflict\"} 0";
    let (_, counted) = up.get("/metrics").await;
    assert!(counted.contains(refused), "{counted}");
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
