//! `GET /api/v1/wire/windows`: what the wire's windows of a range counted, added up.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use whyslow_model::limits::{WIRE_RANGE_DAYS_MAX, WIRE_UNSEEN_LISTED_MAX};
use whyslow_model::{Histogram, Wall};
use whyslow_wire::row::{Cell, Dimension, Totals};

use super::prometheus::params::Params;
use super::wire_events::range;
use super::wire_unseen::Unseen;
use crate::storage::{Db, StorageError};
use crate::web::problem::Problem;
use crate::web::state::AppState;

/// The range where none is given.
const RANGE: Duration = Duration::from_hours(1);

/// What a range adds up to.
#[derive(Debug, Default)]
struct Sum {
    /// Seconds of the windows that fit the range.
    step_s: i64,
    /// Where the first window begins, which may be before the range.
    first: Option<Wall>,
    windows: u64,
    blind: u64,
    packets: u64,
    drops: u64,
    unseen: Unseen,
    cells: BTreeMap<Cell, Totals>,
}

/// `GET /api/v1/wire/windows`: by `tap`, `from`, `to`; one row for everything, and one for each
/// cell of the dimension that `by` names.
///
/// # Errors
/// [`Problem`] for a parameter that makes no sense or a store that cannot be read.
pub async fn windows(
    State(state): State<Arc<AppState>>,
    params: Params,
) -> Result<Response, Problem> {
    let by = params.first("by").map(dimension).transpose()?;
    let (from, to) = range(&params)?;
    let to = to.unwrap_or_else(|| state.now());
    let from = from.unwrap_or_else(|| to.before(RANGE));
    if to.since(from) > Duration::from_hours(24 * WIRE_RANGE_DAYS_MAX) {
        return Err(Problem::bad_data("the range is too long")
            .hint(format!("at most {WIRE_RANGE_DAYS_MAX} days at once")));
    }
    let tap = params.first("tap").map(str::to_owned);
    let read = move |db: &Db| {
        let sum = sum(db, tap.as_deref(), (from, to), by)?;
        Ok((sum, db.wire_taps(from, to)?))
    };
    let (mut sum, taps) = state.read_store(read).await?;
    let unseen = std::mem::take(&mut sum.unseen).finish(to.min(state.now()));
    let rows: Vec<Value> = sum.cells.iter().map(|(cell, totals)| row(cell, totals)).collect();
    let seen = if sum.drops == 0 {
        1.0
    } else {
        float(sum.packets) / (float(sum.packets) + float(sum.drops))
    };
    let body = json!({
        "schema": "whyslow.wire_windows/1",
        "from": sum.first.map_or(from, |first| first.min(from)),
        "to": to,
        "taps": taps.iter().map(|tap| &**tap).collect::<Vec<_>>(),
        "step_s": sum.step_s,
        "windows": sum.windows,
        "blind_windows": sum.blind,
        "packets": sum.packets,
        "drops": sum.drops,
        "seen_share": seen,
        "unseen_of": unseen.len(),
        "unseen": unseen.iter().take(WIRE_UNSEEN_LISTED_MAX).collect::<Vec<_>>(),
        "rows": rows,
    });
    Ok(Json(body).into_response())
}

fn dimension(word: &str) -> Result<Dimension, Problem> {
    serde_json::from_value(word.into()).map_err(|_| {
        Problem::bad_data(format!("invalid parameter \"by\": there is no dimension {word:?}"))
            .hint("server, asn, prefix or rdns")
    })
}

fn sum(
    db: &Db,
    tap: Option<&str>,
    range: (Wall, Wall),
    by: Option<Dimension>,
) -> Result<Sum, StorageError> {
    let mut sum = Sum { unseen: Unseen::from(range.0), ..Sum::default() };
    sum.step_s = db.wire_over(tap, range, None, &mut |tap, window| {
        sum.unseen.handle_window(&tap, &window);
        sum.first = Some(sum.first.unwrap_or(window.from));
        sum.windows += 1;
        sum.blind += u64::from(window.blind);
        sum.packets += window.packets;
        sum.drops += window.drops;
        let wanted = |cell: &Cell| *cell == Cell::All || by.is_some_and(|by| of(cell, by));
        for row in window.rows.into_iter().filter(|row| wanted(&row.cell)) {
            sum.cells.entry(row.cell).or_default().merge(&row.totals);
        }
    })?;
    Ok(sum)
}

fn of(cell: &Cell, by: Dimension) -> bool {
    cell.dimension() == Some(by)
}

/// One cell: its name, and what was counted of it.
fn row(cell: &Cell, totals: &Totals) -> Value {
    let (key, value) = match cell {
        Cell::All => ("all", Value::Null),
        Cell::Server(address) => ("server", json!(address)),
        Cell::Asn(asn) => ("asn", json!(asn)),
        Cell::Prefix(net) => ("prefix", json!(net)),
        Cell::Rdns(suffix) => ("rdns", json!(suffix)),
        Cell::Unknown(_) => ("unknown", Value::Null),
        Cell::Other(_) => ("other", Value::Null),
    };
    json!({
        "kind": key,
        "value": value,
        "handshakes": totals.handshakes,
        "slow": totals.slow,
        "blame": totals.blame,
        "outcomes": totals.outcomes,
        "incomplete": totals.incomplete,
        "lost_before_tap": totals.lost_before_tap,
        "plain": totals.plain,
        "unanswered": totals.unanswered,
        "causes": totals.causes,
        "endings": totals.endings,
        "total_ms": quantiles(&totals.total),
        "server_ms": quantiles(&totals.server),
        "network_ms": quantiles(&totals.network),
        "client_ms": quantiles(&totals.client),
        "server_think_ms": quantiles(&totals.server_think),
    })
}

/// `None` where nothing was timed.
fn quantiles(of: &Histogram) -> Option<Value> {
    let at = |q: f64| of.quantile(q).map(|s| s * 1000.0);
    (of.count() > 0).then(|| {
        json!({"n": of.count(), "p50": at(0.5), "p90": at(0.9), "p99": at(0.99), "max": at(1.0)})
    })
}

fn float(n: u64) -> f64 {
    whyslow_model::notice::interval::float(n)
}
