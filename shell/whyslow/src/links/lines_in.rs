//! Graphite's plaintext, taken over TCP.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use tokio::io::{AsyncBufRead, AsyncBufReadExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout, timeout_at};
use whyslow_graphite::line::{self, Point};
use whyslow_model::limits::{GRAPHITE_CONNECTIONS_MAX, GRAPHITE_LINE_BYTES_MAX};

use super::counters::LinesIn;
use crate::storage::{Batch, Columns, Db};

/// How long a point may wait for others before it is stored.
const GATHER: Duration = Duration::from_secs(1);
/// Points stored at once.
const POINTS_MAX: usize = 5000;
/// How long a connection may say nothing.
const IDLE: Duration = Duration::from_hours(1);
/// Pause after a failed accept, which is nearly always "too many open files".
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What a listener needs.
#[derive(Clone, Debug)]
pub(super) struct Intake {
    pub(super) db: Db,
    /// Who may send; only this machine where empty.
    pub(super) from: Arc<[IpNet]>,
    pub(super) counters: Arc<LinesIn>,
}

impl Intake {
    fn lets_in(&self, peer: IpAddr) -> bool {
        let peer = peer.to_canonical();
        if self.from.is_empty() {
            return peer.is_loopback();
        }
        self.from.iter().any(|network| network.contains(&peer))
    }
}

/// Takes connections until told to stop.
pub(super) async fn listen(
    listener: TcpListener,
    intake: Intake,
    mut stopping: watch::Receiver<bool>,
) {
    let places = Arc::new(Semaphore::new(GRAPHITE_CONNECTIONS_MAX));
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            biased;
            _ = stopping.wait_for(|stop| *stop) => break,
            Some(_) = connections.join_next() => continue,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((_, peer)) if !intake.lets_in(peer.ip()) => intake.counters.strangers.add(1),
            Ok((stream, _)) => match Arc::clone(&places).try_acquire_owned() {
                Ok(place) => {
                    let (intake, stopping) = (intake.clone(), stopping.clone());
                    connections.spawn(async move {
                        let _place = place;
                        take(stream, &intake, stopping).await;
                    });
                }
                Err(_) => intake.counters.turned_away.add(1),
            },
            Err(error) => {
                tracing::warn!(%error, "a Graphite connection could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
        let open = GRAPHITE_CONNECTIONS_MAX - places.available_permits();
        intake.counters.connections.set(open as u64);
    }
    while connections.join_next().await.is_some() {}
    intake.counters.connections.set(0);
}

async fn take(stream: TcpStream, intake: &Intake, mut stopping: watch::Receiver<bool>) {
    let mut reader = BufReader::with_capacity(64 << 10, stream);
    let mut gathered = Gathered::default();
    let mut splitter = Splitter::default();
    let mut due = Instant::now() + GATHER;
    loop {
        let heard = tokio::select! {
            biased;
            _ = stopping.wait_for(|stop| *stop) => break,
            heard = heard(&mut reader, &gathered, due) => heard,
        };
        let length = match heard {
            Heard::Bytes(bytes) => {
                splitter.split(bytes, |piece| gathered.take(piece, &intake.counters));
                bytes.len()
            }
            Heard::Nothing => 0,
            Heard::End => break,
        };
        reader.consume(length);
        if gathered.columns.len() >= POINTS_MAX || Instant::now() >= due {
            gathered.store(intake).await;
            due = Instant::now() + GATHER;
        }
    }
    splitter.end(|piece| gathered.take(piece, &intake.counters));
    gathered.store(intake).await;
}

enum Heard<'a> {
    Bytes(&'a [u8]),
    Nothing,
    End,
}

/// Waits for bytes, until `due` where points wait to be stored.
async fn heard<'a, R: AsyncBufRead + Unpin>(
    reader: &'a mut R,
    gathered: &Gathered,
    due: Instant,
) -> Heard<'a> {
    let waits = !gathered.columns.is_empty();
    let read = if waits {
        timeout_at(due, reader.fill_buf()).await
    } else {
        timeout(IDLE, reader.fill_buf()).await
    };
    match read {
        Ok(Ok([]) | Err(_)) => Heard::End,
        Ok(Ok(bytes)) => Heard::Bytes(bytes),
        Err(_) if waits => Heard::Nothing,
        Err(_) => Heard::End,
    }
}

/// One line, or one that is too long.
#[derive(Clone, Copy)]
enum Line<'a> {
    Whole(&'a [u8]),
    TooLong,
}

/// Cuts bytes into lines, however they come; holds at most one line.
#[derive(Default)]
struct Splitter {
    begun: Vec<u8>,
    skipping: bool,
}

impl Splitter {
    fn split(&mut self, bytes: &[u8], mut found: impl FnMut(Line<'_>)) {
        let mut rest = bytes;
        while let Some(at) = rest.iter().position(|b| *b == b'\n') {
            let (line, after) = (&rest[..at], &rest[at + 1..]);
            if self.skipping || self.begun.len() + line.len() > GRAPHITE_LINE_BYTES_MAX {
                found(Line::TooLong);
            } else if self.begun.is_empty() {
                found(Line::Whole(line));
            } else {
                self.begun.extend_from_slice(line);
                found(Line::Whole(&self.begun));
            }
            self.begun.clear();
            self.skipping = false;
            rest = after;
        }
        if self.begun.len() + rest.len() > GRAPHITE_LINE_BYTES_MAX {
            self.begun.clear();
            self.skipping = true;
        } else if !self.skipping {
            self.begun.extend_from_slice(rest);
        }
    }

    /// A last line without its end is one all the same.
    fn end(&mut self, mut found: impl FnMut(Line<'_>)) {
        if self.skipping {
            found(Line::TooLong);
        } else if !self.begun.is_empty() {
            found(Line::Whole(&self.begun));
        }
    }
}

#[derive(Default)]
struct Gathered {
    columns: Columns,
}

impl Gathered {
    fn take(&mut self, line: Line<'_>, counters: &LinesIn) {
        let Line::Whole(line) = line else { return counters.too_long.add(1) };
        match line::parse(line) {
            Ok(Some(Point { labels, value, at_ms })) => {
                self.columns.series(labels.iter());
                let now = || whyslow_sys::clock::wall().as_millis();
                self.columns.point(at_ms.unwrap_or_else(now), value);
            }
            Ok(None) => {}
            Err(why) => counters.count_bad(why),
        }
    }

    /// Waits until the store has what was gathered, so that a sender goes no faster than it.
    async fn store(&mut self, intake: &Intake) {
        if self.columns.is_empty() {
            return;
        }
        let columns = std::mem::take(&mut self.columns);
        let points = columns.len() as u64;
        let batch = Batch { columns, ..Batch::default() };
        match intake.db.append(batch).await {
            Ok(appended) => {
                let tally = appended.samples;
                let kept = tally.appended + tally.duplicates;
                intake.counters.stored.add(kept);
                intake.counters.refused.add(points.saturating_sub(kept));
            }
            Err(error) => {
                intake.counters.failed.add(points);
                tracing::warn!(%error, points, "points from Graphite senders were not stored");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(pieces: &[&[u8]]) -> Vec<String> {
        let mut all = Vec::new();
        let mut splitter = Splitter::default();
        let mut found = |line: Line<'_>| {
            all.push(match line {
                Line::Whole(line) => String::from_utf8_lossy(line).into_owned(),
                Line::TooLong => "too long".to_owned(),
            });
        };
        pieces.iter().for_each(|piece| splitter.split(piece, &mut found));
        splitter.end(found);
        all
    }

    #[test]
    fn lines_are_whole_however_they_come() {
        assert_eq!(lines(&[b"a b c\nd", b" e", b" f\n\ng"]), ["a b c", "d e f", "", "g"]);
        let long = vec![b'x'; GRAPHITE_LINE_BYTES_MAX];
        assert_eq!(lines(&[&long, b"\n"])[0].len(), GRAPHITE_LINE_BYTES_MAX);
        assert_eq!(lines(&[&long, b"y", b"z\nok\n", &long, b"y"]), ["too long", "ok", "too long"]);
    }
}
