//! What a recorder did not see: when, how much of it, and why.

use std::collections::VecDeque;
use std::time::Duration;

use whyslow_model::Wall;
use whyslow_model::limits::WIRE_LOSSES_MAX;

/// Losses of one kind that are nearer to each other become one.
const JOIN: Duration = Duration::from_secs(1);

/// Why packets were not seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Why {
    /// The ring was full: the kernel counted each packet it threw away.
    Dropped,
    /// The interface was switched off.
    Down,
    /// There was no such interface.
    Absent,
    /// The recorder began anew, after a mistake of its own or with another configuration.
    Restarted,
    /// Nobody recorded: the process before had ended, or was killed.
    Ended,
}

impl Why {
    /// The word in series.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Dropped => "dropped",
            Self::Down => "down",
            Self::Absent => "absent",
            Self::Restarted => "restarted",
            Self::Ended => "ended",
        }
    }

    /// The reason as users read it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Dropped => "the ring was full",
            Self::Down => "the interface was down",
            Self::Absent => "the interface was not there",
            Self::Restarted => "the recorder began anew",
            Self::Ended => "nobody recorded, or what was counted was lost with the process",
        }
    }
}

/// A stretch of time in which not everything was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Loss {
    /// When it began, at the earliest.
    pub from: Wall,
    /// When it ended, at the latest.
    pub to: Wall,
    /// Packets that are known to be missing; `None` where nobody can tell.
    pub lost: Option<u64>,
    /// Why.
    pub why: Why,
}

/// The losses of one tap, oldest first.
#[derive(Clone, Debug, Default)]
pub struct Losses {
    /// Ascending by `from`; at most [`WIRE_LOSSES_MAX`].
    kept: VecDeque<Loss>,
    /// Packets dropped in all, told or forgotten.
    dropped: u64,
    /// Losses forgotten because there were too many.
    forgotten: u64,
}

impl Losses {
    /// The kernel dropped `packets` at some time between two looks at its count.
    pub fn handle_dropped(&mut self, packets: u64, from: Wall, to: Wall) {
        if packets > 0 {
            self.dropped += packets;
            self.add(Loss { from, to, lost: Some(packets), why: Why::Dropped });
        }
    }

    /// Nothing was seen from `from` to `to`.
    pub fn handle_blind(&mut self, why: Why, from: Wall, to: Wall) {
        self.add(Loss { from, to, lost: None, why });
    }

    /// The losses that touch the time from `from` to `to`.
    pub fn between(&self, from: Wall, to: Wall) -> impl Iterator<Item = &Loss> {
        self.kept.iter().filter(move |loss| loss.from <= to && loss.to >= from)
    }

    /// Packets that were dropped at times that touch those from `from` to `to`; a loss that
    /// reaches beyond counts whole, since nobody knows when within it packets went missing.
    pub fn dropped_between(&self, from: Wall, to: Wall) -> u64 {
        self.between(from, to).filter_map(|loss| loss.lost).sum()
    }

    /// Packets dropped in all.
    pub const fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Losses forgotten because there were too many.
    pub const fn forgotten(&self) -> u64 {
        self.forgotten
    }

    fn add(&mut self, loss: Loss) {
        if let Some(last) = self.kept.back_mut()
            && last.why == loss.why
            && loss.from.since(last.to) < JOIN
            && last.to.since(last.from) < JOIN
        {
            last.to = last.to.max(loss.to);
            last.lost = last.lost.zip(loss.lost).map(|(a, b)| a + b);
            return;
        }
        if self.kept.len() == WIRE_LOSSES_MAX {
            self.kept.pop_front();
            self.forgotten += 1;
        }
        self.kept.push_back(loss);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(ms: i64) -> Wall {
        Wall::from_millis(ms)
    }

    #[test]
    fn drops_count_for_every_time_they_may_have_been_in() {
        let mut losses = Losses::default();
        losses.handle_dropped(0, at(0), at(100));
        losses.handle_dropped(7, at(100), at(105));
        losses.handle_dropped(3, at(5000), at(5005));
        assert_eq!(losses.dropped_between(at(0), at(99)), 0);
        assert_eq!(losses.dropped_between(at(0), at(100)), 7);
        assert_eq!(losses.dropped_between(at(105), at(5002)), 10);
        assert_eq!(losses.dropped_between(at(106), at(4999)), 0);
        assert_eq!((losses.dropped(), losses.forgotten()), (10, 0));
    }

    #[test]
    fn neighbours_of_one_kind_become_one_of_about_a_second() {
        let mut losses = Losses::default();
        for n in 0..1000 {
            losses.handle_dropped(1, at(n * 5), at(n * 5 + 5));
        }
        losses.handle_blind(Why::Down, at(5000), at(9000));
        let kept: Vec<Loss> = losses.between(at(0), at(10_000)).copied().collect();
        assert_eq!(kept.len(), 6);
        assert!(kept[..5].iter().all(|l| l.lost == Some(200)));
        assert_eq!((kept[5].why, kept[5].lost), (Why::Down, None));
        assert_eq!(losses.dropped_between(at(0), at(4)), 200);
    }

    #[test]
    fn too_many_are_forgotten_from_the_oldest_on_and_counted() {
        let mut losses = Losses::default();
        for n in 0..i64::try_from(WIRE_LOSSES_MAX).unwrap() + 5 {
            losses.handle_dropped(1, at(n * 10_000), at(n * 10_000));
        }
        assert_eq!((losses.forgotten(), losses.between(at(0), at(49_999)).count()), (5, 0));
        assert_eq!(losses.dropped_between(at(50_000), at(50_000)), 1);
        assert_eq!(losses.dropped(), WIRE_LOSSES_MAX as u64 + 5);
    }
}
