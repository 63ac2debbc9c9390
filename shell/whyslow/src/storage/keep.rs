//! How long files and series are kept.

use std::time::Duration;

use super::days::Kind;
use super::error::StorageError;
use super::writer::{Writer, now, write};

impl Writer {
    /// Removes files all of whose days are too old, and series of which nothing is left.
    pub(super) fn remove_old(&mut self) -> Result<(), StorageError> {
        let now_ms = now().as_millis();
        let mut head = write(&self.head);
        head.find_oldest();
        let oldest_window = head.oldest_ms();
        drop(head);
        for kind in self.files.kinds() {
            let oldest = now_ms.saturating_sub(self.keep_ms(kind));
            for day in self.files.days(kind) {
                let end = kind.span_ms(day).1;
                // A window that is still to be rolled up is read from here after a restart.
                if end > oldest || (kind == Kind::Samples && end > oldest_window) {
                    break;
                }
                self.open.remove(&(kind, day));
                self.files.remove(kind, day)?;
                self.counters.update(|c| c.files_removed += 1);
            }
        }
        let gone = now_ms.saturating_sub(self.options.retention.longest_ms());
        let removed = write(&self.head).remove_older(gone);
        if !removed.is_empty() {
            self.registry.forget_series(&removed)?;
        }
        self.counters.update(|c| c.bytes_on_disk = self.files.bytes());
        Ok(())
    }

    fn keep_ms(&self, kind: Kind) -> i64 {
        let ms = |d: Duration| i64::try_from(d.as_millis()).unwrap_or(i64::MAX);
        let level = self.options.retention.levels().iter().find(|l| Kind::of_level(**l) == kind);
        match kind {
            Kind::Facts => ms(self.options.observations_for),
            Kind::Transcripts => ms(self.options.transcripts_for),
            Kind::Runs => ms(self.options.ok_runs_for),
            Kind::Samples | Kind::Rollup { .. } => level.map_or(i64::MAX, |l| l.keep_ms),
        }
    }
}
