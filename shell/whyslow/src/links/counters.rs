//! What links count of themselves, for `/metrics`.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use whyslow_graphite::line::BadLine;

/// A number that only ever grows, or a gauge that its owner sets.
#[derive(Debug, Default)]
pub struct Count(AtomicU64);

impl Count {
    /// Adds.
    pub fn add(&self, n: u64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }

    /// Sets.
    pub fn set(&self, n: u64) {
        self.0.store(n, Ordering::Relaxed);
    }

    /// The number.
    pub fn read(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// What came in by Graphite's plaintext.
#[derive(Debug, Default)]
pub struct LinesIn {
    /// Lines stored.
    pub stored: Count,
    /// Lines longer than a line may be.
    pub too_long: Count,
    /// Points the store refused: too old, too new, another value at the same time, too many series.
    pub refused: Count,
    /// Points lost since the store could not be written.
    pub failed: Count,
    /// Connections open.
    pub connections: Count,
    /// Connections of senders that may not send.
    pub strangers: Count,
    /// Connections turned away since there were too many.
    pub turned_away: Count,
    bad: [Count; BadLine::ALL.len()],
}

impl LinesIn {
    /// Counts a line that is none.
    pub(super) fn count_bad(&self, why: BadLine) {
        if let Some(place) = BadLine::ALL.iter().position(|b| *b == why) {
            self.bad[place].add(1);
        }
    }

    /// Lines not taken, by reason.
    pub fn bad(&self) -> impl Iterator<Item = (&'static str, u64)> {
        BadLine::ALL.iter().zip(&self.bad).map(|(why, n)| (why.as_str(), n.read()))
    }
}

/// What goes out on one link: lines to a Graphite, samples by remote write.
#[derive(Debug, Default)]
pub struct Sent {
    /// Given to the peer; by remote write also taken by it.
    pub sent: Count,
    /// Dropped unsent, since the store has them no longer, or had no room for them.
    pub dropped: Count,
    /// Refused by the peer for good.
    pub refused: Count,
    /// Waiting.
    pub pending: Count,
    /// Attempts that failed and were, or will be, made again.
    pub failures: Count,
    /// 1 while the peer is there.
    pub up: Count,
}

/// The links as they are now.
#[derive(Clone, Copy, Debug, Default)]
pub struct SentNow {
    /// See [`Sent::sent`].
    pub sent: u64,
    /// See [`Sent::dropped`].
    pub dropped: u64,
    /// See [`Sent::refused`].
    pub refused: u64,
    /// See [`Sent::pending`].
    pub pending: u64,
    /// See [`Sent::failures`].
    pub failures: u64,
    /// See [`Sent::up`].
    pub up: u64,
}

impl Sent {
    /// The numbers.
    pub fn read(&self) -> SentNow {
        SentNow {
            sent: self.sent.read(),
            dropped: self.dropped.read(),
            refused: self.refused.read(),
            pending: self.pending.read(),
            failures: self.failures.read(),
            up: self.up.read(),
        }
    }
}

/// All links, by what they lead to.
pub type ByPeer = BTreeMap<String, SentNow>;
