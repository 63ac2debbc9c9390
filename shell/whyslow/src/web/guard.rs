//! What every request passes before and every answer after its handler.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Redirect, Response};
use futures_util::FutureExt;
use http::header::{self, HeaderName, HeaderValue};
use http::{HeaderMap, Method, StatusCode};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use whyslow_model::limits::REQUEST_TIME_MAX;

use crate::web::access::{Caller, is_write};
use crate::web::counts::{Mishap, WebCounts};
use crate::web::problem::Problem;
use crate::web::state::AppState;

/// Refuses what must not be answered, then runs the handler with a deadline and catches its panic.
pub async fn guard(
    State(state): State<Arc<AppState>>,
    mut request: Request,
    next: Next,
) -> Response {
    let _under_way = state.web.begin();
    let as_page = wants_page(&request);
    let response = match admit(&state, &request) {
        Ok(caller) => {
            request.extensions_mut().insert(caller);
            answer(&state.web, request, next).await
        }
        Err(refusal) => refusal,
    };
    let mut response = match response.extensions().get::<Problem>() {
        Some(problem) if as_page => problem.page(),
        _ => response,
    };
    state.web.answered(response.status());
    add_security_headers(response.headers_mut());
    response
}

#[expect(clippy::result_large_err, reason = "the refusal is the answer itself, made once")]
fn admit(state: &AppState, request: &Request) -> Result<Caller, Response> {
    let (uri, headers) = (request.uri(), request.headers());
    let access = state.access();
    if !access.host_allowed(uri, headers) {
        state.web.count(Mishap::ForeignHost);
        let p =
            Problem::forbidden("this listener does not answer to the host name it was asked by");
        return Err(p.hint("add the name to `hosts` in the configuration").into_response());
    }
    if is_write(request.method()) && !access.origin_allowed(uri, headers) {
        state.web.count(Mishap::ForeignOrigin);
        let p = Problem::forbidden("a page of another site asked for a change");
        return Err(p.hint("write from whyslow's own pages, or without an Origin").into_response());
    }
    let caller = access.caller(headers);
    if caller == Caller::Stranger && !open_to_strangers(uri.path()) {
        state.web.count(Mishap::Stranger);
        return Err(ask_for_token(request));
    }
    let is_agent = matches!(caller, Caller::Agent(_));
    if is_agent && access.wants_token() && !open_to_agents(uri.path()) {
        let p = Problem::forbidden("an agent's token opens only what agents send to");
        return Err(p.hint("use the listener's own token to read").into_response());
    }
    Ok(caller)
}

/// What agents send to; their tokens lie on machines that need not be trusted with more.
fn open_to_agents(path: &str) -> bool {
    matches!(path, "/api/v1/observations" | "/api/v1/write") || open_to_strangers(path)
}

/// Liveness, the login form and what it is drawn with.
fn open_to_strangers(path: &str) -> bool {
    matches!(path, "/healthz" | "/readyz" | "/login") || path.starts_with("/ui/")
}

fn ask_for_token(request: &Request) -> Response {
    let uri = request.uri();
    if request.method() == Method::GET && wants_page(request) {
        let wanted = uri.path_and_query().map_or("/", |p| p.as_str());
        let next = utf8_percent_encode(wanted, NON_ALPHANUMERIC);
        return Redirect::to(&format!("/login?next={next}")).into_response();
    }
    let p = Problem::unauthorized("this listener wants a token");
    p.hint("send `Authorization: Bearer TOKEN`, or log in at /login").into_response()
}

async fn answer(counts: &WebCounts, request: Request, next: Next) -> Response {
    let what = format!("{} {}", request.method(), request.uri().path());
    let handled = AssertUnwindSafe(next.run(request)).catch_unwind();
    match tokio::time::timeout(REQUEST_TIME_MAX, handled).await {
        Ok(Ok(response)) => response,
        Ok(Err(_)) => {
            counts.count(Mishap::Panic);
            tracing::error!(request = what, "the handler of a request panicked");
            let p = Problem::internal("whyslow made a mistake while answering");
            p.hint("its log says more; please report it").into_response()
        }
        Err(_) => {
            counts.count(Mishap::Timeout);
            let limit = REQUEST_TIME_MAX.as_secs();
            let text = format!("the request took longer than {limit} s");
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, "timeout", text).into_response()
        }
    }
}

/// Whether the client is a person's browser asking for a page, and not a program.
fn wants_page(request: &Request) -> bool {
    let text = |name| request.headers().get(name).and_then(|v| v.to_str().ok()).unwrap_or("");
    let path = request.uri().path();
    // Forms of pages are sent to the API and come from a person all the same.
    let is_form = text(header::CONTENT_TYPE).starts_with("application/x-www-form-urlencoded");
    let for_programs = path.starts_with("/api/") && !is_form || path == "/metrics";
    text(header::ACCEPT).contains("text/html") && !for_programs
}

/// `same-origin` and not `no-referrer`: the latter makes browsers send `Origin: null` with forms.
const SECURITY_HEADERS: [(&str, &str); 6] = [
    (
        "content-security-policy",
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
         connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    ),
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
    ("referrer-policy", "same-origin"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
];

fn add_security_headers(headers: &mut HeaderMap) {
    for (name, value) in SECURITY_HEADERS {
        headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    // What a handler says about caching stays; figures are never kept unasked.
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
}
