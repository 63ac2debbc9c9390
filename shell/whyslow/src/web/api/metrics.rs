//! `GET /metrics`: whyslow itself, and the newest value of each probe series.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header;
use whyslow_model::Wall;
use whyslow_probe::metrics as probe_metrics;
use whyslow_promql::{EvalError, EvalOptions, InstantValue, Sample};

use super::exposition::{CONTENT_TYPE, Exposition, Kind, float};
use crate::config::Snapshot;
use crate::prober::ProberCounters;
use crate::prober::counters::LATENESS_BOUNDS_S;
use crate::storage::{Db, StoreCounters};
use crate::web::counts::{Mishap, WebCounts};
use crate::web::problem::Problem;
use crate::web::state::AppState;

/// How old a value may be; checks may run this seldom.
const AGE_MAX: Duration = Duration::from_mins(15);
const TIME_MAX: Duration = Duration::from_secs(10);

/// Everything, in the Prometheus text format.
///
/// # Errors
/// [`Problem`] where the store cannot be read.
pub async fn metrics(State(state): State<Arc<AppState>>) -> Result<Response, Problem> {
    let (db, now) = (state.db.clone(), state.now());
    let newest = state.queries.run(TIME_MAX, move |stop| newest(&db, now, stop)).await?;
    let mut out = Exposition::default();
    about_process(&mut out, &state);
    about_store(&mut out, &state.db.counters());
    about_prober(&mut out, &(state.probing.0)());
    super::edge_sources::about_edge(&mut out, &state.edge.sources());
    super::wire::about_wire(&mut out, &state.wire.taps(), now);
    if !state.evidence.interfaces().is_empty() {
        super::evidence::about_evidence(&mut out, &state.evidence.counts());
        super::evidence::about_socket(&mut out, &state.keep_socket);
        super::wire_triggers::about_triggers(&mut out, &state.evidence.triggers());
    }
    if let Some(storing) = state.storing.as_ref().filter(|_| !state.config().wire.is_empty()) {
        super::wire_taps::about_storing(&mut out, storing);
    }
    super::links::about_links(&mut out, &state.links, state.outputs.counters());
    about_config(&mut out, &state.current.snapshot());
    about_web(&mut out, &state.web, state.live.listeners());
    about_probes(&mut out, newest);
    Ok(([(header::CONTENT_TYPE, CONTENT_TYPE)], out.into_bytes()).into_response())
}

fn newest(db: &Db, now: Wall, stop: &dyn Fn() -> bool) -> Result<Vec<Sample>, EvalError> {
    let own = own_series();
    let query =
        whyslow_promql::parse(&own).map_err(|e| EvalError::BadQuery(format!("{own}: {e}")))?;
    let lookback_ms = i64::try_from(AGE_MAX.as_millis()).unwrap_or(i64::MAX);
    let standard = EvalOptions { seed: db.seed(), ..EvalOptions::default() };
    let options = EvalOptions { lookback_ms, stop: Some(stop), ..standard };
    let mut samples = match query.instant(&db.reader(), now.as_millis(), &options)?.value {
        InstantValue::Vector(samples) => samples,
        InstantValue::Scalar(_) | InstantValue::Matrix(_) | InstantValue::Text(_) => Vec::new(),
    };
    samples.sort_by(|a, b| a.labels.cmp(&b.labels));
    samples.sort_by(|a, b| a.labels.metric().cmp(&b.labels.metric()));
    Ok(samples)
}

/// Selects the series of our own checks. What a Prometheus scraped here and wrote back carries
/// `job` and `instance`; to show that again would make it grow with every round.
fn own_series() -> String {
    let names: Vec<&str> = probe_metrics::ALL.iter().map(|m| m.name).collect();
    format!(r#"{{__name__=~"{}",job="",instance=""}}"#, names.join("|"))
}

fn about_process(out: &mut Exposition, state: &AppState) {
    let version = env!("CARGO_PKG_VERSION");
    out.family("whyslow_self_build_info", Kind::Gauge, "Which whyslow this is; always 1.");
    out.sample("whyslow_self_build_info", [("version", version)], 1.0);
    let started = Duration::from_nanos(state.started.as_nanos().unsigned_abs()).as_secs_f64();
    let help = "When the process started, seconds since 1970.";
    out.single("process_start_time_seconds", Kind::Gauge, help, started);
    let Ok(used) = whyslow_sys::process::usage() else { return };
    let help = "Processor time used, ours and the kernel's for us.";
    out.single("process_cpu_seconds_total", Kind::Counter, help, used.cpu.as_secs_f64());
    let help = "Memory in use.";
    out.single("process_resident_memory_bytes", Kind::Gauge, help, float(used.resident_bytes));
    out.single("process_open_fds", Kind::Gauge, "Open file descriptors.", float(used.open_files));
}

fn about_store(out: &mut Exposition, store: &StoreCounters) {
    let (counter, gauge) = (Kind::Counter, Kind::Gauge);
    out.single("whyslow_self_store_series", gauge, "Series known.", float(store.series));
    let name = "whyslow_self_store_samples_total";
    out.family(name, counter, "What became of samples that came in.");
    let s = &store.samples;
    for (result, n) in [
        ("appended", s.appended),
        ("duplicate", s.duplicates),
        ("conflict", s.conflicts),
        ("too_old", s.too_old),
        ("too_new", s.too_new),
        ("series_limit", s.series_limit),
        ("bad_labels", s.labels),
    ] {
        out.sample(name, [("result", result)], float(n));
    }
    let help = "Samples appended though older than their series' newest.";
    out.single("whyslow_self_store_late_samples_total", counter, help, float(s.late));
    let name = "whyslow_self_store_observations_total";
    out.family(name, counter, "What became of observations that came in.");
    out.sample(name, [("result", "new")], float(store.observations));
    out.sample(name, [("result", "refused")], float(store.observations_refused));
    let name = "whyslow_self_store_edge_total";
    out.family(name, counter, "What became of windows, slow requests and notices of the edge.");
    for (result, n) in [
        ("row", store.edge.rows),
        ("slow", store.edge.slow),
        ("notice", store.edge.notices),
        ("refused", store.edge.refused),
    ] {
        out.sample(name, [("result", result)], float(n));
    }
    let help = "Appends that wait to be written.";
    out.single("whyslow_self_store_queue", gauge, help, float(store.queue));
    out.single("whyslow_self_store_commits_total", counter, "Commits.", float(store.commits));
    let help = "Time spent on commits.";
    out.single("whyslow_self_store_commit_seconds_total", counter, help, store.commit_seconds);
    let help = "Appends that failed.";
    out.single(
        "whyslow_self_store_failed_appends_total",
        counter,
        help,
        float(store.failed_appends),
    );
    let help = "Times that chunks or roll-ups could not be written, or files not removed.";
    let failed = float(store.failed_housekeeping);
    out.single("whyslow_self_store_failed_housekeeping_total", counter, help, failed);
    let help = "Files removed because all they held was too old.";
    let removed = float(store.files_removed);
    out.single("whyslow_self_store_files_removed_total", counter, help, removed);
    let help = "Bytes of the data directory, as of a minute ago.";
    out.single("whyslow_self_store_disk_bytes", gauge, help, float(store.bytes_on_disk));
    let help = "1 while the disk is full and nothing new is stored.";
    out.single("whyslow_self_store_full", gauge, help, f64::from(u8::from(store.full)));
}

fn about_prober(out: &mut Exposition, p: &ProberCounters) {
    let (counter, gauge) = (Kind::Counter, Kind::Gauge);
    out.single("whyslow_self_prober_checks", gauge, "Checks on the list.", float(p.checks));
    out.single("whyslow_self_prober_runs", gauge, "Runs under way.", float(p.in_flight));
    let help = "Checks that are due and wait for other runs to end.";
    out.single("whyslow_self_prober_waiting", gauge, help, float(p.waiting));
    let s = &p.schedule;
    let help = "Runs started.";
    out.single("whyslow_self_prober_started_total", counter, help, float(s.started));
    let name = "whyslow_self_prober_skipped_total";
    out.family(name, counter, "Due times at which no run began, by reason.");
    for (reason, n) in [
        ("overlap", s.skipped_overlap),
        ("target_rate", s.skipped_rate),
        ("busy", s.skipped_busy),
        ("missed", s.missed),
    ] {
        out.sample(name, [("reason", reason)], float(n));
    }
    let help = "Checks refused because there were as many as may be.";
    out.single("whyslow_self_prober_checks_refused_total", counter, help, float(s.refused));
    let help = "Steps of the wall clock.";
    out.single("whyslow_self_prober_clock_steps_total", counter, help, float(s.clock_steps));
    let help = "Runs that this machine held up, so that they say little of their target.";
    out.single("whyslow_self_prober_starved_total", counter, help, float(p.starved));
    let help = "Runs whose result could not be stored.";
    out.single("whyslow_self_prober_unstored_total", counter, help, float(p.unstored));
    let help = "Runs, and the whole role, that ended in a mistake of whyslow's own.";
    let panics = float(p.panicked + p.restarts);
    out.single("whyslow_self_prober_panics_total", counter, help, panics);
    let name = "whyslow_self_prober_lateness_seconds";
    let help = "How late runs began.";
    out.histogram(name, help, &LATENESS_BOUNDS_S, &p.lateness, p.lateness_sum_s);
}

fn about_config(out: &mut Exposition, snapshot: &Snapshot) {
    let help = "1 where the last attempt to read the configuration succeeded.";
    let good = f64::from(u8::from(snapshot.refused.is_none()));
    out.single("whyslow_self_config_last_reload_successful", Kind::Gauge, help, good);
    let help = "When the configuration in force came into force, seconds since 1970.";
    let since = Duration::from_nanos(snapshot.since.as_nanos().unsigned_abs()).as_secs_f64();
    out.single("whyslow_self_config_in_force_since_seconds", Kind::Gauge, help, since);
    let help = "Attempts to replace the configuration that were refused.";
    let refusals = float(snapshot.refusals);
    out.single("whyslow_self_config_refusals_total", Kind::Counter, help, refusals);
}

fn about_web(out: &mut Exposition, web: &WebCounts, followers: usize) {
    let name = "whyslow_self_web_answers_total";
    out.family(name, Kind::Counter, "Requests answered, by status.");
    for (class, n) in web.classes() {
        out.sample(name, [("code", class)], float(n));
    }
    let name = "whyslow_self_web_mishaps_total";
    out.family(name, Kind::Counter, "Requests refused at the door, or that went wrong inside.");
    for (mishap, word) in Mishap::ALL {
        out.sample(name, [("what", word)], float(web.of(mishap)));
    }
    let help = "Requests under way.";
    out.single("whyslow_self_web_requests", Kind::Gauge, help, float(web.under_way()));
    let help = "Pages that follow live.";
    out.single("whyslow_self_web_followers", Kind::Gauge, help, float(followers as u64));
}

/// Samples come sorted by name, so each family is begun once.
fn about_probes(out: &mut Exposition, newest: Vec<Sample>) {
    let mut family = String::new();
    for sample in newest {
        let name = sample.labels.metric().unwrap_or_default();
        if name != family {
            family = name.to_owned();
            let known = probe_metrics::ALL.iter().find(|m| m.name == name);
            out.family(name, Kind::Gauge, known.map_or("", |m| m.help));
        }
        out.series(&sample.labels, sample.value);
    }
}
