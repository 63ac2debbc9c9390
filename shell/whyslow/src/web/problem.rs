//! What a client is told when a request cannot be answered: JSON for programs, a page for people.

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use maud::html;
use serde_json::{Value, json};

use crate::web::pages::frame::bare;

/// Why a request is not answered. The text goes to the client, so it names no internals.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{error}")]
pub struct Problem {
    /// The HTTP status.
    pub status: StatusCode,
    /// The kind in one word, with Prometheus' words where it has one (`bad_data`, `timeout`, …).
    pub error_type: &'static str,
    /// What happened, to what.
    pub error: String,
    /// What would help.
    pub hint: Option<String>,
    /// After how many seconds another try may succeed.
    pub retry_after_s: Option<u32>,
}

impl Problem {
    /// A problem without a hint.
    pub fn new(status: StatusCode, error_type: &'static str, error: impl Into<String>) -> Self {
        Self { status, error_type, error: error.into(), hint: None, retry_after_s: None }
    }

    /// The request itself is wrong (400).
    pub fn bad_data(error: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad_data", error)
    }

    /// The thing asked for is not here (404).
    pub fn not_found(error: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", error)
    }

    /// The request is understood and refused (403).
    pub fn forbidden(error: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "forbidden", error)
    }

    /// The client must say who it is (401).
    pub fn unauthorized(error: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "unauthorized", error)
    }

    /// whyslow cannot do it now (503).
    pub fn unavailable(error: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", error)
    }

    /// whyslow's own mistake (500); the details belong into the log, not here.
    pub fn internal(error: impl Into<String>) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", error)
    }

    /// The same with a hint.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The same with a time after which to try again.
    #[must_use]
    pub const fn retry_after(mut self, seconds: u32) -> Self {
        self.retry_after_s = Some(seconds);
        self
    }

    /// The same problem for a program.
    pub fn document(&self) -> Value {
        json!({
            "status": "error",
            "errorType": self.error_type,
            "error": self.error,
            "hint": self.hint,
        })
    }

    /// The same problem as a page for a person.
    pub fn page(&self) -> Response {
        let title = self.status.canonical_reason().unwrap_or("This did not work");
        let content = html! {
            div.verdict {
                h1 { (title) }
                p.lead { (self.error) }
                @if let Some(hint) = &self.hint { p.note { "hint: " (hint) } }
                p.more { a.btn href="/" { "Overview" } }
            }
        };
        let markup = bare(title, &content);
        self.with_headers((self.status, markup).into_response())
    }

    fn with_headers(&self, mut response: Response) -> Response {
        if let Some(seconds) = self.retry_after_s {
            response.headers_mut().insert(http::header::RETRY_AFTER, seconds.into());
        }
        if self.status == StatusCode::UNAUTHORIZED {
            let scheme = http::HeaderValue::from_static("Bearer realm=\"whyslow\"");
            response.headers_mut().insert(http::header::WWW_AUTHENTICATE, scheme);
        }
        response
    }
}

/// Answers as JSON; the guard turns it into [`Problem::page`] for a browser that wants a page.
impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = Json(self.document());
        let mut response = self.with_headers((self.status, body).into_response());
        response.extensions_mut().insert(self);
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_page_escapes_what_came_from_outside() {
        let page = Problem::not_found("no check named <script>").page();
        assert_eq!(page.status(), StatusCode::NOT_FOUND);
    }

    #[test]
    fn a_problem_says_when_to_try_again() {
        let r = Problem::unavailable("the disk is full").retry_after(30).into_response();
        assert_eq!(r.headers()["retry-after"], "30");
    }
}
