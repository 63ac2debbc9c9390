//! Runs checks against servers made here: sound ones, broken ones, and silent ones.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use whyslow::prober::carry::run_once;
use whyslow_dial::Dial;
use whyslow_model::Phase;
use whyslow_model::conversation::{PingAsk, PingDone};
use whyslow_probe::run::{Outcome, Run};
use whyslow_probe::spec::{
    Addresses, Auth, CheckSpec, Duration as Length, SecretRef, parse_target,
};

/// Runs a check once, and asserts what holds of every run.
pub(crate) async fn run(spec: CheckSpec) -> Run {
    let echo = |_: PingAsk| async { unreachable!("no check here pings") as PingDone };
    let run = run_once(Arc::new(spec), "here", &Dial::new(), echo).await;
    let sum: f64 = run.exchanges.iter().map(|e| e.phases_ms.total()).sum();
    assert!((sum - run.total_ms).abs() < 0.1, "{sum} against {}: {run:?}", run.total_ms);
    assert!((run.phases_ms.total() - run.total_ms).abs() < 0.1, "{run:?}");
    if let Some(failure) = &run.failure {
        assert!(whyslow_probe::codes::by_name(&failure.code).is_some(), "{}", failure.code);
        assert!(run.transcript.is_some());
    }
    run
}

pub(crate) fn check(target: &str) -> CheckSpec {
    CheckSpec::of("a", &parse_target(target).expect(target))
}

pub(crate) fn code(run: &Run) -> &str {
    run.failure.as_ref().map_or("ok", |f| f.code.as_str())
}

/// A server on loopback that hands every connection to `answer`.
pub(crate) async fn serve<F, P>(answer: F) -> SocketAddr
where
    F: Fn(TcpStream) -> P + Send + 'static,
    P: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(answer(stream));
        }
    });
    address
}

/// A server that reads one request after the other and answers with what `answer` says of it.
async fn http<F>(answer: F) -> SocketAddr
where
    F: Fn(&str) -> String + Send + Sync + 'static,
{
    let answer = Arc::new(answer);
    serve(move |mut stream| {
        let answer = Arc::clone(&answer);
        async move {
            while let Some(request) = request(&mut stream).await {
                if stream.write_all(answer(&request).as_bytes()).await.is_err() {
                    return;
                }
            }
        }
    })
    .await
}

/// The head of the next request.
async fn request(stream: &mut TcpStream) -> Option<String> {
    let mut text = Vec::new();
    let mut byte = [0];
    while !text.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).await.ok()?;
        text.push(byte[0]);
    }
    Some(String::from_utf8_lossy(&text).into_owned())
}

fn ok(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}

#[tokio::test]
async fn each_way_to_break_an_answer_has_its_code_and_phase() {
    let cases: &[(&str, &str, Phase)] = &[
        ("not http at all\r\n\r\n", "http_malformed", Phase::Receive),
        ("", "closed", Phase::Wait),
        ("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf", "closed", Phase::Receive),
        (
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
            "http_malformed",
            Phase::Receive,
        ),
        ("HTTP/1.1 503 No\r\ncontent-length: 0\r\n\r\n", "http_status", Phase::Wait),
        (
            "HTTP/1.1 302 Go\r\nlocation: ftp://a/\r\ncontent-length: 0\r\n\r\n",
            "redirect_refused",
            Phase::Wait,
        ),
        (
            "HTTP/1.1 302 Go\r\nlocation: http://169.254.169.254/x\r\ncontent-length: 0\r\n\r\n",
            "redirect_refused",
            Phase::Resolve,
        ),
        (
            "HTTP/1.1 302 Go\r\nlocation: http://[::ffff:a9fe:a9fe]/\r\ncontent-length: 0\r\n\r\n",
            "redirect_refused",
            Phase::Resolve,
        ),
        (
            "HTTP/1.1 302 Go\r\nlocation: /\r\ncontent-length: 0\r\n\r\n",
            "redirect_loop",
            Phase::Wait,
        ),
    ];
    for (bytes, expected, phase) in cases {
        let address = serve(move |mut stream| async move {
            request(&mut stream).await;
            let _ = stream.write_all(bytes.as_bytes()).await;
        })
        .await;
        let run = run(check(&format!("http://{address}/"))).await;
        assert_eq!(code(&run), *expected, "{bytes:?}: {run:?}");
        assert_eq!(run.failure.and_then(|f| f.phase), Some(*phase), "{bytes:?}");
    }
}

#[tokio::test]
async fn silence_fails_the_phase_it_falls_into() {
    let cases = [
        ("http", "", "wait_timeout"),
        ("http", "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf", "body_timeout"),
        ("https", "", "tls_timeout"),
    ];
    for (scheme, bytes, expected) in cases {
        let address = serve(move |mut stream| async move {
            let _ = stream.write_all(bytes.as_bytes()).await;
            std::future::pending::<()>().await;
        })
        .await;
        let mut spec = check(&format!("{scheme}://{address}/"));
        spec.timeout = Length::from_millis(150);
        let run = run(spec).await;
        assert_eq!(code(&run), expected, "{run:?}");
        let failing = run.failure.and_then(|f| f.phase).expect("a phase");
        assert!(run.phases_ms.of(failing).is_some_and(|ms| ms > 0.0));
    }
}

#[tokio::test]
async fn a_phase_may_have_its_own_limit() {
    let address = serve(|stream| async move {
        let _held = stream;
        std::future::pending::<()>().await;
    })
    .await;
    let mut spec = check(&format!("http://{address}/"));
    spec.timeout = Length::from_secs(600);
    spec.timeouts.wait = Some(Length::from_millis(50));
    assert_eq!(code(&run(spec).await), "wait_timeout");
}

#[tokio::test]
async fn an_endless_body_is_cut_at_the_cap() {
    let address = serve(|mut stream| async move {
        request(&mut stream).await;
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await;
        while stream.write_all(&b"more ".repeat(1000)).await.is_ok() {}
    })
    .await;
    let mut spec = check(&format!("http://{address}/"));
    spec.body_bytes_max = Some(10_000);
    let run = run(spec).await;
    assert_eq!(code(&run), "body_too_large", "{run:?}");
    let excerpt = run.transcript.and_then(|t| t.body_excerpt).expect("an excerpt");
    assert_eq!(excerpt.len(), 2048);
}

#[tokio::test]
async fn a_closed_port_refuses() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
    let address = listener.local_addr().expect("an address");
    drop(listener);
    for target in [format!("http://{address}/"), format!("tcp:{address}"), format!("tls:{address}")]
    {
        assert_eq!(code(&run(check(&target)).await), "connect_refused");
    }
}

#[tokio::test]
async fn a_reset_is_told_from_a_close() {
    let address = serve(|mut stream| async move {
        request(&mut stream).await;
        let _ = stream.set_zero_linger();
    })
    .await;
    let run = run(check(&format!("http://{address}/"))).await;
    assert_eq!(code(&run), "reset", "{run:?}");
}

#[tokio::test]
async fn redirects_reuse_the_connection_of_the_same_origin() {
    let address = http(|request| {
        if request.starts_with("GET /login?") {
            return ok("welcome");
        }
        "HTTP/1.1 302 Go\r\nlocation: /login?token=s3cret\r\ncontent-length: 0\r\n\r\n".to_owned()
    })
    .await;
    let run = run(check(&format!("http://{address}/"))).await;
    assert_eq!(run.outcome, Outcome::Ok, "{run:?}");
    let [first, second] = run.exchanges.as_slice() else { panic!("two exchanges: {run:?}") };
    assert_eq!((first.status, second.status), (Some(302), Some(200)));
    assert!(second.reused_connection && !first.reused_connection);
    assert_eq!(second.phases_ms.connect, None);
    assert!(first.phases_ms.connect.is_some());
    assert!(second.url.ends_with("/login?token=…"), "{}", second.url);
    assert!(second.tcp.is_some_and(|tcp| tcp.rtt_ms.is_some()));
    assert!(run.transcript.is_none());
}

#[tokio::test]
async fn a_connection_closed_while_idle_is_replaced() {
    let address = serve(|mut stream| async move {
        let Some(request) = request(&mut stream).await else { return };
        let answer = if request.starts_with("GET /next") {
            ok("here")
        } else {
            "HTTP/1.1 302 Go\r\nlocation: /next\r\ncontent-length: 0\r\n\r\n".to_owned()
        };
        let _ = stream.write_all(answer.as_bytes()).await;
    })
    .await;
    let run = run(check(&format!("http://{address}/"))).await;
    assert_eq!(run.outcome, Outcome::Ok, "{run:?}");
    assert_eq!(run.exchanges.len(), 2);
}

#[tokio::test]
async fn an_endless_chain_of_redirects_ends() {
    let count = Arc::new(Mutex::new(0));
    let address = http(move |_| {
        let mut count = count.lock().expect("unpoisoned");
        *count += 1;
        format!("HTTP/1.1 302 Go\r\nlocation: /{count}\r\ncontent-length: 0\r\n\r\n")
    })
    .await;
    let run = run(check(&format!("http://{address}/"))).await;
    assert_eq!(code(&run), "too_many_redirects");
    assert_eq!(run.exchanges.len(), 11);
}

#[tokio::test]
async fn a_path_leads_around_what_stands_before_the_service() {
    let seen = Arc::new(Mutex::new(String::new()));
    let keep = Arc::clone(&seen);
    let address = http(move |request| {
        request.clone_into(&mut keep.lock().expect("unpoisoned"));
        ok("")
    })
    .await;
    let mut spec = check("http://shop.example/a?b=c");
    spec.connect_to = Some(address.to_string().parse().expect("an address"));
    spec.source = Some("127.0.0.9".parse().expect("an address"));
    let first = run(spec.clone()).await;
    assert_eq!(first.outcome, Outcome::Ok, "{first:?}");
    assert_eq!(first.phases_ms.resolve, None);
    assert_eq!(first.exchanges[0].remote, Some(address.to_string()));
    let request = seen.lock().expect("unpoisoned").clone();
    assert!(request.starts_with("GET /a?b=c HTTP/1.1\r\nhost: shop.example\r\n"), "{request}");
    spec.host = Some("other.example".to_owned());
    run(spec).await;
    assert!(seen.lock().expect("unpoisoned").contains("host: other.example\r\n"));
}

#[tokio::test]
async fn the_source_address_is_the_one_asked_for() {
    let seen = Arc::new(Mutex::new(None));
    let keep = Arc::clone(&seen);
    let address = serve(move |stream| {
        *keep.lock().expect("unpoisoned") = stream.peer_addr().ok();
        async {}
    })
    .await;
    let mut spec = check(&format!("tcp:{address}"));
    spec.source = Some("127.0.0.9".parse().expect("an address"));
    assert_eq!(run(spec.clone()).await.outcome, Outcome::Ok);
    while seen.lock().expect("unpoisoned").is_none() {
        tokio::task::yield_now().await;
    }
    let from = seen.lock().expect("unpoisoned").expect("a peer").ip();
    assert_eq!(Some(from), spec.source);
    spec.source = Some("192.0.2.1".parse().expect("an address"));
    assert_eq!(code(&run(spec).await), "local_failure");
}

#[tokio::test]
async fn each_address_of_a_name_has_its_exchange() {
    let address = http(|_| ok("")).await;
    let mut spec = check(&format!("http://each.localhost:{}/", address.port()));
    assert_eq!(run(spec.clone()).await.outcome, Outcome::Ok);
    spec.addresses = Addresses::All;
    let run = run(spec).await;
    assert_eq!(run.exchanges.len(), 2, "{run:?}");
    assert_eq!(code(&run), "connect_refused");
    let answered = run.exchanges.iter().filter(|e| e.status == Some(200)).count();
    assert_eq!(answered, 1);
}

#[tokio::test]
async fn a_transcript_tells_all_but_the_secrets() {
    let address = http(|_| {
        "HTTP/1.1 500 No\r\nset-cookie: sid=s3cret; Path=/\r\ncontent-length: 20\r\n\r\ntoken=s3cret db=down".to_owned()
    })
    .await;
    let mut spec = check(&format!("http://{address}/pay?card=s3cret"));
    spec.headers.insert("Cookie".into(), whyslow_probe::spec::Text::Plain("id=s3cret".into()));
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), "s3cret\n").expect("written");
    spec.auth = Some(Auth::Bearer(SecretRef::File(file.path().display().to_string())));
    let run = run(spec).await;
    let text = serde_json::to_string(&run).expect("JSON");
    assert!(!text.contains("s3cret"), "{text}");
    for part in ["authorization: …", "cookie: …", "sid=…; Path=/", "db=down", "card=…", "SYN to"]
    {
        assert!(text.contains(part), "{part} in {text}");
    }
}

#[tokio::test]
async fn what_is_above_the_warn_threshold_is_slow_and_keeps_a_transcript() {
    let address = serve(|mut stream| async move {
        request(&mut stream).await;
        tokio::time::sleep(Duration::from_millis(30)).await;
        let _ = stream.write_all(ok("late").as_bytes()).await;
    })
    .await;
    let mut spec = check(&format!("http://{address}/"));
    spec.warn = Some(Length::from_millis(20));
    let run = run(spec).await;
    assert_eq!(run.outcome, Outcome::Slow);
    assert!(whyslow_probe::sentences::headline(&run).contains("wait took"), "{run:?}");
    assert!(run.transcript.is_some());
}

#[tokio::test]
async fn headers_without_end_are_refused() {
    let address = serve(|mut stream| async move {
        request(&mut stream).await;
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n").await;
        while stream.write_all(b"x-more: and more and more\r\n").await.is_ok() {}
    })
    .await;
    assert_eq!(code(&run(check(&format!("http://{address}/"))).await), "http_malformed");
}
