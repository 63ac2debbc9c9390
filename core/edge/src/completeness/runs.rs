//! Which numbers of one frontend came: as bits, in runs of consecutive numbers, each of one process
//! of the balancer.

use std::collections::VecDeque;

use whyslow_model::limits::EDGE_SEQUENCE_SPAN_MAX;

use super::Counters;

/// Bits of one block.
const BLOCK: u64 = 64;
/// How far beyond a run's newest number a line may be and still belong to it.
const AHEAD: u64 = 1 << 20;
/// How far behind a run's settled numbers a line may be and still count as a late one of it.
const BEHIND: u64 = 1 << 20;
/// Runs of one frontend at once: a reload or two.
const RUNS_MAX: usize = 4;
/// Lines that make a run believable: a single odd number proves nothing.
const RUN_LINES_MIN: u64 = 16;
/// Windows without a line after which a run is over.
const SILENT_MAX: u32 = 30;

/// Consecutive numbers of one process and frontend.
#[derive(Clone, Debug)]
struct Run {
    /// The number of the first bit of `blocks`, a multiple of [`BLOCK`].
    base: u64,
    blocks: VecDeque<u64>,
    /// Numbers below are accounted for.
    settled: u64,
    /// One beyond the highest number that came.
    end: u64,
    /// What `end` was when a window last ended: all below had a window to come.
    ripe: u64,
    /// Lines in it.
    lines: u64,
    silent: u32,
    /// No window has ended since it began, so that its first number may still be a lower one.
    fresh: bool,
}

impl Run {
    fn new(number: u64) -> Self {
        let base = number / BLOCK * BLOCK;
        let blocks = VecDeque::new();
        let (lines, silent) = (0, 0);
        let mut run = Self {
            base,
            blocks,
            settled: number,
            end: number,
            ripe: number,
            lines,
            silent,
            fresh: true,
        };
        run.set(number);
        run
    }

    /// Whether a number can be one of this run's.
    const fn takes(&self, number: u64) -> bool {
        number < self.end.saturating_add(AHEAD) && number.saturating_add(BEHIND) >= self.settled
    }

    /// Makes room for a number below the settled ones.
    fn lower_to(&mut self, number: u64) {
        let base = number / BLOCK * BLOCK;
        for _ in 0..(self.base - base) / BLOCK {
            self.blocks.push_front(0);
        }
        self.base = base;
        self.settled = number;
    }

    /// Notes a number at or after the settled ones; false where it was there.
    fn set(&mut self, number: u64) -> bool {
        let place = usize::try_from((number - self.base) / BLOCK).unwrap_or(usize::MAX);
        if place >= self.blocks.len() {
            self.blocks.resize(place + 1, 0);
        }
        let bit = 1 << (number % BLOCK);
        let new = self.blocks[place] & bit == 0;
        self.blocks[place] |= bit;
        self.end = self.end.max(number + 1);
        if new {
            self.lines += 1;
            self.silent = 0;
        }
        new
    }

    /// How many numbers of `from..to` came.
    fn count(&self, from: u64, to: u64) -> u64 {
        let mut count = 0;
        let mut at = from.max(self.base);
        while at < to {
            let place = usize::try_from((at - self.base) / BLOCK).unwrap_or(usize::MAX);
            let Some(block) = self.blocks.get(place) else { break };
            let end = to.min((at / BLOCK + 1) * BLOCK);
            let above = block >> (at % BLOCK);
            let wanted = end - at;
            let mask = if wanted == BLOCK { u64::MAX } else { (1 << wanted) - 1 };
            count += u64::from((above & mask).count_ones());
            at = end;
        }
        count
    }

    /// Accounts for the numbers below `to`: how many there are and how many of them came.
    fn settle(&mut self, to: u64) -> (u64, u64) {
        let to = to.clamp(self.settled, self.end);
        let (expected, seen) = (to - self.settled, self.count(self.settled, to));
        self.settled = to;
        while self.base + BLOCK <= self.settled && self.blocks.pop_front().is_some() {
            self.base += BLOCK;
        }
        (expected, seen)
    }
}

/// One frontend's numbers.
#[derive(Clone, Debug, Default)]
pub(super) struct Frontend {
    runs: Vec<Run>,
    /// Numbers accounted for since they were last taken.
    pub(super) expected: u64,
    /// How many of them came.
    pub(super) seen: u64,
}

impl Frontend {
    /// Notes a line of this number.
    pub(super) fn take(&mut self, number: u64, counters: &mut Counters) {
        let nearest = self
            .runs
            .iter_mut()
            .filter(|run| run.takes(number))
            .min_by_key(|run| run.end.abs_diff(number));
        let Some(run) = nearest else {
            if self.runs.len() >= RUNS_MAX {
                // The one that has been silent longest gives way.
                let over = self.runs.iter().enumerate().max_by_key(|(_, run)| run.silent);
                if let Some(place) = over.map(|(place, _)| place) {
                    self.end(place);
                }
            }
            counters.runs += 1;
            self.runs.push(Run::new(number));
            return;
        };
        if number < run.settled {
            if !run.fresh {
                counters.late += 1;
                return;
            }
            run.lower_to(number);
        }
        if !run.set(number) {
            counters.twice += 1;
        }
        if run.end - run.base > EDGE_SEQUENCE_SPAN_MAX {
            let (expected, seen) = run.settle(run.end - EDGE_SEQUENCE_SPAN_MAX / 2);
            self.expected += expected;
            self.seen += seen;
        }
    }

    /// Accounts for what had a window to come.
    pub(super) fn handle_window_end(&mut self) {
        for run in &mut self.runs {
            let ripe = run.ripe;
            run.ripe = run.end;
            if std::mem::take(&mut run.fresh) {
                continue;
            }
            if run.lines >= RUN_LINES_MIN {
                let (expected, seen) = run.settle(ripe);
                self.expected += expected;
                self.seen += seen;
            }
        }
        self.runs.iter_mut().for_each(|run| run.silent += 1);
        self.join();
        while let Some(over) = self.runs.iter().position(|run| run.silent > SILENT_MAX) {
            self.end(over);
        }
    }

    /// Where a run goes on far beyond another that fell silent, what lies between was lost.
    fn join(&mut self) {
        let believable = |run: &Run| run.lines >= RUN_LINES_MIN;
        let Some(later) = self.runs.iter().position(|r| believable(r) && r.silent == 1) else {
            return;
        };
        let from = self.runs[later].settled.min(self.runs[later].base);
        let before = self.runs.iter().enumerate().filter(|(at, run)| {
            *at != later && believable(run) && run.silent > 1 && run.end <= from
        });
        let Some(before) = before.max_by_key(|(_, run)| run.end).map(|(at, _)| at) else { return };
        let first = {
            let run = &self.runs[later];
            (run.base..run.end).find(|n| run.count(*n, n + 1) == 1).unwrap_or(run.settled)
        };
        self.expected += first.max(self.runs[before].end) - self.runs[before].end;
        self.end(before);
    }

    /// Ends a run: what is left of it is accounted for.
    fn end(&mut self, place: usize) {
        let mut run = self.runs.swap_remove(place);
        if run.lines >= RUN_LINES_MIN {
            let (expected, seen) = run.settle(run.end);
            self.expected += expected;
            self.seen += seen;
        }
    }
}
