//! Stored samples to others by remote write 1.0.
//!
//! A request that the receiver cannot take now (5xx, 429, no answer) is sent again until it can;
//! one that it refuses for good is counted, with what it said.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::header::{self, HeaderName};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};
use whyslow_model::limits::REMOTE_WRITE_SAMPLES_MAX;
use whyslow_model::matcher::Matcher;

use super::post::Post;
use super::queue::{Piece, Queue};
use super::{Backoff, FAREWELL};
use crate::remote_write::body::Body;
use crate::storage::Columns;

/// How long a sample may wait for others before it is sent.
const GATHER: Duration = Duration::from_secs(1);

/// One receiver.
#[derive(Debug)]
pub(super) struct WriteOut {
    pub(super) queue: Arc<Queue>,
    /// A series is sent that satisfies any of them; every series where there is none.
    select: Vec<Vec<Matcher>>,
    gathered: Mutex<Body>,
}

impl WriteOut {
    pub(super) fn new(queue: Arc<Queue>, select: Vec<Vec<Matcher>>) -> Self {
        Self { queue, select, gathered: Mutex::default() }
    }

    /// Takes what was stored.
    pub(super) fn take(&self, columns: &Columns) {
        let mut body = self.gathered.lock().unwrap_or_else(PoisonError::into_inner);
        for entry in columns.entries() {
            if !self.wants(&entry.labels()) {
                continue;
            }
            body.series(entry.labels());
            for (at_ms, value) in entry.times_ms.iter().zip(entry.values) {
                body.sample(*at_ms, *value);
                if body.samples() >= REMOTE_WRITE_SAMPLES_MAX {
                    self.seal(&mut body);
                    body.series(entry.labels());
                }
            }
        }
    }

    fn wants<'a>(&self, labels: &(impl Iterator<Item = (&'a str, &'a str)> + Clone)) -> bool {
        let value = |name: &str| labels.clone().find(|(n, _)| *n == name).map_or("", |(_, v)| v);
        let fits = |all: &Vec<Matcher>| all.iter().all(|m| m.matches(value(&m.name)));
        self.select.is_empty() || self.select.iter().any(fits)
    }

    /// Lets what was gathered go.
    fn seal(&self, body: &mut Body) {
        let samples = body.samples() as u64;
        if samples > 0 {
            let bytes = Bytes::from(std::mem::take(body).to_bytes());
            self.queue.push(Piece { bytes, items: samples });
        }
    }

    fn seal_gathered(&self) {
        self.seal(&mut self.gathered.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

/// Sends what the queue holds until told to stop, and then for a moment more.
pub(super) async fn send(
    out: Arc<WriteOut>,
    mut post: Post,
    name: String,
    token: Option<String>,
    mut stopping: watch::Receiver<bool>,
) {
    let headers = headers(token.as_deref());
    let mut until = None;
    loop {
        if until.is_none() && *stopping.borrow() {
            until = Some(Instant::now() + FAREWELL);
            out.seal_gathered();
        }
        if let Some((number, piece)) = out.queue.first() {
            if !deliver(&out.queue, &mut post, &headers, &piece, &name, &mut stopping).await {
                return;
            }
            out.queue.done(number);
            if until.is_some_and(|until| Instant::now() > until) {
                return;
            }
            continue;
        }
        if until.is_some() {
            return;
        }
        tokio::select! {
            _ = stopping.wait_for(|stop| *stop) => {}
            () = out.queue.wake.notified() => {}
            () = sleep(GATHER) => out.seal_gathered(),
        }
    }
}

/// Sends one request until it is taken or refused for good; false where the end came first.
async fn deliver(
    queue: &Queue,
    post: &mut Post,
    headers: &[(HeaderName, String)],
    piece: &Piece,
    name: &str,
    stopping: &mut watch::Receiver<bool>,
) -> bool {
    let mut backoff = Backoff::default();
    loop {
        let sending = post.send(headers, piece.bytes.clone());
        let answer = if *stopping.borrow() {
            timeout(FAREWELL, sending).await.unwrap_or_else(|_| Err("the end came".to_owned()))
        } else {
            sending.await
        };
        let (why, wanted) = match answer {
            Ok(answer) if answer.status / 100 == 2 => {
                queue.sent.sent.add(piece.items);
                queue.sent.up.set(1);
                return true;
            }
            Ok(answer) if answer.status / 100 == 5 || answer.status == 429 => {
                (format!("status {}: {}", answer.status, answer.text), answer.retry_after)
            }
            Ok(answer) => {
                queue.sent.refused.add(piece.items);
                let (status, said) = (answer.status, answer.text);
                tracing::warn!(receiver = name, status, said, "samples were refused for good");
                return true;
            }
            Err(error) => (error, None),
        };
        queue.sent.failures.add(1);
        queue.sent.up.set(0);
        let pause = backoff.next().max(wanted.unwrap_or_default().min(Duration::from_mins(5)));
        let pause_s = pause.as_secs();
        tracing::warn!(receiver = name, error = why, pause_s, "samples wait to be sent");
        if *stopping.borrow() {
            return false;
        }
        tokio::select! {
            _ = stopping.wait_for(|stop| *stop) => {}
            () = sleep(pause) => {}
        }
    }
}

fn headers(token: Option<&str>) -> Vec<(HeaderName, String)> {
    let mut headers = vec![
        (header::CONTENT_TYPE, "application/x-protobuf".to_owned()),
        (header::CONTENT_ENCODING, "snappy".to_owned()),
        (HeaderName::from_static("x-prometheus-remote-write-version"), "0.1.0".to_owned()),
        (header::USER_AGENT, concat!("whyslow/", env!("CARGO_PKG_VERSION")).to_owned()),
    ];
    if let Some(token) = token {
        headers.push((header::AUTHORIZATION, format!("Bearer {token}")));
    }
    headers
}

#[cfg(test)]
mod tests {
    use super::*;

    fn columns(names: &[&str]) -> Columns {
        let mut columns = Columns::default();
        for name in names {
            columns.series([("__name__", *name)]);
            columns.point(1, 1.0);
        }
        columns
    }

    #[test]
    fn only_what_is_selected_is_sent() {
        let select = whyslow_promql::parse_selector("{__name__=~\"edge_.*\"}").unwrap();
        let out = WriteOut::new(Arc::new(Queue::new(1 << 20)), vec![select]);
        out.take(&columns(&["edge_a", "up", "edge_b"]));
        assert_eq!(out.gathered.lock().unwrap().samples(), 2);
        let all = WriteOut::new(Arc::new(Queue::new(1 << 20)), Vec::new());
        all.take(&columns(&["edge_a", "up"]));
        assert_eq!(all.gathered.lock().unwrap().samples(), 2);
    }

    #[test]
    fn a_request_holds_no_more_than_its_limit() {
        let out = WriteOut::new(Arc::new(Queue::new(1 << 20)), Vec::new());
        let mut many = Columns::default();
        many.series([("__name__", "a")]);
        (0..REMOTE_WRITE_SAMPLES_MAX as i64 + 3).for_each(|i| many.point(i, 0.0));
        out.take(&many);
        assert_eq!(out.queue.first().unwrap().1.items, REMOTE_WRITE_SAMPLES_MAX as u64);
        assert_eq!(out.gathered.lock().unwrap().samples(), 3);
    }
}
