//! What each source counts of itself, for `/metrics`, the API and pages.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use serde::Serialize;
use whyslow_edge::completeness::{Completeness, Ledger};
use whyslow_edge::format::Reject;
use whyslow_edge::windows;
use whyslow_model::Wall;
use whyslow_model::seeded::Seed;

/// Bytes of a rejected line that are kept as a sample.
const SAMPLE_BYTES_MAX: usize = 256;

/// What became of the lines of a source since it was started.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Lines that were read as requests.
    pub parsed: u64,
    /// Lines that were not, by reason.
    pub rejected: BTreeMap<Reject, u64>,
    /// Lines longer than the limit, skipped.
    pub too_long: u64,
    /// Lines of files that were counted before the last start and read again for their windows.
    pub seen_before: u64,
    /// Bytes read.
    pub bytes: u64,
    /// Connections whose octet counts broke off; they were closed.
    pub broken: u64,
    /// Messages from networks that may not send, thrown away.
    pub refused: u64,
    /// Datagrams the kernel dropped because we were too slow to take them.
    pub kernel_dropped: u64,
    /// Connections taken.
    pub connected: u64,
    /// Connections turned away because there were as many as may be, or came from networks that
    /// may not send.
    pub turned_away: u64,
    /// Files that were truncated or gone before all of them had surely been read.
    pub unsure: u64,
    /// Windows thrown away because the store took nothing for too long.
    pub unstored_windows: u64,
    /// The last line that was rejected, and why.
    pub sample: Option<Sample>,
    /// The last line of each reason.
    pub samples: BTreeMap<Reject, Sample>,
    /// The latest time a request bore, in microseconds since the epoch.
    pub newest_at_us: Option<i64>,
}

/// A line that was rejected.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Sample {
    /// Why.
    pub reason: String,
    /// Its first bytes; control bytes and what is no text are escaped.
    pub line: String,
}

impl Sample {
    /// A sample of `line`.
    pub fn of(reason: Reject, line: &[u8]) -> Self {
        let shown = &line[..line.len().min(SAMPLE_BYTES_MAX)];
        Self { reason: reason.to_string(), line: shown.escape_ascii().to_string() }
    }
}

/// Reasons of which a sample is kept: more than any format has.
const SAMPLES_MAX: usize = 64;

impl Tally {
    /// Adds what was counted elsewhere.
    pub fn add(&mut self, other: &Self) {
        self.parsed += other.parsed;
        for (reason, n) in &other.rejected {
            *self.rejected.entry(*reason).or_default() += n;
        }
        self.too_long += other.too_long;
        self.seen_before += other.seen_before;
        self.bytes += other.bytes;
        self.broken += other.broken;
        self.refused += other.refused;
        self.kernel_dropped += other.kernel_dropped;
        self.connected += other.connected;
        self.turned_away += other.turned_away;
        self.unsure += other.unsure;
        self.unstored_windows += other.unstored_windows;
        if other.sample.is_some() {
            self.sample.clone_from(&other.sample);
        }
        for (reason, sample) in &other.samples {
            self.keep(*reason, || sample.clone());
        }
        self.newest_at_us = self.newest_at_us.max(other.newest_at_us);
    }

    /// Counts a line that was rejected; the first of its reason is kept as a sample.
    pub(super) fn rejected_line(&mut self, reason: Reject, line: &[u8]) {
        let count = self.rejected.entry(reason).or_default();
        *count += 1;
        if *count == 1 {
            let sample = Sample::of(reason, line);
            self.keep(reason, || sample.clone());
            self.sample = Some(sample);
        }
    }

    /// Keeps a sample of a reason, where there is room.
    fn keep(&mut self, reason: Reject, sample: impl Fn() -> Sample) {
        if self.samples.len() < SAMPLES_MAX || self.samples.contains_key(&reason) {
            self.samples.insert(reason, sample());
        }
    }

    /// Lines that were rejected for whatever reason.
    pub fn rejected(&self) -> u64 {
        self.rejected.values().sum::<u64>() + self.too_long
    }
}

/// How things stand just now.
#[derive(Clone, Debug, Default)]
pub struct Gauges {
    /// Connections open.
    pub connections: u64,
    /// Files followed.
    pub files: u64,
    /// Bytes that are in the files and not yet read.
    pub behind_bytes: u64,
    /// Bytes the kernel may keep for a datagram socket.
    pub buffer_bytes: u64,
    /// What became of requests in windows.
    pub windows: windows::Counters,
    /// The format that `auto` found.
    pub format: Option<&'static str>,
    /// Why nothing is read, where something stands in the way.
    pub problem: Option<String>,
    /// Why lines are not read as requests, where most are not; read as a problem of the source.
    pub misread: Option<String>,
}

/// One source's counters, shared by its workers.
#[derive(Debug)]
pub(super) struct Counted {
    tally: Mutex<Tally>,
    gauges: Mutex<BTreeMap<usize, Gauges>>,
    ledger: Mutex<Ledger>,
}

impl Counted {
    /// Counters of nothing yet. `drops_are_told` where the input says how many lines it loses.
    pub(super) fn new(seed: Seed, drops_are_told: bool) -> Self {
        let ledger = Mutex::new(Ledger::new(seed, drops_are_told));
        Self { tally: Mutex::default(), gauges: Mutex::default(), ledger }
    }

    /// What is known of lines that never came.
    pub(super) fn ledger<T>(&self, with: impl FnOnce(&mut Ledger) -> T) -> T {
        with(&mut self.ledger.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn add(&self, tally: &Tally) {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner).add(tally);
    }

    /// Changes one worker's gauges.
    pub(super) fn gauge(&self, worker: usize, change: impl FnOnce(&mut Gauges)) {
        let mut gauges = self.gauges.lock().unwrap_or_else(PoisonError::into_inner);
        change(gauges.entry(worker).or_default());
    }

    /// The sum over all workers.
    pub(super) fn read(&self) -> (Tally, Gauges) {
        let tally = self.tally.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut sum = Gauges::default();
        for one in self.gauges.lock().unwrap_or_else(PoisonError::into_inner).values() {
            sum.connections += one.connections;
            sum.files += one.files;
            sum.behind_bytes += one.behind_bytes;
            sum.buffer_bytes += one.buffer_bytes;
            add_windows(&mut sum.windows, &one.windows);
            sum.format = sum.format.or(one.format);
            sum.problem = sum.problem.or_else(|| one.problem.clone());
            sum.misread = sum.misread.or_else(|| one.misread.clone());
        }
        sum.problem = sum.problem.or_else(|| sum.misread.clone());
        (tally, sum)
    }
}

fn add_windows(sum: &mut windows::Counters, one: &windows::Counters) {
    sum.on_time += one.on_time;
    sum.late += one.late;
    sum.beyond += one.beyond;
    sum.undated += one.undated;
    sum.ahead += one.ahead;
    sum.names_to_other += one.names_to_other;
    sum.routes_to_other += one.routes_to_other;
    sum.keys_to_other += one.keys_to_other;
    sum.clients_to_other += one.clients_to_other;
}

/// How a source fares.
#[derive(Clone, Debug)]
pub struct SourceStatus {
    /// Its name.
    pub name: String,
    /// Where its lines come from, as configured.
    pub input: String,
    /// How its lines are read, as configured.
    pub format: String,
    /// The service whose requests these are.
    pub service: Option<String>,
    /// When it was started.
    pub since: Wall,
    /// What became of its lines.
    pub tally: Tally,
    /// How much of what the balancer sent was seen; `None` where nothing can tell.
    pub completeness: Option<Completeness>,
    /// How things stand just now.
    pub gauges: Gauges,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_add_up_and_the_last_sample_stays() {
        let reason = Reject::Malformed("date");
        let line = [b"\0x\x1b[31m".as_slice(), &[b'y'; 1000]].concat();
        let one = Tally {
            parsed: 3,
            rejected: BTreeMap::from([(reason, 2)]),
            too_long: 1,
            sample: Some(Sample::of(reason, &line)),
            newest_at_us: Some(5),
            ..Tally::default()
        };
        let counted = Counted::new(Seed(1), false);
        counted.add(&one);
        counted.add(&Tally { parsed: 1, newest_at_us: None, ..Tally::default() });
        counted.gauge(0, |g| g.connections = 2);
        counted.gauge(1, |g| g.connections = 1);
        let (sum, gauges) = counted.read();
        assert_eq!((sum.parsed, sum.rejected(), gauges.connections), (4, 3, 3));
        let sample = sum.sample.unwrap();
        assert!(sample.line.starts_with(r"\x00x\x1b[31myy"), "{}", sample.line);
        assert!(sample.line.len() < 300);
        assert_eq!(sum.newest_at_us, Some(5));
    }

    #[test]
    fn a_sample_of_each_reason_stays_and_lines_that_do_not_parse_are_a_problem() {
        let counted = Counted::new(Seed(1), false);
        let mut tally = Tally::default();
        tally.rejected_line(Reject::Malformed("date"), b"first");
        tally.rejected_line(Reject::Malformed("date"), b"second");
        tally.rejected_line(Reject::Incomplete("status"), b"third");
        counted.add(&tally);
        counted.add(&Tally::default());
        counted.gauge(1, |g| g.misread = Some("0 of the first 9 lines parsed".to_owned()));
        let (sum, gauges) = counted.read();
        let lines: Vec<_> = sum.samples.values().map(|sample| &*sample.line).collect();
        assert_eq!((sum.rejected(), lines), (3, vec!["third", "first"]));
        assert_eq!(gauges.problem.as_deref(), Some("0 of the first 9 lines parsed"));
    }
}
