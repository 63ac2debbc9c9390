//! From an address below `/edge` to its page.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Query, State};
use axum::routing::get;
use maud::Markup;

use super::slow::{self, SlowSeen};
use super::{Edge, Names, start};
use crate::web::pages::frame::{Frame, Section};
use crate::web::pages::handlers::made;
use crate::web::pages::model::edge::filter::Filter;
use crate::web::pages::plane::{self, Parameters, plane_frame};
use crate::web::pages::source::Material;
use crate::web::pages::when::Span;
use crate::web::problem::Problem;
use crate::web::state::AppState;

/// The pages below `/edge`.
pub fn router() -> Router<Arc<AppState>> {
    Router::new().route("/edge", get(edge_page)).route("/edge/slow", get(slow_page))
}

const PLANE: (Section, &str, &str) = (Section::Edge, "Edge", "/edge");

fn span(m: &Material, p: &Parameters) -> Span {
    plane::span(p, |now_ms| m.edge_oldest_ms(now_ms))
}

async fn edge_page(
    State(m): State<Material>,
    Query(p): Query<Parameters>,
) -> Result<Markup, Problem> {
    made(move || {
        let span = span(&m, &p);
        let filter = Filter::from_parameters(|name| p.get(name).cloned());
        let path = filter.path("/edge");
        let frame = plane_frame(&m, PLANE, "Edge", &path, &span);
        let seen = m.edge(&filter, &span)?;
        if seen.sources.is_empty()
            && m.edge_oldest_ms(span.now_ms).is_none()
            && seen.rows.is_empty()
        {
            return Ok(start(&Frame { live: false, ..frame }));
        }
        let crumbs: Vec<String> = seen.sources.iter().map(|s| s.name.clone()).collect();
        let here = if crumbs.is_empty() { "all sources".to_owned() } else { crumbs.join(", ") };
        let frame = Frame { here: &here, ..frame };
        let edge = Edge::of(seen, filter, &span);
        Ok(edge.page(&frame, &Names { network: &|asn| m.name_of(asn) }))
    })
    .await
}

async fn slow_page(
    State(m): State<Material>,
    Query(p): Query<Parameters>,
) -> Result<Markup, Problem> {
    made(move || {
        let span = span(&m, &p);
        let filter = Filter::from_parameters(|name| p.get(name).cloned());
        let slowest = p.get("order").is_some_and(|order| order == "slowest");
        let after = p.get("after").filter(|after| !after.is_empty()).cloned();
        let seen = SlowSeen::read(&m.db, &filter, slowest, after.as_deref(), &span)?;
        let path = slow::address(&filter, slowest, after.as_deref());
        let frame = Frame {
            here: "Slow requests",
            // Somebody who pages through rows keeps them.
            live: false,
            ..plane_frame(&m, PLANE, "Slow requests", &path, &span)
        };
        Ok(slow::page_of(&seen, &filter, &frame, &Names { network: &|asn| m.name_of(asn) }))
    })
    .await
}
