//! `GET /api/v1/live`: what happens, as it happens, for pages that are open (server-sent events).

use std::convert::Infallible;
use std::sync::Arc;

use axum::extract::State;
use axum::response::sse::{Event as Sent, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use http::{HeaderValue, header};
use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::watch;

use crate::live::Event;
use crate::web::problem::Problem;
use crate::web::state::AppState;

/// One open page.
struct Follower {
    events: Receiver<Arc<Event>>,
    stopping: watch::Receiver<bool>,
    _place: OwnedSemaphorePermit,
}

/// Streams events `run`, `blind` and, for a reader that fell behind, `lagged` with the number
/// missed: it should read the page again.
///
/// # Errors
/// [`Problem`] where as many pages follow already as may.
pub async fn follow(State(state): State<Arc<AppState>>) -> Result<Response, Problem> {
    let Ok(place) = Arc::clone(&state.live_places).try_acquire_owned() else {
        return Err(Problem::unavailable("as many pages are followed live as may be")
            .hint("close one, or load this one again by hand")
            .retry_after(60));
    };
    let follower =
        Follower { events: state.live.listen(), stopping: state.stopping.clone(), _place: place };
    let events = stream::unfold(follower, next);
    let mut response = Sse::new(events).keep_alive(KeepAlive::default()).into_response();
    // Proxies in between must not collect it.
    response.headers_mut().insert("x-accel-buffering", HeaderValue::from_static("no"));
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

async fn next(mut follower: Follower) -> Option<(Result<Sent, Infallible>, Follower)> {
    let heard = tokio::select! {
        _ = follower.stopping.wait_for(|stop| *stop) => return None,
        heard = follower.events.recv() => heard,
    };
    let event = match heard {
        Ok(event) => sent(&event),
        Err(RecvError::Lagged(missed)) => Sent::default().event("lagged").data(missed.to_string()),
        Err(RecvError::Closed) => return None,
    };
    Some((Ok(event), follower))
}

fn sent(event: &Event) -> Sent {
    let name = match event {
        Event::Run(_) => "run",
        Event::Blind(_) => "blind",
    };
    // JSON holds no raw line end, which an event could not carry.
    Sent::default().event(name).data(serde_json::to_string(event).unwrap_or_default())
}
