//! One HTTP connection to a receiver, kept between requests.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use url::Url;

/// How long one exchange may take, the connection included.
const PATIENCE: Duration = Duration::from_secs(30);
/// Bytes of an answer that are read.
const ANSWER_BYTES_MAX: usize = 64 << 10;

/// A receiver's address, and the connection to it while there is one.
pub(super) struct Post {
    url: Url,
    tls: Option<TlsConnector>,
    sender: Option<SendRequest<Full<Bytes>>>,
}

/// What a receiver answered.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    /// After how long it wants to be asked again.
    pub(super) retry_after: Option<Duration>,
    /// What it said, shortened.
    pub(super) text: String,
}

impl Post {
    /// Reads the machine's certificates where the address is an `https` one.
    pub(super) fn new(url: Url) -> Self {
        let tls = (url.scheme() == "https").then(connector);
        Self { url, tls, sender: None }
    }

    /// Posts a body; the connection is made where there is none.
    pub(super) async fn send(
        &mut self,
        headers: &[(header::HeaderName, String)],
        body: Bytes,
    ) -> Result<Answer, String> {
        let exchange = self.exchange(headers, body);
        let late = |_| format!("no answer in {} s", PATIENCE.as_secs());
        let answer = timeout(PATIENCE, exchange).await.map_err(late).and_then(|answer| answer);
        if answer.is_err() {
            self.sender = None;
        }
        answer
    }

    async fn exchange(
        &mut self,
        headers: &[(header::HeaderName, String)],
        body: Bytes,
    ) -> Result<Answer, String> {
        let host = self.url.host_str().unwrap_or_default();
        let authority = match self.url.port() {
            Some(port) => format!("{host}:{port}"),
            None => host.to_owned(),
        };
        let mut path = self.url.path().to_owned();
        if let Some(query) = self.url.query() {
            path = format!("{path}?{query}");
        }
        let mut request = Request::post(path).header(header::HOST, authority);
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let request = request.body(Full::new(body)).map_err(|e| e.to_string())?;
        let ready = match &mut self.sender {
            Some(sender) => sender.ready().await.is_ok(),
            None => false,
        };
        if !ready {
            self.sender = Some(self.connect().await?);
        }
        let Some(sender) = &mut self.sender else { return Err("no connection".to_owned()) };
        let response = sender.send_request(request).await.map_err(|e| e.to_string())?;
        let status = response.status().as_u16();
        let after = response.headers().get(header::RETRY_AFTER);
        let seconds = after.and_then(|v| v.to_str().ok()?.parse().ok());
        let body = Limited::new(response.into_body(), ANSWER_BYTES_MAX).collect().await;
        let bytes = body.map_err(|e| e.to_string())?.to_bytes();
        let text = String::from_utf8_lossy(&bytes).trim().chars().take(300).collect();
        Ok(Answer { status, retry_after: seconds.map(Duration::from_secs), text })
    }

    async fn connect(&self) -> Result<SendRequest<Full<Bytes>>, String> {
        let host = self.url.host_str().unwrap_or_default();
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let port = self.url.port_or_known_default().unwrap_or(80);
        let stream = TcpStream::connect((bare, port)).await.map_err(|e| e.to_string())?;
        stream.set_nodelay(true).map_err(|e| e.to_string())?;
        let Some(tls) = &self.tls else { return handshake(stream).await };
        let name = ServerName::try_from(bare.to_owned()).map_err(|e| e.to_string())?;
        handshake(tls.connect(name, stream).await.map_err(|e| e.to_string())?).await
    }
}

async fn handshake(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
) -> Result<SendRequest<Full<Bytes>>, String> {
    let (sender, connection) =
        http1::handshake(TokioIo::new(stream)).await.map_err(|e| e.to_string())?;
    // It ends when the sender is dropped or the peer closes; the sender then says so.
    tokio::spawn(connection);
    Ok(sender)
}

/// Trusts what the machine trusts.
fn connector() -> TlsConnector {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    let config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    TlsConnector::from(Arc::new(config))
}
