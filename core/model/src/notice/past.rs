//! A cell's own past: the figures of its last windows that were not abnormal.

use std::collections::{BTreeMap, VecDeque};

use crate::limits::NOTICE_CELLS_MAX;
use crate::stats;

/// Windows of the past that are remembered.
const WINDOWS: usize = 60;
/// Windows of the past that it takes to know what is usual.
const WINDOWS_MIN: usize = 15;
/// Windows in which a cell is not seen, after which it is forgotten.
const UNSEEN_MAX: u32 = 1440;
/// Abnormal windows after which the cell's new way is taken for its usual one.
const ADOPTED_AFTER: u32 = 360;
/// Half the width of a normal distribution's middle half, in standard deviations.
const MAD_TO_SIGMA: f64 = 1.4826;

/// What is usual for a cell.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Usual {
    /// The middle of the past.
    pub median: f64,
    /// How far the past strays from it, as a standard deviation, by the median of the distances.
    pub sigma: f64,
}

/// One cell's past.
#[derive(Clone, Debug, Default)]
struct Past {
    figures: VecDeque<f64>,
    unseen: u32,
    abnormal: u32,
}

/// The past of the cells of one detector.
#[derive(Clone, Debug)]
pub struct Pasts<K> {
    cells: BTreeMap<K, Past>,
}

impl<K> Default for Pasts<K> {
    fn default() -> Self {
        Self { cells: BTreeMap::new() }
    }
}

impl<K: Ord + Clone> Pasts<K> {
    /// What is usual for a cell; `None` where too little of its past is known.
    pub fn usual(&self, cell: &K) -> Option<Usual> {
        let past = &self.cells.get(cell)?.figures;
        if past.len() < WINDOWS_MIN {
            return None;
        }
        let median = median(past.iter().copied())?;
        let mad = self::median(past.iter().map(|x| (x - median).abs()))?;
        Some(Usual { median, sigma: mad * MAD_TO_SIGMA })
    }

    /// The middle of a cell's last few figures.
    pub fn recent(&self, cell: &K, windows: usize) -> Option<f64> {
        let past = &self.cells.get(cell)?.figures;
        median(past.iter().rev().take(windows).copied())
    }

    /// Notes a cell's figure; an abnormal one is not what is usual, until it lasts.
    pub fn note(&mut self, cell: &K, figure: f64, abnormal: bool) {
        if !self.cells.contains_key(cell) && self.cells.len() >= NOTICE_CELLS_MAX {
            return;
        }
        let past = self.cells.entry(cell.clone()).or_default();
        past.unseen = 0;
        if abnormal {
            past.abnormal += 1;
            if past.abnormal < ADOPTED_AFTER {
                return;
            }
            past.figures.clear();
        }
        past.abnormal = 0;
        if past.figures.len() >= WINDOWS {
            past.figures.pop_front();
        }
        past.figures.push_back(figure);
    }

    /// The cells whose past is known.
    pub fn cells(&self) -> impl Iterator<Item = &K> {
        self.cells.keys()
    }

    /// Forgets cells that have not been noted for a day.
    pub fn handle_window_end(&mut self) {
        self.cells.retain(|_, past| {
            past.unseen += 1;
            past.unseen <= UNSEEN_MAX
        });
    }
}

fn median(figures: impl Iterator<Item = f64>) -> Option<f64> {
    let mut sorted: Vec<f64> = figures.collect();
    sorted.sort_unstable_by(f64::total_cmp);
    stats::quantile(&sorted, 0.5)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usual_is_not_moved_by_what_is_abnormal_until_that_lasts() {
        let mut pasts = Pasts::default();
        for n in 0..40_u32 {
            pasts.note(&"a", 10.0 + f64::from(n % 5), false);
        }
        let usual = pasts.usual(&"a").unwrap();
        assert!((usual.median - 12.0).abs() < 1e-9 && usual.sigma > 1.0, "{usual:?}");
        (1..ADOPTED_AFTER).for_each(|_| pasts.note(&"a", 90.0, true));
        assert_eq!(pasts.usual(&"a"), Some(usual));
        pasts.note(&"a", 90.0, true);
        assert_eq!(pasts.usual(&"a"), None, "begun anew");
        assert_eq!(pasts.recent(&"a", 3), Some(90.0));
    }

    #[test]
    fn a_cell_that_is_gone_is_forgotten_and_a_flood_of_cells_is_bounded() {
        let mut pasts = Pasts::default();
        (0..2 * NOTICE_CELLS_MAX).for_each(|n| pasts.note(&n, 1.0, false));
        assert_eq!(pasts.cells().count(), NOTICE_CELLS_MAX);
        (0..=UNSEEN_MAX).for_each(|_| pasts.handle_window_end());
        assert_eq!(pasts.cells().count(), 0);
    }
}
