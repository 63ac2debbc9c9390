//! How much of what a balancer logged was seen: by its own numbering of lines, and by the losses
//! that the kernel and whyslow's own limits own up to.
//!
//! `HAProxy` numbers the log lines of each frontend (`%lc`, configuration manual 8.2.6). Which
//! numbers came is kept as bits, so neither their order nor lines that come twice matter, and what
//! several workers saw can be put together. A number counts as missing only once it had a whole
//! window to come after a later one had. Numbers begin anew when the balancer restarts, and during
//! a reload two processes number at once: numbers far from all others begin a run of their own.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};
use whyslow_model::Wall;
use whyslow_model::limits::{
    EDGE_SEQUENCE_FRONTENDS_MAX, EDGE_SEQUENCE_SPAN_MAX, EDGE_SEQUENCE_STRETCHES_MAX,
};
use whyslow_model::observation::Gap;
use whyslow_model::seeded::{Seed, SeededMap};

/// By what one can tell how complete a log is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Witness {
    /// By the losses that the kernel, or whyslow's own limits, count.
    Drops,
    /// By the balancer's own numbering of its lines.
    Sequence,
}

/// How much of a log was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Completeness {
    /// Lines that were sent.
    pub expected: u64,
    /// Lines of them that were seen.
    pub seen: u64,
    /// By what that is known.
    pub source: Witness,
}

impl Completeness {
    /// The share that was seen, 0 to 1; 1 of nothing.
    pub fn share(self) -> f64 {
        if self.expected == 0 {
            return 1.0;
        }
        #[expect(clippy::cast_precision_loss, reason = "counts of lines are far below 2^53")]
        let share = self.seen as f64 / self.expected as f64;
        share.min(1.0)
    }

    /// Lines that were not seen.
    pub const fn missing(self) -> u64 {
        self.expected.saturating_sub(self.seen)
    }

    /// Of two logs, or two stretches of time, together; what cannot be told adds nothing.
    pub fn both(a: Option<Self>, b: Option<Self>) -> Option<Self> {
        let (Some(a), Some(b)) = (a, b) else { return a.or(b) };
        let expected = a.expected.saturating_add(b.expected);
        let seen = a.seen.saturating_add(b.seen);
        Some(Self { expected, seen, source: a.source.max(b.source) })
    }
}

/// Why lines were lost on our side of the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Loss {
    /// The kernel had no room for them (`SO_RXQ_OVFL`).
    Kernel,
    /// A limit of whyslow's own was reached.
    Limit,
}

/// What is known of a stretch of time.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Stretch {
    /// How complete it is; `None` where nothing can tell.
    pub completeness: Option<Completeness>,
    /// What is missing, each with its reason.
    pub gaps: Vec<Gap>,
}

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
struct Frontend {
    runs: Vec<Run>,
    expected: u64,
    seen: u64,
}

impl Frontend {
    fn take(&mut self, number: u64, counters: &mut Counters) {
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
    fn handle_window_end(&mut self) {
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

/// What a ledger counts beside lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Lines that came twice.
    pub twice: u64,
    /// Lines that came after they had been counted as missing.
    pub late: u64,
    /// Times that numbers began anew, the first time of each frontend included.
    pub runs: u64,
    /// Lines of frontends beyond those whose numbers are watched.
    pub unwatched: u64,
}

/// The numbers one worker saw, to be put together with others' in a [`Ledger`].
#[derive(Clone, Debug)]
pub struct Numbers {
    frontends: SeededMap<Box<[u8]>, Vec<(u64, u64)>>,
    /// Lines that came, numbered or not.
    lines: u64,
    stretches: usize,
}

impl Numbers {
    /// None yet.
    pub fn new(seed: Seed) -> Self {
        Self { frontends: seed.map(), lines: 0, stretches: 0 }
    }

    /// Counts a line that was read: its frontend, and its number where it has one.
    #[inline]
    pub fn handle_line(&mut self, vip: &[u8], sequence: Option<u64>) {
        self.lines += 1;
        let Some(number) = sequence else { return };
        if !self.frontends.contains_key(vip) {
            if self.frontends.len() > EDGE_SEQUENCE_FRONTENDS_MAX {
                return;
            }
            self.frontends.insert(vip.into(), Vec::new());
        }
        let Some(stretches) = self.frontends.get_mut(vip) else { return };
        match stretches.last_mut() {
            Some((first, count)) if first.wrapping_add(*count) == number => *count += 1,
            _ => {
                stretches.push((number, 1));
                self.stretches += 1;
            }
        }
    }

    /// Whether they should be handed over before more are taken.
    pub const fn is_full(&self) -> bool {
        self.stretches >= EDGE_SEQUENCE_STRETCHES_MAX
    }
}

/// One source's account.
#[derive(Clone, Debug)]
pub struct Ledger {
    frontends: SeededMap<Box<[u8]>, Frontend>,
    /// Lines that came, numbered or not, since the last window ended.
    lines: u64,
    /// Lines known to be lost since then, by the kernel and by limits.
    lost: [u64; 2],
    /// Whether losses were ever told of, so that their absence means something.
    drops_are_told: bool,
    numbered: bool,
    /// Whether some numbers could be accounted for yet.
    total: Option<Completeness>,
    counters: Counters,
}

impl Ledger {
    /// An account of nothing. `drops_are_told` where the input says how many lines it loses, so
    /// that silence about losses means that there are none.
    pub fn new(seed: Seed, drops_are_told: bool) -> Self {
        Self {
            frontends: seed.map(),
            lines: 0,
            lost: [0; 2],
            drops_are_told,
            numbered: false,
            total: None,
            counters: Counters::default(),
        }
    }

    /// Counts a line that was read: its frontend, and its number where it has one.
    pub fn handle_line(&mut self, vip: &[u8], sequence: Option<u64>) {
        self.lines += 1;
        let Some(number) = sequence.filter(|n| *n < u64::MAX / 2) else { return };
        self.numbered = true;
        if let Some(frontend) = self.frontends.get_mut(vip) {
            frontend.take(number, &mut self.counters);
        } else if self.frontends.len() < EDGE_SEQUENCE_FRONTENDS_MAX {
            let mut frontend = Frontend::default();
            frontend.take(number, &mut self.counters);
            self.frontends.insert(vip.into(), frontend);
        } else {
            self.counters.unwatched += 1;
        }
    }

    /// Takes over what a worker saw, and leaves it none.
    pub fn handle_numbers(&mut self, numbers: &mut Numbers) {
        let mut numbered = 0;
        for (vip, stretches) in numbers.frontends.iter_mut() {
            for (first, count) in stretches.drain(..) {
                numbered += count;
                (0..count).for_each(|n| self.handle_line(vip, Some(first.wrapping_add(n))));
            }
        }
        self.lines += numbers.lines.saturating_sub(numbered);
        (numbers.lines, numbers.stretches) = (0, 0);
    }

    /// Counts lines that were lost on our side.
    pub fn handle_lost(&mut self, lines: u64, why: Loss) {
        self.drops_are_told = true;
        self.lost[why as usize] = self.lost[why as usize].saturating_add(lines);
    }

    /// Ends a stretch of time: says how complete it is. Numbers are accounted for one stretch
    /// late, so that lines may overtake each other.
    pub fn handle_window(&mut self, from: Wall, to: Wall) -> Stretch {
        let mut gaps = Vec::new();
        let mut gap = |lost: u64, reason: String| {
            if lost > 0 {
                gaps.push(Gap { from, to, lost: Some(lost), reason });
            }
        };
        let (mut expected, mut seen) = (0, 0);
        let mut names: Vec<&Box<[u8]>> = self.frontends.keys().collect();
        names.sort_unstable();
        let names: Vec<Box<[u8]>> = names.into_iter().cloned().collect();
        for name in names {
            let Some(frontend) = self.frontends.get_mut(&name) else { continue };
            frontend.handle_window_end();
            let (e, s) = (frontend.expected, frontend.seen);
            (frontend.expected, frontend.seen) = (0, 0);
            expected += e;
            seen += s;
            let name = String::from_utf8_lossy(&name).into_owned();
            gap(
                e.saturating_sub(s),
                format!("the balancer numbered lines of {name} that never came"),
            );
        }
        let [kernel, limit] = self.lost;
        gap(kernel, "the kernel had no room for them".to_owned());
        gap(limit, "a limit of whyslow's own was reached".to_owned());
        let completeness = if self.numbered {
            Some(Completeness { expected, seen, source: Witness::Sequence })
        } else {
            let expected = self.lines.saturating_add(kernel).saturating_add(limit);
            let drops = Completeness { expected, seen: self.lines, source: Witness::Drops };
            Some(drops).filter(|_| self.drops_are_told)
        };
        self.lines = 0;
        self.lost = [0; 2];
        self.total = Completeness::both(self.total, completeness);
        Stretch { completeness, gaps }
    }

    /// Accounts for all that is left, at the end of a file.
    pub fn finish(&mut self, from: Wall, to: Wall) -> Stretch {
        let first = self.handle_window(from, to);
        let second = self.handle_window(from, to);
        let completeness = Completeness::both(first.completeness, second.completeness);
        Stretch { completeness, gaps: first.gaps.into_iter().chain(second.gaps).collect() }
    }

    /// How complete all windows so far are; `None` where nothing can tell.
    pub const fn total(&self) -> Option<Completeness> {
        self.total
    }

    /// What it counts beside lines.
    pub const fn counters(&self) -> Counters {
        self.counters
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ledger() -> Ledger {
        Ledger::new(Seed(7), false)
    }

    fn tick(ledger: &mut Ledger) -> (u64, u64) {
        let stretch = ledger.handle_window(Wall::from_millis(0), Wall::from_millis(10_000));
        let told: u64 = stretch.gaps.iter().filter_map(|g| g.lost).sum();
        let c = stretch.completeness.unwrap();
        assert_eq!(c.missing(), told, "every gap is told");
        (c.expected, c.seen)
    }

    fn feed(ledger: &mut Ledger, numbers: impl IntoIterator<Item = u64>) {
        numbers.into_iter().for_each(|n| ledger.handle_line(b"web", Some(n)));
    }

    #[test]
    fn missing_numbers_are_counted_once_a_window_has_passed() {
        let mut l = ledger();
        feed(&mut l, (1000..2000).filter(|n| n % 100 != 7));
        assert_eq!(tick(&mut l), (0, 0), "they may still come");
        feed(&mut l, 2000..3000);
        assert_eq!(tick(&mut l), (1000, 990));
        assert_eq!(tick(&mut l), (1000, 1000));
        assert_eq!(l.total().map(|c| (c.expected, c.seen)), Some((2000, 1990)));
    }

    #[test]
    fn order_and_repetition_do_not_matter() {
        let mut l = ledger();
        // By two workers, one of which is a window behind, and each line twice.
        feed(&mut l, (0..5000).filter(|n| n % 2 == 0).rev());
        feed(&mut l, (0..3000).filter(|n| n % 2 == 1));
        assert_eq!(tick(&mut l), (0, 0));
        feed(&mut l, (3000..5000).filter(|n| n % 2 == 1));
        feed(&mut l, 4000..5000);
        assert_eq!(tick(&mut l), (4999, 4999), "all but the last of the first window");
        assert_eq!(l.counters().twice, 1000);
    }

    #[test]
    fn workers_that_see_a_part_each_see_all_together() {
        let mut l = ledger();
        let mut workers = [Numbers::new(Seed(1)), Numbers::new(Seed(2))];
        for n in 0..4000_u64 {
            // Line 77 is lost; the workers hand over at different times.
            if n != 77 {
                workers[usize::from(n % 3 == 0)].handle_line(b"web", Some(n));
            }
            if n % 1000 == 0 {
                l.handle_numbers(&mut workers[0]);
            }
        }
        workers.iter_mut().for_each(|w| l.handle_numbers(w));
        tick(&mut l);
        assert_eq!(tick(&mut l), (4000, 3999));
    }

    #[test]
    fn a_restart_begins_anew_and_a_reload_numbers_twice_at_once() {
        let mut l = ledger();
        feed(&mut l, 5_000_000..5_001_000);
        tick(&mut l);
        // The old process finishes its requests while the new one counts from 1.
        for n in 1..500 {
            feed(&mut l, [n, 5_001_000 + n / 10]);
        }
        tick(&mut l);
        feed(&mut l, 500..700);
        let mut sum = (0, 0);
        for _ in 0..40 {
            let (e, s) = tick(&mut l);
            sum = (sum.0 + e, sum.1 + s);
        }
        let total = l.total().unwrap();
        assert_eq!(total.missing(), 0, "{total:?}");
        assert_eq!(total.expected, 1000 + 50 + 699);
    }

    #[test]
    fn a_long_outage_is_counted_when_the_numbers_go_on() {
        let mut l = ledger();
        feed(&mut l, 0..1000);
        tick(&mut l);
        tick(&mut l);
        feed(&mut l, 9_000_000..9_000_100);
        for _ in 0..3 {
            tick(&mut l);
        }
        assert_eq!(l.total().map(Completeness::missing), Some(8_999_000));
    }

    #[test]
    fn one_odd_number_proves_nothing() {
        let mut l = ledger();
        feed(&mut l, 0..1000);
        feed(&mut l, [1 << 60, u64::MAX, 77_777_777]);
        tick(&mut l);
        feed(&mut l, 1000..2000);
        for _ in 0..40 {
            tick(&mut l);
        }
        assert_eq!(l.total().map(|c| (c.expected, c.seen)), Some((2000, 2000)));
    }

    #[test]
    fn without_numbers_only_told_losses_tell() {
        let mut l = ledger();
        l.handle_line(b"web", None);
        let none = l.handle_window(Wall::from_millis(0), Wall::from_millis(10));
        assert_eq!(none, Stretch::default(), "nothing can tell");
        l.handle_line(b"web", None);
        l.handle_lost(3, Loss::Kernel);
        assert_eq!(tick(&mut l), (4, 1));
        let mut told = Ledger::new(Seed(7), true);
        told.handle_line(b"web", None);
        assert_eq!(tick(&mut told), (1, 1));
    }

    #[test]
    fn a_flood_of_frontends_is_bounded() {
        let mut l = ledger();
        for n in 0..2 * EDGE_SEQUENCE_FRONTENDS_MAX {
            l.handle_line(n.to_string().as_bytes(), Some(1));
        }
        assert_eq!(l.frontends.len(), EDGE_SEQUENCE_FRONTENDS_MAX);
        assert_eq!(l.counters().unwatched, EDGE_SEQUENCE_FRONTENDS_MAX as u64);
    }
}
