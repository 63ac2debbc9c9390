//! `/api/v1/edge…`: window rows and slow requests for programs. The pages show
//! the same, and every filter has the name it has in a page's address.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header;
use serde_json::{Map, Value, json};
use whyslow_edge::record::EdgePhase;
use whyslow_edge::row::{Row, Timing};
use whyslow_model::Wall;
use whyslow_model::limits::{EDGE_PAGE_MAX, EDGE_SLOW_PER_PAGE};

use super::prometheus::params::Params;
use crate::storage::{Facet, FacetCount, SlowField, SlowOrder};
use crate::web::pages::edge::slow::slow_filter;
use crate::web::pages::model::edge::filter::{Field, Filter};
use crate::web::pages::model::edge::sum::{Sum, float};
use crate::web::pages::source::{Broken, Material};
use crate::web::pages::when::{Asked, NAMED, Span};
use crate::web::problem::Problem;
use crate::web::state::{AppState, storage_problem};

/// What rows are told apart by where nobody says.
const BY: &str = "vip,backend,server";
/// Windows that the range is read in; they are added up.
const WINDOWS: i64 = 60;
/// Values of each facet.
const FACET_VALUES: usize = 20;
/// The range where none is given: the last hour.
const RANGE: &str = NAMED[1].0;

/// The span that `from` and `to` name (seconds or RFC 3339), or `r` as on pages.
fn span(params: &Params) -> Result<Span, Problem> {
    let now_ms = whyslow_sys::clock::wall().as_millis();
    let instant = |name| Ok::<_, Problem>(millis(params, name)?.map(|ms| ms.to_string()));
    let (from, to) = (instant("from")?, instant("to")?);
    let r = params.first("r").map(str::to_owned);
    let r = r.or_else(|| from.is_none().then(|| RANGE.to_owned()));
    let compare = params.first("compare").map(str::to_owned);
    Ok(Span::new(&Asked { r, from, to, tz: None, compare }, now_ms))
}

/// A time as the API has it, or in milliseconds as a page's address has it.
pub(super) fn millis(params: &Params, name: &str) -> Result<Option<i64>, Problem> {
    let ms = params.first(name).and_then(|text| text.parse::<i64>().ok());
    // No second of this era has twelve digits, and every millisecond of it has.
    match ms.filter(|ms| ms.abs() >= 100_000_000_000) {
        Some(ms) => Ok(Some(ms)),
        None => params.time(name),
    }
}

fn filter(params: &Params) -> Filter {
    Filter::from_parameters(|name| params.first(name).map(str::to_owned))
}

/// The fields that `by` names.
fn by(params: &Params) -> Result<Vec<Field>, Problem> {
    let names = params.first("by").unwrap_or(BY).split(',').map(str::trim);
    let field = |name: &str| {
        let found = Field::ALL.into_iter().filter(|f| f.in_rows()).find(|f| {
            f.name() == name || name.strip_prefix("client_").is_some_and(|short| f.name() == short)
        });
        found.ok_or_else(|| {
            Problem::bad_data(format!("invalid parameter \"by\": there is no field {name:?}")).hint(
                "vip, backend, server, route, code, client_asn, client_prefix; several with commas",
            )
        })
    };
    names.filter(|name| !name.is_empty()).map(field).collect()
}

/// Reads where blocking is allowed.
async fn read<T: Send + 'static>(
    m: Material,
    work: impl FnOnce(&Material) -> Result<T, Broken> + Send + 'static,
) -> Result<T, Problem> {
    let done = tokio::task::spawn_blocking(move || work(&m)).await;
    let done = done.map_err(|_| Problem::internal("the store could not be read"))?;
    done.map_err(|broken| match broken {
        Broken::Facts(error) => storage_problem(&error),
        Broken::NotFound(what) => Problem::not_found(what),
        Broken::Series(error) => Problem::unavailable(error.to_string()),
    })
}

/// One key and its requests over the whole range.
type Group = (whyslow_edge::row::Key, Sum);

/// Rows of the range, added up by key; ordered by key.
fn groups(rows: &[Row]) -> Vec<Group> {
    let mut groups: std::collections::BTreeMap<_, Sum> = std::collections::BTreeMap::new();
    for row in rows {
        groups.entry(row.key.clone()).or_default().add(row);
    }
    groups.into_iter().collect()
}

/// What a range holds.
struct Range {
    by: Vec<Field>,
    groups: Vec<Group>,
    /// Of what the filter asks for, the groups that windows do not tell apart from others.
    others: Vec<Group>,
    seconds: i64,
    span: Span,
}

impl Range {
    async fn read(m: Material, params: &Params) -> Result<Self, Problem> {
        let (by, filter, span) = (by(params)?, filter(params), span(params)?);
        let (fields, window_s) = (by.clone(), (span.length_ms() / 1000 / WINDOWS).max(10));
        let wanted = span.clone();
        let both = move |m: &Material| {
            let rows = |filter: &Filter| m.edge_rows(filter, &fields, &wanted, window_s);
            let others = filter.of_others().map(|others| rows(&others)).transpose()?;
            Ok((rows(&filter)?, others.unwrap_or_default()))
        };
        let (rows, others) = read(m, both).await?;
        let from = rows.iter().map(|row| row.start_s).min().unwrap_or(0);
        let to = rows.iter().map(|row| row.start_s + i64::from(row.span_s)).max().unwrap_or(0);
        let (groups, others) = (groups(&rows), groups(&others));
        Ok(Self { by, groups, others, seconds: (to - from).max(1), span })
    }

    /// How many requests of a key may be among those of others.
    fn missed_at_most(&self, (key, sum): &Group) -> u64 {
        let Some(others) = key.of_others().filter(|others| others != key) else { return 0 };
        let of = |groups: &[Group]| {
            let place = groups.binary_search_by(|(key, _)| key.cmp(&others)).ok()?;
            Some(sum.totals.missed_at_most(Some(&groups.get(place)?.1.totals)))
        };
        of(&self.groups).or_else(|| of(&self.others)).unwrap_or(0)
    }
}

/// `GET /api/v1/edge`: requests by key over a range, in the shape of `whyslow edge --json`.
///
/// # Errors
/// [`Problem`] for a parameter that makes no sense or a store that cannot be read.
pub async fn rows(State(m): State<Material>, params: Params) -> Result<Response, Problem> {
    let range = Range::read(m, &params).await?;
    let names: Vec<&str> = range.by.iter().map(|f| contract_name(*f)).collect();
    let hits: u64 = range.groups.iter().map(|(_, sum)| sum.totals.hits).sum();
    let groups: Vec<Value> = range.groups.iter().map(|of| group(&names, &range, of)).collect();
    let body = json!({
        "schema": "whyslow.edge_range/1",
        "from": Wall::from_millis(range.span.from_ms),
        "to": Wall::from_millis(range.span.to_ms),
        "hits": hits,
        "groups": groups,
    });
    Ok(Json(body).into_response())
}

const fn contract_name(field: Field) -> &'static str {
    if matches!(field, Field::Asn) {
        "client_asn"
    } else if matches!(field, Field::Prefix) {
        "client_prefix"
    } else {
        field.name()
    }
}

fn group(by: &[&str], range: &Range, of: &Group) -> Value {
    let ((key, sum), seconds) = (of, range.seconds);
    let totals = &sum.totals;
    let codes: Map<String, Value> =
        totals.codes.iter().map(|(code, n)| (code.to_string(), json!(n))).collect();
    let phases: Map<String, Value> = EdgePhase::ALL
        .map(|phase| (phase.as_str().to_owned(), phase_of(sum, phase)))
        .into_iter()
        .collect();
    json!({
        "by": by,
        "key": key,
        "hits": totals.hits,
        "missed_at_most": range.missed_at_most(of),
        "hidden_at_most": totals.hidden_at_most,
        "timed": totals.latency.histogram.count(),
        "tps": {"avg": float(totals.hits) / float(seconds.unsigned_abs()), "max": sum.peak_per_s().unwrap_or(totals.peak_per_s)},
        "latency_ms": timing(&totals.latency),
        "server_ms": timing(&totals.server),
        "phases_ms": phases,
        "client_rtt_ms": timing(&totals.client_rtt),
        "codes": codes,
        "bytes_out": totals.bytes_out,
        "bytes_in": totals.bytes_in,
        "client_aborted": totals.client_aborted,
        "local": totals.local,
        "retries": totals.retries,
        "redispatched": totals.redispatched,
    })
}

fn timing(timing: &Timing) -> Value {
    let n = timing.histogram.count();
    if n == 0 {
        return Value::Null;
    }
    let q = |q: f64| timing.histogram.quantile(q).map(|s| s * 1000.0);
    json!({
        "avg": float(timing.sum_us) / float(n) / 1000.0,
        "max": float(timing.max_us) / 1000.0,
        "total": float(timing.sum_us) / 1000.0,
        "p50": q(0.5),
        "p90": q(0.9),
        "p99": q(0.99),
    })
}

fn phase_of(sum: &Sum, phase: EdgePhase) -> Value {
    let told = sum.totals.phase(phase);
    let n = told.timing.histogram.count();
    if n == 0 {
        return json!({"avg": null, "p99": null, "kind": "absent"});
    }
    json!({
        "avg": float(told.timing.sum_us) / float(n) / 1000.0,
        "p99": told.timing.histogram.quantile(0.99).map(|s| s * 1000.0),
        "kind": told.mark,
    })
}

/// `GET /api/v1/edge.csv`: the same as a table.
///
/// # Errors
/// As [`rows`].
pub async fn csv(State(m): State<Material>, params: Params) -> Result<Response, Problem> {
    let range = Range::read(m, &params).await?;
    let Range { by, groups, seconds, .. } = &range;
    let mut text: String = by.iter().map(|f| format!("{},", contract_name(*f))).collect();
    text.push_str(
        "hits,per_s,max_per_s,timed,p50_ms,p90_ms,p99_ms,server_p99_ms,2xx,3xx,4xx,5xx\n",
    );
    for (key, sum) in groups {
        for field in by {
            text.push_str(&csv_cell(&field.of(key).unwrap_or_default()));
            text.push(',');
        }
        text.push_str(&csv_figures(sum, *seconds));
    }
    let headers = [
        (header::CONTENT_TYPE, "text/csv; charset=utf-8"),
        (header::CONTENT_DISPOSITION, "attachment; filename=\"edge.csv\""),
    ];
    Ok((headers, text).into_response())
}

fn csv_figures(sum: &Sum, seconds: i64) -> String {
    let q = |timing: &Timing, q: f64| {
        timing.histogram.quantile(q).map_or_else(String::new, |s| format!("{:.3}", s * 1000.0))
    };
    let (totals, latency) = (&sum.totals, &sum.totals.latency);
    format!(
        "{},{:.3},{},{},{},{},{},{},{},{},{},{}\n",
        totals.hits,
        float(totals.hits) / float(seconds.unsigned_abs()),
        sum.peak_per_s().unwrap_or(totals.peak_per_s),
        latency.histogram.count(),
        q(latency, 0.5),
        q(latency, 0.9),
        q(latency, 0.99),
        q(&totals.server, 0.99),
        sum.codes(2),
        sum.codes(3),
        sum.codes(4),
        sum.codes(5),
    )
}

/// A cell (RFC 4180). Names come from outside, so none may begin a formula of a spreadsheet.
fn csv_cell(text: &str) -> String {
    let formula = text.starts_with(['=', '+', '-', '@', '\t', '\r']) && text.len() > 1;
    let text = if formula { format!("'{text}") } else { text.to_owned() };
    if text.contains(['"', ',', '\n', '\r']) {
        return format!("\"{}\"", text.replace('"', "\"\""));
    }
    text
}

/// `GET /api/v1/edge/slow`: slow requests that are kept, newest or slowest first.
///
/// # Errors
/// As [`rows`].
pub async fn slow(State(state): State<Arc<AppState>>, params: Params) -> Result<Response, Problem> {
    let span = span(&params)?;
    let filter = slow_filter(&filter(&params), &span);
    let limit = params.count("limit")?.unwrap_or(EDGE_SLOW_PER_PAGE).clamp(1, EDGE_PAGE_MAX);
    let order = match params.first("order") {
        None | Some("newest") => SlowOrder::Newest,
        Some("slowest") => SlowOrder::Slowest,
        Some(other) => {
            return Err(Problem::bad_data(format!("invalid parameter \"order\": {other:?}"))
                .hint("newest or slowest"));
        }
    };
    let after = params.first("cursor").map(str::to_owned);
    let (from_s, to_s) = (span.from_ms.div_euclid(1000), span.to_ms.div_euclid(1000) + 1);
    let read = move |db: &crate::storage::Db| {
        Ok((db.slow(&filter, order, limit, after.as_deref())?, db.slow_counts(from_s, to_s)?))
    };
    let (page, counts) = state.read_store(read).await?;
    let (seen, kept) = counts.iter().fold((0, 0), |(s, k), c| (s + c.seen, k + c.kept));
    let body = json!({
        "schema": "whyslow.edge_slow/1",
        "range": {"seen": seen, "kept": kept, "not_kept": seen.saturating_sub(kept)},
        "requests": page.rows,
        "next": page.next,
    });
    Ok(Json(body).into_response())
}

/// `GET /api/v1/edge/slow/facets`: what slow requests have in common, by `field` (repeatable; all
/// where none is named), with the stretch before where `compare=before`.
///
/// # Errors
/// As [`rows`].
pub async fn facets(
    State(state): State<Arc<AppState>>,
    params: Params,
) -> Result<Response, Problem> {
    let (filter, span) = (filter(&params), span(&params)?);
    let mut fields = params.all("field").map(slow_field).collect::<Result<Vec<_>, _>>()?;
    if fields.is_empty() {
        fields = SlowField::ALL.to_vec();
    }
    let top = params.count("top")?.unwrap_or(FACET_VALUES).clamp(1, EDGE_PAGE_MAX);
    let (now, earlier) = (slow_filter(&filter, &span), slow_filter(&filter, &span.before()));
    let compare = span.compare;
    let read = move |db: &crate::storage::Db| {
        let before = compare.then(|| db.slow_facets(&earlier, &fields, top)).transpose()?;
        Ok((db.slow_facets(&now, &fields, top)?, before))
    };
    let (now, before) = state.read_store(read).await?;
    let all = |facets: &[Facet]| facets.iter().map(facet).collect::<Vec<_>>();
    let body = json!({
        "schema": "whyslow.edge_slow_facets/1",
        "facets": all(&now),
        "before": before.as_deref().map(all),
    });
    Ok(Json(body).into_response())
}

/// A field by its own name or the one it has in a page's address.
fn slow_field(name: &str) -> Result<SlowField, Problem> {
    let named = Field::ALL.into_iter().find(|f| f.name() == name);
    let field = named.and_then(crate::web::pages::edge::slow::slow_field);
    field.or_else(|| SlowField::find(name)).ok_or_else(|| {
        let names: Vec<&str> = SlowField::ALL.iter().map(|f| f.as_str()).collect();
        Problem::bad_data(format!("invalid parameter \"field\": there is no field {name:?}"))
            .hint(names.join(", "))
    })
}

fn facet(facet: &Facet) -> Value {
    let count = |c: FacetCount| json!({"kept": c.kept, "stands_for": c.stands_for});
    let value = |v: &crate::storage::FacetValue| {
        let value = Some(v.value.as_str()).filter(|v| !v.is_empty());
        json!({"value": value, "kept": v.count.kept, "stands_for": v.count.stands_for})
    };
    json!({
        "field": facet.field.as_str(),
        "values": facet.values.iter().map(value).collect::<Vec<_>>(),
        "more": facet.more,
        "rest": count(facet.rest),
        "all": count(facet.all),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn params(text: &str) -> Params {
        Params::parse(text.as_bytes())
    }

    #[test]
    fn times_may_be_a_pages_or_the_apis() {
        let at = |text: &str| millis(&params(text), "from").unwrap();
        assert_eq!(at("from=1795118400"), Some(1_795_118_400_000));
        assert_eq!(at("from=1795118400000"), Some(1_795_118_400_000));
        assert_eq!(at("from=2026-11-19T20:00:00Z"), Some(1_795_118_400_000));
        assert!(millis(&params("from=soon"), "from").is_err());
    }

    #[test]
    fn fields_go_by_both_their_names_and_others_are_refused() {
        let found = by(&params("by=backend, client_asn,prefix")).unwrap();
        assert_eq!(found, [Field::Backend, Field::Asn, Field::Prefix]);
        assert!(by(&params("by=colour")).unwrap_err().hint.is_some());
        assert!(by(&params("by=path")).is_err(), "rows do not tell paths apart");
        assert!(slow_field("flag").is_ok() && slow_field("flags").is_ok());
        assert!(slow_field("colour").is_err());
    }

    #[test]
    fn no_name_from_outside_is_a_formula_or_breaks_a_row() {
        assert_eq!(csv_cell("=1+1"), "'=1+1");
        assert_eq!(csv_cell("a,\"b\"\n"), "\"a,\"\"b\"\"\n\"");
        assert_eq!(csv_cell("-"), "-");
    }
}
