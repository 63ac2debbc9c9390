//! The local socket as a program of this machine meets it.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use whyslow_model::limits::{WIRE_SOCKET_CONNECTIONS_MAX, WIRE_SOCKET_LINE_BYTES_MAX};

use crate::api::Up;

/// An interface that is not there is recorded as soon as it is; until then the rings hold nothing.
const WIRE: &str = "wire: [{interface: nowhere0, ports: [443], keep: {rate: 3}}]\n";

/// One connection.
struct Asking(BufReader<UnixStream>);

impl Asking {
    /// Connects as soon as the socket is there; the test's own time limit ends it.
    async fn at(path: &Path) -> Self {
        loop {
            if let Ok(stream) = UnixStream::connect(path).await {
                return Self(BufReader::new(stream));
            }
            tokio::task::yield_now().await;
        }
    }

    async fn say(&mut self, bytes: &[u8]) {
        self.0.get_mut().write_all(bytes).await.expect("it is read");
    }

    async fn answer(&mut self) -> Value {
        let mut line = String::new();
        self.0.read_line(&mut line).await.expect("an answer");
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{line:?}: {error}"))
    }

    async fn ask(&mut self, line: &[u8]) -> Value {
        self.say(&[line, b"\n"].concat()).await;
        self.answer().await
    }

    /// Whether the other end has closed it, and said no more.
    async fn is_over(&mut self) -> bool {
        self.0.read_to_end(&mut Vec::new()).await.is_ok_and(|n| n == 0)
    }
}

fn socket_of(up: &Up) -> PathBuf {
    up.running.state().current.data().join("keep.sock")
}

async fn by_api(up: &Up, body: &str) -> (u16, Value) {
    let headers = ["Content-Type: application/json"];
    let (status, said) = up.ask("POST", "/api/v1/wire/keep", &headers, body.as_bytes()).await;
    let body = said.split_once("\r\n\r\n").expect("a body").1;
    (status, serde_json::from_str(body).expect("JSON"))
}

async fn counted(up: &Up, result: &str) -> u64 {
    let (_, metrics) = up.get("/metrics").await;
    let name = format!("whyslow_self_wire_socket_answers_total{{result=\"{result}\"}} ");
    let value = metrics.lines().find_map(|line| line.strip_prefix(&name)).expect("the counter");
    value.parse().expect("a number")
}

#[tokio::test]
async fn a_line_is_answered_as_a_request_of_the_api_is_and_shares_its_limit() {
    let up = Up::start_with(&[], WIRE).await;
    let socket = socket_of(&up);
    let mut asking = Asking::at(&socket).await;
    for body in [
        r#"{"client": "shop.example"}"#,
        r#"{"client": "192.0.2.7", "interface": "eth9"}"#,
        r#"{"client": "192.0.2.7", "seconds_back": 0}"#,
        r#"{"client": "192.0.2.7", "server": "x"}"#,
    ] {
        let (status, by_api) = by_api(&up, body).await;
        assert_eq!((status, asking.ask(body.as_bytes()).await), (400, by_api), "{body}");
    }
    let wanted = r#"{"client": "192.0.2.7:40000", "server": "[2001:db8::1]:443"}"#;
    let (status, first) = by_api(&up, wanted).await;
    assert_eq!((status, &first["errorType"]), (404, &json!("not_found")));
    assert_eq!(asking.ask(wanted.as_bytes()).await, first);
    let (status, _) = by_api(&up, wanted).await;
    assert_eq!(status, 404);
    // Three in a minute are looked for, whoever asks.
    let refused = asking.ask(wanted.as_bytes()).await;
    let (status, by_api) = by_api(&up, wanted).await;
    assert_eq!((status, &refused), (429, &by_api));
    assert_eq!(refused["errorType"], "too_many");
    for (result, n) in [("bad_data", 4), ("not_found", 1), ("too_many", 1), ("kept", 0)] {
        assert_eq!(counted(&up, result).await, n, "{result}");
    }
    let mode = std::fs::metadata(&socket).expect("a socket").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    up.running.stop().await;
    assert!(!socket.exists(), "the file of a closed socket is left behind");
}

#[tokio::test]
async fn nonsense_is_refused_with_a_hint_and_the_next_line_is_answered() {
    let up = Up::start_with(&[], WIRE).await;
    let mut asking = Asking::at(&socket_of(&up)).await;
    let deep = "[".repeat(WIRE_SOCKET_LINE_BYTES_MAX - 1);
    let lines: [&[u8]; 9] = [
        b"",
        b"\r",
        b"\xff\xfe\x00\x1b[2J",
        b"{}",
        b"keep 192.0.2.7",
        br#"{"client": 7}"#,
        br#"{"client": "192.0.2.7", "seconds_back": -1}"#,
        br#"{"client": "192.0.2.7", "path": "/etc/passwd"}"#,
        deep.as_bytes(),
    ];
    for line in lines {
        let told = asking.ask(line).await;
        assert_eq!((&told["status"], &told["errorType"]), (&json!("error"), &json!("bad_data")));
        assert!(told["hint"].as_str().is_some_and(|hint| hint.contains("client")), "{told}");
    }
    // A line that ends with the connection is one too.
    asking.say(br#"{"client": "192.0.2.7"}"#).await;
    asking.0.get_mut().shutdown().await.expect("a half-close");
    assert_eq!(asking.answer().await["errorType"], "not_found");
    assert!(asking.is_over().await);
    assert_eq!(counted(&up, "bad_data").await, 9);
    up.running.stop().await;
}

#[tokio::test]
async fn lines_without_end_and_connections_without_number_are_cut_off() {
    let up = Up::start_with(&[], WIRE).await;
    let socket = socket_of(&up);
    let mut endless = Asking::at(&socket).await;
    endless.say(&vec![b' '; WIRE_SOCKET_LINE_BYTES_MAX + 1]).await;
    assert_eq!(endless.answer().await["errorType"], "too_long");
    assert!(endless.is_over().await);

    let mut open = Vec::new();
    for _ in 0..WIRE_SOCKET_CONNECTIONS_MAX {
        let mut asking = Asking::at(&socket).await;
        assert_eq!(asking.ask(b"{}").await["errorType"], "bad_data");
        open.push(asking);
    }
    let mut more = Asking::at(&socket).await;
    assert_eq!(more.answer().await["errorType"], "unavailable");
    assert!(more.is_over().await);
    drop(open);
    loop {
        // As soon as one of them is found closed, there is room.
        let mut again = Asking::at(&socket).await;
        if again.0.get_mut().write_all(b"{}\n").await.is_ok()
            && again.answer().await["errorType"] == "bad_data"
        {
            break;
        }
    }
    assert_eq!(counted(&up, "too_long").await, 1);
    assert!(counted(&up, "unavailable").await >= 1);
    up.running.stop().await;
}

#[tokio::test]
async fn the_socket_is_where_the_configuration_says_and_only_where_packets_are_recorded() {
    let up = Up::start(&[]).await;
    let (_, metrics) = up.get("/metrics").await;
    assert!(!metrics.contains("whyslow_self_wire_socket"), "{metrics}");
    let current = up.running.state().current.clone();
    let file = current.data().with_file_name("whyslow.yaml");
    let before = std::fs::read_to_string(&file).expect("a configuration");
    let reload = |more: &str| {
        std::fs::write(&file, format!("{before}{WIRE}{more}")).expect("a file");
        let current = current.clone();
        tokio::task::spawn_blocking(move || current.reload().map_err(|e| e.to_string()))
    };
    reload("").await.expect("a thread").expect("a good configuration");
    let (first, second) = (socket_of(&up), file.with_file_name("other.sock"));
    assert_eq!(Asking::at(&first).await.ask(b"{}").await["errorType"], "bad_data");
    reload("keep_socket: other.sock\n").await.expect("a thread").expect("a good one");
    assert_eq!(Asking::at(&second).await.ask(b"{}").await["errorType"], "bad_data");
    assert!(!first.exists(), "it listens at two places");
    up.running.stop().await;
}
