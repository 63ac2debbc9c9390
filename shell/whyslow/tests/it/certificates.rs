//! Runs checks against servers with good and bad certificates.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tempfile::NamedTempFile;
use tokio_rustls::TlsAcceptor;
use whyslow_probe::run::Outcome;
use whyslow_probe::spec::{CheckSpec, ClientCertificate, HttpVersion};

use crate::peers::{check, code, run, serve};

/// An authority, its certificate in a file.
struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    file: NamedTempFile,
}

impl Authority {
    fn new(name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key"))
            .expect("an authority");
        let file = written(&issuer.pem());
        Self { issuer, file }
    }

    fn path(&self) -> String {
        self.file.path().display().to_string()
    }

    /// A certificate for `name` with days from `from` to `to`, today being 0.
    fn sign(&self, name: &str, from: i64, to: i64) -> (CertificateDer<'static>, KeyPair) {
        let key = KeyPair::generate().expect("a key");
        let params = params(name, from, to);
        let certificate = params.signed_by(&key, &self.issuer).expect("signed");
        (certificate.der().clone(), key)
    }
}

fn params(name: &str, from: i64, to: i64) -> CertificateParams {
    let mut params = CertificateParams::new([name.to_owned()]).expect("a name");
    let now = std::time::SystemTime::now();
    let day = |days: i64| {
        let length = std::time::Duration::from_hours(24 * days.unsigned_abs());
        let at = if days < 0 { now - length } else { now + length };
        at.into()
    };
    params.not_before = day(from);
    params.not_after = day(to);
    params
}

fn written(text: &str) -> NamedTempFile {
    let file = NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), text).expect("written");
    file
}

fn config(
    (certificate, key): (CertificateDer<'static>, KeyPair),
    clients: Option<&Authority>,
) -> ServerConfig {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .expect("versions");
    let builder = match clients {
        None => builder.with_no_client_auth(),
        Some(authority) => {
            let mut roots = RootCertStore::empty();
            roots.add(authority.issuer.der().clone()).expect("a root");
            let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider);
            builder.with_client_cert_verifier(verifier.build().expect("a verifier"))
        }
    };
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let mut config = builder.with_single_cert(vec![certificate], key).expect("a pair");
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    config
}

/// An HTTPS server for HTTP/1.1 and HTTP/2 that greets everybody.
async fn https(config: ServerConfig) -> SocketAddr {
    let acceptor = TlsAcceptor::from(Arc::new(config));
    serve(move |stream| {
        let acceptor = acceptor.clone();
        async move {
            let Ok(stream) = acceptor.accept(stream).await else { return };
            let answer = |request: hyper::Request<Incoming>| async move {
                let text = format!("hello by {:?}", request.version());
                Ok::<_, Infallible>(hyper::Response::new(Full::new(Bytes::from(text))))
            };
            let server = auto::Builder::new(TokioExecutor::new());
            let _ = server.serve_connection(TokioIo::new(stream), service_fn(answer)).await;
        }
    })
    .await
}

fn aimed(address: SocketAddr, authority: Option<&Authority>) -> CheckSpec {
    let mut spec = check("https://shop.example/");
    spec.connect_to = Some(address.to_string().parse().expect("an address"));
    spec.ca_file = authority.map(Authority::path);
    spec
}

#[tokio::test]
async fn each_thing_wrong_with_a_certificate_has_its_code() {
    let (authority, other) = (Authority::new("ours"), Authority::new("theirs"));
    let own = |name: &str| {
        let key = KeyPair::generate().expect("a key");
        let certificate = params(name, -1, 90).self_signed(&key).expect("signed");
        (certificate.der().clone(), key)
    };
    let cases = [
        (authority.sign("shop.example", -1, 90), "ok", None),
        (authority.sign("shop.example", -90, -3), "tls_expired", Some("expired")),
        (authority.sign("shop.example", 3, 90), "tls_not_yet_valid", Some("not_yet_valid")),
        (authority.sign("b.example", -1, 90), "tls_wrong_name", Some("wrong_name")),
        (other.sign("shop.example", -1, 90), "tls_unknown_issuer", Some("unknown_issuer")),
        (own("shop.example"), "tls_self_signed", Some("self_signed")),
    ];
    for (pair, expected, problem) in cases {
        let address = https(config(pair, None)).await;
        let mut spec = aimed(address, Some(&authority));
        let strict = run(spec.clone()).await;
        assert_eq!(code(&strict), expected, "{strict:?}");
        spec.insecure = true;
        let lenient = run(spec).await;
        assert_eq!(lenient.outcome, Outcome::Ok, "{lenient:?}");
        for seen in [strict, lenient] {
            let tls = seen.exchanges[0].tls.as_ref().expect("a handshake");
            assert_eq!(tls.chain_problem.as_deref(), problem);
            assert_eq!(tls.chain_ok, Some(problem.is_none()));
            assert_eq!(tls.chain.is_empty(), problem.is_none());
            assert!(tls.days_left.is_some() && tls.version.as_deref() == Some("TLS 1.3"));
        }
    }
}

#[tokio::test]
async fn a_servers_own_certificate_may_be_trusted_by_itself() {
    let key = KeyPair::generate().expect("a key");
    let mut own = params("shop.example", -1, 90);
    own.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let certificate = own.self_signed(&key).expect("signed");
    let file = written(&certificate.pem());
    let address = https(config((certificate.der().clone(), key), None)).await;
    let mut spec = aimed(address, None);
    assert_eq!(code(&run(spec.clone()).await), "tls_self_signed");
    spec.ca_file = Some(file.path().display().to_string());
    assert_eq!(code(&run(spec).await), "ok");
}

#[tokio::test]
async fn a_certificate_about_to_end_is_a_warning() {
    let authority = Authority::new("ours");
    let address = https(config(authority.sign("shop.example", -80, 5), None)).await;
    let mut spec = aimed(address, Some(&authority));
    let warned = run(spec.clone()).await;
    assert_eq!(warned.outcome, Outcome::Ok);
    assert!(warned.warnings[0].contains("shop.example ends in"), "{:?}", warned.warnings);
    assert_eq!(warned.exchanges[0].tls.as_ref().map(|t| t.chain.len()), Some(1));
    spec.expect.certificate_days = Some(3);
    assert!(run(spec).await.warnings.is_empty());
}

#[tokio::test]
async fn http_is_spoken_in_the_version_asked_for() {
    let authority = Authority::new("ours");
    let address = https(config(authority.sign("shop.example", -1, 90), None)).await;
    let cases = [
        (HttpVersion::Auto, "HTTP/2", "h2"),
        (HttpVersion::Http2, "HTTP/2", "h2"),
        (HttpVersion::Http11, "HTTP/1.1", "http/1.1"),
    ];
    for (version, name, alpn) in cases {
        let mut spec = aimed(address, Some(&authority));
        spec.http_version = version;
        spec.expect =
            serde_json::from_str(&format!(r#"{{"body": "hello by {name}"}}"#)).expect("a rule");
        let run = run(spec).await;
        assert_eq!(run.outcome, Outcome::Ok, "{run:?}");
        let exchange = &run.exchanges[0];
        assert_eq!(exchange.http_version.as_deref(), Some(name));
        assert_eq!(exchange.tls.as_ref().and_then(|t| t.alpn.as_deref()), Some(alpn));
        let phases = &run.phases_ms;
        let reached = [phases.connect, phases.tls, phases.send, phases.wait, phases.receive];
        assert!(reached.iter().all(Option::is_some), "{phases:?}");
    }
}

#[tokio::test]
async fn a_server_may_ask_who_we_are() {
    let authority = Authority::new("ours");
    let pair = authority.sign("shop.example", -1, 90);
    let address = https(config(pair, Some(&authority))).await;
    let mut spec = aimed(address, Some(&authority));
    let refused = run(spec.clone()).await;
    assert_eq!(refused.outcome, Outcome::Failed, "{refused:?}");
    let (certificate, key) = authority.sign("me.example", -1, 90);
    let pem = |label: &str, der: &[u8]| {
        use base64::Engine as _;
        let text = base64::prelude::BASE64_STANDARD.encode(der);
        format!("-----BEGIN {label}-----\n{text}\n-----END {label}-----\n")
    };
    let certificate = written(&pem("CERTIFICATE", &certificate));
    let key = written(&key.serialize_pem());
    let path = |file: &NamedTempFile| file.path().display().to_string();
    spec.client_certificate =
        Some(ClientCertificate { certificate: path(&certificate), key: path(&key) });
    assert_eq!(code(&run(spec.clone()).await), "ok");
    std::fs::write(key.path(), "no key").expect("written");
    let run = run(spec).await;
    assert_eq!(code(&run), "local_failure");
    assert!(run.failure.is_some_and(|f| f.message.contains(&path(&key))));
}

#[tokio::test]
async fn what_is_no_tls_is_said_to_be_none() {
    let address = serve(|mut stream| async move {
        use tokio::io::AsyncWriteExt as _;
        let _ = stream.write_all(b"SSH-2.0-OpenSSH_9.2\r\n").await;
        std::future::pending::<()>().await;
    })
    .await;
    assert_eq!(code(&run(check(&format!("tls:{address}"))).await), "tls_malformed");
}

#[tokio::test]
async fn a_server_that_was_only_greeted_is_left_with_a_farewell() {
    use tokio::io::AsyncReadExt as _;
    let authority = Authority::new("ours");
    let pair = authority.sign("shop.example", -1, 90);
    let acceptor = TlsAcceptor::from(Arc::new(config(pair, None)));
    let (sender, mut farewells) = tokio::sync::mpsc::channel(1);
    let address = serve(move |stream| {
        let (acceptor, sender) = (acceptor.clone(), sender.clone());
        async move {
            let mut stream = acceptor.accept(stream).await.expect("a handshake");
            let read = stream.read(&mut [0; 16]).await;
            let _ = sender.send(read.map_err(|e| e.kind())).await;
        }
    })
    .await;
    let mut spec = check("tls:shop.example:443");
    spec.connect_to = Some(address.to_string().parse().expect("an address"));
    spec.ca_file = Some(authority.path());
    assert_eq!(code(&run(spec).await), "ok");
    assert_eq!(farewells.recv().await, Some(Ok(0)));
}
