//! The server.

use std::io::Read;
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result};
use rustls::crypto::ring::{Ticketer, kx_group};
use rustls::server::WebPkiClientVerifier;
use rustls::{ServerConfig, ServerConnection};

use super::{Manner, Papers, certificates, give, key, message, provider, take};

/// A server that listens already.
#[derive(Debug)]
pub struct Server {
    manner: Manner,
    listener: TcpListener,
    config: Arc<ServerConfig>,
}

/// When it spoke.
#[derive(Clone, Copy, Debug)]
pub struct Answered {
    /// Its flight, after the hello that it took.
    pub flight: Instant,
    /// What it sent after the client's flight, if anything.
    pub closing: Instant,
}

impl Server {
    /// Listens at `address`.
    ///
    /// # Errors
    /// Where the port is taken or the papers are not in order.
    pub fn new(manner: Manner, papers: &Papers, address: &str) -> Result<Self> {
        let mut provider = provider();
        if manner.retry {
            provider.kx_groups = vec![kx_group::SECP384R1];
        }
        let provider = Arc::new(provider);
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(manner.versions())?;
        let builder = if manner.client_auth {
            let roots = Arc::new(papers.roots()?);
            let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider).build()?;
            builder.with_client_cert_verifier(verifier)
        } else {
            builder.with_no_client_auth()
        };
        let leaf = if manner.long_certificate { &papers.long } else { &papers.short };
        let mut config = builder.with_single_cert(certificates(&leaf.certificate)?, key(leaf)?)?;
        if manner.early_data {
            config.max_early_data_size = 1024;
        } else if manner.resume {
            config.ticketer = Ticketer::new()?;
        }
        let listener = TcpListener::bind(address).with_context(|| format!("at {address}"))?;
        Ok(Self { manner, listener, config: Arc::new(config) })
    }

    /// Serves one connection, from its handshake to one response.
    ///
    /// # Errors
    /// Where the client goes away or does not understand.
    pub fn answer(&self) -> Result<Answered> {
        let (tcp, _) = self.listener.accept()?;
        tcp.set_nodelay(true)?;
        let mut tls = ServerConnection::new(Arc::clone(&self.config))?;
        if self.manner.retry {
            hello(&mut tls, &tcp)?;
            give(&mut tls, &tcp)?;
        }
        hello(&mut tls, &tcp)?;
        std::thread::sleep(self.manner.server_think);
        let flight = Instant::now();
        give(&mut tls, &tcp)?;
        while tls.is_handshaking() {
            take(&mut tls, &tcp)?;
        }
        let closing = Instant::now();
        give(&mut tls, &tcp)?;
        self.respond(&mut tls, &tcp)?;
        Ok(Answered { flight, closing })
    }

    fn respond(&self, tls: &mut ServerConnection, tcp: &TcpStream) -> Result<()> {
        let mut early = Vec::new();
        if let Some(mut data) = tls.early_data() {
            data.read_to_end(&mut early)?;
        }
        if early.is_empty() {
            message(&mut *tls, tcp)?;
        }
        std::io::Write::write_all(&mut tls.writer(), b"here you are")?;
        tls.send_close_notify();
        give(tls, tcp)?;
        // The client closes first, so that the port stays free here.
        let _ = (&mut &*tcp).read(&mut [0; 64]);
        Ok(())
    }
}

/// Reads until there is something to say to it.
fn hello(tls: &mut ServerConnection, tcp: &TcpStream) -> Result<()> {
    while !tls.wants_write() {
        take(tls, tcp)?;
    }
    Ok(())
}
