//! Writing what the edge plane brings, each kind to its day's file.

use std::collections::BTreeMap;

use whyslow_edge::row::Row;
use whyslow_edge::slow::{SlowCount, SlowRow};
use whyslow_model::Wall;
use whyslow_model::reading::{Finding, Reading};

use super::super::Appended;
use super::super::days::{Day, Kind};
use super::super::error::StorageError;
use super::super::writer::{OBSERVATION_AHEAD, Request, Writer};
use super::query::{FINEST_S, levels};
use super::rows::{self, Incoming, Target};
use super::{notices, resume, slow};

/// What one day's file of slow requests gets, each with the place of its request.
#[derive(Default)]
struct SlowOfDay<'a> {
    rows: Vec<(usize, &'a SlowRow)>,
    counts: Vec<&'a SlowCount>,
}

impl Writer {
    /// Makes the edge's part of a group durable: where sources go on comes last.
    pub(in super::super) fn commit_edge(
        &mut self,
        group: &[Request],
        now: Wall,
        answers: &mut [Appended],
    ) -> Result<(), StorageError> {
        if group.iter().all(|r| r.edge.is_empty()) {
            return Ok(());
        }
        let newest = now.after(OBSERVATION_AHEAD);
        self.outputs.note(group, now.as_millis() / 1000)?;
        self.commit_windows(group, now, newest, answers)?;
        self.commit_slow(group, now, newest, answers)?;
        self.commit_readings(group, now, newest, answers)?;
        self.commit_findings(group, answers)?;
        let places: Vec<_> = group.iter().flat_map(|r| &r.edge.resume).collect();
        if places.is_empty() { Ok(()) } else { resume::write(self.files.dir(), &places) }
    }

    fn commit_windows(
        &mut self,
        group: &[Request],
        now: Wall,
        newest: Wall,
        answers: &mut [Appended],
    ) -> Result<(), StorageError> {
        let levels = levels(&self.options.retention);
        let kind = levels[0].kind;
        let next_s = levels.get(1).map(|l| l.span_s);
        let oldest_s = now.as_millis().saturating_sub(self.keep_ms(kind)) / 1000;
        let newest_s = newest.as_millis() / 1000;
        let mut days: BTreeMap<Day, Incoming<'_>> = BTreeMap::new();
        for (place, request) in group.iter().enumerate() {
            for (source, revision, row) in &request.edge.rows {
                if !fits(row) || row.start_s < oldest_s || row.start_s > newest_s {
                    answers[place].edge.refused += 1;
                } else {
                    let day = kind.day_of(row.start_s * 1000);
                    days.entry(day).or_default().push((place, Some(source), *revision, row));
                }
            }
        }
        for (day, rows) in days {
            let path = self.files.path(kind, day);
            let start_s = kind.span_ms(day).0 / 1000;
            let target = Target { path: &path, start_s, span_s: FINEST_S, next_s };
            let taken = |place: usize| answers[place].edge.rows += 1;
            rows::write(self.file(kind, day)?, target, &rows, taken)?;
            self.unrolled.insert((kind, day));
        }
        Ok(())
    }

    fn commit_slow(
        &mut self,
        group: &[Request],
        now: Wall,
        newest: Wall,
        answers: &mut [Appended],
    ) -> Result<(), StorageError> {
        let kind = Kind::Slow;
        let oldest_ms = now.as_millis().saturating_sub(self.keep_ms(kind));
        let within = |at_ms: i64| at_ms >= oldest_ms && at_ms <= newest.as_millis();
        let mut days: BTreeMap<Day, SlowOfDay<'_>> = BTreeMap::new();
        for (place, request) in group.iter().enumerate() {
            for row in &request.edge.slow {
                if within(row.at.as_millis()) {
                    let day = kind.day_of(row.at.as_millis());
                    days.entry(day).or_default().rows.push((place, row));
                } else {
                    answers[place].edge.refused += 1;
                }
            }
            for count in &request.edge.slow_counts {
                let at_ms = count.start_s.saturating_mul(1000);
                if within(at_ms) {
                    days.entry(kind.day_of(at_ms)).or_default().counts.push(count);
                }
            }
        }
        for (day, of_day) in days {
            let path = self.files.path(kind, day);
            let new = |place: usize| answers[place].edge.slow += 1;
            slow::write(self.file(kind, day)?, &path, &of_day.rows, &of_day.counts, new)?;
        }
        Ok(())
    }

    fn commit_readings(
        &mut self,
        group: &[Request],
        now: Wall,
        newest: Wall,
        answers: &mut [Appended],
    ) -> Result<(), StorageError> {
        let kind = Kind::Readings;
        let oldest_ms = now.as_millis().saturating_sub(self.keep_ms(kind));
        let mut days: BTreeMap<Day, Vec<&Reading>> = BTreeMap::new();
        for (place, request) in group.iter().enumerate() {
            let answer = &mut answers[place].edge;
            for reading in &request.edge.readings {
                if reading.from.as_millis() < oldest_ms || reading.from > newest {
                    answer.refused += 1;
                } else {
                    answer.notices += 1;
                    let day = kind.day_of(reading.from.as_millis());
                    days.entry(day).or_default().push(reading);
                }
            }
        }
        for (day, readings) in days {
            let path = self.files.path(kind, day);
            notices::write_readings(self.file(kind, day)?, &path, &readings)?;
        }
        Ok(())
    }

    fn commit_findings(
        &mut self,
        group: &[Request],
        answers: &mut [Appended],
    ) -> Result<(), StorageError> {
        let kind = Kind::Findings;
        let mut days: BTreeMap<Day, Vec<&Finding>> = BTreeMap::new();
        for (place, request) in group.iter().enumerate() {
            for finding in &request.edge.findings {
                answers[place].edge.notices += 1;
                let day = kind.day_of(finding.opened.as_millis());
                days.entry(day).or_default().push(finding);
            }
        }
        for (day, findings) in days {
            let path = self.files.path(kind, day);
            notices::write_findings(self.file(kind, day)?, &path, &findings)?;
        }
        Ok(())
    }
}

/// Whether a row is one of a window as sources give them.
fn fits(row: &Row) -> bool {
    i64::from(row.span_s) == FINEST_S && row.start_s.rem_euclid(FINEST_S) == 0
}
