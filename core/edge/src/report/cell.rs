//! What a report counts of one key.

use super::Seconds;
use crate::brief::Brief;
use crate::record::{EdgePhase, Phases, Record};
use crate::row::{PhaseTiming, Timing};

/// What a request adds to its cells.
#[derive(Clone, Copy, Debug)]
pub(super) struct Request {
    /// Of a timed one.
    pub(super) total_us: Option<u64>,
    pub(super) server_us: Option<u64>,
    pub(super) second: Option<i64>,
    pub(super) bytes_out: u64,
    pub(super) code: u16,
    pub(super) retries: u16,
    pub(super) client_aborted: bool,
    pub(super) local: bool,
}

impl Request {
    #[inline]
    pub(super) fn of(record: &Record<'_>) -> Self {
        Self {
            total_us: record.timed().then_some(record.total.micros),
            server_us: record.server_micros(),
            second: record.at_us.map(|us| us.div_euclid(1_000_000)),
            bytes_out: record.bytes_out.unwrap_or(0),
            code: record.code,
            retries: record.retries,
            client_aborted: record.end.client_aborted,
            local: record.end.local,
        }
    }

    /// Whether it adds to what most requests do not: aborts, local answers, retries.
    #[inline]
    pub(super) const fn is_unusual(&self) -> bool {
        self.client_aborted || self.local || self.retries > 0
    }
}

/// One key's requests.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cell {
    /// Requests.
    pub hits: u64,
    /// Requests whose total is known and took a server's work.
    pub timed: u64,
    /// Their totals.
    pub latency: Timing,
    /// Connecting plus waiting for headers.
    pub server: Timing,
    /// Each phase in the order of [`EdgePhase::ALL`]; `None` where phases were not asked for.
    pub phases: Option<Box<[PhaseTiming; 6]>>,
    /// Requests by status code, in no order; 0 where none was sent.
    pub codes: Vec<(u16, u64)>,
    /// Requests by second.
    pub seconds: Seconds,
    /// Bytes sent to clients.
    pub bytes_out: u64,
    /// Requests whose client left before the end.
    pub client_aborted: u64,
    /// Requests the balancer answered by itself.
    pub local: u64,
    /// Connection attempts beyond each request's first.
    pub retries: u64,
}

impl Cell {
    /// Has the processor fetch what is counted in first.
    #[inline]
    pub(super) fn touch(&self) -> u64 {
        self.hits ^ self.latency.sum_us ^ self.server.sum_us ^ self.bytes_out
    }

    /// Counts one request without its phases.
    #[inline(always)]
    pub(super) fn observe(&mut self, request: &Request) {
        self.hits += 1;
        if let Some(micros) = request.total_us {
            self.timed += 1;
            self.latency.observe(micros);
        }
        if let Some(micros) = request.server_us {
            self.server.observe(micros);
        }
        self.count_code(request.code, 1);
        if let Some(second) = request.second {
            self.seconds.count(second);
        }
        self.bytes_out = self.bytes_out.saturating_add(request.bytes_out);
        self.observe_unusual(request);
    }

    /// Counts one request that is known in brief.
    #[inline(always)]
    pub(super) fn observe_brief(&mut self, brief: &Brief) {
        self.hits += 1;
        self.timed += 1;
        self.latency.observe_millis(brief.total_ms);
        self.server.observe_millis(brief.server_ms);
        self.count_code(brief.code, 1);
        self.seconds.count(brief.second);
        self.bytes_out = self.bytes_out.saturating_add(brief.bytes_out);
    }

    /// Counts what few requests have.
    #[inline]
    pub(super) fn observe_unusual(&mut self, request: &Request) {
        self.client_aborted += u64::from(request.client_aborted);
        self.local += u64::from(request.local);
        self.retries += u64::from(request.retries);
    }

    /// Adds another's requests.
    pub(super) fn merge(&mut self, other: &Self) {
        self.hits += other.hits;
        self.timed += other.timed;
        self.latency.merge(&other.latency);
        self.server.merge(&other.server);
        if let Some(theirs) = &other.phases {
            let mine = self.phases.get_or_insert_default();
            mine.iter_mut().zip(theirs.iter()).for_each(|(mine, theirs)| mine.merge(theirs));
        }
        other.codes.iter().for_each(|(code, n)| self.count_code(*code, *n));
        self.seconds.merge(&other.seconds);
        self.bytes_out = self.bytes_out.saturating_add(other.bytes_out);
        self.client_aborted += other.client_aborted;
        self.local += other.local;
        self.retries += other.retries;
    }

    /// Counts the phases of a request.
    pub(super) fn observe_phases(&mut self, phases: &Phases) {
        let timings = self.phases.get_or_insert_default();
        for (phase, into) in EdgePhase::ALL.into_iter().zip(timings.iter_mut()) {
            let span = phases.of(phase);
            if let Some(micros) = span.micros() {
                into.observe(micros, span.mark);
            }
        }
    }

    /// Counts `n` requests of a code.
    #[inline]
    pub(super) fn count_code(&mut self, code: u16, n: u64) {
        match self.codes.iter().position(|(c, _)| *c == code) {
            Some(at) => {
                self.codes[at].1 += n;
                // The usual code is found first.
                if at > 0 && self.codes[at].1 > self.codes[at - 1].1 {
                    self.codes.swap(at, at - 1);
                }
            }
            None => self.codes.push((code, n)),
        }
    }
}
