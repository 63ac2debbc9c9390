//! `/api/v1/wire/keep` and `/api/v1/wire/evidence`: packets of the recent past, written because
//! somebody asks, and the files of all that were written.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};
use whyslow_model::limits::WIRE_ASKED_S_MAX;
use whyslow_wire::evidence::Trigger;
use whyslow_wire::evidence::spool::cause_of;

use super::exposition::{Exposition, Kind, float};
use crate::web::problem::Problem;
use crate::web::socket::Status;
use crate::web::state::AppState;
use crate::wire::evidence::{Ends, EvidenceCounts, Fate, Incident, Taken};

/// How far back packets are looked for where nobody says it.
const SECONDS_BACK: u32 = 60;

/// Whose packets are wanted.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wanted {
    /// The client: an address, with its port where that is known.
    client: String,
    /// The server; any where left out.
    #[serde(default)]
    server: Option<String>,
    /// The interface; all that are recorded where left out.
    #[serde(default)]
    interface: Option<String>,
    /// How far back.
    #[serde(default)]
    seconds_back: Option<u32>,
}

impl Wanted {
    /// What a line of JSON asks for.
    ///
    /// # Errors
    /// [`Problem`] for what is no JSON, lacks something or says more.
    pub fn of_line(line: &[u8]) -> Result<Self, Problem> {
        serde_json::from_slice(line).map_err(|error| {
            Problem::bad_data(format!("this asks for nothing: {error}"))
                .hint(r#"write a line such as {"client": "192.0.2.7:40000", "seconds_back": 60}"#)
        })
    }
}

/// `POST`: writes what the rings hold of a connection, and says which files that gave.
///
/// # Errors
/// [`Problem`] for a body that makes no sense, an interface that is not recorded, or when as many
/// were asked for in this minute as may be.
pub async fn keep(
    State(state): State<Arc<AppState>>,
    Json(wanted): Json<Wanted>,
) -> Result<Response, Problem> {
    Ok((StatusCode::CREATED, Json(keep_asked(&state, &wanted).await?)).into_response())
}

/// Writes what the rings hold of what is wanted, and says which files that gave.
///
/// # Errors
/// As [`keep`].
pub async fn keep_asked(state: &AppState, wanted: &Wanted) -> Result<Value, Problem> {
    let incident = incident(state, wanted)?;
    let evidence = Arc::clone(&state.evidence);
    let taken = tokio::task::spawn_blocking(move || evidence.take(&incident)).await;
    let taken = taken
        .map_err(|_| Problem::internal("writing the packets ended in a mistake of whyslow's own"))?
        .map_err(|error| {
            Problem::new(StatusCode::TOO_MANY_REQUESTS, "too_many", error.to_string())
                .hint("wait a minute, or raise `keep.rate` of the interface")
                .retry_after(60)
        })?;
    if taken.files.is_empty() {
        let why = if taken.problems.is_empty() {
            "no packet in the rings matches".to_owned()
        } else {
            taken.problems.join("; ")
        };
        return Err(Problem::not_found(why)
            .hint("`whyslow_self_wire_depth_seconds` tells how far back the rings reach"));
    }
    Ok(document(&taken))
}

fn document(taken: &Taken) -> Value {
    let file = |file: &crate::wire::evidence::TakenFile| {
        json!({
            "name": file.name,
            "interface": file.interface,
            "bytes": file.bytes,
            "packets": file.packets,
            "candidates": file.candidates,
        })
    };
    let files: Vec<_> = taken.files.iter().map(file).collect();
    json!({
        "schema": "whyslow.wire_kept/1",
        "files": files,
        "candidates": taken.candidates,
        "problems": taken.problems,
    })
}

fn incident(state: &AppState, wanted: &Wanted) -> Result<Incident, Problem> {
    let interfaces = state.evidence.interfaces();
    if interfaces.is_empty() {
        return Err(Problem::not_found("no interface is recorded")
            .hint("name one under `wire:` in the configuration"));
    }
    if let Some(unknown) = wanted.interface.as_ref().filter(|name| !interfaces.contains(name)) {
        return Err(Problem::bad_data(format!("{unknown:?} is not recorded"))
            .hint(format!("recorded are {}", interfaces.join(", "))));
    }
    let seconds = wanted.seconds_back.unwrap_or(SECONDS_BACK);
    if seconds == 0 || seconds > WIRE_ASKED_S_MAX {
        let what = format!("`seconds_back` is 1 to {WIRE_ASKED_S_MAX}");
        return Err(Problem::bad_data(what));
    }
    let (client, client_port) = end("client", &wanted.client)?;
    let server = wanted.server.as_deref().map(|text| end("server", text)).transpose()?;
    let at = state.now();
    Ok(Incident {
        trigger: Trigger::Asked,
        interface: wanted.interface.as_deref().map(Arc::from),
        ends: Ends {
            client: Some(client),
            client_port,
            server: server.map(|(ip, _)| ip),
            server_port: server.and_then(|(_, port)| port),
        },
        from: at.before(Duration::from_secs(u64::from(seconds))),
        to: None,
        at,
        text: format!("somebody asked for the last {seconds} s of {}", wanted.client),
        cause: None,
        quote: None,
        fate: Fate::default(),
    })
}

/// An address, and its port where there is one.
fn end(key: &str, text: &str) -> Result<(IpAddr, Option<u16>), Problem> {
    let text = text.trim();
    if let Ok(ip) = text.parse() {
        return Ok((ip, None));
    }
    let both: SocketAddr = text.parse().map_err(|_| {
        Problem::bad_data(format!("`{key}` is no address"))
            .hint("write 192.0.2.7, 192.0.2.7:40000, 2001:db8::7 or [2001:db8::7]:40000")
    })?;
    Ok((both.ip(), Some(both.port())))
}

/// `GET`: the files that are kept, oldest first.
///
/// # Errors
/// [`Problem`] where the directory cannot be read.
pub async fn list(State(state): State<Arc<AppState>>) -> Result<Response, Problem> {
    let evidence = Arc::clone(&state.evidence);
    let kept = tokio::task::spawn_blocking(move || evidence.list()).await;
    let kept = kept.map_err(|e| e.to_string()).and_then(|kept| kept.map_err(|e| e.to_string()));
    let kept = kept.map_err(|e| Problem::internal(format!("evidence cannot be listed: {e}")))?;
    let file = |file: &whyslow_wire::evidence::spool::Kept| json!({"name": file.name, "bytes": file.bytes, "cause": cause_of(&file.name)});
    let files: Vec<_> = kept.iter().map(file).collect();
    Ok(Json(json!({"schema": "whyslow.wire_evidence/1", "files": files})).into_response())
}

/// What became of incidents, in `/metrics`.
pub(super) fn about_evidence(out: &mut Exposition, counts: &EvidenceCounts) {
    let counter = Kind::Counter;
    let name = "whyslow_self_wire_evidence_kept_total";
    out.family(name, counter, "Files of packets written, by cause.");
    each_cause(&counts.kept, |cause, n| out.sample(name, [("cause", cause)], float(n)));
    let name = "whyslow_self_wire_evidence_not_kept_total";
    out.family(name, counter, "Incidents without a file, by cause and why.");
    for ((cause, why), n) in &counts.not_kept {
        out.sample(name, [("cause", &**cause), ("reason", *why)], float(*n));
    }
    let name = "whyslow_self_wire_evidence_evicted_total";
    out.family(name, counter, "Files of packets removed to make room, by cause.");
    each_cause(&counts.evicted, |cause, n| out.sample(name, [("cause", cause)], float(n)));
    let help = "Events that came faster than they could be judged.";
    let name = "whyslow_self_wire_evidence_unheard_total";
    out.single(name, counter, help, float(counts.unheard));
}

/// How the local socket fares, where there is one.
pub(super) fn about_socket(out: &mut Exposition, status: &Status) {
    let name = "whyslow_self_wire_socket_up";
    let up = f64::from(u8::from(status.problem().is_none()));
    out.single(name, Kind::Gauge, "Whether the local socket is open.", up);
    let name = "whyslow_self_wire_socket_answers_total";
    out.family(name, Kind::Counter, "Answers of the local socket, by what they said.");
    status.answers().for_each(|(result, n)| out.sample(name, [("result", result)], float(n)));
}

/// The usual causes, counted or not, and those that the configuration names.
fn each_cause(counts: &BTreeMap<Arc<str>, u64>, mut each: impl FnMut(&str, u64)) {
    let usual = Trigger::ALL.map(Trigger::as_str);
    usual.iter().for_each(|cause| each(cause, counts.get(*cause).copied().unwrap_or(0)));
    let named = counts.iter().filter(|(cause, _)| !usual.contains(&&***cause));
    named.for_each(|(cause, n)| each(cause, *n));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_is_an_address_with_or_without_its_port() {
        let of = |text| end("client", text).ok().map(|(ip, port)| (ip.to_string(), port));
        let v4 = |port| Some(("192.0.2.7".to_owned(), port));
        assert_eq!((of("192.0.2.7"), of(" 192.0.2.7:40 ")), (v4(None), v4(Some(40))));
        let v6 = |port| Some(("2001:db8::7".to_owned(), port));
        assert_eq!((of("2001:db8::7"), of("[2001:db8::7]:40")), (v6(None), v6(Some(40))));
        assert_eq!((of("shop.example"), of("192.0.2.7:"), of("")), (None, None, None));
    }
}
