//! The client.

use std::io::Write;
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection};
use socket2::SockRef;

use super::{Manner, NAME, Papers, certificates, give, key, message, provider, take};

/// When it spoke.
#[derive(Clone, Copy, Debug)]
pub struct Asked {
    /// Its flight, after the server's.
    pub flight: Instant,
    /// The client's port.
    pub port: u16,
}

/// Asks the server at `address`, twice where it is to resume; tells of the last time.
///
/// # Errors
/// Where the server does not answer as it should.
pub fn ask(manner: Manner, papers: &Papers, address: &str) -> Result<Asked> {
    let builder = ClientConfig::builder_with_provider(Arc::new(provider()))
        .with_protocol_versions(manner.versions())?
        .with_root_certificates(papers.roots()?);
    let mut config = if manner.client_auth {
        builder
            .with_client_auth_cert(certificates(&papers.short.certificate)?, key(&papers.short)?)?
    } else {
        builder.with_no_client_auth()
    };
    config.enable_early_data = manner.early_data;
    let config = Arc::new(config);
    if manner.resume {
        once(Manner { resume: false, early_data: false, ..manner }, &config, address)?;
    }
    once(manner, &config, address)
}

fn once(manner: Manner, config: &Arc<ClientConfig>, address: &str) -> Result<Asked> {
    let mut tls = ClientConnection::new(Arc::clone(config), ServerName::try_from(NAME)?)?;
    if manner.early_data {
        let mut early = tls.early_data().context("the ticket allows no early data")?;
        early.write_all(b"what I want")?;
    }
    let tcp = TcpStream::connect(address).with_context(|| format!("to {address}"))?;
    tcp.set_nodelay(true)?;
    if manner.lazy_ack {
        SockRef::from(&tcp).set_tcp_quickack(false)?;
    }
    give(&mut tls, &tcp)?;
    if manner.retry {
        while !tls.wants_write() {
            take(&mut tls, &tcp)?;
        }
        give(&mut tls, &tcp)?;
    }
    tcp.peek(&mut [0])?;
    std::thread::sleep(manner.unread);
    // In TLS 1.3 there is something to send before all was heard, which may wait.
    while !tls.wants_write() || (!manner.old && tls.is_handshaking()) {
        take(&mut tls, &tcp)?;
    }
    std::thread::sleep(manner.client_think);
    let flight = Instant::now();
    give(&mut tls, &tcp)?;
    while tls.is_handshaking() {
        take(&mut tls, &tcp)?;
    }
    let resumed = tls.handshake_kind() == Some(rustls::HandshakeKind::Resumed);
    ensure!(resumed == manner.resume, "{:?}", tls.handshake_kind());
    if !manner.early_data {
        tls.writer().write_all(b"what I want")?;
        give(&mut tls, &tcp)?;
    }
    let said = message(&mut tls, &tcp)?;
    ensure!(said == b"here you are", "{said:?}");
    Ok(Asked { flight, port: tcp.local_addr()?.port() })
}
