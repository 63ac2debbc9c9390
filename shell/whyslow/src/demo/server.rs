//! The demo's web server: TLS, HTTP/1.1 and 2, one port that the script can close and open again.
//! Balancer and backends are this server with different answers.

use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use rustls::ServerConfig;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use whyslow_model::limits::DEMO_CONNECTIONS_MAX;

use super::networks::NETWORKS;
use super::script::Conditions;

/// How long a client may take for its TLS handshake.
const HANDSHAKE_MAX: Duration = Duration::from_secs(10);
/// How long to wait before a port that could not be opened again is tried anew.
const REOPEN_EVERY: Duration = Duration::from_millis(100);

/// A request and where it came from.
pub type Asked = Request<Incoming>;
/// What goes back.
pub type Answer = Response<Full<Bytes>>;

/// What a server says.
pub trait Site: Send + Sync + 'static {
    /// Answers one request of `peer`.
    fn answer(&self, asked: Asked, peer: SocketAddr) -> impl Future<Output = Answer> + Send;

    /// The answer is about to be handed to the client's connection, after what its network took.
    fn sent(&self, _answer: &mut Answer) {}

    /// Whether the port is closed under these conditions.
    fn closed(&self, _: &Conditions) -> bool {
        false
    }
}

/// A server with its port, not yet answering.
pub struct Server<S> {
    site: Arc<S>,
    listener: TcpListener,
    address: SocketAddr,
    tls: TlsAcceptor,
    conditions: watch::Receiver<Conditions>,
}

impl<S: Site> Server<S> {
    /// Takes a free loopback port.
    pub async fn bind(
        site: S,
        tls: Arc<ServerConfig>,
        conditions: watch::Receiver<Conditions>,
    ) -> anyhow::Result<Self> {
        let listener =
            TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.context("binding a TCP port")?;
        let address = listener.local_addr()?;
        Ok(Self { site: Arc::new(site), listener, address, tls: tls.into(), conditions })
    }

    /// Where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until the task is dropped; every connection dies with it.
    pub async fn run(self) {
        let Self { site, listener, address, tls, mut conditions } = self;
        let mut listener = Some(listener);
        loop {
            if let Some(open) = listener.take() {
                serve_until_closed(&site, &open, &tls, &mut conditions).await;
            }
            let opened = conditions.wait_for(|c| !site.closed(c)).await.is_ok();
            if !opened {
                return;
            }
            match TcpListener::bind(address).await {
                Ok(again) => listener = Some(again),
                Err(_) => tokio::time::sleep(REOPEN_EVERY).await,
            }
        }
    }
}

impl<S> std::fmt::Debug for Server<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Server({})", self.address)
    }
}

/// Accepts until the script closes the port. The open connections end with it, as those of a
/// stopped process do.
async fn serve_until_closed<S: Site>(
    site: &Arc<S>,
    listener: &TcpListener,
    tls: &TlsAcceptor,
    conditions: &mut watch::Receiver<Conditions>,
) {
    let mut connections = JoinSet::new();
    let now = conditions.clone();
    loop {
        tokio::select! {
            gone = conditions.wait_for(|c| site.closed(c)) => {
                let _ = gone;
                return;
            }
            accepted = listener.accept(), if connections.len() < DEMO_CONNECTIONS_MAX => {
                let Ok((stream, peer)) = accepted else { continue };
                connections.spawn(converse(site.clone(), stream, peer, tls.clone(), now.clone()));
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

/// One connection, from the TLS handshake to its end. What goes wrong with it is its client's
/// to see.
async fn converse<S: Site>(
    site: Arc<S>,
    stream: TcpStream,
    peer: SocketAddr,
    tls: TlsAcceptor,
    conditions: watch::Receiver<Conditions>,
) {
    let _ = stream.set_nodelay(true);
    tokio::time::sleep(network_delay(peer, &conditions)).await;
    let Ok(Ok(stream)) = tokio::time::timeout(HANDSHAKE_MAX, tls.accept(stream)).await else {
        return;
    };
    let service = service_fn(|asked: Asked| {
        let (site, conditions) = (site.clone(), conditions.clone());
        async move {
            let mut answer = site.answer(asked, peer).await;
            tokio::time::sleep(network_delay(peer, &conditions)).await;
            site.sent(&mut answer);
            Ok::<_, Infallible>(answer)
        }
    });
    let _ = auto::Builder::new(TokioExecutor::new())
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

/// What the network of `peer` adds just now.
fn network_delay(peer: SocketAddr, conditions: &watch::Receiver<Conditions>) -> Duration {
    match conditions.borrow().network_delay {
        Some((n, by)) if NETWORKS[n].holds(peer.ip()) => by,
        _ => Duration::ZERO,
    }
}
