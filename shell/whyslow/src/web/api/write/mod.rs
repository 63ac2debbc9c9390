//! `POST /api/v1/write`: Prometheus remote write 1.0.
//!
//! Good samples are kept and bad ones counted; the answer comes after the commit. As the
//! specification asks, 4xx means "do not send this again" and 5xx "try later".

pub mod names;

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::{HeaderMap, StatusCode, header};
use tokio::sync::Semaphore;
use whyslow_model::limits::{REMOTE_WRITE_BYTES_MAX, REMOTE_WRITES_AT_ONCE_MAX};
use whyslow_model::reader::Reader;
use whyslow_store::remote_write::{Item, Series, next_item, read_labels};
use whyslow_store::{Columns, Tally};

use self::names::BadLabels;
use crate::storage::Batch;
use crate::web::api::families::Families;
use crate::web::problem::Problem;
use crate::web::state::{AppState, storage_problem};

static TURNS: Semaphore = Semaphore::const_new(REMOTE_WRITES_AT_ONCE_MAX);

/// Stores the samples of one request.
///
/// # Errors
/// [`Problem`]: 400 where some samples or the bytes are bad, 413 and 415 for a body we do not
/// take, 503 where the store cannot take more now.
pub async fn write(
    State(state): State<Arc<AppState>>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Problem> {
    check_content(&headers)?;
    let _turn = TURNS.acquire().await.map_err(|_| Problem::unavailable("whyslow is ending"))?;
    let reader = Arc::clone(&state);
    let unpacked = tokio::task::spawn_blocking(move || unpack(&body, &reader.families));
    let received =
        unpacked.await.map_err(|_| Problem::internal("the body could not be read"))??;
    let Received { columns, mut refused } = received;
    if !columns.is_empty() {
        let batch = Batch { columns, ..Batch::default() };
        let appended = state.db.append(batch).await.map_err(|e| storage_problem(&e))?;
        count_refused(&appended.samples, &mut refused);
    }
    if refused.is_empty() {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    let listed: Vec<String> = refused.iter().map(|(why, n)| format!("{n} × {why}")).collect();
    let text = format!("samples refused: {}", listed.join(", "));
    Err(Problem::bad_data(text).hint("all other samples of the request are stored"))
}

/// The samples of a request, and how many were refused for which reason.
#[derive(Debug, Default)]
struct Received {
    columns: Columns,
    refused: BTreeMap<&'static str, u64>,
}

/// Versions and encodings other than those of 1.0 are refused by their name.
fn check_content(headers: &HeaderMap) -> Result<(), Problem> {
    let text = |name| headers.get(name).and_then(|v| v.to_str().ok()).unwrap_or("").trim();
    let refused = |what: String| {
        Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "bad_data", what)
            .hint("send remote write 1.0: application/x-protobuf, snappy")
    };
    let encoding = text(header::CONTENT_ENCODING);
    if !encoding.is_empty() && !encoding.eq_ignore_ascii_case("snappy") {
        return Err(refused(format!("content encoding {encoding:?} is not taken here")));
    }
    let kind = text(header::CONTENT_TYPE).to_ascii_lowercase();
    let is_protobuf = kind.is_empty() || kind.starts_with("application/x-protobuf");
    if !is_protobuf || kind.contains("io.prometheus.write.v2") {
        return Err(refused(format!("content type {kind:?} is not taken here")));
    }
    Ok(())
}

fn unpack(body: &[u8], families: &Families) -> Result<Received, Problem> {
    let bytes = decompress(body)?;
    let mut received = Received::default();
    let mut request = Reader::new(&bytes);
    let mut series = Series::default();
    let broken = |e| Problem::bad_data(format!("the body is no write request: {e}"));
    while let Some(item) = next_item(&mut request, &mut series).map_err(broken)? {
        match item {
            Item::Series => take_series(&series, &mut received),
            Item::Family(family) => families.learn(&family),
        }
    }
    Ok(received)
}

/// Checks the length that the body claims before making room for it.
fn decompress(body: &[u8]) -> Result<Vec<u8>, Problem> {
    let broken = |e| Problem::bad_data(format!("the body is no snappy block: {e}"));
    let claimed = snap::raw::decompress_len(body).map_err(broken)?;
    if claimed > REMOTE_WRITE_BYTES_MAX {
        let limit = REMOTE_WRITE_BYTES_MAX >> 20;
        let text = format!("the body unpacks to more than {limit} MiB");
        return Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "bad_data", text));
    }
    snap::raw::Decoder::new().decompress_vec(body).map_err(broken)
}

fn take_series(series: &Series, received: &mut Received) {
    if series.histograms > 0 {
        *received.refused.entry("native histogram").or_default() += series.histograms;
    }
    let mut labels = Vec::with_capacity(16);
    let checked = read_labels(&series.label_bytes, &mut labels)
        .map_err(|_| BadLabels::NotUtf8)
        .and_then(|()| names::check(&mut labels));
    if let Err(why) = checked {
        let samples = series.samples.len() as u64;
        *received.refused.entry(why.as_str()).or_default() += samples.max(1);
        return;
    }
    received.columns.series(labels);
    for (at_ms, value) in &series.samples {
        received.columns.point(*at_ms, *value);
    }
}

fn count_refused(tally: &Tally, refused: &mut BTreeMap<&'static str, u64>) {
    for (why, n) in [
        ("another value at the same time", tally.conflicts),
        ("out of order beyond the window", tally.too_old),
        ("ahead of the clock", tally.too_new),
        ("more series than the store holds", tally.series_limit),
        ("labels out of bounds", tally.labels),
    ] {
        if n > 0 {
            *refused.entry(why).or_default() += n;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::remote_write::body::{Body, compressed};

    /// Labels, and samples with their times.
    type Sent<'a> = (&'a [(&'a str, &'a str)], &'a [(i64, f64)]);

    fn body(series: &[Sent<'_>]) -> Vec<u8> {
        let mut body = Body::default();
        for (labels, samples) in series {
            body.series(labels.iter().copied());
            samples.iter().for_each(|(at_ms, value)| body.sample(*at_ms, *value));
        }
        body.to_bytes()
    }

    #[test]
    fn good_series_are_taken_and_bad_ones_counted_by_reason() {
        let bytes = body(&[
            (&[("__name__", "up"), ("job", "a")], &[(1, 1.0), (2, 0.0)]),
            (&[("job", "nameless")], &[(1, 1.0), (2, 1.0)]),
            (&[("__name__", "0up")], &[(1, 1.0)]),
        ]);
        let received = unpack(&bytes, &Families::default()).unwrap();
        assert_eq!(received.columns.len(), 2);
        let refused: Vec<_> = received.refused.into_iter().collect();
        assert_eq!(refused, [("invalid metric name", 1), ("no metric name", 2)]);
    }

    #[test]
    fn a_body_that_claims_too_much_is_refused_before_room_is_made() {
        // The length 2^32 - 1 in snappy's preamble, and nothing behind it.
        let problem = unpack(&[0xff, 0xff, 0xff, 0xff, 0x0f], &Families::default()).unwrap_err();
        assert_eq!(problem.status, StatusCode::PAYLOAD_TOO_LARGE);
        let zeros = vec![0; REMOTE_WRITE_BYTES_MAX + 1];
        let bomb = compressed(&zeros);
        let problem = unpack(&bomb, &Families::default()).unwrap_err();
        assert_eq!(problem.status, StatusCode::PAYLOAD_TOO_LARGE);
    }

    #[test]
    fn bytes_that_are_no_request_are_the_senders_mistake() {
        let garbage = compressed(b"\x0a\xffnonsense");
        for bytes in [&b""[..], b"not snappy at all", &garbage] {
            let problem = unpack(bytes, &Families::default()).unwrap_err();
            assert_eq!(problem.status, StatusCode::BAD_REQUEST, "{bytes:?}");
        }
    }

    #[test]
    fn only_version_one_with_snappy_is_taken() {
        let with = |name: &'static str, value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(name, value.parse().unwrap());
            check_content(&headers).map_err(|p| p.status.as_u16())
        };
        assert_eq!(with("content-type", "application/x-protobuf"), Ok(()));
        assert_eq!(with("content-encoding", "snappy"), Ok(()));
        assert_eq!(with("content-encoding", "zstd"), Err(415));
        let v2 = "application/x-protobuf;proto=io.prometheus.write.v2.Request";
        assert_eq!(with("content-type", v2), Err(415));
        assert_eq!(with("content-type", "application/json"), Err(415));
    }
}
