//! How long files and series are kept.

use std::time::Duration;

use whyslow_store::retention::Level;

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
                let needed = (kind == Kind::Samples && end > oldest_window)
                    || self.unrolled.contains(&(kind, day));
                if end > oldest || needed {
                    break;
                }
                self.open.remove(&(kind, day));
                self.files.remove(kind, day)?;
                self.counters.update(|c| c.files_removed += 1);
            }
        }
        let raw_ms = self.options.retention.raw_keep_ms();
        self.outputs.remove_old(now_ms.saturating_sub(raw_ms) / 1000)?;
        let gone = now_ms.saturating_sub(self.options.retention.longest_ms());
        let removed = write(&self.head).remove_older(gone);
        if !removed.is_empty() {
            self.registry.forget_series(&removed)?;
        }
        self.counters.update(|c| c.bytes_on_disk = self.files.bytes());
        Ok(())
    }

    pub(super) fn keep_ms(&self, kind: Kind) -> i64 {
        let ms = |d: Duration| i64::try_from(d.as_millis()).unwrap_or(i64::MAX);
        let is = |l: &&Level| {
            [Kind::of_level(**l), Kind::edge_level(**l), Kind::wire_level(**l)].contains(&kind)
        };
        // Several levels may be one of the wire's; the later ones are kept longer.
        let level = self.options.retention.levels().iter().rfind(is);
        match kind {
            Kind::Facts | Kind::Findings => ms(self.options.observations_for),
            Kind::Transcripts | Kind::Slow | Kind::Readings | Kind::WireEvents => {
                ms(self.options.transcripts_for)
            }
            Kind::Runs => ms(self.options.ok_runs_for),
            Kind::Samples
            | Kind::Rollup { .. }
            | Kind::Windows { .. }
            | Kind::WireWindows { .. } => level.map_or(i64::MAX, |l| l.keep_ms),
        }
    }
}
