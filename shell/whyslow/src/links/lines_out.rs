//! Lines to a Graphite's plaintext port, over one connection that is made again when it breaks.
//!
//! The protocol has no acknowledgements, and what the kernel took may never reach a peer that
//! ends. So what was written stays for a while, and is written again over the next connection:
//! for Graphite, the same value at the same time is no news.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::timeout;
use whyslow_model::limits::GRAPHITE_REPEATED_BYTES_MAX;

use super::queue::{Piece, Queue};
use super::{Backoff, FAREWELL};

/// How long a connection may take to be made, and a piece to be written.
const PATIENCE: Duration = Duration::from_secs(15);
/// How long what was written is kept to be written again.
const REPEATED: Duration = Duration::from_secs(30);
/// Bytes of one piece, about.
const PIECE_BYTES: usize = 32 << 10;

/// Where lines are put.
#[derive(Clone, Debug)]
pub struct LinesOut(Arc<Queue>);

impl LinesOut {
    pub(super) const fn new(queue: Arc<Queue>) -> Self {
        Self(queue)
    }

    /// Collects lines into pieces.
    pub fn writer(&self) -> Lines<'_> {
        Lines { out: self, text: String::new(), count: 0 }
    }
}

/// Lines about to be sent; the last of them go when it is dropped.
#[derive(Debug)]
pub struct Lines<'a> {
    out: &'a LinesOut,
    text: String,
    count: u64,
}

impl Lines<'_> {
    /// Adds a line, which ends in a line feed.
    pub fn push(&mut self, line: &str) {
        self.text.push_str(line);
        self.count += 1;
        if self.text.len() >= PIECE_BYTES {
            self.flush();
        }
    }

    fn flush(&mut self) {
        if self.count > 0 {
            let bytes = Bytes::from(std::mem::take(&mut self.text));
            self.out.0.push(Piece { bytes, items: std::mem::take(&mut self.count) });
        }
    }
}

impl Drop for Lines<'_> {
    fn drop(&mut self) {
        self.flush();
    }
}

/// Sends what the queue holds until told to stop.
pub(super) async fn send(peer: String, queue: Arc<Queue>, mut stopping: watch::Receiver<bool>) {
    let mut backoff = Backoff::default();
    let mut written = Written::default();
    while !*stopping.borrow() {
        let ended = match timeout(PATIENCE, TcpStream::connect(&peer)).await {
            Ok(Ok(stream)) => {
                backoff = Backoff::default();
                queue.sent.up.set(1);
                converse(stream, &queue, &mut written, &mut stopping).await
            }
            Ok(Err(error)) => Err(error),
            Err(_) => Err(io::ErrorKind::TimedOut.into()),
        };
        queue.sent.up.set(0);
        let Err(error) = ended else { return };
        queue.sent.failures.add(1);
        let pause = backoff.next();
        tracing::warn!(peer, %error, pause_s = pause.as_secs(), "no lines reach the Graphite");
        tokio::select! {
            _ = stopping.wait_for(|stop| *stop) => return,
            () = tokio::time::sleep(pause) => {}
        }
    }
}

/// Pieces written over this connection or the last, oldest first.
#[derive(Default)]
struct Written {
    pieces: VecDeque<(Instant, Bytes)>,
    bytes: usize,
}

impl Written {
    fn push(&mut self, bytes: Bytes) {
        self.bytes += bytes.len();
        self.pieces.push_back((Instant::now(), bytes));
        while let Some((at, first)) = self.pieces.front()
            && (self.bytes > GRAPHITE_REPEATED_BYTES_MAX || at.elapsed() > REPEATED)
        {
            self.bytes -= first.len();
            self.pieces.pop_front();
        }
    }
}

/// Writes over one connection. `Ok` once told to stop.
async fn converse(
    stream: TcpStream,
    queue: &Queue,
    written: &mut Written,
    stopping: &mut watch::Receiver<bool>,
) -> io::Result<()> {
    let (mut read, mut write) = stream.into_split();
    let again: Vec<Bytes> = written.pieces.iter().map(|(_, bytes)| bytes.clone()).collect();
    for bytes in again {
        patiently(write.write_all(&bytes)).await?;
    }
    let mut unread = [0; 64];
    loop {
        if let Some((number, piece)) = queue.first() {
            patiently(write.write_all(&piece.bytes)).await?;
            written.push(piece.bytes);
            if queue.done(number) {
                queue.sent.sent.add(piece.items);
            }
            continue;
        }
        tokio::select! {
            () = stopped(stopping) => {
                return timeout(FAREWELL, write.shutdown()).await.unwrap_or(Ok(()));
            }
            () = queue.wake.notified() => {}
            // A Graphite says nothing; an end is its end.
            heard = read.read(&mut unread) => if heard? == 0 {
                return Err(io::ErrorKind::ConnectionReset.into());
            },
        }
    }
}

/// Resolves once told to stop; a sender that is gone means the same.
async fn stopped(stopping: &mut watch::Receiver<bool>) {
    let _ = stopping.wait_for(|stop| *stop).await.is_ok();
}

async fn patiently<T>(work: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    timeout(PATIENCE, work).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}
