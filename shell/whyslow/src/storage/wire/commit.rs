//! Writing what the wire plane brings, each kind to its day's file.

use std::collections::BTreeMap;
use std::sync::Arc;

use whyslow_model::Wall;
use whyslow_wire::row::Window;

use super::super::Appended;
use super::super::days::{Day, Kind};
use super::super::error::StorageError;
use super::super::writer::{OBSERVATION_AHEAD, Request, Writer};
use super::{WireEvent, WireEvidence, events, levels, windows};

impl Writer {
    /// Makes the wire's part of a group durable.
    pub(in super::super) fn commit_wire(
        &mut self,
        group: &[Request],
        now: Wall,
        answers: &mut [Appended],
    ) -> Result<(), StorageError> {
        if group.iter().all(|r| r.wire.is_empty()) {
            return Ok(());
        }
        let mut of_windows: BTreeMap<Day, Vec<(&Arc<str>, &Window)>> = BTreeMap::new();
        let mut of_events: BTreeMap<Day, Vec<&WireEvent>> = BTreeMap::new();
        let mut of_evidence: BTreeMap<Day, Vec<&WireEvidence>> = BTreeMap::new();
        for (request, answer) in group.iter().zip(answers) {
            let answer = &mut answer.wire;
            for (tap, window) in &request.wire.windows {
                match self.wire_day(Kind::WIRE_FINEST, window.from, now) {
                    Some(day) => {
                        answer.windows += 1;
                        of_windows.entry(day).or_default().push((tap, window));
                    }
                    None => answer.refused += 1,
                }
            }
            for event in &request.wire.events {
                match self.wire_day(Kind::WireEvents, event.at, now) {
                    Some(day) => {
                        answer.events += 1;
                        of_events.entry(day).or_default().push(event);
                    }
                    None => answer.refused += 1,
                }
            }
        }
        for told in group.iter().flat_map(|r| &r.wire.evidence) {
            if let Some(day) = self.wire_day(Kind::WireEvents, told.at, now) {
                of_evidence.entry(day).or_default().push(told);
            }
        }
        let next_s = levels(&self.options.retention).get(1).map(|l| l.span_s);
        for (day, found) in of_windows {
            let path = self.files.path(Kind::WIRE_FINEST, day);
            windows::write(self.file(Kind::WIRE_FINEST, day)?, &path, &found, next_s)?;
            self.unrolled.insert((Kind::WIRE_FINEST, day));
        }
        for (day, found) in of_events {
            let path = self.files.path(Kind::WireEvents, day);
            events::write(self.file(Kind::WireEvents, day)?, &path, &found)?;
        }
        for (day, found) in of_evidence {
            let path = self.files.path(Kind::WireEvents, day);
            events::point(self.file(Kind::WireEvents, day)?, &path, &found)?;
        }
        Ok(())
    }

    /// The day of what happened at `at`; `None` where that is too old or too far ahead.
    fn wire_day(&self, kind: Kind, at: Wall, now: Wall) -> Option<Day> {
        let oldest_ms = now.as_millis().saturating_sub(self.keep_ms(kind));
        let within = at.as_millis() >= oldest_ms && at <= now.after(OBSERVATION_AHEAD);
        within.then(|| kind.day_of(at.as_millis()))
    }
}
