//! The balancer's own numbering of its lines, by which missing ones are counted.
//!
//! Threads read a log's pieces in any order, but its account must see numbers about as they were
//! written. Numbers mostly follow each other, so each piece keeps them as runs, which are played
//! into the account once all is read.

use whyslow_edge::completeness::{Completeness, Ledger};
use whyslow_edge::record::Record;
use whyslow_model::Wall;
use whyslow_model::seeded::Seed;

/// Runs kept of one piece; beyond it nothing is claimed.
const RUNS_MAX: usize = 1 << 20;
/// Lines after which numbers that did not come count as missing.
const SETTLE_EVERY: u64 = 1 << 18;

/// The numbers of one piece.
#[derive(Debug, Default)]
pub(super) struct Runs {
    vips: Vec<Box<[u8]>>,
    /// Frontend, first number, how many.
    runs: Vec<(usize, u64, u64)>,
    full: bool,
}

impl Runs {
    /// Takes a line's number.
    #[inline]
    pub(super) fn handle_record(&mut self, record: &Record<'_>) {
        if let Some(number) = record.sequence {
            self.take(record.vip, number);
        }
    }

    fn take(&mut self, vip: &[u8], number: u64) {
        // Lines of different frontends alternate, so the run that goes on is among the last.
        let recent = self.runs.len().saturating_sub(8);
        let goes_on = self.runs[recent..].iter_mut().rev().find(|(of, first, n)| {
            first.checked_add(*n) == Some(number) && self.vips.get(*of).is_some_and(|v| **v == *vip)
        });
        if let Some((_, _, n)) = goes_on {
            *n += 1;
            return;
        }
        if self.runs.len() >= RUNS_MAX {
            self.full = true;
            return;
        }
        let known = self.vips.iter().position(|v| **v == *vip);
        let vip = known.unwrap_or_else(|| {
            self.vips.push(vip.into());
            self.vips.len() - 1
        });
        self.runs.push((vip, number, 1));
    }
}

/// How complete the pieces are together, in the order in which they were written; `None` where
/// the lines have no numbers.
pub(super) fn completeness(pieces: &[Runs], seed: Seed) -> Option<Completeness> {
    if pieces.iter().any(|piece| piece.full) {
        return None;
    }
    let mut ledger = Ledger::new(seed, false);
    let mut lines = 0_u64;
    for piece in pieces {
        for (vip, first, n) in &piece.runs {
            for number in *first..first.saturating_add(*n) {
                ledger.handle_line(&piece.vips[*vip], Some(number));
                lines += 1;
                if lines.is_multiple_of(SETTLE_EVERY) {
                    ledger.handle_window(Wall::default(), Wall::default());
                }
            }
        }
    }
    ledger.finish(Wall::default(), Wall::default());
    ledger.total().filter(|_| lines > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn runs(numbers: impl IntoIterator<Item = u64>) -> Runs {
        let mut runs = Runs::default();
        numbers.into_iter().for_each(|n| runs.take(b"web", n));
        runs
    }

    #[test]
    fn a_gap_inside_and_one_between_pieces_are_both_counted() {
        let pieces = [runs((1000..3000).filter(|n| n % 500 != 7)), runs(3002..6000)];
        let told = completeness(&pieces, Seed(1)).unwrap();
        assert_eq!((told.expected, told.seen), (5000, 4994));
    }

    #[test]
    fn lines_that_overtake_each_other_are_not_missing() {
        let swapped = (0..2000_u64).map(|n| 1000 + (n ^ 1));
        let told = completeness(&[runs(swapped)], Seed(1)).unwrap();
        assert_eq!(told.missing(), 0);
        assert!(completeness(&[Runs::default()], Seed(1)).is_none());
    }
}
