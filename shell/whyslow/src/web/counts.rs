//! What the listener counts of itself, for `/metrics`.

use std::sync::atomic::{AtomicU64, Ordering};

use http::StatusCode;

/// Counts since the process started.
#[derive(Debug, Default)]
pub struct WebCounts {
    /// Answers by the first digit of their status, from 1 to 5.
    by_class: [AtomicU64; 5],
    /// Requests by a name that is none of ours.
    foreign_host: AtomicU64,
    /// Writes from pages of other sites.
    foreign_origin: AtomicU64,
    /// Requests without a valid token.
    strangers: AtomicU64,
    /// Handlers that panicked.
    panics: AtomicU64,
    /// Requests that took too long.
    timeouts: AtomicU64,
    /// Requests under way.
    under_way: AtomicU64,
}

/// Why a request was not answered as asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is the counter of its name")]
pub enum Mishap {
    ForeignHost,
    ForeignOrigin,
    Stranger,
    Panic,
    Timeout,
}

impl Mishap {
    /// All of them, with their names in metrics.
    pub const ALL: [(Self, &'static str); 5] = [
        (Self::ForeignHost, "foreign_host"),
        (Self::ForeignOrigin, "foreign_origin"),
        (Self::Stranger, "no_token"),
        (Self::Panic, "panic"),
        (Self::Timeout, "timeout"),
    ];
}

/// Counts its request as under way until it is dropped.
#[derive(Debug)]
pub struct UnderWay<'a>(&'a AtomicU64);

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl WebCounts {
    /// Counts a request as under way.
    pub fn begin(&self) -> UnderWay<'_> {
        self.under_way.fetch_add(1, Ordering::Relaxed);
        UnderWay(&self.under_way)
    }

    /// Counts an answer.
    pub fn answered(&self, status: StatusCode) {
        let class = usize::from(status.as_u16() / 100).clamp(1, 5) - 1;
        self.by_class[class].fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a mishap.
    pub fn count(&self, mishap: Mishap) {
        self.counter(mishap).fetch_add(1, Ordering::Relaxed);
    }

    /// How often a mishap happened.
    pub fn of(&self, mishap: Mishap) -> u64 {
        self.counter(mishap).load(Ordering::Relaxed)
    }

    /// Answers by class: `1xx` to `5xx`.
    pub fn classes(&self) -> [(&'static str, u64); 5] {
        let count = |i: usize| self.by_class[i].load(Ordering::Relaxed);
        [
            ("1xx", count(0)),
            ("2xx", count(1)),
            ("3xx", count(2)),
            ("4xx", count(3)),
            ("5xx", count(4)),
        ]
    }

    /// Requests under way.
    pub fn under_way(&self) -> u64 {
        self.under_way.load(Ordering::Relaxed)
    }

    const fn counter(&self, mishap: Mishap) -> &AtomicU64 {
        match mishap {
            Mishap::ForeignHost => &self.foreign_host,
            Mishap::ForeignOrigin => &self.foreign_origin,
            Mishap::Stranger => &self.strangers,
            Mishap::Panic => &self.panics,
            Mishap::Timeout => &self.timeouts,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_under_way_until_its_end_however_it_ends() {
        let counts = WebCounts::default();
        let one = counts.begin();
        assert_eq!(counts.under_way(), 1);
        drop(one);
        counts.answered(StatusCode::NOT_FOUND);
        assert_eq!((counts.under_way(), counts.classes()[3]), (0, ("4xx", 1)));
    }
}
