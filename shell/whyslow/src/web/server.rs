//! The listener: connections in bounds, then the routes.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{DefaultBodyLimit, State};
use axum::middleware::from_fn_with_state;
use axum::routing::get;
use http::Uri;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;
use tower_http::compression::CompressionLayer;
use whyslow_model::limits::{CONNECTIONS_MAX, HEADER_TIME_MAX, REQUEST_BODY_BYTES_MAX};

use crate::web::api;
use crate::web::guard::guard;
use crate::web::login;
use crate::web::pages;
use crate::web::problem::Problem;
use crate::web::state::AppState;

/// How long answers under way may take once the process is told to end.
const FAREWELL: Duration = Duration::from_secs(5);
/// Pause after a failed accept, which is nearly always "too many open files".
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Everything the listener answers, guarded.
pub fn router(state: &Arc<AppState>) -> Router {
    guarded(own_routes(state), state)
}

fn own_routes(state: &Arc<AppState>) -> Router {
    Router::new()
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(ready))
        .route("/login", get(login::form).post(login::submit))
        .merge(api::router())
        .merge(pages::router())
        .fallback(async |uri: Uri| nothing_at(uri.path()))
        .method_not_allowed_fallback(async || {
            Problem::new(http::StatusCode::METHOD_NOT_ALLOWED, "bad_data", "not by this method")
        })
        .with_state(Arc::clone(state))
}

/// Addresses that are promised and wait for their planes say so.
fn nothing_at(path: &str) -> Problem {
    let promised = ["/api/v1/verdicts", "/why/", "/edge", "/wire", "/hosts/"];
    let nothing = Problem::not_found("there is nothing at this address");
    if promised.iter().any(|p| path.starts_with(p)) {
        return nothing.hint("this whyslow watches from outside only; that arrives with its plane");
    }
    nothing
}

/// Whether everything that comes in can be kept.
async fn ready(State(state): State<Arc<AppState>>) -> Result<&'static str, Problem> {
    if state.db.counters().full {
        return Err(Problem::unavailable("the disk is full: nothing new is stored")
            .hint("free some space; reads go on, and writing resumes by itself"));
    }
    Ok("ok\n")
}

fn guarded(routes: Router, state: &Arc<AppState>) -> Router {
    routes
        .layer(DefaultBodyLimit::max(REQUEST_BODY_BYTES_MAX))
        .layer(from_fn_with_state(Arc::clone(state), guard))
        .layer(CompressionLayer::new())
}

/// Answers requests until `stopping` turns true, then lets answers under way finish.
pub async fn serve(
    listener: Arc<TcpListener>,
    router: Router,
    mut stopping: watch::Receiver<bool>,
) {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            biased;
            _ = stopping.wait_for(|stop| *stop) => break,
            Some(_) = connections.join_next() => continue,
            accepted = accept(&listener, &places) => accepted,
        };
        match accepted {
            Ok((stream, place)) => {
                let (router, stopping) = (router.clone(), stopping.clone());
                connections.spawn(converse(stream, place, router, stopping));
            }
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    let finished = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(FAREWELL, finished).await.is_err() {
        tracing::warn!("answers under way were cut at the end of the process");
    }
}

/// Waits for a place first, so that what does not fit waits in the kernel's queue.
async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> std::io::Result<(TcpStream, OwnedSemaphorePermit)> {
    let place = Arc::clone(places).acquire_owned().await.map_err(std::io::Error::other)?;
    let (stream, _) = listener.accept().await?;
    stream.set_nodelay(true)?;
    Ok((stream, place))
}

async fn converse(
    stream: TcpStream,
    _place: OwnedSemaphorePermit,
    router: Router,
    mut stopping: watch::Receiver<bool>,
) {
    let service = TowerToHyperService::new(router);
    let mut builder = http1::Builder::new();
    // Counts for the first request and for the wait between two, so nobody holds a place idly.
    builder.timer(TokioTimer::new()).header_read_timeout(HEADER_TIME_MAX).max_buf_size(64 << 10);
    let connection = builder.serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    let told_to_stop = async {
        // An error says the sender is gone, which means the same.
        let _ = stopping.wait_for(|stop| *stop).await.is_ok();
    };
    let ended = tokio::select! {
        ended = connection.as_mut() => Some(ended),
        () = told_to_stop => None,
    };
    let ended = match ended {
        Some(ended) => ended,
        None => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended early");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Current, Origin};
    use crate::live::Live;
    use crate::prober::ProberCounters;
    use crate::storage::{Db, StoreOptions};
    use crate::web::access::Access;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    struct Running {
        address: std::net::SocketAddr,
        stop: watch::Sender<bool>,
        server: tokio::task::JoinHandle<()>,
        _dir: tempfile::TempDir,
    }

    async fn running(token: Option<&str>, more: Router) -> Running {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopping) = watch::channel(false);
        let access = Access::new(address, &[], token, &[]).unwrap();
        let dir = tempfile::tempdir().unwrap();
        let db = Db::open(dir.path(), StoreOptions::default()).unwrap();
        let origin = Origin { data: Some(dir.path().to_owned()), ..Origin::default() };
        let current = Arc::new(Current::open(origin).unwrap());
        let state = AppState::new(
            db,
            Live::default(),
            current,
            ProberCounters::default,
            access,
            stopping.clone(),
        );
        let state = Arc::new(state);
        let routes = guarded(more.merge(own_routes(&state)), &state);
        let server = tokio::spawn(serve(Arc::new(listener), routes, stopping));
        Running { address, stop, server, _dir: dir }
    }

    /// Sends `head` with `Connection: close` and gives the whole answer.
    async fn ask(to: &Running, head: &str) -> String {
        let mut stream = TcpStream::connect(to.address).await.unwrap();
        let request = format!("{head}\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        String::from_utf8_lossy(&answer).into_owned()
    }

    #[tokio::test]
    async fn a_rebound_name_reaches_nothing() {
        let s = running(None, Router::new()).await;
        let good = ask(&s, "GET /healthz HTTP/1.1\r\nHost: localhost").await;
        assert!(good.starts_with("HTTP/1.1 200 "), "{good}");
        let bad = ask(&s, "GET /healthz HTTP/1.1\r\nHost: evil.example").await;
        assert!(bad.starts_with("HTTP/1.1 403 "), "{bad}");
        assert!(bad.contains("\"hint\":"), "{bad}");
    }

    #[tokio::test]
    async fn a_write_from_another_site_is_refused_before_routing() {
        let s = running(None, Router::new()).await;
        let head = "POST /api/v1/nothing HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0";
        let bad = ask(&s, &format!("{head}\r\nOrigin: http://evil.example")).await;
        assert!(bad.starts_with("HTTP/1.1 403 "), "{bad}");
        let own = ask(&s, head).await;
        assert!(own.starts_with("HTTP/1.1 404 "), "{own}");
    }

    #[tokio::test]
    async fn a_person_gets_a_page_and_a_program_gets_json() {
        let s = running(None, Router::new()).await;
        let head = "GET /nowhere HTTP/1.1\r\nHost: localhost";
        let page = ask(&s, &format!("{head}\r\nAccept: text/html")).await;
        assert!(page.starts_with("HTTP/1.1 404 ") && page.contains("<!DOCTYPE html>"), "{page}");
        assert!(ask(&s, head).await.contains("\"errorType\":\"not_found\""));
    }

    #[tokio::test]
    async fn every_answer_carries_the_security_headers() {
        let s = running(None, Router::new()).await;
        let a = ask(&s, "GET /healthz HTTP/1.1\r\nHost: localhost").await;
        for wanted in ["default-src 'none'", "frame-ancestors 'none'", "nosniff", "same-origin"] {
            assert!(a.contains(wanted), "{wanted} in {a}");
        }
    }

    #[tokio::test]
    async fn a_stranger_sees_only_the_login() {
        let s = running(Some("secret"), Router::new()).await;
        let head = "GET /services/shop HTTP/1.1\r\nHost: localhost";
        assert!(ask(&s, head).await.starts_with("HTTP/1.1 401 "));
        let page = ask(&s, &format!("{head}\r\nAccept: text/html")).await;
        assert!(page.contains("location: /login?next=%2Fservices%2Fshop"), "{page}");
        let form = "token=secret&next=%2Fservices%2Fshop";
        let head = "POST /login HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-www-form-urlencoded";
        let mut stream = TcpStream::connect(s.address).await.unwrap();
        let length = form.len();
        let request =
            format!("{head}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{form}");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(answer.contains("HttpOnly; SameSite=Strict"), "{answer}");
        let cookie = answer.split("set-cookie: ").nth(1).unwrap().split(';').next().unwrap();
        let again = format!("GET /x HTTP/1.1\r\nHost: localhost\r\nCookie: {cookie}");
        assert!(ask(&s, &again).await.starts_with("HTTP/1.1 404 "));
    }

    #[tokio::test]
    async fn a_handler_that_panics_is_a_500_and_the_listener_stays() {
        #[expect(clippy::panic, reason = "this is what is tested")]
        async fn broken() -> &'static str {
            panic!("secret detail")
        }
        let s = running(None, Router::new().route("/broken", get(broken))).await;
        let a = ask(&s, "GET /broken HTTP/1.1\r\nHost: localhost").await;
        assert!(a.starts_with("HTTP/1.1 500 ") && !a.contains("secret detail"), "{a}");
        assert!(ask(&s, "GET /healthz HTTP/1.1\r\nHost: localhost").await.contains("200 OK"));
    }

    #[tokio::test]
    async fn serving_ends_when_told_even_with_an_idle_connection() {
        let s = running(None, Router::new()).await;
        let mut idle = TcpStream::connect(s.address).await.unwrap();
        idle.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
        let mut first = [0; 12];
        idle.read_exact(&mut first).await.unwrap();
        s.stop.send(true).unwrap();
        s.server.await.unwrap();
    }
}
