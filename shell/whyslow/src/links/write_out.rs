//! Stored samples to others by remote write 1.0.
//!
//! A receiver is given the store's commits in their order, read back from there, so that nothing
//! waits in memory and a restart goes on behind what was taken. A request that the receiver cannot
//! take now (5xx, 429, no answer) is sent again until it can. One that it refuses is sent again in
//! parts, since receivers refuse the whole for one sample: what was sent before a kill, or is late.

use std::collections::VecDeque;
use std::mem;
use std::time::Duration;

use bytes::Bytes;
use http::header::{self, HeaderName};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};
use whyslow_model::Labels;
use whyslow_model::limits::{REMOTE_WRITE_SAMPLES_MAX, REMOTE_WRITE_SPLITS_MAX};
use whyslow_model::matcher::Matcher;

use super::post::Post;
use super::{Backoff, FAREWELL, SAVE_EVERY, Sending, stopped};
use crate::remote_write::body::Body;
use crate::storage::Commit;

/// How long a sample may wait for others before it is sent.
const GATHER: Duration = Duration::from_secs(1);
/// Samples read at once, of which not all need be wanted.
const READ_AT_ONCE: usize = 4 * REMOTE_WRITE_SAMPLES_MAX;

/// One receiver.
pub(super) struct WriteOut {
    pub(super) post: Post,
    pub(super) headers: Vec<(HeaderName, String)>,
    /// A series is sent that satisfies any of them; every series where there is none.
    pub(super) select: Vec<Vec<Matcher>>,
    pub(super) sending: Sending,
    pub(super) stopping: watch::Receiver<bool>,
}

/// Samples of whole commits.
#[derive(Debug, Default, PartialEq)]
struct Load {
    series: Vec<Labels>,
    points: Vec<Point>,
    /// The last commit's place, and how many samples all of them have, wanted or not.
    to: i64,
    passed: u64,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Point {
    /// The place of its commit.
    commit: i64,
    /// The place of its labels in the load.
    series: usize,
    at_ms: i64,
    value: f64,
}

/// How a request ended.
enum Posted {
    Taken,
    /// Refused for good, and whether a part of it may be taken.
    Refused {
        parts: bool,
        said: String,
    },
    /// The process ends.
    Stopped,
}

impl WriteOut {
    /// Sends what is stored until told to stop, and then for a moment more.
    pub(super) async fn run(mut self) {
        let (mut ends, mut unsent) = (self.sending.db.ends(), self.sending.db.unsent());
        let (mut place, mut saved) = (self.sending.opened.place, Instant::now());
        let mut until: Option<Instant> = None;
        loop {
            let end = ends.borrow_and_update().samples;
            if *self.stopping.borrow() {
                until = until.or_else(|| Some(Instant::now() + FAREWELL));
            }
            if until.is_some_and(|until| end <= place || Instant::now() > until) {
                break;
            }
            if end <= place {
                tokio::select! {
                    () = stopped(&mut self.stopping) => {}
                    _ = ends.changed() => tokio::select! {
                        () = stopped(&mut self.stopping) => {}
                        () = sleep(GATHER) => {}
                    },
                }
                continue;
            }
            let select = mem::take(&mut self.select);
            let read = tokio::task::spawn_blocking(move || {
                let read = unsent.samples(place, end, READ_AT_ONCE);
                (read.map(|commits| Load::of(commits, end, &select)), unsent, select)
            });
            let Ok((load, back, select)) = read.await else { return };
            (unsent, self.select) = (back, select);
            let load = match load {
                Ok(load) => load,
                Err(error) => {
                    tracing::error!(%error, "samples to be sent cannot be read");
                    sleep(GATHER).await;
                    continue;
                }
            };
            if !self.send(&load).await {
                break;
            }
            place = load.to;
            self.sending.opened.waiting.passed(load.passed);
            if place >= end || saved.elapsed() > SAVE_EVERY {
                self.sending.save(place).await;
                saved = Instant::now();
            }
        }
        self.sending.save(place).await;
    }

    /// Sends a load; false where the end came first.
    async fn send(&mut self, load: &Load) -> bool {
        for points in load.points.chunks(REMOTE_WRITE_SAMPLES_MAX) {
            let mut parts = VecDeque::from([points.to_vec()]);
            let (mut splits, mut refused) = (Splits::default(), (0, String::new()));
            while let Some(part) = parts.pop_front() {
                match self.deliver(load.body(&part)).await {
                    Posted::Taken => self.sending.sent.sent.add(part.len() as u64),
                    Posted::Stopped => return false,
                    Posted::Refused { parts: may_part, said } => {
                        let halves = if may_part { splits.halve(part) } else { Err(part) };
                        match halves {
                            // In order: a receiver takes nothing older than what it has.
                            Ok((first, second)) => {
                                parts.push_front(second);
                                parts.push_front(first);
                            }
                            Err(part) => {
                                self.sending.sent.refused.add(part.len() as u64);
                                refused = (refused.0 + part.len(), said);
                            }
                        }
                    }
                }
            }
            if refused.0 > 0 {
                let (receiver, (n, said)) = (&self.sending.name, refused);
                tracing::warn!(receiver, n, said, "samples were refused for good");
            }
        }
        true
    }

    /// Sends one request until it is taken or refused for good.
    async fn deliver(&mut self, body: Bytes) -> Posted {
        let mut backoff = Backoff::default();
        loop {
            let sending = self.post.send(&self.headers, body.clone());
            let answer = if *self.stopping.borrow() {
                timeout(FAREWELL, sending).await.unwrap_or_else(|_| Err("the end came".to_owned()))
            } else {
                sending.await
            };
            let (why, wanted) = match answer {
                Ok(answer) if answer.status / 100 == 2 => {
                    self.sending.sent.up.set(1);
                    return Posted::Taken;
                }
                Ok(answer) if answer.status / 100 == 5 || answer.status == 429 => {
                    (format!("status {}: {}", answer.status, answer.text), answer.retry_after)
                }
                Ok(answer) => {
                    let parts = matches!(answer.status, 400 | 409 | 413 | 422);
                    let said = format!("status {}: {}", answer.status, answer.text);
                    return Posted::Refused { parts, said };
                }
                Err(error) => (error, None),
            };
            self.sending.sent.failures.add(1);
            self.sending.sent.up.set(0);
            let pause = backoff.next().max(wanted.unwrap_or_default().min(Duration::from_mins(5)));
            let (receiver, pause_s) = (&self.sending.name, pause.as_secs());
            tracing::warn!(receiver, error = why, pause_s, "samples wait to be sent");
            if *self.stopping.borrow() {
                return Posted::Stopped;
            }
            tokio::select! {
                () = stopped(&mut self.stopping) => {}
                () = sleep(pause) => {}
            }
        }
    }
}

impl Load {
    /// What is wanted of the first commits, as many as fit into a request, or one that does not.
    /// Where there is no commit left, all up to `end` is.
    fn of(commits: Vec<Commit>, end: i64, select: &[Vec<Matcher>]) -> Self {
        let mut load = Self { to: end, ..Self::default() };
        for (i, commit) in commits.into_iter().enumerate() {
            let (series, points) = (load.series.len(), load.points.len());
            load.add(&commit, select);
            if load.points.len() > REMOTE_WRITE_SAMPLES_MAX && i > 0 {
                load.series.truncate(series);
                load.points.truncate(points);
                return load;
            }
            (load.to, load.passed) = (commit.place, load.passed + commit.samples.len() as u64);
        }
        load
    }

    fn add(&mut self, commit: &Commit, select: &[Vec<Matcher>]) {
        for entry in commit.samples.entries() {
            if wants(select, &entry.labels()) {
                let series = self.series.len();
                self.series.push(Labels::from_pairs(entry.labels()));
                let points = entry.times_ms.iter().zip(entry.values);
                let commit = commit.place;
                self.points.extend(points.map(|(at_ms, value)| Point {
                    commit,
                    series,
                    at_ms: *at_ms,
                    value: *value,
                }));
            }
        }
    }

    fn body(&self, points: &[Point]) -> Bytes {
        let (mut body, mut last) = (Body::default(), None);
        for point in points {
            if last.replace(point.series) != Some(point.series) {
                body.series(self.series[point.series].iter());
            }
            body.sample(point.at_ms, point.value);
        }
        Bytes::from(body.to_bytes())
    }
}

fn wants<'a>(
    select: &[Vec<Matcher>],
    labels: &(impl Iterator<Item = (&'a str, &'a str)> + Clone),
) -> bool {
    let value = |name: &str| labels.clone().find(|(n, _)| *n == name).map_or("", |(_, v)| v);
    let fits = |all: &Vec<Matcher>| all.iter().all(|m| m.matches(value(&m.name)));
    select.is_empty() || select.iter().any(fits)
}

/// How often the samples of one commit were parted.
#[derive(Debug, Default)]
struct Splits {
    commit: i64,
    done: u32,
}

impl Splits {
    /// Parts samples in two: between commits, since of one that was sent before a kill a receiver
    /// has all; else by time, since what is refused is mostly what is late. `Err` where it is no
    /// use any more.
    fn halve(&mut self, mut part: Vec<Point>) -> Result<(Vec<Point>, Vec<Point>), Vec<Point>> {
        let middle = part.len() / 2;
        let (Some(first), Some(last)) = (part.first(), part.last()) else { return Err(part) };
        if first.commit != last.commit {
            let of_middle = part[middle].commit;
            let mut at = part.partition_point(|point| point.commit < of_middle);
            if at == 0 {
                at = part.partition_point(|point| point.commit <= of_middle);
            }
            let second = part.split_off(at);
            return Ok((part, second));
        }
        if mem::replace(&mut self.commit, first.commit) != first.commit {
            self.done = 0;
        }
        self.done += 1;
        if part.len() < 2 || self.done > REMOTE_WRITE_SPLITS_MAX {
            return Err(part);
        }
        part.sort_by_key(|point| point.at_ms);
        let second = part.split_off(middle);
        Ok((part, second))
    }
}

/// What every request bears.
pub(super) fn headers(token: Option<&str>) -> Vec<(HeaderName, String)> {
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
    use crate::storage::Columns;

    fn commit(place: i64, names: &[&str], points: i64) -> Commit {
        let mut samples = Columns::default();
        for name in names {
            samples.series([("__name__", *name)]);
            (0..points).for_each(|i| samples.point(points - i, 1.0));
        }
        Commit { place, samples }
    }

    #[test]
    fn only_what_is_selected_is_sent() {
        let select = vec![whyslow_promql::parse_selector("{__name__=~\"edge_.*\"}").unwrap()];
        let commits = || vec![commit(3, &["edge_a", "up", "edge_b"], 1), commit(4, &["up"], 1)];
        let load = Load::of(commits(), 9, &select);
        assert_eq!((load.points.len(), load.to, load.passed), (2, 4, 4));
        assert_eq!(Load::of(commits(), 9, &[]).points.len(), 4);
        assert_eq!(Load::of(Vec::new(), 9, &[]).to, 9, "what was dropped is not waited for");
    }

    #[test]
    fn a_load_is_of_whole_commits() {
        let full = REMOTE_WRITE_SAMPLES_MAX as i64;
        let commits = vec![commit(1, &["a"], 3), commit(2, &["a"], full)];
        let load = Load::of(commits.clone(), 2, &[]);
        assert_eq!((load.points.len(), load.to, load.passed), (3, 1, 3));
        let load = Load::of(vec![commit(2, &["a"], full + 7)], 2, &[]);
        assert_eq!((load.points.len(), load.to), (REMOTE_WRITE_SAMPLES_MAX + 7, 2));
    }

    /// What a receiver takes that refuses a request for any sample that is not newer than `has`.
    fn taken(points: Vec<Point>, has: impl Fn(&Point) -> bool) -> Vec<i64> {
        let (mut parts, mut splits) = (VecDeque::from([points]), Splits::default());
        let mut taken = Vec::new();
        while let Some(part) = parts.pop_front() {
            if !part.iter().any(&has) {
                taken.extend(part.iter().map(|point| point.at_ms));
            } else if let Ok((first, second)) = splits.halve(part) {
                parts.push_front(second);
                parts.push_front(first);
            }
        }
        taken
    }

    #[test]
    fn what_is_new_is_taken_beside_what_was_sent_before_a_kill() {
        let commits = (1..8).map(|place| commit(place, &["a", "b"], 300)).collect();
        let load = Load::of(commits, 7, &[]);
        for sent in 0..=7i64 {
            let taken = taken(load.points.clone(), |point| point.commit <= sent);
            assert_eq!(taken.len() as i64, (7 - sent) * 600);
        }
    }

    #[test]
    fn late_samples_of_a_commit_are_refused_alone() {
        let load = Load::of(vec![commit(1, &["a", "b", "c"], 1000)], 1, &[]);
        let taken = taken(load.points.clone(), |point| point.at_ms <= 1);
        assert_eq!((load.points.len(), taken.len()), (3000, 2997));
    }
}
