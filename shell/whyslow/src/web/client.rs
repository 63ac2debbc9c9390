//! A small client for whyslow's own API, for the command line.

use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;
use url::Url;
use whyslow_model::limits::{ANSWER_BYTES_MAX, QUERY_TIME_MAX};

/// Where `up` listens unless told otherwise.
pub const DEFAULT_SERVER: &str = "http://127.0.0.1:7070";

/// A running whyslow, and what it wants to be shown.
#[derive(Clone)]
pub struct Client {
    server: Url,
    token: Option<String>,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").field("server", &self.server.as_str()).finish_non_exhaustive()
    }
}

/// Why a running whyslow gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The address is no server's.
    #[error("'{0}' is not the address of a whyslow, such as {DEFAULT_SERVER}")]
    Address(String),
    /// Nobody answers there.
    #[error("no whyslow answers at {server}: {reason}")]
    Unreachable {
        /// The server.
        server: String,
        /// Why.
        reason: String,
    },
    /// It answered that it will not.
    #[error("{error}")]
    Refused {
        /// The HTTP status.
        status: StatusCode,
        /// What it said.
        error: String,
        /// What it said would help.
        hint: Option<String>,
    },
    /// Something that is no whyslow answered.
    #[error("{server} gave no answer that a whyslow would give: {reason}")]
    Strange {
        /// The server.
        server: String,
        /// What was wrong with it.
        reason: String,
    },
}

impl ClientError {
    /// What the operator can do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Unreachable { .. } => {
                Some("start one with `whyslow up`, or name it with --server URL".to_owned())
            }
            Self::Refused { status: StatusCode::UNAUTHORIZED, .. } => {
                Some("set WHYSLOW_TOKEN to the server's token".to_owned())
            }
            Self::Refused { hint, .. } => hint.clone(),
            Self::Address(_) | Self::Strange { .. } => None,
        }
    }
}

impl Client {
    /// A client of the whyslow at `server`, an `http` address.
    ///
    /// # Errors
    /// [`ClientError::Address`] where it is none.
    pub fn new(server: &str, token: Option<String>) -> Result<Self, ClientError> {
        let refused = || ClientError::Address(server.to_owned());
        let server: Url = server.parse().map_err(|_| refused())?;
        if server.scheme() != "http" || server.host_str().is_none() {
            return Err(refused());
        }
        Ok(Self { server, token })
    }

    /// Posts a form to `path` and gives the answer's JSON.
    ///
    /// # Errors
    /// [`ClientError`] where there is none.
    pub async fn post_form(
        &self,
        path: &str,
        pairs: &[(&str, &str)],
    ) -> Result<Value, ClientError> {
        let form =
            url::form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
        self.send(Method::POST, path, "application/x-www-form-urlencoded", form).await
    }

    /// Posts a JSON document to `path` and gives the answer's JSON.
    ///
    /// # Errors
    /// [`ClientError`] where there is none.
    pub async fn post_json(&self, path: &str, document: &Value) -> Result<Value, ClientError> {
        self.send(Method::POST, path, "application/json", document.to_string()).await
    }

    /// Asks for `path` and gives the answer's JSON.
    ///
    /// # Errors
    /// [`ClientError`] where there is none.
    pub async fn get(&self, path: &str) -> Result<Value, ClientError> {
        self.send(Method::GET, path, "application/json", String::new()).await
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        kind: &str,
        body: String,
    ) -> Result<Value, ClientError> {
        let exchange = self.exchange(method, path, kind, body);
        // The server gives up on a query a little earlier and says so.
        let limit = QUERY_TIME_MAX + Duration::from_secs(15);
        let late = |_| self.unreachable(format!("no answer in {} s", limit.as_secs()));
        let (status, bytes) = tokio::time::timeout(limit, exchange).await.map_err(late)??;
        let answer: Value = serde_json::from_slice(&bytes)
            .map_err(|e| self.strange(format!("status {status}, no JSON ({e})")))?;
        if status.is_success() && answer["status"] == "success" {
            return Ok(answer);
        }
        let text = |field: &str| answer[field].as_str().map(str::to_owned);
        let error = text("error").ok_or_else(|| self.strange(format!("status {status}")))?;
        Err(ClientError::Refused { status, error, hint: text("hint") })
    }

    async fn exchange(
        &self,
        method: Method,
        path: &str,
        kind: &str,
        body: String,
    ) -> Result<(StatusCode, Bytes), ClientError> {
        let failed = |e: &dyn std::fmt::Display| self.unreachable(e.to_string());
        let host = self.server.host_str().unwrap_or_default();
        let port = self.server.port_or_known_default().unwrap_or(80);
        let address = host.trim_start_matches('[').trim_end_matches(']');
        let stream = TcpStream::connect((address, port)).await.map_err(|e| failed(&e))?;
        let (mut sender, connection) =
            http1::handshake(TokioIo::new(stream)).await.map_err(|e| failed(&e))?;
        let driver = tokio::spawn(connection);
        let base = self.server.path().trim_end_matches('/');
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{base}{path}"))
            .header(header::HOST, format!("{host}:{port}"))
            .header(header::CONTENT_TYPE, kind);
        if let Some(token) = &self.token {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        let request = request.body(Full::new(Bytes::from(body))).map_err(|e| failed(&e))?;
        let response = sender.send_request(request).await.map_err(|e| failed(&e))?;
        let status = response.status();
        let whole = Limited::new(response.into_body(), ANSWER_BYTES_MAX).collect().await;
        driver.abort();
        Ok((status, whole.map_err(|e| self.strange(e.to_string()))?.to_bytes()))
    }

    fn unreachable(&self, reason: String) -> ClientError {
        ClientError::Unreachable { server: self.server.to_string(), reason }
    }

    fn strange(&self, reason: String) -> ClientError {
        ClientError::Strange { server: self.server.to_string(), reason }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_is_none_is_refused_before_anything_is_sent() {
        for bad in ["", "localhost:7070", "ftp://localhost", "http://", "/tmp"] {
            assert!(matches!(Client::new(bad, None), Err(ClientError::Address(_))), "{bad}");
        }
        assert!(Client::new(DEFAULT_SERVER, None).is_ok());
    }

    #[tokio::test]
    async fn a_server_that_is_not_there_is_named_with_what_would_help() {
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let client = Client::new(&format!("http://{free}"), None).unwrap();
        let error = client.post_form("/api/v1/query", &[]).await.unwrap_err();
        assert!(error.to_string().contains(&free.to_string()), "{error}");
        assert!(error.hint().unwrap().contains("whyslow up"));
    }
}
