//! The times of a range of which a tap has no window, or one in which it could not see all the
//! time: silence is not calm.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use whyslow_model::Wall;
use whyslow_wire::row::Window;

/// How long before now a range ends of which windows may still be open.
const SETTLED: Duration = Duration::from_mins(3);

/// Looks through windows, each tap's oldest first.
#[derive(Debug)]
pub(super) struct Unseen {
    from: Wall,
    /// Until when each tap is looked through.
    until: BTreeMap<Arc<str>, Wall>,
    found: Vec<Stretch>,
}

/// A time in which not everything was seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Stretch {
    tap: Arc<str>,
    from: Wall,
    to: Wall,
}

impl Default for Unseen {
    fn default() -> Self {
        Self::from(Wall::from_nanos(0))
    }
}

impl Unseen {
    /// Nothing looked through yet of a range that begins then.
    pub(super) const fn from(from: Wall) -> Self {
        Self { from, until: BTreeMap::new(), found: Vec::new() }
    }

    /// Takes a tap's next window.
    pub(super) fn handle_window(&mut self, tap: &Arc<str>, window: &Window) {
        let until = self.until.insert(Arc::clone(tap), window.to).unwrap_or(self.from);
        if window.from > until {
            self.add(tap, until, window.from);
        }
        if window.blind {
            self.add(tap, window.from, window.to);
        }
    }

    /// What was not seen until `to`, by tap, oldest first.
    pub(super) fn finish(mut self, to: Wall) -> Vec<Stretch> {
        for (tap, until) in std::mem::take(&mut self.until) {
            if to.since(until) > SETTLED {
                self.add(&tap, until, to);
            }
        }
        self.found.sort_by(|a, b| (&a.tap, a.from).cmp(&(&b.tap, b.from)));
        self.found.dedup_by(|next, last| {
            let joins = next.tap == last.tap && next.from <= last.to;
            last.to = if joins { last.to.max(next.to) } else { last.to };
            joins
        });
        self.found
    }

    fn add(&mut self, tap: &Arc<str>, from: Wall, to: Wall) {
        self.found.push(Stretch { tap: Arc::clone(tap), from, to });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(minute: i64, blind: bool) -> Window {
        let (from, to) = (at(60 * minute), at(60 * minute + 60));
        Window { from, to, packets: 1, drops: 0, blind, rows: Vec::new() }
    }

    fn at(s: i64) -> Wall {
        Wall::from_millis(1000 * s)
    }

    #[test]
    fn what_is_missing_or_blind_is_one_stretch_where_it_touches() {
        let (eth0, lo) = (Arc::from("eth0"), Arc::from("lo"));
        let mut unseen = Unseen::from(at(0));
        for (minute, blind) in [(0, false), (1, true), (4, true), (5, false), (7, false)] {
            unseen.handle_window(&eth0, &window(minute, blind));
        }
        unseen.handle_window(&lo, &window(7, false));
        let found = unseen.finish(at(660));
        let found: Vec<_> = found.iter().map(|s| (&*s.tap, s.from, s.to)).collect();
        let wanted =
            [("eth0", at(60), at(300)), ("eth0", at(360), at(420)), ("lo", at(0), at(420))];
        assert_eq!(found, wanted, "the last three minutes may be open");
        let mut unseen = Unseen::from(at(0));
        unseen.handle_window(&lo, &window(0, false));
        assert_eq!(unseen.finish(at(241)).len(), 1);
    }
}
