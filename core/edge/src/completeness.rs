//! How much of what a balancer logged was seen: by its own numbering of lines, and by the losses
//! that the kernel and whyslow's own limits own up to.
//!
//! `HAProxy` numbers the log lines of each frontend (`%lc`, configuration manual 8.2.6). Which
//! numbers came is kept as bits, so neither their order nor lines that come twice matter, and what
//! several workers saw can be put together. A number counts as missing only once it had a whole
//! window to come after a later one had. Numbers begin anew when the balancer restarts, and during
//! a reload two processes number at once: numbers far from all others begin a run of their own.

mod runs;

use serde::{Deserialize, Serialize};
use whyslow_model::Wall;
use whyslow_model::limits::{EDGE_SEQUENCE_FRONTENDS_MAX, EDGE_SEQUENCE_STRETCHES_MAX};
use whyslow_model::observation::Gap;
use whyslow_model::seeded::{Seed, SeededMap};

use runs::Frontend;

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
mod tests;
