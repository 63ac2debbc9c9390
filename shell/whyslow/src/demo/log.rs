//! The demo balancer's request log: lines as HAProxy writes them by [`FORMAT`], of the requests
//! that were really served, sent to a stream socket as a ring of HAProxy's does.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::Offset;
use tokio::io::AsyncWriteExt as _;
use tokio::net::UnixStream;
use tokio::sync::mpsc;
use whyslow_model::Wall;

/// How the lines are written, as HAProxy's `log-format` has it: `option httplog` and a number for
/// each line, by which missing ones are counted.
pub const FORMAT: &str = "%ci:%cp [%tr] %ft %b/%s %TR/%Tw/%Tc/%Tr/%Ta %ST %B %CC %CS %tsc \
                          %ac/%fc/%bc/%sc/%rc %sq/%bq lc=%lc %{+Q}r";
/// Lines that may wait for the reader; as with HAProxy, further ones are dropped.
const LINES_WAITING_MAX: usize = 8192;
/// How often the reader is looked for while it is not there.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// The frontend's name; the tilde says TLS.
const FRONTEND: &str = "shop~";
/// The backend's name, as in the servers' `edge_names`.
const BACKEND: &str = "app";

/// Where the balancer writes its lines. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Log {
    lines: mpsc::Sender<String>,
    written: Arc<AtomicU64>,
}

/// A request that was answered, as its line tells it.
#[derive(Clone, Debug)]
pub struct Served {
    /// When it had arrived.
    pub at: Wall,
    /// Who asked.
    pub peer: SocketAddr,
    /// The server that was asked; `None` where none was there.
    pub server: Option<&'static str>,
    /// Connecting and TLS; `None` where that failed.
    pub connect: Option<Duration>,
    /// Waiting for the headers; `None` where none came.
    pub wait: Option<Duration>,
    /// From arrival until the answer was handed to the client's connection.
    pub total: Duration,
    /// The status code that was sent.
    pub code: u16,
    /// Bytes of the body that was sent.
    pub bytes: usize,
    /// The termination flags.
    pub flags: &'static str,
    /// Requests in the balancer and at the server, this one included.
    pub under_way: (u32, u32),
    /// Method, path with query, version.
    pub request: String,
}

impl Log {
    /// A log that nobody reads.
    pub fn nowhere() -> Self {
        Self { lines: mpsc::channel(1).0, written: Arc::default() }
    }

    /// A log read at the socket at `path`, and what sends it there.
    pub fn to(path: PathBuf) -> (Self, impl Future<Output = ()>) {
        let (lines, waiting) = mpsc::channel(LINES_WAITING_MAX);
        (Self { lines, written: Arc::default() }, send(path, waiting))
    }

    /// Writes one request down.
    pub fn write(&self, served: &Served) {
        let number = self.written.fetch_add(1, Ordering::Relaxed);
        // A full queue drops the line, as HAProxy's does; its number is missing then.
        let _ = self.lines.try_send(line(served, number));
    }
}

/// Sends lines until nobody writes any more; connects again whenever the reader was away.
async fn send(path: PathBuf, mut lines: mpsc::Receiver<String>) {
    let mut reader: Option<UnixStream> = None;
    while let Some(line) = lines.recv().await {
        loop {
            if let Some(stream) = &mut reader
                && stream.write_all(line.as_bytes()).await.is_ok()
            {
                break;
            }
            reader = UnixStream::connect(&path).await.ok();
            if reader.is_none() {
                tokio::time::sleep(LOOK_EVERY).await;
            }
        }
    }
}

/// One line, with its line feed. The date is UTC. The balancer parses a request's head before its
/// clock starts and queues nothing, so TR and Tw are 0; bytes are those of the body.
fn line(served: &Served, number: u64) -> String {
    let at = Timestamp::from_millisecond(served.at.as_millis()).unwrap_or(Timestamp::UNIX_EPOCH);
    let at = Offset::UTC.to_datetime(at).strftime("%d/%b/%Y:%H:%M:%S%.3f");
    let ms = |d: Option<Duration>| d.map_or_else(|| "-1".to_owned(), |d| d.as_millis().to_string());
    let (all, at_server) = served.under_way;
    format!(
        "{} [{at}] {FRONTEND} {BACKEND}/{} 0/0/{}/{}/{} {} {} - - {} {all}/{all}/{all}/{at_server}/0 0/0 lc={number} \"{}\"\n",
        served.peer,
        served.server.unwrap_or("<NOSRV>"),
        ms(served.connect),
        ms(served.wait),
        served.total.as_millis(),
        served.code,
        served.bytes,
        served.flags,
        served.request.replace('"', "#22"),
    )
}

#[cfg(test)]
mod tests {
    use whyslow_edge::format::{Context, Scratch};
    use whyslow_edge::record::EdgePhase;

    use super::*;

    fn served() -> Served {
        Served {
            at: Wall::from_millis(1_795_123_440_123),
            peer: SocketAddr::from(([127, 64, 0, 21], 51_234)),
            server: Some("web1"),
            connect: Some(Duration::from_millis(3)),
            wait: Some(Duration::from_millis(41)),
            total: Duration::from_millis(45),
            code: 200,
            bytes: 4301,
            flags: "----",
            under_way: (3, 2),
            request: "GET /search?q=\"lamp\" HTTP/1.1".to_owned(),
        }
    }

    #[test]
    fn a_line_is_read_back_by_the_parser_of_real_logs() {
        let text = line(&served(), 7);
        let parser = whyslow_edge::compiled::parser(FORMAT).unwrap().unwrap();
        let context = Context { near: Wall::from_millis(1_795_123_440_000), zone_s: 0 };
        let mut scratch = Scratch::default();
        let record = parser
            .parse(text.trim_end().as_bytes(), &context, &mut scratch)
            .unwrap_or_else(|e| panic!("{text}: {e}"))
            .clone();
        assert_eq!(record.at_us, Some(1_795_123_440_123_000));
        assert_eq!(
            (record.vip, record.backend, record.server),
            (&b"shop"[..], &b"app"[..], &b"web1"[..])
        );
        assert_eq!((record.path, record.code), (&b"/search"[..], 200));
        assert_eq!(record.phases.of(EdgePhase::Wait).micros(), Some(41_000));
        assert_eq!(record.total.micros(), Some(45_000));
        assert_eq!(record.client, Some(served().peer.ip()));
        assert_eq!(record.sequence, Some(7));
    }

    #[test]
    fn what_was_never_reached_is_minus_one_and_no_server_is_named_so() {
        let failed = Served {
            server: None,
            connect: None,
            wait: None,
            code: 503,
            flags: "SC--",
            ..served()
        };
        let text = line(&failed, 0);
        assert!(text.contains(" app/<NOSRV> 0/0/-1/-1/45 503 "), "{text}");
    }

    #[tokio::test]
    async fn lines_wait_for_a_reader_that_comes_later() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lb.sock");
        let (log, sending) = Log::to(path.clone());
        let sender = tokio::spawn(sending);
        log.write(&served());
        let reader = tokio::net::UnixListener::bind(&path).unwrap();
        let (stream, _) = reader.accept().await.unwrap();
        drop(log);
        sender.await.unwrap();
        let mut text = String::new();
        let mut stream = stream;
        tokio::io::AsyncReadExt::read_to_string(&mut stream, &mut text).await.unwrap();
        assert_eq!(text, line(&served(), 0));
    }
}
