//! Lines to a Graphite's plaintext port, over one connection that is made again when it breaks.
//!
//! Lines are made of the windows as they are stored, in the order in which they changed: a window
//! that was revised is told again, and a restart goes on where it was. The protocol has no
//! acknowledgements, and what the kernel took may never reach a peer that ends. So a window counts
//! as sent only some time after it was written, and is written again over the next connection
//! until then: for Graphite, the same value at the same time is no news.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::watch;
use tokio::time::timeout;
use whyslow_edge::row::Row;

use super::named::Named;
use super::{Backoff, FAREWELL, SAVE_EVERY, Sending, stopped};
use crate::storage::{Changed, Db, Ends, StorageError, Unsent};

/// How long a connection may take to be made, and a piece to be written.
const PATIENCE: Duration = Duration::from_secs(15);
/// How long after it was written a window counts as sent.
const REPEATED: Duration = Duration::from_secs(30);
/// Bytes written at once.
const PIECE_BYTES: usize = 32 << 10;
/// Windows read at once.
const READ_AT_ONCE: u32 = 16;

/// One Graphite.
pub(super) struct LinesOut {
    named: Arc<Named>,
    sending: Sending,
    stopping: watch::Receiver<bool>,
    ends: watch::Receiver<Ends>,
    unsent: Option<Unsent>,
    /// Up to here all was sent, and that is stored.
    saved: i64,
    saved_at: Instant,
    /// Up to here all was written over this connection, and over any.
    place: i64,
    farthest: i64,
    /// What was written over this connection and does not count as sent yet: when, and its place.
    written: VecDeque<(Instant, i64)>,
}

/// The lines of a window.
struct Told {
    place: i64,
    text: String,
    lines: u64,
}

impl LinesOut {
    pub(super) fn new(
        named: Arc<Named>,
        sending: Sending,
        stopping: watch::Receiver<bool>,
    ) -> Self {
        let place = sending.opened.place;
        Self {
            named,
            stopping,
            ends: sending.db.ends(),
            unsent: Some(sending.db.unsent()),
            saved: place,
            saved_at: Instant::now(),
            place,
            farthest: place,
            written: VecDeque::new(),
            sending,
        }
    }

    /// Sends until told to stop.
    pub(super) async fn run(mut self) {
        let mut backoff = Backoff::default();
        while !*self.stopping.borrow() {
            let ended = match timeout(PATIENCE, TcpStream::connect(&self.sending.name)).await {
                Ok(Ok(stream)) => {
                    backoff = Backoff::default();
                    self.sending.sent.up.set(1);
                    self.converse(stream).await
                }
                Ok(Err(error)) => Err(error),
                Err(_) => Err(io::ErrorKind::TimedOut.into()),
            };
            self.sending.sent.up.set(0);
            let Err(error) = ended else { return };
            self.sending.sent.failures.add(1);
            let (peer, pause) = (&self.sending.name, backoff.next());
            tracing::warn!(peer, %error, pause_s = pause.as_secs(), "no lines reach the Graphite");
            self.count_pending().await;
            tokio::select! {
                () = stopped(&mut self.stopping) => return,
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    /// Writes over one connection. `Ok` once told to stop.
    async fn converse(&mut self, stream: TcpStream) -> io::Result<()> {
        let (mut read, mut write) = stream.into_split();
        self.written.clear();
        self.place = self.saved;
        let mut unread = [0; 64];
        loop {
            self.count_sent().await;
            let end = self.ends.borrow_and_update().windows;
            if end > self.place {
                for told in self.told(end).await? {
                    self.write(&mut write, told).await?;
                }
                self.count_pending().await;
                continue;
            }
            tokio::select! {
                () = stopped(&mut self.stopping) => {
                    return self.farewell(read, write).await;
                }
                _ = self.ends.changed() => {}
                () = tokio::time::sleep(SAVE_EVERY) => {}
                // A Graphite says nothing; an end is its end.
                heard = read.read(&mut unread) => if heard? == 0 {
                    return Err(io::ErrorKind::ConnectionReset.into());
                },
            }
        }
    }

    /// The lines of the next windows up to a place, at least one entry.
    async fn told(&mut self, end: i64) -> io::Result<Vec<Told>> {
        let Some(mut unsent) = self.unsent.take() else { return Err(io::ErrorKind::Other.into()) };
        let (db, named, place) = (self.sending.db.clone(), Arc::clone(&self.named), self.place);
        let reading = tokio::task::spawn_blocking(move || {
            let told = read(&mut unsent, &db, &named, place, end);
            (told, unsent)
        });
        let (told, unsent) = reading.await.map_err(io::Error::other)?;
        self.unsent = Some(unsent);
        let (told, gone) = told.map_err(io::Error::other)?;
        self.sending.sent.dropped.add(gone);
        Ok(told)
    }

    async fn write(&mut self, to: &mut OwnedWriteHalf, told: Told) -> io::Result<()> {
        for piece in told.text.as_bytes().chunks(PIECE_BYTES) {
            timeout(PATIENCE, to.write_all(piece))
                .await
                .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))?;
        }
        self.place = told.place;
        self.written.push_back((Instant::now(), told.place));
        if told.place > self.farthest {
            self.farthest = told.place;
            self.sending.sent.sent.add(told.lines);
        }
        Ok(())
    }

    /// Stores how far what counts as sent reaches.
    async fn count_sent(&mut self) {
        if self.saved_at.elapsed() < SAVE_EVERY {
            return;
        }
        self.saved_at = Instant::now();
        let old = self.written.partition_point(|(at, _)| at.elapsed() > REPEATED);
        if let Some((_, place)) = self.written.drain(..old).next_back() {
            self.saved = place;
            self.sending.save(place).await;
        }
    }

    /// Says the end, and waits a moment for the peer's: then it has read all.
    async fn farewell(
        &mut self,
        mut read: OwnedReadHalf,
        mut write: OwnedWriteHalf,
    ) -> io::Result<()> {
        let end = async {
            write.shutdown().await?;
            let mut unread = [0; 64];
            while read.read(&mut unread).await? > 0 {}
            io::Result::Ok(())
        };
        if let Ok(Ok(())) = timeout(FAREWELL, end).await
            && self.place > self.saved
        {
            self.sending.save(self.place).await;
        }
        Ok(())
    }

    async fn count_pending(&mut self) {
        let Some(mut unsent) = self.unsent.take() else { return };
        let place = self.farthest;
        let counting = tokio::task::spawn_blocking(move || (unsent.windows_after(place), unsent));
        let Ok((pending, unsent)) = counting.await else { return };
        self.unsent = Some(unsent);
        match pending {
            Ok(pending) => self.sending.sent.pending.set(pending),
            Err(error) => tracing::warn!(%error, "windows that wait cannot be counted"),
        }
    }
}

/// The lines of the next windows, and how many of these are gone from the store.
fn read(
    unsent: &mut Unsent,
    db: &Db,
    named: &Named,
    after: i64,
    end: i64,
) -> Result<(Vec<Told>, u64), StorageError> {
    let changed = unsent.windows(after, end, READ_AT_ONCE)?;
    let (mut all, mut gone) = (Vec::new(), 0);
    for window in &changed {
        let rows = db.edge_window(&window.source, window.start_s)?;
        gone += u64::from(rows.is_empty());
        all.push(told(named, window, &rows));
    }
    if all.is_empty() {
        // They changed again meanwhile, or went with their windows.
        all.push(Told { place: end, text: String::new(), lines: 0 });
    }
    Ok((all, gone))
}

fn told(named: &Named, window: &Changed, rows: &[Row]) -> Told {
    let mut told = Told { place: window.place, text: String::new(), lines: 0 };
    named.lines(&window.source, rows, |line| {
        told.text.push_str(line);
        told.lines += 1;
    });
    told
}
