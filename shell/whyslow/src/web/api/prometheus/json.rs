//! The Prometheus API's JSON, written straight into bytes, in pieces as the client reads them.

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::stream;
use http::{HeaderValue, header};
use whyslow_model::labels::Labels;

use super::numbers::{push_time, push_value};

/// About this many bytes are written before the client must take them.
const PIECE_BYTES: usize = 64 << 10;

/// `{"status":"success","data":{"resultType":…,"result":[…]}}`, item by item.
pub fn result<I, T>(
    result_type: &str,
    items: I,
    warnings: &[String],
    push: impl FnMut(&mut Vec<u8>, T) + Send + 'static,
) -> Response
where
    I: IntoIterator<Item = T>,
    I::IntoIter: Send + 'static,
{
    let head = format!(r#"{{"status":"success","data":{{"resultType":"{result_type}","result":["#);
    in_pieces(head, items.into_iter(), push, "]}", warnings)
}

/// `{"status":"success","data":[…]}`, item by item.
pub fn list<I, T>(
    items: I,
    warnings: &[String],
    push: impl FnMut(&mut Vec<u8>, T) + Send + 'static,
) -> Response
where
    I: IntoIterator<Item = T>,
    I::IntoIter: Send + 'static,
{
    let head = r#"{"status":"success","data":["#.to_owned();
    in_pieces(head, items.into_iter(), push, "]", warnings)
}

/// `{"status":"success","data":…}` with a ready value.
pub fn data(value: &serde_json::Value) -> Response {
    as_json(Body::from(format!(r#"{{"status":"success","data":{value}}}"#)))
}

/// A scalar or string result, which is one point and no list.
pub fn single(
    result_type: &str,
    at_ms: i64,
    warnings: &[String],
    push: impl FnOnce(&mut Vec<u8>),
) -> Response {
    let head = format!(r#"{{"status":"success","data":{{"resultType":"{result_type}","result":["#);
    let mut out = head.into_bytes();
    push_time(&mut out, at_ms);
    out.push(b',');
    push(&mut out);
    out.extend_from_slice(b"]}");
    out.extend_from_slice(end(warnings).as_bytes());
    as_json(Body::from(out))
}

/// `{"metric":{…},"value":[time,"value"]}`
pub fn push_vector_item(out: &mut Vec<u8>, labels: &Labels, at_ms: i64, value: f64) {
    out.extend_from_slice(br#"{"metric":"#);
    push_labels(out, labels);
    out.extend_from_slice(br#","value":"#);
    push_point(out, at_ms, value);
    out.push(b'}');
}

/// `{"metric":{…},"values":[[time,"value"],…]}`
pub fn push_matrix_item(
    out: &mut Vec<u8>,
    labels: &Labels,
    points: impl Iterator<Item = (i64, f64)>,
) {
    out.extend_from_slice(br#"{"metric":"#);
    push_labels(out, labels);
    out.extend_from_slice(br#","values":["#);
    for (i, (at_ms, value)) in points.enumerate() {
        if i > 0 {
            out.push(b',');
        }
        push_point(out, at_ms, value);
    }
    out.extend_from_slice(b"]}");
}

/// `{"name":"value",…}`
pub fn push_labels(out: &mut Vec<u8>, labels: &Labels) {
    out.push(b'{');
    for (i, (name, value)) in labels.iter().enumerate() {
        if i > 0 {
            out.push(b',');
        }
        push_text(out, name);
        out.push(b':');
        push_text(out, value);
    }
    out.push(b'}');
}

/// A JSON string.
pub fn push_text(out: &mut Vec<u8>, text: &str) {
    let plain = text.bytes().all(|b| b >= 0x20 && b != b'"' && b != b'\\');
    if plain {
        out.push(b'"');
        out.extend_from_slice(text.as_bytes());
        out.push(b'"');
        return;
    }
    out.extend_from_slice(serde_json::Value::from(text).to_string().as_bytes());
}

/// A value as Prometheus quotes it.
pub fn push_quoted_value(out: &mut Vec<u8>, value: f64) {
    out.push(b'"');
    push_value(out, value);
    out.push(b'"');
}

fn push_point(out: &mut Vec<u8>, at_ms: i64, value: f64) {
    out.push(b'[');
    push_time(out, at_ms);
    out.push(b',');
    push_quoted_value(out, value);
    out.push(b']');
}

fn in_pieces<T>(
    head: String,
    items: impl Iterator<Item = T> + Send + 'static,
    push: impl FnMut(&mut Vec<u8>, T) + Send + 'static,
    close: &str,
    warnings: &[String],
) -> Response {
    let tail = format!("{close}{}", end(warnings)).into_bytes();
    pieces("application/json", head.into_bytes(), items, b",", push, tail)
}

/// Items one by one between a head and a tail, with `between` between them, in pieces.
pub fn pieces<T>(
    kind: &'static str,
    head: Vec<u8>,
    mut items: impl Iterator<Item = T> + Send + 'static,
    between: &'static [u8],
    mut push: impl FnMut(&mut Vec<u8>, T) + Send + 'static,
    tail: Vec<u8>,
) -> Response {
    let mut first = Some(head);
    let mut done = false;
    let mut started = false;
    let mut next_piece = move || {
        if done {
            return None;
        }
        let mut piece = first.take().unwrap_or_default();
        while piece.len() < PIECE_BYTES {
            let Some(item) = items.next() else {
                piece.extend_from_slice(&tail);
                done = true;
                break;
            };
            if started {
                piece.extend_from_slice(between);
            }
            started = true;
            push(&mut piece, item);
        }
        Some(Bytes::from(piece))
    };
    let Some(one) = next_piece() else { return as_kind(kind, Body::empty()) };
    // A small answer is one piece with a known length.
    match next_piece() {
        None => as_kind(kind, Body::from(one)),
        Some(two) => {
            let pieces = [one, two].into_iter().chain(std::iter::from_fn(next_piece));
            as_kind(kind, Body::from_stream(stream::iter(pieces.map(Ok::<_, std::io::Error>))))
        }
    }
}

/// What comes after the data: warnings, if any, and the last brace.
fn end(warnings: &[String]) -> String {
    if warnings.is_empty() {
        return "}".to_owned();
    }
    format!(r#","warnings":{}}}"#, serde_json::json!(warnings))
}

fn as_json(body: Body) -> Response {
    as_kind("application/json", body)
}

fn as_kind(kind: &'static str, body: Body) -> Response {
    ([(header::CONTENT_TYPE, HeaderValue::from_static(kind))], body).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn text(response: Response) -> String {
        let bytes = axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap();
        String::from_utf8(bytes.into()).unwrap()
    }

    #[tokio::test]
    async fn a_vector_looks_as_prometheus_sends_it() {
        let labels = Labels::from_pairs([("__name__", "up"), ("job", "a\"b")]);
        let answer = result("vector", [(labels, 1500, 0.5)], &[], |out, (l, t, v)| {
            push_vector_item(out, &l, t, v);
        });
        assert_eq!(
            text(answer).await,
            r#"{"status":"success","data":{"resultType":"vector","result":[{"metric":{"__name__":"up","job":"a\"b"},"value":[1.500,"0.5"]}]}}"#
        );
    }

    #[tokio::test]
    async fn nothing_found_is_an_empty_list() {
        let none: [(); 0] = [];
        let answer = result("matrix", none, &["w".to_owned()], |_, ()| {});
        assert_eq!(
            text(answer).await,
            r#"{"status":"success","data":{"resultType":"matrix","result":[]},"warnings":["w"]}"#
        );
    }

    #[tokio::test]
    async fn a_large_answer_comes_in_pieces_that_fit_together() {
        let many = (0..20_000i64).map(|i| format!("value {i}\u{1}"));
        let whole = text(list(many, &[], |out, v| push_text(out, &v))).await;
        let read: serde_json::Value = serde_json::from_str(&whole).unwrap();
        assert_eq!(read["data"].as_array().unwrap().len(), 20_000);
        assert_eq!(read["data"][19_999], "value 19999\u{1}");
    }

    #[tokio::test]
    async fn a_scalar_is_one_point() {
        let answer = single("scalar", 2000, &[], |out| push_quoted_value(out, f64::INFINITY));
        assert_eq!(
            text(answer).await,
            r#"{"status":"success","data":{"resultType":"scalar","result":[2,"+Inf"]}}"#
        );
    }
}
