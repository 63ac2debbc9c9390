//! The demo's clients: a few dozen requests a second from the simulated networks, so that the
//! balancer's log has something to tell.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use http::{Request, header};
use http_body_util::{BodyExt as _, Empty};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::net::TcpSocket;
use tokio::task::{AbortHandle, JoinSet};
use tokio_rustls::TlsConnector;

use super::networks::NETWORKS;
use super::shop::NAME;

/// Clients of each network.
const CLIENTS_PER_NETWORK: u8 = 8;
/// What a client waits between two requests, on average.
const THINK: Duration = Duration::from_millis(600);
/// Requests of one connection.
const REQUESTS_PER_CONNECTION: u64 = 25;
/// How long a client waits after something went wrong.
const AFTER_FAILURE: Duration = Duration::from_millis(500);
/// The longest a client waits for an answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// One client.
struct Client {
    source: Ipv4Addr,
    balancer: SocketAddr,
    tls: TlsConnector,
    /// Which request is next; clients begin apart from each other.
    nth: u64,
}

/// Lets clients visit the shop until the task is dropped.
pub async fn visit(balancer: SocketAddr, tls: Arc<ClientConfig>) {
    let mut clients = JoinSet::new();
    for (n, network) in NETWORKS.iter().enumerate() {
        for i in 0..CLIENTS_PER_NETWORK {
            let client = Client {
                source: Ipv4Addr::new(127, network.second_byte, i % 3, 20 + i),
                balancer,
                tls: tls.clone().into(),
                nth: (n as u64) << 32 | u64::from(i) << 24,
            };
            clients.spawn(client.live());
        }
    }
    while clients.join_next().await.is_some() {}
}

impl Client {
    async fn live(mut self) {
        loop {
            if self.connection().await.is_err() {
                tokio::time::sleep(AFTER_FAILURE).await;
            }
        }
    }

    /// One connection and its requests, with a pause before each.
    async fn connection(&mut self) -> anyhow::Result<()> {
        let socket = TcpSocket::new_v4()?;
        socket.bind((self.source, 0).into())?;
        let stream = socket.connect(self.balancer).await?;
        stream.set_nodelay(true)?;
        let name = ServerName::try_from(NAME)?;
        let stream = tokio::time::timeout(PATIENCE, self.tls.connect(name, stream)).await??;
        let (mut send, connection) = http1::handshake(TokioIo::new(stream)).await?;
        let _ends_here = Ends(tokio::spawn(connection).abort_handle());
        for _ in 0..REQUESTS_PER_CONNECTION {
            self.nth += 1;
            tokio::time::sleep(THINK.mul_f64(0.5 + mixed(self.nth))).await;
            let asked = Request::get(path(mixed(self.nth ^ 0x55)))
                .header(header::HOST, NAME)
                .body(Empty::<bytes::Bytes>::new())?;
            let answer = tokio::time::timeout(PATIENCE, send.send_request(asked)).await??;
            answer.into_body().collect().await.context("reading a page")?;
        }
        Ok(())
    }
}

/// Which page a client wants next, by a figure between 0 and 1.
fn path(chance: f64) -> String {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 999")]
    let item = (chance * 1e6) as u64 % 1000;
    match chance {
        c if c < 0.35 => "/".to_owned(),
        c if c < 0.60 => "/search?q=lamp".to_owned(),
        c if c < 0.85 => format!("/item/{item}"),
        c if c < 0.98 => "/basket".to_owned(),
        _ => "/favicon.ico".to_owned(),
    }
}

/// A figure between 0 and 1, the same for the same n (`SplitMix64`'s finaliser).
fn mixed(n: u64) -> f64 {
    let mut z = n.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    let [a, b, c, d, ..] = (z ^ (z >> 31)).to_le_bytes();
    f64::from(u32::from_le_bytes([a, b, c, d])) / (f64::from(u32::MAX) + 1.0)
}

/// Ends a connection's task when its client is done with it.
struct Ends(AbortHandle);

impl Drop for Ends {
    fn drop(&mut self) {
        self.0.abort();
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn clients_want_every_page_and_some_that_are_not_there() {
        let mut wanted: BTreeMap<String, usize> = BTreeMap::new();
        for n in 0..2000 {
            let first = path(mixed(n)).split(['?', '/']).nth(1).unwrap_or("").to_owned();
            *wanted.entry(first).or_default() += 1;
        }
        let all = ["", "basket", "favicon.ico", "item", "search"];
        assert!(wanted.keys().eq(all.iter()), "{wanted:?}");
        assert!(wanted.values().all(|n| *n > 20), "{wanted:?}");
    }
}
