//! A TLS server and a TLS client that take their time where they are told to, and say when they
//! spoke. Both ends of one conversation follow the same [`Manner`].

mod client;
mod server;

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use anyhow::{Context, Result};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ConnectionCommon, RootCertStore, SupportedProtocolVersion};

use crate::certificates::Leaf;

pub use client::{Asked, ask};
pub use server::{Answered, Server};

/// How both ends behave.
#[derive(Clone, Copy, Debug)]
pub struct Manner {
    /// TLS 1.2 instead of 1.3.
    pub old: bool,
    /// The server's pause between the hello and its own flight.
    pub server_think: Duration,
    /// The client's pause between having read that flight and its Finished.
    pub client_think: Duration,
    /// For how long the client leaves unread what has come.
    pub unread: Duration,
    /// The client's kernel holds its acknowledgments back as long as it may.
    pub lazy_ack: bool,
    /// The server's certificate is 25 kB long.
    pub long_certificate: bool,
    /// The server does not take the key share the client offers (1.3).
    pub retry: bool,
    /// The client shows a certificate too.
    pub client_auth: bool,
    /// The client came before, and resumes.
    pub resume: bool,
    /// It also sends its request at once (1.3).
    pub early_data: bool,
}

/// Whom both trust and what they show.
#[derive(Clone, Debug)]
pub struct Papers {
    /// The authority's certificate, a PEM file.
    pub authority: String,
    /// The server's certificate.
    pub short: Leaf,
    /// Its long one.
    pub long: Leaf,
}

/// The name in both of the server's certificates.
pub const NAME: &str = "wire.lab";

static OLD: [&SupportedProtocolVersion; 1] = [&rustls::version::TLS12];
static NEW: [&SupportedProtocolVersion; 1] = [&rustls::version::TLS13];

impl Manner {
    /// Nobody takes any time.
    pub const PROMPT: Self = Self {
        old: false,
        server_think: Duration::ZERO,
        client_think: Duration::ZERO,
        unread: Duration::ZERO,
        lazy_ack: false,
        long_certificate: false,
        retry: false,
        client_auth: false,
        resume: false,
        early_data: false,
    };

    fn versions(self) -> &'static [&'static SupportedProtocolVersion] {
        if self.old { &OLD } else { &NEW }
    }
}

impl Papers {
    fn roots(&self) -> Result<RootCertStore> {
        let mut roots = RootCertStore::empty();
        for certificate in certificates(&self.authority)? {
            roots.add(certificate)?;
        }
        Ok(roots)
    }
}

fn provider() -> CryptoProvider {
    ring::default_provider()
}

fn certificates(file: &str) -> Result<Vec<CertificateDer<'static>>> {
    let all: Result<Vec<_>, _> =
        CertificateDer::pem_file_iter(file).with_context(|| file.to_owned())?.collect();
    Ok(all?)
}

fn key(leaf: &Leaf) -> Result<PrivateKeyDer<'static>> {
    PrivateKeyDer::from_pem_file(&leaf.key).with_context(|| leaf.key.clone())
}

/// Reads what has come, and has it understood.
fn take<D>(tls: &mut ConnectionCommon<D>, mut tcp: &TcpStream) -> Result<()> {
    let n = tls.read_tls(&mut tcp).context("reading")?;
    anyhow::ensure!(n > 0, "the other end closed the connection");
    if let Err(e) = tls.process_new_packets() {
        // The alert tells the other end why.
        let _ = give(tls, tcp);
        return Err(e.into());
    }
    Ok(())
}

/// Writes all there is to write, in one piece where TCP lets it.
fn give<D>(tls: &mut ConnectionCommon<D>, mut tcp: &TcpStream) -> io::Result<()> {
    let mut all = Vec::new();
    while tls.wants_write() {
        tls.write_tls(&mut all)?;
    }
    tcp.write_all(&all)
}

/// Reads one message, which is short: a request or a response.
fn message<D>(tls: &mut ConnectionCommon<D>, tcp: &TcpStream) -> Result<Vec<u8>> {
    let mut room = [0; 256];
    loop {
        match tls.reader().read(&mut room) {
            Ok(n) => return Ok(room[..n].to_vec()),
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => take(tls, tcp)?,
            Err(e) => return Err(e.into()),
        }
    }
}
