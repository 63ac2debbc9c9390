//! The demo's balancer: takes turns between two backends and leaves out one that keeps refusing.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use http::{Request, StatusCode, header};
use http_body_util::{BodyExt as _, Empty, Full, Limited};
use hyper::body::Body as _;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::task::AbortHandle;
use tokio_rustls::TlsConnector;

use super::backend::plain;
use super::log::{Log, Served};
use super::server::{Answer, Asked, Site};

/// Failures in a row after which a backend is left out.
const FAILURES_MAX: u32 = 3;
/// How often a backend left out is tried again.
const RETRY_EVERY_MS: u64 = 2000;
/// The longest body taken over from a backend.
const BODY_BYTES_MAX: usize = 1 << 20;
/// How long a backend may take in all.
const BACKEND_MAX: Duration = Duration::from_secs(10);

/// Takes turns between its backends, and writes down what they answered.
pub struct Balancer {
    backends: Vec<Upstream>,
    log: Log,
    under_way: AtomicU32,
    turn: AtomicU64,
    started: Instant,
    tls: TlsConnector,
    name: ServerName<'static>,
}

/// What asking a backend took so far.
#[derive(Clone, Copy, Debug, Default)]
struct Times {
    connect: Option<Duration>,
    wait: Option<Duration>,
}

/// A request whose line is written once its answer is on the way.
#[derive(Clone, Debug)]
struct Pending {
    served: Served,
    arrived: Instant,
}

/// One backend as the balancer sees it.
struct Upstream {
    name: &'static str,
    address: SocketAddr,
    under_way: AtomicU32,
    failures: AtomicU32,
    /// When it last failed, in milliseconds since the balancer's start.
    failed_ms: AtomicU64,
}

impl Balancer {
    /// A balancer before the backends of these names and addresses, which show certificates for
    /// `name`.
    pub fn new(
        backends: &[(&'static str, SocketAddr)],
        tls: Arc<ClientConfig>,
        name: &str,
        log: Log,
    ) -> anyhow::Result<Self> {
        let upstream = |(name, address): &(&'static str, SocketAddr)| Upstream {
            name,
            address: *address,
            under_way: AtomicU32::new(0),
            failures: AtomicU32::new(0),
            failed_ms: AtomicU64::new(0),
        };
        Ok(Self {
            backends: backends.iter().map(upstream).collect(),
            log,
            under_way: AtomicU32::new(0),
            turn: AtomicU64::new(0),
            started: Instant::now(),
            tls: tls.into(),
            name: ServerName::try_from(name.to_owned())?,
        })
    }

    /// Whose turn it is: the next backend that is not left out; if all are, the next at all.
    fn next(&self) -> Option<&Upstream> {
        let now_ms = self.now_ms();
        let first = self.turn.fetch_add(1, Ordering::Relaxed);
        let count = self.backends.len();
        let start = usize::try_from(first).unwrap_or(0).checked_rem(count)?;
        let turn = || self.backends.iter().cycle().skip(start).take(count);
        turn().find(|u| u.in_use(now_ms)).or_else(|| turn().next())
    }

    /// Asks one backend and takes its whole answer.
    async fn ask(
        &self,
        upstream: &Upstream,
        path: &str,
        peer: SocketAddr,
        times: &mut Times,
    ) -> anyhow::Result<Answer> {
        let began = Instant::now();
        let stream = TcpStream::connect(upstream.address).await.context("connecting")?;
        stream.set_nodelay(true)?;
        let stream = self.tls.connect(self.name.clone(), stream).await.context("TLS")?;
        let connected = Instant::now();
        times.connect = Some(connected - began);
        let (mut send, connection) = http1::handshake(TokioIo::new(stream)).await?;
        let _ends_here = Ends(tokio::spawn(connection).abort_handle());
        let asked = Request::get(path)
            .header(header::HOST, self.name.to_str().as_ref())
            .header("x-forwarded-for", peer.ip().to_string())
            .body(Empty::<bytes::Bytes>::new())?;
        let (parts, body) = send.send_request(asked).await?.into_parts();
        times.wait = Some(connected.elapsed());
        let body = Limited::new(body, BODY_BYTES_MAX).collect().await;
        let body = body.map_err(|e| anyhow::anyhow!("reading a backend's body: {e}"))?;
        Ok(Answer::from_parts(parts, Full::new(body.to_bytes())))
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

impl Balancer {
    /// Asks whose turn it is; the answer, what it took, and the flags of its end.
    async fn pass_on(
        &self,
        upstream: &Upstream,
        asked: &Asked,
        peer: SocketAddr,
    ) -> (Answer, Times, &'static str) {
        let path = asked.uri().path_and_query().map_or("/", |p| p.as_str());
        let mut times = Times::default();
        let asking = self.ask(upstream, path, peer, &mut times);
        let answer = tokio::time::timeout(BACKEND_MAX, asking).await;
        // As HAProxy names them: the server's side (S, s for a timeout), and in which phase.
        match (answer, times.connect.is_some()) {
            (Ok(Ok(mut answer)), _) => {
                upstream.failures.store(0, Ordering::Relaxed);
                // The connection behind is not the one in front.
                answer.headers_mut().remove(header::CONNECTION);
                *answer.version_mut() = asked.version();
                (answer, times, "----")
            }
            (Ok(Err(_)), connected) => {
                upstream.failed(self.now_ms());
                let answer = plain(StatusCode::BAD_GATEWAY, "The backend did not answer.\n");
                (answer, times, if connected { "SH--" } else { "SC--" })
            }
            (Err(_), connected) => {
                upstream.failed(self.now_ms());
                let answer = plain(StatusCode::GATEWAY_TIMEOUT, "The backend took too long.\n");
                (answer, times, if connected { "sH--" } else { "sC--" })
            }
        }
    }
}

impl Site for Balancer {
    async fn answer(&self, asked: Asked, peer: SocketAddr) -> Answer {
        let (at, arrived) = (whyslow_sys::clock::wall(), Instant::now());
        let _here = Counted::one_more(&self.under_way);
        let upstream = self.next();
        let at_server = upstream.map(|u| Counted::one_more(&u.under_way));
        let all = self.under_way.load(Ordering::Relaxed);
        let under_way = (all, at_server.as_ref().map_or(0, Counted::now));
        let (mut answer, times, flags) = match upstream {
            Some(upstream) => self.pass_on(upstream, &asked, peer).await,
            None => {
                let answer = plain(StatusCode::SERVICE_UNAVAILABLE, "No backend.\n");
                (answer, Times::default(), "SC--")
            }
        };
        let uri = asked.uri().path_and_query().map_or("/", |p| p.as_str());
        let served = Served {
            at,
            peer,
            server: upstream.map(|u| u.name),
            connect: times.connect,
            wait: times.wait,
            total: Duration::ZERO,
            code: answer.status().as_u16(),
            bytes: usize::try_from(answer.body().size_hint().lower()).unwrap_or(0),
            flags,
            under_way,
            request: format!("{} {uri} {:?}", asked.method(), asked.version()),
        };
        answer.extensions_mut().insert(Pending { served, arrived });
        answer
    }

    fn sent(&self, answer: &mut Answer) {
        if let Some(Pending { mut served, arrived }) = answer.extensions_mut().remove() {
            served.total = arrived.elapsed();
            self.log.write(&served);
        }
    }
}

/// Counts one request as long as it lives.
struct Counted<'a>(&'a AtomicU32);

impl<'a> Counted<'a> {
    fn one_more(count: &'a AtomicU32) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }

    fn now(&self) -> u32 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl std::fmt::Debug for Balancer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Balancer({} backends)", self.backends.len())
    }
}

impl Upstream {
    fn in_use(&self, now_ms: u64) -> bool {
        self.failures.load(Ordering::Relaxed) < FAILURES_MAX
            || now_ms.saturating_sub(self.failed_ms.load(Ordering::Relaxed)) >= RETRY_EVERY_MS
    }

    fn failed(&self, now_ms: u64) {
        self.failures.fetch_add(1, Ordering::Relaxed);
        self.failed_ms.store(now_ms, Ordering::Relaxed);
    }
}

/// Ends a connection's task when the request it was made for is over.
struct Ends(AbortHandle);

impl Drop for Ends {
    fn drop(&mut self) {
        self.0.abort();
    }
}
