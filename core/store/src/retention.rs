//! How long which resolution is kept, and which of them answers a query.

use std::time::Duration;

use crate::head::WINDOW_MS;

/// One resolution and how long it is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Level {
    /// Milliseconds one bucket covers; 0 for the samples themselves.
    pub resolution_ms: i64,
    /// Milliseconds for which it is kept.
    pub keep_ms: i64,
}

/// How long samples and their roll-ups are kept: `[10s:24h, 5m:30d, 1h:2y]`.
///
/// Invariant: the first level is the samples themselves; resolutions and times strictly ascend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retention(Vec<Level>);

/// Why steps make no retention.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadRetention {
    /// There is no step.
    #[error("retention needs at least one step, such as 10s:24h")]
    Empty,
    /// A step is not coarser, or not kept longer, than the one before.
    #[error("step {0} of retention must be coarser and kept longer than the step before it")]
    Order(usize),
    /// A bucket does not fit a chunk.
    #[error(
        "step {0} of retention: a resolution after the first is a minute or more and divides two \
         hours, as 5m and 1h do"
    )]
    Resolution(usize),
    /// Nothing would be kept, or for longer than there is time.
    #[error("step {0} of retention is kept for less than two hours, or more than a century")]
    Keep(usize),
}

impl BadRetention {
    /// The step at fault, from 1.
    pub const fn step(&self) -> usize {
        match self {
            Self::Empty => 1,
            Self::Order(step) | Self::Resolution(step) | Self::Keep(step) => *step,
        }
    }
}

impl Retention {
    /// The retention of these steps, each a resolution and how long it is kept, finest first.
    /// The first stands for samples as they come, whatever their distance.
    ///
    /// # Errors
    /// [`BadRetention`] with the number of the step at fault, from 1.
    pub fn new(steps: &[(Duration, Duration)]) -> Result<Self, BadRetention> {
        let ms = |d: Duration| i64::try_from(d.as_millis()).unwrap_or(i64::MAX);
        if steps.is_empty() {
            return Err(BadRetention::Empty);
        }
        let mut levels: Vec<Level> = Vec::new();
        for (i, (resolution, keep)) in steps.iter().enumerate() {
            let (resolution_ms, keep_ms) = (ms(*resolution), ms(*keep));
            if !(WINDOW_MS..=KEEP_MAX_MS).contains(&keep_ms) {
                return Err(BadRetention::Keep(i + 1));
            }
            if i > 0 {
                if resolution_ms < RESOLUTION_MIN_MS || WINDOW_MS % resolution_ms != 0 {
                    return Err(BadRetention::Resolution(i + 1));
                }
                let before = levels[i - 1];
                if resolution_ms <= before.resolution_ms.max(ms(steps[i - 1].0))
                    || keep_ms <= before.keep_ms
                {
                    return Err(BadRetention::Order(i + 1));
                }
            }
            levels.push(Level { resolution_ms: if i == 0 { 0 } else { resolution_ms }, keep_ms });
        }
        Ok(Self(levels))
    }

    /// All levels, the samples themselves first.
    pub fn levels(&self) -> &[Level] {
        &self.0
    }

    /// The roll-ups.
    pub fn rollups(&self) -> &[Level] {
        &self.0[1..]
    }

    /// How long samples themselves are kept, in milliseconds.
    pub fn raw_keep_ms(&self) -> i64 {
        self.0[0].keep_ms
    }

    /// How long anything is kept, in milliseconds.
    pub fn longest_ms(&self) -> i64 {
        self.0[self.0.len() - 1].keep_ms
    }
}

impl Default for Retention {
    /// `[10s:24h, 5m:30d, 1h:2y]`
    fn default() -> Self {
        const HOUR_MS: i64 = 3_600_000;
        Self(vec![
            Level { resolution_ms: 0, keep_ms: 24 * HOUR_MS },
            Level { resolution_ms: 300_000, keep_ms: 30 * 24 * HOUR_MS },
            Level { resolution_ms: HOUR_MS, keep_ms: 730 * 24 * HOUR_MS },
        ])
    }
}

/// A century.
const KEEP_MAX_MS: i64 = 100 * 366 * 86_400_000;
/// Finer roll-ups would be no smaller than samples.
const RESOLUTION_MIN_MS: i64 = 60_000;

impl Level {
    /// Milliseconds that one row covers: at least 24 buckets, in whole chunk windows.
    pub const fn row_ms(self) -> i64 {
        let windows = (self.resolution_ms * 24 + WINDOW_MS - 1) / WINDOW_MS;
        if windows == 0 { WINDOW_MS } else { windows * WINDOW_MS }
    }

    /// Days that one file of this level covers.
    pub const fn file_days(self) -> i64 {
        if self.resolution_ms <= 600_000 { 1 } else { 30 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn retention(steps: &[(u64, u64)]) -> Result<Retention, BadRetention> {
        let steps: Vec<_> =
            steps.iter().map(|(r, k)| (Duration::from_secs(*r), Duration::from_secs(*k))).collect();
        Retention::new(&steps)
    }

    #[test]
    fn the_default_is_what_the_documents_show() {
        let day = 86_400;
        let shown = retention(&[(10, day), (300, 30 * day), (3600, 730 * day)]);
        assert_eq!(shown, Ok(Retention::default()));
    }

    #[test]
    fn steps_get_coarser_and_last_longer() {
        let day = 86_400;
        assert_eq!(retention(&[]), Err(BadRetention::Empty));
        assert_eq!(retention(&[(10, day), (300, day)]), Err(BadRetention::Order(2)));
        assert_eq!(retention(&[(600, day), (300, 2 * day)]), Err(BadRetention::Order(2)));
        assert_eq!(retention(&[(10, day), (420, 2 * day)]), Err(BadRetention::Resolution(2)));
        assert_eq!(retention(&[(10, 60)]), Err(BadRetention::Keep(1)));
    }

    #[test]
    fn rows_fit_files() {
        for resolution_s in (60..=7200).filter(|s| 7200 % s == 0) {
            let level = Level { resolution_ms: resolution_s * 1000, keep_ms: 0 };
            assert_eq!(level.file_days() * 86_400_000 % level.row_ms(), 0, "{resolution_s}");
        }
    }
}
