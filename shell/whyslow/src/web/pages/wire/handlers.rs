//! From an address below `/wire` to its page.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, Query, State};
use axum::routing::get;
use maud::Markup;

use super::{Wire, handshake_path, name, one, start};
use crate::web::pages::frame::{Frame, Section};
use crate::web::pages::handlers::{frame, made};
use crate::web::pages::model::wire::filter::{Field, Filter};
use crate::web::pages::source::Material;
use crate::web::pages::when::{Asked, Span};
use crate::web::problem::Problem;
use crate::web::state::AppState;

/// The longest range whose page is drawn anew with every change.
const LIVE_MS: i64 = 3_600_000;

/// The pages below `/wire`.
pub fn router() -> Router<Arc<AppState>> {
    Router::new().route("/wire", get(wire_page)).route("/wire/handshakes/{id}", get(one_page))
}

type Parameters = BTreeMap<String, String>;

/// The time that is asked for; `None` where none is.
fn asked(p: &Parameters) -> Option<Asked> {
    let get = |name: &str| p.get(name).cloned();
    let asked = Asked {
        r: get("r"),
        from: get("from"),
        to: get("to"),
        tz: get("tz"),
        compare: get("compare"),
    };
    (asked.r.is_some() || asked.from.is_some()).then_some(asked)
}

/// The time that is asked for; else the last hour, or less where there is less.
fn span(m: &Material, p: &Parameters) -> Span {
    let now_ms = whyslow_sys::clock::wall().as_millis();
    let asked = asked(p).unwrap_or_else(|| {
        let age = m.wire_oldest_ms(now_ms).map_or(0, |oldest| now_ms - oldest);
        let r = if age < 15 * 60_000 { "15m" } else { "1h" };
        Asked { r: Some(r.to_owned()), tz: p.get("tz").cloned(), ..Asked::default() }
    });
    Span::new(&asked, now_ms)
}

async fn wire_page(
    State(m): State<Material>,
    Query(p): Query<Parameters>,
) -> Result<Markup, Problem> {
    made(move || {
        let span = span(&m, &p);
        let filter = Filter::from_parameters(|name| p.get(name).cloned());
        let path = filter.path("/wire");
        let frame = frame(&m, Section::Wire, "Wire", &path, &span);
        let frame = Frame { live: frame.live && span.length_ms() <= LIVE_MS, ..frame };
        let seen = m.wire(&filter, &span)?;
        if seen.windows.is_empty()
            && seen.newest.events.is_empty()
            && seen.rings.is_empty()
            && m.wire_oldest_ms(span.now_ms).is_none()
        {
            return Ok(start(&Frame { live: false, ..frame }));
        }
        let here = match (filter.get(Field::Tap), seen.taps.as_slice()) {
            (Some(tap), _) => name(tap),
            (None, []) => "no tap".to_owned(),
            (None, [one]) => name(one),
            (None, _) => "all taps".to_owned(),
        };
        let frame =
            Frame { crumbs: vec![("Wire".to_owned(), "/wire".to_owned())], here: &here, ..frame };
        Ok(Wire::of(seen, filter).page(&frame, &|asn| m.name_of(asn)))
    })
    .await
}

async fn one_page(
    State(m): State<Material>,
    Path(id): Path<String>,
    Query(p): Query<Parameters>,
) -> Result<Markup, Problem> {
    made(move || {
        let span = span(&m, &p);
        let event = m.wire_handshake(&id)?;
        let path = handshake_path(&event);
        let here = format!("{}, {}", event.client, span.clock_s(event.at.as_millis()));
        let frame = Frame {
            crumbs: vec![("Wire".to_owned(), "/wire".to_owned())],
            here: &here,
            live: false,
            ..frame(&m, Section::Wire, "One handshake", &path, &span)
        };
        Ok(one::page_of(&event, &frame, &|asn| m.name_of(asn)))
    })
    .await
}
