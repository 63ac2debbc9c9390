//! From an address to a page: what is asked, what is read for it, which page shows it.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Router;
use axum::extract::{FromRef, Path, Query, State};
use axum::routing::get;
use maud::Markup;
use serde::Deserialize;
use whyslow_model::limits::OBSERVATIONS_PER_PAGE_MAX;
use whyslow_model::{Observation, Wall};
use whyslow_promql::EvalOptions;

use super::check::Check;
use super::frame::{Frame, Section, service_path};
use super::model::Track;
use super::query::Answer;
use super::run::{Shown, word};
use super::source::{Broken, Material, Wanted};
use super::when::{Asked, Span, escaped};
use super::{assets, checks, edge, keys, overview, query, service, wire};
use crate::config::CheckId;
use crate::storage::PageRequest;
use crate::web::problem::Problem;
use crate::web::state::AppState;

/// Runs of one page of a check's history.
const HISTORY_RUNS: usize = 25;
/// Steps of a query's chart.
const QUERY_STEPS: i64 = 240;

/// The pages and what they are drawn with.
pub fn router() -> Router<Arc<AppState>> {
    Router::new()
        .route("/", get(overview_page))
        .route("/services/{name}", get(service_page))
        .route("/checks", get(checks_page))
        .route("/checks/{id}", get(check_page))
        .route("/query", get(query_page))
        .route("/keys", get(keys_page))
        .merge(edge::router())
        .merge(wire::router())
        .merge(assets::router())
}

impl FromRef<Arc<AppState>> for Material {
    fn from_ref(state: &Arc<AppState>) -> Self {
        let snapshot = state.current.snapshot();
        let banner = snapshot.refused.as_ref().map(|refused| {
            format!(
                "The configuration was not replaced, the old one stays in force: {}",
                refused.summary
            )
        });
        let banner = banner.or_else(|| state.label.get().map(|label| (*label).to_owned()));
        Self {
            db: state.db.clone(),
            edge: Arc::clone(&state.edge),
            wire: Arc::clone(&state.wire),
            evidence: Arc::clone(&state.evidence),
            config: Arc::clone(&snapshot.config),
            added: snapshot.added.clone(),
            asn: state.asn(),
            banner,
        }
    }
}

/// Everything a page's address may say.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Params {
    r: Option<String>,
    from: Option<String>,
    to: Option<String>,
    tz: Option<String>,
    compare: Option<String>,
    check: Option<String>,
    path: Option<String>,
    vantage: Option<String>,
    run: Option<String>,
    show: Option<String>,
    after: Option<String>,
    q: Option<String>,
    query: Option<String>,
}

impl Params {
    fn span(&self, m: &Material) -> Span {
        let p = self.clone();
        let asked = Asked { r: p.r, from: p.from, to: p.to, tz: p.tz, compare: p.compare };
        let given = asked.r.is_some() || asked.from.is_some();
        let span = Span::new(&asked, whyslow_sys::clock::wall().as_millis());
        if given { span } else { span.clone().reaching(m.oldest_ms(span.now_ms)) }
    }
}

/// Reads and draws where blocking is allowed.
pub(super) async fn made<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Broken> + Send + 'static,
) -> Result<T, Problem> {
    let done = tokio::task::spawn_blocking(work).await;
    let done = done.map_err(|_| Problem::internal("the page could not be made"))?;
    done.map_err(|broken| match broken {
        Broken::NotFound(what) => Problem::not_found(what),
        Broken::Series(_) => {
            Problem::unavailable(broken.to_string()).hint("ask for a shorter range")
        }
        Broken::Facts(error) => crate::web::state::storage_problem(&error),
    })
}

pub(super) fn frame<'a>(
    m: &'a Material,
    section: Section,
    title: &'a str,
    path: &'a str,
    span: &'a Span,
) -> Frame<'a> {
    Frame {
        title,
        section,
        span,
        path,
        crumbs: Vec::new(),
        here: "",
        heading: "",
        live: span.is_live(),
        vantage: &m.config.vantage.name,
        banner: m.banner.as_deref(),
        scripts: &[],
    }
}

async fn overview_page(
    State(m): State<Material>,
    Query(p): Query<Params>,
) -> Result<Markup, Problem> {
    made(move || {
        let span = p.span(&m);
        let tracks = m.tracks(Wanted::default(), &span)?;
        let frame = frame(&m, Section::Overview, "Overview", "/", &span);
        if tracks.is_empty() {
            return Ok(overview::start(&frame));
        }
        let marks = m.marks(None, &span)?;
        let newest = |service: &str| {
            let wanted = Wanted { service: Some(service), ..Wanted::default() };
            let one = PageRequest { limit: 1, after: None };
            let failed = m.runs(wanted, &["failed"], &span, &one).ok();
            let owner = m.owner(service).unwrap_or_default().to_owned();
            (owner, failed.and_then(|(runs, _)| runs.into_iter().next()))
        };
        Ok(overview::overview(&tracks, &marks, &span, newest).page(&frame))
    })
    .await
}

async fn service_page(
    State(m): State<Material>,
    Path(name): Path<String>,
    Query(p): Query<Params>,
) -> Result<Markup, Problem> {
    made(move || {
        let span = p.span(&m);
        let wanted = Wanted { service: Some(&name), ..Wanted::default() };
        let tracks = m.tracks(wanted, &span)?;
        let marks = m.marks(Some(&name), &span)?;
        let asked = (p.check.as_deref(), p.path.as_deref(), p.vantage.as_deref());
        let mut made = service::service(&tracks, asked, marks, &span).ok_or_else(|| {
            Broken::NotFound(format!(
                "there is no service {name:?}, and no run of one in this range"
            ))
        })?;
        let of_check = Wanted { check: Some(&made.check), ..wanted };
        made.codes = codes(&m, of_check, &span)?;
        if span.compare {
            made.before = m.tracks(of_check, &span.before())?;
        }
        let path = format!(
            "{}?check={}&path={}&vantage={}",
            service_path(&name),
            escaped(&made.check),
            escaped(made.tracks.get(made.chosen).map_or("", |(t, _)| &t.path)),
            escaped(made.tracks.get(made.chosen).map_or("", |(t, _)| &t.vantage)),
        );
        let frame = Frame {
            crumbs: vec![("Services".to_owned(), "/".to_owned())],
            here: &name,
            ..frame(&m, Section::Overview, &name, &path, &span)
        };
        Ok(made.page(&frame))
    })
    .await
}

/// Per path: failure codes and how often, the most frequent first, of the newest failures.
fn codes(
    m: &Material,
    wanted: Wanted<'_>,
    span: &Span,
) -> Result<BTreeMap<String, Vec<(String, usize)>>, Broken> {
    let page = PageRequest { limit: OBSERVATIONS_PER_PAGE_MAX, after: None };
    let mut counts: BTreeMap<(String, String), usize> = BTreeMap::new();
    for failed in m.runs(wanted, &["failed"], span, &page)?.0 {
        let code = word(&failed, "code").to_owned();
        *counts.entry((failed.cohort.path.unwrap_or_default(), code)).or_default() += 1;
    }
    let mut by_path: BTreeMap<String, Vec<(String, usize)>> = BTreeMap::new();
    for ((path, code), n) in counts {
        by_path.entry(path).or_default().push((code, n));
    }
    for codes in by_path.values_mut() {
        codes.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    }
    Ok(by_path)
}

async fn checks_page(
    State(m): State<Material>,
    Query(p): Query<Params>,
) -> Result<Markup, Problem> {
    made(move || {
        let span = p.span(&m);
        let tracks = m.tracks(Wanted::default(), &span)?;
        let filter = p.q.as_deref().unwrap_or("");
        let path = if filter.is_empty() {
            "/checks".to_owned()
        } else {
            format!("/checks?q={}", escaped(filter))
        };
        let frame = frame(&m, Section::Checks, "Checks", &path, &span);
        Ok(checks::page_of(&tracks, filter, &frame))
    })
    .await
}

async fn check_page(
    State(m): State<Material>,
    Path(id): Path<String>,
    Query(p): Query<Params>,
) -> Result<Markup, Problem> {
    made(move || {
        let span = p.span(&m);
        let not_one =
            || Broken::NotFound(format!("{id:?} names no check; an id is service:check:path"));
        let ours: CheckId = id.parse().map_err(|_| not_one())?;
        let wanted = Wanted {
            service: Some(&ours.service),
            check: Some(&ours.check),
            path: Some(&ours.path),
            // A run that is asked for brings its vantage along.
            vantage: p.vantage.as_deref().or(p.run.as_deref().and_then(|r| r.split('/').next())),
        };
        let track = m
            .tracks(wanted, &span)?
            .into_iter()
            .max_by_key(|t| t.points.len())
            .ok_or_else(not_one)?;
        let made = check_of(&m, &p, wanted, track, &span)?;
        Ok(check_markup(&m, &p, &made, &span))
    })
    .await
}

fn check_markup(m: &Material, p: &Params, made: &Check, span: &Span) -> Markup {
    let id = made.track.id();
    let own = super::frame::check_path(&id);
    let path = match (&p.run, &p.show) {
        (Some(run), _) => format!("{own}?run={}", escaped(run)),
        (None, Some(show)) => format!("{own}?show={}", escaped(show)),
        (None, None) => own.clone(),
    };
    let path = match &p.vantage {
        Some(v) => {
            format!("{path}{}vantage={}", if path.contains('?') { '&' } else { '?' }, escaped(v))
        }
        None => path,
    };
    let at = made.shown.as_ref().map(|s| span.clock_s(s.seen.at.as_millis()));
    let here =
        at.map_or_else(|| made.track.path.clone(), |at| format!("{}, run {at}", made.track.path));
    let title = format!("{here} of {} {}", made.track.service, made.track.check);
    let frame = Frame {
        crumbs: vec![
            ("Checks".to_owned(), "/checks".to_owned()),
            (made.track.service.clone(), service_path(&made.track.service)),
            (made.track.check.clone(), own),
        ],
        here: &here,
        // A run that was chosen stays on the page.
        live: span.is_live() && p.run.is_none(),
        ..frame(m, Section::Checks, &title, &path, span)
    };
    made.page(&frame)
}

fn check_of(
    m: &Material,
    p: &Params,
    wanted: Wanted<'_>,
    track: Track,
    span: &Span,
) -> Result<Check, Broken> {
    let listed = p.show.as_deref().filter(|w| matches!(*w, "failed" | "slow")).unwrap_or("all");
    let outcomes = if listed == "all" { Vec::new() } else { vec![listed] };
    let page = PageRequest { limit: HISTORY_RUNS, after: p.after.clone() };
    let (history, next) = m.runs(wanted, &outcomes, span, &page)?;
    let chosen = match &p.run {
        Some(id) => Some(observed(m, wanted, id)?),
        // Who asks for failed runs wants to see the newest of those.
        None => {
            let newest = PageRequest { limit: 1, after: None };
            m.runs(wanted, &outcomes, span, &newest)?.0.into_iter().next()
        }
    };
    let neighbours = match &chosen {
        Some(seen) => neighbours(m, wanted, seen, track.every_ms(), span)?,
        None => (None, None),
    };
    let shown = chosen.map(|seen| shown(m, seen, &track, span)).transpose()?;
    let marks = m.marks(Some(&track.service), span)?;
    Ok(Check { track, shown, neighbours, history, listed: listed.to_owned(), next, marks })
}

/// The observation of a run, found by the time in its id.
fn observed(m: &Material, wanted: Wanted<'_>, id: &str) -> Result<Observation, Broken> {
    let not_there =
        || Broken::NotFound("there is no such run, or it is not kept any more".to_owned());
    let started: i64 =
        id.rsplit('/').next().and_then(|ns| ns.parse().ok()).ok_or_else(not_there)?;
    let at = Wall::from_nanos(started).as_millis();
    let about = Span {
        from_ms: at,
        to_ms: at + 1,
        now_ms: at + 1,
        named: None,
        zone_min: 0,
        compare: false,
    };
    let page = PageRequest { limit: 20, after: None };
    let near = m.runs(wanted, &[], &about, &page)?.0;
    near.into_iter().find(|o| o.id == id).ok_or_else(not_there)
}

/// The runs before and after one, from the same vantage.
fn neighbours(
    m: &Material,
    wanted: Wanted<'_>,
    seen: &Observation,
    every_ms: i64,
    span: &Span,
) -> Result<(Option<Observation>, Option<Observation>), Broken> {
    let at = seen.at.as_millis();
    let page = PageRequest { limit: 20, after: None };
    let stretch = |from_ms, to_ms| Span { from_ms, to_ms, named: None, ..span.clone() };
    let own = |o: &Observation| o.id != seen.id && o.cohort.vantage == seen.cohort.vantage;
    // A day back reaches over any gap; ahead, the oldest of what follows is wanted.
    let before = m.runs(wanted, &[], &stretch(at - 86_400_000, at), &page)?.0.into_iter().find(own);
    let soon = (at + every_ms * 8).min(span.now_ms.max(at));
    let after = m.runs(wanted, &[], &stretch(at, soon), &page)?.0.into_iter().rfind(own);
    Ok((before, after))
}

fn shown(m: &Material, seen: Observation, track: &Track, span: &Span) -> Result<Shown, Broken> {
    let document = m.run(&seen.id)?;
    let at = seen.at.as_millis();
    let about = Span {
        from_ms: at - track.every_ms(),
        to_ms: at + track.every_ms(),
        named: None,
        ..span.clone()
    };
    let wanted =
        Wanted { service: Some(&track.service), check: Some(&track.check), ..Wanted::default() };
    let page = PageRequest { limit: 100, after: None };
    let mut beside: BTreeMap<(Option<String>, Option<String>), Observation> = BTreeMap::new();
    for other in m.runs(wanted, &[], &about, &page)?.0 {
        let key = (other.cohort.path.clone(), other.cohort.vantage.clone());
        if key == (seen.cohort.path.clone(), seen.cohort.vantage.clone()) {
            continue;
        }
        let distance = |o: &Observation| (o.at.as_millis() - at).abs();
        match beside.get(&key) {
            Some(kept) if distance(kept) <= distance(&other) => {}
            _ => {
                beside.insert(key, other);
            }
        }
    }
    let exchanges = document.iter().flat_map(|d| &d.exchanges);
    let mut owners: Vec<String> =
        exchanges.map(|e| m.owner_of(e.remote.as_deref().unwrap_or(""))).collect();
    if owners.is_empty() {
        owners.push(m.owner_of(word(&seen, "remote")));
    }
    let vantage = seen.cohort.asn.map(|n| m.name_of(n)).unwrap_or_default();
    Ok(Shown {
        seen,
        document,
        plan: track.plan.clone(),
        owners,
        vantage,
        beside: beside.into_values().collect(),
    })
}

async fn query_page(
    State(state): State<Arc<AppState>>,
    State(m): State<Material>,
    Query(p): Query<Params>,
) -> Result<Markup, Problem> {
    let span = p.span(&m);
    let expression = p.query.as_deref().unwrap_or("").trim().to_owned();
    let answer = asked(&state, &expression, &span).await;
    made(move || {
        let path = if expression.is_empty() {
            "/query".to_owned()
        } else {
            format!("/query?query={}", escaped(&expression))
        };
        let frame = Frame {
            scripts: &["query.js"],
            live: false,
            ..frame(&m, Section::Query, "Query", &path, &span)
        };
        Ok(query::page_of(&expression, &answer, &frame))
    })
    .await
}

/// The answer, waited for in the same line as those of the API.
async fn asked(state: &AppState, expression: &str, span: &Span) -> Answer {
    if expression.is_empty() {
        return Answer::Nothing;
    }
    let query = match whyslow_promql::parse(expression) {
        Ok(query) => query,
        Err(error) => return Answer::Refused(error.to_string()),
    };
    let step = (span.length_ms() / QUERY_STEPS).max(1000) / 1000 * 1000;
    let (db, from_ms, to_ms) = (state.db.clone(), span.from_ms, span.to_ms);
    let answer = state.queries.run(whyslow_model::limits::QUERY_TIME_MAX, move |stop| {
        let seed = db.seed();
        let options = EvalOptions { seed, stop: Some(stop), ..EvalOptions::default() };
        query.range(&db.reader(), from_ms, to_ms, step, &options)
    });
    match answer.await {
        Ok(answer) => Answer::Series(
            answer
                .matrix
                .into_iter()
                .map(|s| (s.labels, s.times_ms.into_iter().zip(s.values).collect()))
                .collect(),
        ),
        Err(problem) => Answer::Refused(problem.error),
    }
}

async fn keys_page(State(m): State<Material>, Query(p): Query<Params>) -> Markup {
    let span = p.span(&m);
    keys::page_of(&Frame { live: false, ..frame(&m, Section::Overview, "Keys", "/keys", &span) })
}
