//! Parameters of the Prometheus HTTP API: from the address, and from a form in the body.

use std::time::Duration;

use axum::extract::{FromRequest, Request};
use axum::response::IntoResponse;
use bytes::Bytes;
use http::{Method, header};
use whyslow_model::Wall;

use crate::web::problem::Problem;

/// All parameters in the order given; a name may come several times.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Params(Vec<(String, String)>);

impl Params {
    /// The parameters in a query string or form body.
    pub fn parse(text: &[u8]) -> Self {
        Self(url::form_urlencoded::parse(text).into_owned().collect())
    }

    /// The first value of `name`; an empty one counts as absent.
    pub fn first(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(n, _)| n == name);
        found.map(|(_, v)| v.as_str()).filter(|v| !v.is_empty())
    }

    /// Every value of `name`.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(n, _)| n == name).map(|(_, v)| v.as_str())
    }

    /// The value of a parameter that must be there.
    ///
    /// # Errors
    /// Where it is absent.
    pub fn needed(&self, name: &str) -> Result<&str, Problem> {
        self.first(name).ok_or_else(|| invalid(name, "it is missing"))
    }

    /// A time in milliseconds since the epoch, if given.
    ///
    /// # Errors
    /// Where it is neither seconds nor RFC 3339.
    pub fn time(&self, name: &str) -> Result<Option<i64>, Problem> {
        let Some(text) = self.first(name) else { return Ok(None) };
        parse_time(text)
            .map(Some)
            .ok_or_else(|| invalid(name, &format!("cannot parse {text:?} to a valid timestamp")))
    }

    /// A duration, if given: seconds, or as in `1h30m`.
    ///
    /// # Errors
    /// Where it is neither.
    pub fn duration(&self, name: &str) -> Result<Option<Duration>, Problem> {
        let Some(text) = self.first(name) else { return Ok(None) };
        parse_duration(text)
            .map(Some)
            .ok_or_else(|| invalid(name, &format!("cannot parse {text:?} to a valid duration")))
    }

    /// A count, if given.
    ///
    /// # Errors
    /// Where it is no whole number.
    pub fn count(&self, name: &str) -> Result<Option<usize>, Problem> {
        let Some(text) = self.first(name) else { return Ok(None) };
        text.parse().map(Some).map_err(|_| invalid(name, &format!("{text:?} is no whole number")))
    }
}

/// Takes the body too where it is a form, as Grafana and promtool send long queries.
impl<S: Send + Sync> FromRequest<S> for Params {
    type Rejection = axum::response::Response;

    async fn from_request(request: Request, state: &S) -> Result<Self, Self::Rejection> {
        let mut all = Self::parse(request.uri().query().unwrap_or("").as_bytes());
        if request.method() != Method::POST {
            return Ok(all);
        }
        let kind = request.headers().get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok());
        let is_form =
            kind.is_some_and(|k| k.trim_start().starts_with("application/x-www-form-urlencoded"));
        let body = Bytes::from_request(request, state)
            .await
            .map_err(|e| Problem::new(e.status(), "bad_data", e.body_text()).into_response())?;
        if is_form {
            // As in Go, what the body says comes first.
            let mut from_body = Self::parse(&body).0;
            from_body.append(&mut all.0);
            all.0 = from_body;
        }
        Ok(all)
    }
}

fn invalid(name: &str, reason: &str) -> Problem {
    Problem::bad_data(format!("invalid parameter {name:?}: {reason}"))
}

/// The ends of time as Prometheus clients spell "all of it".
const MIN_TIME: &str = "-292273086-05-16T16:47:06Z";
const MAX_TIME: &str = "292277025-08-18T07:12:54.999999999Z";

fn parse_time(text: &str) -> Option<i64> {
    if text == MIN_TIME {
        return Some(i64::MIN / 2);
    }
    if text == MAX_TIME {
        return Some(i64::MAX / 2);
    }
    if let Ok(seconds) = text.parse::<f64>() {
        let ms = (seconds * 1000.0).round();
        #[expect(clippy::cast_possible_truncation, reason = "checked to be in range")]
        return (ms.abs() < 9.2e18).then_some(ms as i64);
    }
    text.parse::<Wall>().ok().map(Wall::as_millis)
}

fn parse_duration(text: &str) -> Option<Duration> {
    if let Ok(seconds) = text.parse::<f64>() {
        return Duration::try_from_secs_f64(seconds).ok();
    }
    text.parse::<whyslow_model::Duration>().ok().map(whyslow_model::Duration::std)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_come_as_seconds_or_rfc3339() {
        for (text, ms) in [
            ("1435781430.781", Some(1_435_781_430_781)),
            ("0", Some(0)),
            ("-1.5", Some(-1500)),
            ("1e9", Some(1_000_000_000_000)),
            ("2015-07-01T20:10:30.781Z", Some(1_435_781_430_781)),
            ("2015-07-01T22:10:30.781+02:00", Some(1_435_781_430_781)),
            ("yesterday", None),
            ("NaN", None),
            ("Inf", None),
            ("1e300", None),
        ] {
            assert_eq!(parse_time(text), ms, "{text}");
        }
        assert!(parse_time(MIN_TIME) < parse_time("0") && parse_time("0") < parse_time(MAX_TIME));
    }

    #[test]
    fn a_parameter_that_makes_no_sense_is_named() {
        let params = Params::parse(b"time=x&limit=-1&query=&match[]=a&match[]=b%7Bc%3D%22d%22%7D");
        assert!(params.time("time").unwrap_err().error.contains("\"time\""));
        assert!(params.count("limit").is_err());
        assert!(params.needed("query").is_err());
        assert_eq!(params.all("match[]").collect::<Vec<_>>(), ["a", "b{c=\"d\"}"]);
    }
}
