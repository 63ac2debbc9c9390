//! From an address below `/wire` to its page.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, Query, State};
use axum::routing::get;
use maud::Markup;

use super::{Wire, handshake_path, name, one, start};
use crate::web::pages::frame::{Frame, Section};
use crate::web::pages::handlers::made;
use crate::web::pages::model::wire::filter::{Field, Filter};
use crate::web::pages::plane::{self, Parameters, plane_frame};
use crate::web::pages::source::Material;
use crate::web::pages::when::Span;
use crate::web::problem::Problem;
use crate::web::state::AppState;

/// The pages below `/wire`.
pub fn router() -> Router<Arc<AppState>> {
    Router::new().route("/wire", get(wire_page)).route("/wire/handshakes/{id}", get(one_page))
}

const PLANE: (Section, &str, &str) = (Section::Wire, "Wire", "/wire");

fn span(m: &Material, p: &Parameters) -> Span {
    plane::span(p, |now_ms| m.wire_oldest_ms(now_ms))
}

async fn wire_page(
    State(m): State<Material>,
    Query(p): Query<Parameters>,
) -> Result<Markup, Problem> {
    made(move || {
        let span = span(&m, &p);
        let filter = Filter::from_parameters(|name| p.get(name).cloned());
        let path = filter.path("/wire");
        let frame = plane_frame(&m, PLANE, "Wire", &path, &span);
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
        let frame = Frame { here: &here, ..frame };
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
            here: &here,
            live: false,
            ..plane_frame(&m, PLANE, "One handshake", &path, &span)
        };
        Ok(one::page_of(&event, &frame, &|asn| m.name_of(asn)))
    })
    .await
}
