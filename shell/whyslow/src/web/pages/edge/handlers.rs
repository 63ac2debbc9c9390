//! From an address below `/edge` to its page.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Query, State};
use axum::routing::get;
use maud::Markup;

use super::slow::{self, SlowSeen};
use super::{Edge, Names, start};
use crate::web::pages::frame::{Frame, Section};
use crate::web::pages::handlers::{frame, made};
use crate::web::pages::model::edge::filter::Filter;
use crate::web::pages::source::Material;
use crate::web::pages::when::{Asked, Span};
use crate::web::problem::Problem;
use crate::web::state::AppState;

/// The longest range whose page is drawn anew with every change.
const LIVE_MS: i64 = 3_600_000;

/// The pages below `/edge`.
pub fn router() -> Router<Arc<AppState>> {
    Router::new().route("/edge", get(edge_page)).route("/edge/slow", get(slow_page))
}

type Parameters = BTreeMap<String, String>;

/// The time that is asked for; else the last hour, or less where there is less.
fn span(m: &Material, p: &Parameters) -> Span {
    let get = |name: &str| p.get(name).cloned();
    let mut asked = Asked {
        r: get("r"),
        from: get("from"),
        to: get("to"),
        tz: get("tz"),
        compare: get("compare"),
    };
    let now_ms = whyslow_sys::clock::wall().as_millis();
    if asked.r.is_none() && asked.from.is_none() {
        let age = m.edge_oldest_ms(now_ms).map_or(0, |oldest| now_ms - oldest);
        asked.r = Some(if age < 15 * 60_000 { "15m" } else { "1h" }.to_owned());
    }
    Span::new(&asked, now_ms)
}

async fn edge_page(
    State(m): State<Material>,
    Query(p): Query<Parameters>,
) -> Result<Markup, Problem> {
    made(move || {
        let span = span(&m, &p);
        let filter = Filter::from_parameters(|name| p.get(name).cloned());
        let path = filter.path("/edge");
        let frame = edge_frame(&m, "Edge", &path, &span);
        let seen = m.edge(&filter, &span)?;
        if seen.sources.is_empty()
            && m.edge_oldest_ms(span.now_ms).is_none()
            && seen.rows.is_empty()
        {
            return Ok(start(&Frame { live: false, ..frame }));
        }
        let crumbs: Vec<String> = seen.sources.iter().map(|s| s.name.clone()).collect();
        let here = if crumbs.is_empty() { "all sources".to_owned() } else { crumbs.join(", ") };
        let frame =
            Frame { crumbs: vec![("Edge".to_owned(), "/edge".to_owned())], here: &here, ..frame };
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
            crumbs: vec![("Edge".to_owned(), "/edge".to_owned())],
            here: "Slow requests",
            // Somebody who pages through rows keeps them.
            live: false,
            ..edge_frame(&m, "Slow requests", &path, &span)
        };
        Ok(slow::page_of(&seen, &filter, &frame, &Names { network: &|asn| m.name_of(asn) }))
    })
    .await
}

fn edge_frame<'a>(m: &'a Material, title: &'a str, path: &'a str, span: &'a Span) -> Frame<'a> {
    let frame = frame(m, Section::Edge, title, path, span);
    Frame { live: frame.live && span.length_ms() <= LIVE_MS, ..frame }
}
