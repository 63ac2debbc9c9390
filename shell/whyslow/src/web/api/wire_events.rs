//! `GET /api/v1/wire/handshakes`, `…/unanswered` and `…/endings`: what is kept by itself, each as
//! the document that `whyslow wire --json` gives, with where it was seen and by whom.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};
use whyslow_model::Wall;
use whyslow_model::limits::EDGE_PAGE_MAX;

use super::edge::millis;
use super::prometheus::params::Params;
use crate::storage::{WireEvent, WireEventQuery, WireKind, WireOrder};
use crate::web::problem::Problem;
use crate::web::state::AppState;

/// How many are given where nobody says.
const LISTED: usize = 100;

/// The times that `from` and `to` name: seconds, milliseconds or RFC 3339.
pub(super) fn range(params: &Params) -> Result<(Option<Wall>, Option<Wall>), Problem> {
    let at = |name| Ok::<_, Problem>(millis(params, name)?.map(Wall::from_millis));
    Ok((at("from")?, at("to")?))
}

/// `GET /api/v1/wire/handshakes`: by `from`, `to`, `tap`, `server`, `asn`, `prefix`, `rdns`,
/// `blame`, `notable=1`, `evidence=1`; `order=newest|slowest`, `limit`.
///
/// # Errors
/// [`Problem`] for a parameter that makes no sense or a store that cannot be read.
pub async fn handshakes(state: State<Arc<AppState>>, params: Params) -> Result<Response, Problem> {
    list(state, &params, WireKind::Handshake, "handshakes", "blame").await
}

/// `GET /api/v1/wire/unanswered`: the same of SYNs without an answer, by `cause`.
///
/// # Errors
/// As [`handshakes`].
pub async fn unanswered(state: State<Arc<AppState>>, params: Params) -> Result<Response, Problem> {
    list(state, &params, WireKind::Unanswered, "unanswered", "cause").await
}

/// `GET /api/v1/wire/endings`: the same of endings that no log may show, by `kind`.
///
/// # Errors
/// As [`handshakes`].
pub async fn endings(state: State<Arc<AppState>>, params: Params) -> Result<Response, Problem> {
    list(state, &params, WireKind::Ending, "endings", "kind").await
}

/// `GET /api/v1/wire/events/ID`: one of them.
///
/// # Errors
/// [`Problem`] where there is none of that id, or the store cannot be read.
pub async fn one(
    State(state): State<Arc<AppState>>,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let nothing = || Problem::not_found("nothing of that id is kept (any more)");
    let id = u64::from_str_radix(&id, 16).map_err(|_| nothing())?;
    let found = state.read_store(move |db| db.wire_event(id)).await?.ok_or_else(nothing)?;
    Ok(Json(element(&found)).into_response())
}

async fn list(
    State(state): State<Arc<AppState>>,
    params: &Params,
    kind: WireKind,
    name: &str,
    word: &str,
) -> Result<Response, Problem> {
    let query = query(params, kind, word)?;
    let page = state.read_store(move |db| db.wire_events(&query)).await?;
    let elements: Vec<Value> = page.events.iter().map(element).collect();
    let body = json!({"schema": format!("whyslow.wire_{name}/1"), "of": page.of, name: elements});
    Ok(Json(body).into_response())
}

fn query(params: &Params, kind: WireKind, word: &str) -> Result<WireEventQuery, Problem> {
    let (from, to) = range(params)?;
    let text = |name: &str| params.first(name).map(str::to_owned);
    let flag = |name: &str| params.first(name).is_some_and(|v| v != "0" && v != "false");
    let asn = params.first("asn").map(|text| {
        let number = text.trim_start_matches("AS").parse::<u32>();
        number.map_err(|_| invalid("asn", text, "a number, such as 64500"))
    });
    let prefix = params.first("prefix").map(|text| {
        let net = text.parse::<ipnet::IpNet>().map(|net| net.trunc().to_string());
        net.map_err(|_| invalid("prefix", text, "a /24 or /48, such as 192.0.2.0/24"))
    });
    let order = match params.first("order") {
        None | Some("newest") => WireOrder::Newest,
        Some("slowest") => WireOrder::Slowest,
        Some(other) => return Err(invalid("order", other, "newest or slowest")),
    };
    Ok(WireEventQuery {
        kind: Some(kind),
        from,
        to,
        tap: text("tap"),
        server: text("server"),
        asn: asn.transpose()?,
        prefix: prefix.transpose()?,
        rdns: text("rdns"),
        word: text(word),
        notable: flag("notable"),
        with_evidence: flag("evidence"),
        order,
        limit: params.count("limit")?.unwrap_or(LISTED).clamp(1, EDGE_PAGE_MAX),
    })
}

fn invalid(name: &str, text: &str, hint: &str) -> Problem {
    Problem::bad_data(format!("invalid parameter {name:?}: {text:?}")).hint(hint)
}

/// The document, and what the store knows beside it. An id is written as text, since not every
/// reader's numbers hold 64 bits.
fn element(of: &WireEvent) -> Value {
    let document = serde_json::from_str::<Map<String, Value>>(&of.document);
    let mut all = document.unwrap_or_default();
    for (name, value) in [
        ("id", json!(format!("{:016x}", of.id))),
        ("tap", json!(of.tap)),
        ("asn", json!(of.asn)),
        ("rdns", json!(of.rdns)),
        ("notable", json!(of.notable)),
        ("pcapng", json!(of.evidence)),
    ] {
        all.insert(name.to_owned(), value);
    }
    if of.kind == WireKind::Unanswered {
        // Somebody may have known more of it than the packets alone.
        all.insert("cause".to_owned(), json!(of.word));
    }
    Value::Object(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_are_read_and_nonsense_is_named() {
        let of = |text: &str| query(&Params::parse(text.as_bytes()), WireKind::Handshake, "blame");
        let found = of("asn=AS64500&prefix=192.0.2.9/24&blame=client&notable=1&order=slowest");
        let wanted = WireEventQuery {
            kind: Some(WireKind::Handshake),
            asn: Some(64_500),
            prefix: Some("192.0.2.0/24".to_owned()),
            word: Some("client".to_owned()),
            notable: true,
            order: WireOrder::Slowest,
            limit: LISTED,
            ..WireEventQuery::default()
        };
        assert_eq!(found, Ok(wanted));
        for wrong in ["asn=x", "prefix=192.0.2.9", "order=fastest", "limit=x", "from=soon"] {
            assert_eq!(of(wrong).unwrap_err().error_type, "bad_data", "{wrong}");
        }
    }
}
