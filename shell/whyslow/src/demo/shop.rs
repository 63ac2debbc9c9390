//! The sample shop on loopback: a balancer, two backends, two resolvers, one authority.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context as _;
use rustls::ClientConfig;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::backend::Backend;
use super::balancer::Balancer;
use super::certificates::Authority;
use super::log::Log;
use super::resolver::Resolver;
use super::script::Conditions;
use super::server::Server;

/// The shop's name; `.example` belongs to nobody (RFC 2606).
pub const NAME: &str = "shop.example";
/// The backends' names, by number.
pub const BACKENDS: [&str; 2] = ["web1", "web2"];

/// A running shop. Dropping it closes every port.
#[derive(Debug)]
pub struct Shop {
    /// Where the balancer listens.
    pub balancer: SocketAddr,
    /// Where web1 and web2 listen.
    pub backends: [SocketAddr; 2],
    /// The resolver that the script slows.
    pub resolver: SocketAddr,
    /// The resolver that nothing happens to.
    pub other_resolver: SocketAddr,
    /// How clients speak to the balancer.
    pub client: Arc<ClientConfig>,
    /// The certificate to trust, as PEM.
    pub authority_pem: String,
    _tasks: JoinSet<()>,
}

impl Shop {
    /// Opens the shop on free loopback ports; it behaves as `conditions` say, and its balancer
    /// writes what it serves into `log`.
    pub async fn open(conditions: &watch::Receiver<Conditions>, log: Log) -> anyhow::Result<Self> {
        let mut tasks = JoinSet::new();
        let authority = Authority::new()?;
        let mut backends = Vec::new();
        for (number, name) in BACKENDS.into_iter().enumerate() {
            let tls = authority.server(NAME, false, conditions.clone())?;
            let site = Backend::new(number, name, conditions.clone());
            let server = Server::bind(site, tls, conditions.clone()).await.context(name)?;
            backends.push(server.address());
            tasks.spawn(server.run());
        }
        let named: Vec<_> = BACKENDS.into_iter().zip(backends.iter().copied()).collect();
        let client = authority.client()?;
        let site = Balancer::new(&named, client.clone(), NAME, log)?;
        let tls = authority.server(NAME, true, conditions.clone())?;
        let front = Server::bind(site, tls, conditions.clone()).await.context("the balancer")?;
        let balancer = front.address();
        tasks.spawn(front.run());
        let resolver = Resolver::bind(NAME, Some(conditions.clone())).await?;
        let other = Resolver::bind(NAME, None).await?;
        let (resolver_at, other_at) = (resolver.address()?, other.address()?);
        tasks.spawn(resolver.run());
        tasks.spawn(other.run());
        Ok(Self {
            balancer,
            backends: [backends[0], backends[1]],
            resolver: resolver_at,
            other_resolver: other_at,
            client,
            authority_pem: authority.pem(),
            _tasks: tasks,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use http::{Request, StatusCode};
    use http_body_util::{BodyExt as _, Empty};
    use hyper::client::conn::{http1, http2};
    use hyper_util::rt::{TokioExecutor, TokioIo};
    use rustls::RootCertStore;
    use rustls::pki_types::pem::PemObject as _;
    use rustls::pki_types::{CertificateDer, ServerName};
    use tokio::net::TcpStream;
    use tokio_rustls::TlsConnector;

    use super::*;

    struct Seen {
        status: StatusCode,
        by: Option<String>,
        body: usize,
        certificate: Vec<u8>,
    }

    async fn get(shop: &Shop, at: SocketAddr, alpn: &str) -> std::io::Result<Seen> {
        let mut roots = RootCertStore::empty();
        let pem = CertificateDer::from_pem_slice(shop.authority_pem.as_bytes()).unwrap();
        roots.add(pem).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut tls = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        tls.alpn_protocols = vec![alpn.as_bytes().to_vec()];
        let stream = TcpStream::connect(at).await?;
        let name = ServerName::try_from(NAME).unwrap();
        let stream = TlsConnector::from(Arc::new(tls)).connect(name, stream).await?;
        let certificate = stream.get_ref().1.peer_certificates().unwrap()[0].to_vec();
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(alpn.as_bytes()));
        let asked = Request::get(format!("https://{NAME}/")).header("host", NAME);
        let asked = asked.body(Empty::<bytes::Bytes>::new()).unwrap();
        let answer = if alpn == "h2" {
            let executor = TokioExecutor::new();
            let (mut send, task) = http2::handshake(executor, TokioIo::new(stream)).await.unwrap();
            tokio::spawn(task);
            send.send_request(asked).await.unwrap()
        } else {
            let (mut send, task) = http1::handshake(TokioIo::new(stream)).await.unwrap();
            tokio::spawn(task);
            send.send_request(asked).await.unwrap()
        };
        let by = answer.headers().get("x-served-by").map(|v| v.to_str().unwrap().to_owned());
        let status = answer.status();
        let body = answer.into_body().collect().await.unwrap().to_bytes().len();
        Ok(Seen { status, by, body, certificate })
    }

    async fn open() -> (watch::Sender<Conditions>, Shop) {
        let (script, conditions) = watch::channel(Conditions::default());
        (script, Shop::open(&conditions, Log::nowhere()).await.unwrap())
    }

    #[tokio::test]
    async fn the_balancer_takes_turns_and_speaks_both_protocols() {
        let (_script, shop) = open().await;
        let mut by = Vec::new();
        for alpn in ["http/1.1", "h2", "http/1.1", "h2"] {
            let seen = get(&shop, shop.balancer, alpn).await.unwrap();
            assert_eq!(seen.status, StatusCode::OK);
            assert!(seen.body > 1000);
            by.extend(seen.by);
        }
        assert_eq!(by, ["web1", "web2", "web1", "web2"]);
    }

    #[tokio::test]
    async fn a_backend_that_refuses_is_left_out_and_taken_back() {
        let (script, shop) = open().await;
        script.send_modify(|c| c.backend_refuses[0] = true);
        while get(&shop, shop.backends[0], "h2").await.is_ok() {
            tokio::task::yield_now().await;
        }
        let mut refused = 0;
        for _ in 0..12 {
            let seen = get(&shop, shop.balancer, "h2").await.unwrap();
            match seen.status {
                StatusCode::BAD_GATEWAY => refused += 1,
                _ => assert_eq!(seen.by.as_deref(), Some("web2")),
            }
        }
        assert!((1..12).contains(&refused), "{refused} of 12 failed");
        script.send_modify(|c| c.backend_refuses[0] = false);
        while get(&shop, shop.backends[0], "h2").await.is_err() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    #[tokio::test]
    async fn only_the_balancer_shows_the_certificate_that_ends() {
        let (script, shop) = open().await;
        let front = get(&shop, shop.balancer, "h2").await.unwrap().certificate;
        let behind = get(&shop, shop.backends[0], "h2").await.unwrap().certificate;
        script.send_modify(|c| c.certificate_ends = true);
        assert_ne!(get(&shop, shop.balancer, "h2").await.unwrap().certificate, front);
        assert_eq!(get(&shop, shop.backends[0], "h2").await.unwrap().certificate, behind);
    }
}
