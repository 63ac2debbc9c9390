//! What one thread does with each line: cut the header, parse, count.

use std::sync::Arc;
use std::time::{Duration, Instant};

use whyslow_edge::format::{Context, Scratch};
use whyslow_edge::framing::Frame;
use whyslow_model::Wall;
use whyslow_sys::clock;

use super::counters::{Counted, Gauges, Sample, Tally};
use super::reading::Reading;
use crate::config::{EdgeSource, Zone};

/// Device and number of a file.
pub(super) type FileId = (u64, u64);

/// How often a worker looks at the clocks and gives its counts to the others.
const TICK: Duration = Duration::from_millis(200);

/// One worker's private part; nothing of it is shared while lines are read.
#[derive(Debug)]
pub(super) struct Worker {
    number: usize,
    counted: Arc<Counted>,
    tally: Tally,
    reading: Reading,
    scratch: Scratch,
    zone: jiff::tz::TimeZone,
    context: Context,
    ticked: Instant,
}

impl Worker {
    pub(super) fn new(number: usize, config: &EdgeSource, counted: Arc<Counted>) -> Self {
        let reading = Reading::of(&config.format).unwrap_or_else(|error| {
            // The configuration was checked; a format that went since is no reason to end.
            tracing::error!("source {}: {error}; reading as auto", config.name);
            Reading::Searching(Vec::new())
        });
        let zone = zone(&config.time_zone);
        let now = clock::wall();
        Self {
            number,
            counted,
            tally: Tally::default(),
            reading,
            scratch: Scratch::default(),
            context: Context { near: now, zone_s: offset_s(&zone, now) },
            zone,
            ticked: Instant::now(),
        }
    }

    /// Takes what the framer gave. False where nothing more can be read from this stream.
    pub(super) fn handle_frame(&mut self, frame: Frame<'_>) -> bool {
        match frame {
            Frame::Line(line) => self.handle_line(line),
            Frame::TooLong => self.tally.too_long += 1,
            Frame::Broken => {
                self.tally.broken += 1;
                return false;
            }
        }
        true
    }

    /// Takes what the framer gave of a file: a message that begins at `begins`.
    pub(super) fn handle_frame_at(
        &mut self,
        frame: Frame<'_>,
        _file: FileId,
        _begins: u64,
        _counted_to: u64,
    ) {
        self.handle_frame(frame);
    }

    /// The time a line bears, where it is a request that bears one; nothing is counted.
    pub(super) fn time_of(&mut self, line: &[u8]) -> Option<i64> {
        if let Reading::Searching(_) = &self.reading {
            self.reading.look_at(line, &self.context, &mut self.scratch);
        }
        self.reading.read(line, &self.context, &mut self.scratch).ok()?.at_us
    }

    /// The latest time a request bore, since the last settling.
    pub(super) const fn newest_at_us(&self) -> Option<i64> {
        self.tally.newest_at_us
    }

    /// Takes one line.
    pub(super) fn handle_line(&mut self, line: &[u8]) {
        if let Reading::Searching(_) = &self.reading {
            self.reading.look_at(line, &self.context, &mut self.scratch);
        }
        match self.reading.read(line, &self.context, &mut self.scratch) {
            Ok(record) => {
                self.tally.parsed += 1;
                self.tally.newest_at_us = self.tally.newest_at_us.max(record.at_us);
            }
            Err(reason) => {
                let count = self.tally.rejected.entry(reason).or_default();
                *count += 1;
                if *count == 1 {
                    self.tally.sample = Some(Sample::of(reason, line));
                }
            }
        }
    }

    /// Counts by hand what is no line.
    pub(super) fn count(&mut self, change: impl FnOnce(&mut Tally)) {
        change(&mut self.tally);
    }

    /// Says how things stand.
    pub(super) fn gauge(&self, change: impl FnOnce(&mut Gauges)) {
        self.counted.gauge(self.number, change);
    }

    /// Looks at the clocks and gives counts to the others, if it is time for that.
    pub(super) fn tick(&mut self) {
        if self.ticked.elapsed() >= TICK {
            self.settle();
        }
    }

    /// Gives all counts to the others.
    pub(super) fn settle(&mut self) {
        self.ticked = Instant::now();
        let now = clock::wall();
        self.context = Context { near: now, zone_s: offset_s(&self.zone, now) };
        self.counted.add(&std::mem::take(&mut self.tally));
        if let Some(format) = self.reading.found() {
            self.gauge(|g| g.format = Some(format));
        }
    }
}

fn zone(of: &Zone) -> jiff::tz::TimeZone {
    use jiff::tz::{Offset, TimeZone};
    match of {
        Zone::Local => TimeZone::system(),
        Zone::Fixed(s) => Offset::from_seconds(*s).map_or(TimeZone::UTC, TimeZone::fixed),
        Zone::Named(name) => TimeZone::get(name).unwrap_or(TimeZone::UTC),
    }
}

fn offset_s(zone: &jiff::tz::TimeZone, at: Wall) -> i32 {
    let at = jiff::Timestamp::from_nanosecond(i128::from(at.as_nanos())).unwrap_or_default();
    zone.to_offset(at).seconds()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_named_zone_knows_summer_time() {
        let zone = zone(&Zone::Named("Europe/Paris".to_owned()));
        let at = |text: &str| offset_s(&zone, text.parse().unwrap());
        assert_eq!(at("2026-01-15T12:00:00Z"), 3600);
        assert_eq!(at("2026-07-15T12:00:00Z"), 7200);
        assert_eq!(offset_s(&super::zone(&Zone::Fixed(-5400)), Wall::from_nanos(0)), -5400);
    }
}
