//! Series as an answer: fewer points where fewer are wanted, in JSON, CSV or Graphite's raw lines.

use axum::response::Response;
use whyslow_graphite::Series;

use crate::web::api::prometheus::json::{pieces, push_text};
use crate::web::api::prometheus::numbers::push_value;

/// How series are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Json,
    Csv,
    Raw,
}

impl Format {
    pub(super) fn of(name: &str) -> Option<Self> {
        match name {
            "json" => Some(Self::Json),
            "csv" => Some(Self::Csv),
            "raw" => Some(Self::Raw),
            _ => None,
        }
    }

    /// All series, piece by piece.
    pub(super) fn answer(self, series: Vec<Series>, without_gaps: bool) -> Response {
        let all = series.into_iter();
        match self {
            Self::Json => {
                let push = move |out: &mut Vec<u8>, s: Series| push_json(out, &s, without_gaps);
                pieces("application/json", b"[".to_vec(), all, b",", push, b"]".to_vec())
            }
            Self::Csv => {
                let push = |out: &mut Vec<u8>, s: Series| push_csv(out, &s);
                pieces("text/csv; charset=utf-8", Vec::new(), all, b"", push, Vec::new())
            }
            Self::Raw => {
                let push = |out: &mut Vec<u8>, s: Series| push_raw(out, &s);
                pieces("text/plain; charset=utf-8", Vec::new(), all, b"", push, Vec::new())
            }
        }
    }
}

/// Brings each series down to `most` points. Bands begin at whole multiples of their length, so
/// that they hold the same values each time a page is drawn anew.
pub(super) fn consolidate(series: &mut [Series], most: usize) {
    let start_s = series.iter().map(|s| s.start_s).min().unwrap_or(0);
    let end_s = series.iter().map(Series::end_s).max().unwrap_or(0);
    for one in series {
        if most == 1 {
            let all = one.values.len();
            *one = one.clone().coarser(all);
            continue;
        }
        let span_s = end_s - start_s;
        let room = i64::try_from(most).unwrap_or(i64::MAX);
        if span_s / one.step_s <= room && span_s <= room.saturating_mul(one.step_s) {
            continue;
        }
        let band_s = one.step_s.saturating_mul(room);
        let n = span_s / band_s + i64::from(span_s % band_s != 0);
        let seconds = n * one.step_s;
        let nudge = seconds + one.start_s.rem_euclid(one.step_s) - one.start_s.rem_euclid(seconds);
        let lost = usize::try_from(nudge / one.step_s - 1).unwrap_or(0).min(one.values.len());
        one.values.drain(..lost);
        one.start_s += nudge;
        *one = one.clone().coarser(usize::try_from(n).unwrap_or(1));
    }
}

fn points(series: &Series) -> impl Iterator<Item = (f64, i64)> {
    let times = (0i64..).map(|i| series.start_s + i * series.step_s);
    series.values.iter().copied().zip(times)
}

/// `{"target":…,"tags":{…},"datapoints":[[value,time],…]}`
fn push_json(out: &mut Vec<u8>, series: &Series, without_gaps: bool) {
    out.extend_from_slice(br#"{"target":"#);
    push_text(out, &series.name);
    out.extend_from_slice(br#","tags":{"#);
    for (i, (tag, value)) in series.tags.iter().enumerate() {
        if i > 0 {
            out.push(b',');
        }
        push_text(out, tag);
        out.push(b':');
        push_text(out, value);
    }
    out.extend_from_slice(br#"},"datapoints":["#);
    let mut first = true;
    for (value, at_s) in points(series).filter(|(v, _)| !without_gaps || v.is_finite()) {
        if !first {
            out.push(b',');
        }
        first = false;
        out.push(b'[');
        if value.is_finite() {
            push_value(out, value);
        } else {
            out.extend_from_slice(b"null");
        }
        out.extend_from_slice(format!(",{at_s}]").as_bytes());
    }
    out.extend_from_slice(b"]}");
}

/// `name,2026-11-21 13:00:00,value`, the value empty where there is none.
fn push_csv(out: &mut Vec<u8>, series: &Series) {
    let quoted = series.name.contains(['"', ',', '\n', '\r']);
    let name = if quoted {
        format!("\"{}\"", series.name.replace('"', "\"\""))
    } else {
        series.name.clone()
    };
    for (value, at_s) in points(series) {
        let time = jiff::Timestamp::from_second(at_s).unwrap_or_default();
        let time = time.strftime("%Y-%m-%d %H:%M:%S");
        out.extend_from_slice(format!("{name},{time},").as_bytes());
        if !value.is_nan() {
            push_value(out, value);
        }
        out.extend_from_slice(b"\r\n");
    }
}

/// `name,start,end,step|value,None,…`
fn push_raw(out: &mut Vec<u8>, series: &Series) {
    let (start_s, end_s, step_s) = (series.start_s, series.end_s(), series.step_s);
    out.extend_from_slice(format!("{},{start_s},{end_s},{step_s}|", series.name).as_bytes());
    for (i, value) in series.values.iter().enumerate() {
        if i > 0 {
            out.push(b',');
        }
        if value.is_nan() {
            out.extend_from_slice(b"None");
        } else {
            push_value(out, *value);
        }
    }
    out.push(b'\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(start_s: i64, values: &[f64]) -> Series {
        Series::of_values("a \"b\",c".into(), start_s, 10, values.to_vec())
    }

    #[test]
    fn bands_begin_at_whole_multiples_of_their_length() {
        let values: Vec<f64> = (0..10).map(f64::from).collect();
        let mut all = [series(1010, &values)];
        consolidate(&mut all, 4);
        // Bands of 30 s; 1010 is 20 s into one, so the next begins at 1020.
        assert_eq!((all[0].start_s, all[0].step_s), (1020, 30));
        assert_eq!(all[0].values, [1.0, 4.0, 7.0, 9.0]);
        let mut whole = [series(1010, &values)];
        consolidate(&mut whole, 10);
        assert_eq!(whole[0].values.len(), 10);
        let mut one = [series(1010, &values)];
        consolidate(&mut one, 1);
        assert_eq!((one[0].start_s, &one[0].values[..]), (1010, &[4.5][..]));
    }

    #[test]
    fn each_format_writes_what_is_there_and_what_is_not() {
        let s = series(60, &[1.5, f64::NAN, f64::INFINITY]);
        let text = |push: &dyn Fn(&mut Vec<u8>)| {
            let mut out = Vec::new();
            push(&mut out);
            String::from_utf8(out).unwrap()
        };
        assert_eq!(
            text(&|out| push_json(out, &s, false)),
            r#"{"target":"a \"b\",c","tags":{"name":"a \"b\",c"},"datapoints":[[1.5,60],[null,70],[null,80]]}"#
        );
        assert!(text(&|out| push_json(out, &s, true)).ends_with("[[1.5,60]]}"));
        let csv = text(&|out| push_csv(out, &s));
        assert!(csv.starts_with("\"a \"\"b\"\",c\",1970-01-01 00:01:00,1.5\r\n"), "{csv}");
        assert_eq!(text(&|out| push_raw(out, &s)), "a \"b\",c,60,90,10|1.5,None,+Inf\n");
    }
}
