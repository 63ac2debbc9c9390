//! The form in which a browser shows the listener's token once.

use std::sync::Arc;
use std::time::Duration;

use axum::Form;
use axum::extract::{Query, State};
use axum::response::{IntoResponse, Redirect, Response};
use http::{HeaderValue, StatusCode, header};
use maud::{Markup, html};
use serde::Deserialize;
use tokio::sync::Semaphore;

use crate::web::access::COOKIE_NAME;
use crate::web::pages::frame::bare;
use crate::web::problem::Problem;
use crate::web::state::AppState;

/// How long a wrong token takes, one after the other, so that nobody guesses quickly.
const WRONG_TOKEN_PAUSE: Duration = Duration::from_millis(500);
static ONE_WRONG_AT_A_TIME: Semaphore = Semaphore::const_new(1);
const SESSION_S: u32 = 30 * 24 * 3600;

/// Where to go after the login.
#[derive(Debug, Deserialize)]
pub struct Wanted {
    #[serde(default)]
    next: String,
}

/// What the form sends.
#[derive(Deserialize)]
pub struct Shown {
    token: String,
    #[serde(default)]
    next: String,
}

impl std::fmt::Debug for Shown {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shown").field("next", &self.next).finish_non_exhaustive()
    }
}

/// `GET /login`
pub async fn form(Query(wanted): Query<Wanted>) -> Markup {
    page(&wanted.next, false)
}

/// `POST /login`: sets the session cookie and goes where the person wanted to go.
///
/// # Errors
/// [`Problem`] where this listener asks nobody for a token.
pub async fn submit(
    State(state): State<Arc<AppState>>,
    Form(shown): Form<Shown>,
) -> Result<Response, Problem> {
    let access = state.access();
    if !access.wants_token() {
        return Ok(Redirect::to(own_path(&shown.next)).into_response());
    }
    let Some(session) = access.session_for(shown.token.trim()) else {
        let _turn = ONE_WRONG_AT_A_TIME.acquire().await;
        tokio::time::sleep(WRONG_TOKEN_PAUSE).await;
        return Ok((StatusCode::UNAUTHORIZED, page(&shown.next, true)).into_response());
    };
    let cookie =
        format!("{COOKIE_NAME}={session}; Path=/; HttpOnly; SameSite=Strict; Max-Age={SESSION_S}");
    let cookie = HeaderValue::from_str(&cookie)
        .map_err(|_| Problem::internal("the session is no header value"))?;
    let mut response = Redirect::to(own_path(&shown.next)).into_response();
    response.headers_mut().insert(header::SET_COOKIE, cookie);
    Ok(response)
}

/// The path to go to, unless it leads to another site.
pub(super) fn own_path(next: &str) -> &str {
    let leads_away = next.starts_with("//") || next.contains(['\\', '\r', '\n', '\t']);
    if next.starts_with('/') && !leads_away { next } else { "/" }
}

fn page(next: &str, wrong: bool) -> Markup {
    let content = html! {
        div.verdict {
            h1 { "This whyslow asks for its token" }
            @if wrong { p.lead.bad role="alert" { "That is not the token." } }
            form.add method="post" action="/login" {
                input type="hidden" name="next" value=(next);
                label for="token" { "Token" }
                input type="password" id="token" name="token" required
                    autocomplete="current-password";
                button.btn.pri type="submit" { "Log in" }
            }
            p.note { "It is the " code { "token" } " of the configuration whyslow runs with." }
        }
    };
    bare("Log in", &content)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_leads_only_to_own_pages() {
        assert_eq!(own_path("/services/shop?range=1h"), "/services/shop?range=1h");
        for away in ["", "//evil.example", "/\\evil.example", "https://evil.example", "/\t/evil"] {
            assert_eq!(own_path(away), "/", "{away:?}");
        }
    }
}
