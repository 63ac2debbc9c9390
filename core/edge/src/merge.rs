//! Adding up what was counted apart: by several workers, of several balancers, over time.

use std::collections::BTreeMap;

use crate::record::{EdgePhase, Mark, Record};
use crate::row::{Key, PhaseTiming, Row, Totals};

impl PhaseTiming {
    /// Counts one request's phase; `mark` is not [`Mark::Absent`].
    #[inline]
    pub fn observe(&mut self, micros: u64, mark: Mark) {
        self.timing.observe(micros);
        self.mark = worst_told(self.mark, mark);
    }

    /// Adds another's requests.
    pub fn merge(&mut self, other: &Self) {
        self.timing.merge(&other.timing);
        self.mark = worst_told(self.mark, other.mark);
    }
}

/// The worse of two marks; an absent one says nothing.
fn worst_told(a: Mark, b: Mark) -> Mark {
    match (a, b) {
        (Mark::Absent, mark) | (mark, Mark::Absent) => mark,
        (a, b) => a.max(b),
    }
}

impl Totals {
    /// Counts one request that arrived in second `second` of the window; beyond the window's
    /// `span_s` seconds no second is kept.
    pub fn observe(&mut self, record: &Record<'_>, second: usize) {
        self.hits += 1;
        if record.timed() {
            self.latency.observe(record.total.micros);
        }
        if let Some(micros) = record.server_micros() {
            self.server.observe(micros);
        }
        if let Some(micros) = record.client_rtt_us {
            self.client_rtt.observe(micros.into());
        }
        for (phase, into) in EdgePhase::ALL.into_iter().zip(&mut self.phases) {
            let span = record.phases.of(phase);
            if let Some(micros) = span.micros() {
                into.observe(micros, span.mark);
            }
        }
        *self.codes.entry(record.code).or_default() += 1;
        self.bytes_out = self.bytes_out.saturating_add(record.bytes_out.unwrap_or(0));
        self.bytes_in = self.bytes_in.saturating_add(record.bytes_in.unwrap_or(0));
        self.client_aborted += u64::from(record.end.client_aborted);
        self.local += u64::from(record.end.local);
        self.retries += u64::from(record.retries);
        self.redispatched += u64::from(record.redispatched);
        if let Some(count) = self.by_second.get_mut(second) {
            *count = count.saturating_add(1);
            self.peak_per_s = self.peak_per_s.max(*count);
        }
    }

    /// Adds what was counted elsewhere in the same window: seconds add up, so the peak is exact.
    /// Where either side has lost its seconds, the peak is the larger one.
    pub fn merge(&mut self, other: &Self) {
        if self.hits == 0 && self.by_second.is_empty() {
            self.by_second = vec![0; other.by_second.len()];
        }
        let both_know = self.by_second.len() == other.by_second.len();
        if both_know && !self.by_second.is_empty() {
            for (mine, theirs) in self.by_second.iter_mut().zip(&other.by_second) {
                *mine = mine.saturating_add(*theirs);
                self.peak_per_s = self.peak_per_s.max(*mine);
            }
        } else if other.hits > 0 {
            self.by_second.clear();
            self.peak_per_s = self.peak_per_s.max(other.peak_per_s);
        }
        self.merge_counts(other);
    }

    /// Adds what was counted in another window: seconds are given up, the larger peak stays.
    pub fn merge_later(&mut self, other: &Self) {
        self.merge_counts(other);
        self.by_second.clear();
        self.peak_per_s = self.peak_per_s.max(other.peak_per_s);
    }

    fn merge_counts(&mut self, other: &Self) {
        self.hits += other.hits;
        self.latency.merge(&other.latency);
        self.server.merge(&other.server);
        self.client_rtt.merge(&other.client_rtt);
        for (mine, theirs) in self.phases.iter_mut().zip(&other.phases) {
            mine.merge(theirs);
        }
        for (code, n) in &other.codes {
            *self.codes.entry(*code).or_default() += n;
        }
        self.bytes_out = self.bytes_out.saturating_add(other.bytes_out);
        self.bytes_in = self.bytes_in.saturating_add(other.bytes_in);
        self.client_aborted += other.client_aborted;
        self.local += other.local;
        self.retries += other.retries;
        self.redispatched += other.redispatched;
        self.failed_attempts += other.failed_attempts;
        self.hidden_at_most = self.hidden_at_most.saturating_add(other.hidden_at_most);
        self.spared = self.spared.saturating_add(other.spared);
    }
}

/// One list of rows from many: rows of one window and key are added up, as if one pass had
/// counted them. Ordered by start, then key.
pub fn merge_windows(parts: Vec<Vec<Row>>) -> Vec<Row> {
    let mut merged: BTreeMap<(i64, u32, Key), Totals> = BTreeMap::new();
    for row in parts.into_iter().flatten() {
        match merged.entry((row.start_s, row.span_s, row.key)) {
            std::collections::btree_map::Entry::Vacant(place) => drop(place.insert(row.totals)),
            std::collections::btree_map::Entry::Occupied(mut place) => {
                place.get_mut().merge(&row.totals);
            }
        }
    }
    let row = |((start_s, span_s, key), totals)| Row { start_s, span_s, key, totals };
    merged.into_iter().map(row).collect()
}
