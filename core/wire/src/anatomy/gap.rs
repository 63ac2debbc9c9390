//! A pause in which one end was expected to send: did it send nothing, or did its packet not come?

use whyslow_model::Wall;

use super::clock::Clock;
use super::numbers::{Across, Numbers};
use super::parts::{Owner, Parts};
use super::timeline::Stretch;
use crate::opening::{Seen, Side};

/// Pauses below this are not looked into: no lost packet is sent again so soon.
const LOOKED_INTO_NS: i64 = 10_000_000;
/// The least retransmission timeout beyond a round trip (Linux: `TCP_RTO_MIN`).
const RTO_MIN_NS: i64 = 200_000_000;
/// How much later than due a retransmission may come: timers are coarse, in per cent.
const LATE_PERCENT: i64 = 112;
const EARLY_PERCENT: i64 = 95;
/// What may be missing between a pause and what a clock shows of it before it means something.
const CLOCK_SLACK_NS: i64 = 20_000_000;

/// One end as the tap sees it.
#[derive(Clone, Copy, Debug)]
pub(super) struct End<'a> {
    pub(super) owner: Owner,
    pub(super) side: &'a Side,
    pub(super) numbers: Numbers,
    pub(super) clock: Option<Clock>,
    /// The tap stands so near that nothing is lost between it and this end.
    pub(super) near: bool,
    /// The round trip its retransmission timer goes by, in nanoseconds.
    pub(super) rtt_ns: i64,
}

/// A time in which an end was expected to send.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pause {
    pub(super) stretch: Stretch,
    /// Its beginning is only estimated: the network may have had a part in it.
    pub(super) estimated: bool,
    /// What was expected is one segment, so that one that was lost twice was sent three times.
    pub(super) single: bool,
}

/// What was found of a pause.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Gap {
    pub(super) stretch: Stretch,
    pub(super) cause: GapCause,
    pub(super) across: Option<Across>,
    /// Ticks of the end's clock over the pause, and those in nanoseconds where a tick is known.
    pub(super) clock: Option<(i32, Option<f64>)>,
}

/// Why nothing came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum GapCause {
    /// The end sent nothing.
    Silent,
    /// What it sent was missing at the tap for so long, while later bytes were there.
    Hole {
        /// From when on it was missed, and when it came.
        missed: Stretch,
    },
    /// So many packets were lost, or overtaken, before the tap.
    Lost {
        /// How many.
        packets: u16,
    },
    /// The packet was under way for longer than others by so many nanoseconds.
    HeldUp {
        /// How much longer.
        ns: i64,
    },
    /// The pause is as long as a retransmission takes and nothing else can be told.
    LikeTimeout,
}

impl End<'_> {
    /// Looks into the pause and gives its time to whom it belongs.
    pub(super) fn judge(&self, pause: Pause, parts: &mut Parts) -> Gap {
        let Pause { stretch, estimated, single } = pause;
        let gap = self.look(stretch);
        let (ns, owner) = (stretch.ns(), self.owner);
        match gap.cause {
            GapCause::Silent if estimated => parts.likely(owner, Owner::Network, ns),
            GapCause::Silent => parts.sure(owner, ns),
            GapCause::Hole { missed } => {
                parts.sure(Owner::Network, missed.ns());
                parts.sure(owner, ns - missed.ns());
            }
            GapCause::Lost { packets } => self.lost(ns, packets, single, parts),
            GapCause::HeldUp { ns: held } => {
                parts.sure(Owner::Network, held.min(ns));
                parts.sure(owner, ns - held);
            }
            GapCause::LikeTimeout if owner == Owner::Server => parts.server_or_network(ns),
            GapCause::LikeTimeout => parts.network_or_client(ns),
        }
        gap
    }

    /// A loss costs at least a probe's time (two round trips) and at most a timeout that doubles
    /// with every further one; what is beyond was the end's own. Where `again` says that it was one
    /// segment each time, every further loss costs a timeout at least.
    fn lost(&self, ns: i64, packets: u16, again: bool, parts: &mut Parts) {
        let further = if again { i64::from(packets.saturating_sub(1)) } else { 0 };
        let probe = self.rtt_ns.saturating_mul(2);
        let least = probe.saturating_add(self.rto_ns().saturating_mul(further)).min(ns);
        let doublings = u32::from(packets.min(16));
        let most = (self.rto_ns() * LATE_PERCENT / 100).saturating_mul((1 << doublings) - 1);
        let beyond = (ns - most).max(0);
        let least = least.min(ns - beyond);
        parts.sure(Owner::Network, least);
        parts.likely(Owner::Network, self.owner, ns - beyond - least);
        parts.likely(self.owner, Owner::Network, beyond);
    }

    fn look(&self, pause: Stretch) -> Gap {
        let mut gap = Gap { stretch: pause, cause: GapCause::Silent, across: None, clock: None };
        if self.near || pause.ns() < LOOKED_INTO_NS {
            return gap;
        }
        gap.across = self.numbers.across(self.side, pause.from, pause.to);
        gap.clock = self.clock_over(pause);
        gap.cause = self.cause(pause, &gap);
        gap
    }

    fn cause(&self, pause: Stretch, gap: &Gap) -> GapCause {
        if let Some(missed) = self.hole(pause) {
            return GapCause::Hole { missed };
        }
        let missing = gap.across.as_ref().map_or(0, |across| across.missing);
        if missing > 0 {
            return GapCause::Lost { packets: missing };
        }
        if let Some((_, Some(shown))) = gap.clock {
            let held = pause.ns().saturating_sub(rounded(shown));
            if held > CLOCK_SLACK_NS.max(self.rtt_ns / 4) {
                return GapCause::HeldUp { ns: held };
            }
        }
        if gap.across.is_none() && self.like_timeout(pause.ns()) {
            return GapCause::LikeTimeout;
        }
        GapCause::Silent
    }

    /// Bytes that were missing within the pause and came at its end at the latest.
    fn hole(&self, pause: Stretch) -> Option<Stretch> {
        let missed = self.side.holes.iter().filter_map(|hole| {
            let (from, to) = (hole.noticed.as_nanos(), hole.filled?.as_nanos());
            let within = to > pause.from && to <= pause.to && from < to;
            within.then_some(Stretch { from: from.max(pause.from), to })
        });
        missed.max_by_key(|missed| missed.ns())
    }

    fn clock_over(&self, pause: Stretch) -> Option<(i32, Option<f64>)> {
        let seen = &self.side.seen;
        let at = |seen: &Seen| seen.at.as_nanos();
        let before = seen.iter().rev().find(|s| at(s) <= pause.from)?.tsval?;
        let after = seen.iter().find(|s| at(s) >= pause.to && at(s) > pause.from)?.tsval?;
        let ticks = super::clock::ahead(before, after)?;
        Some((ticks, self.clock.and_then(|clock| clock.between_ns(before, after))))
    }

    const fn rto_ns(&self) -> i64 {
        let variation = self.rtt_ns.saturating_mul(2);
        let beyond = if variation > RTO_MIN_NS { variation } else { RTO_MIN_NS };
        self.rtt_ns.saturating_add(beyond)
    }

    /// Whether a pause is as long as one retransmission takes, or two.
    fn like_timeout(&self, ns: i64) -> bool {
        let probe = self.rtt_ns.saturating_mul(2);
        [probe, self.rto_ns(), self.rto_ns().saturating_mul(3)].into_iter().any(|due| {
            let (from, to) = (due / 100 * EARLY_PERCENT, due / 100 * LATE_PERCENT);
            (from..=to.max(due.saturating_add(CLOCK_SLACK_NS))).contains(&ns)
        })
    }
}

/// When one side first sent bytes again, if that was within a stretch.
pub(super) fn seen_again(side: &Side, stretch: Stretch) -> Option<Wall> {
    side.again_first.filter(|at| (stretch.from..=stretch.to).contains(&at.as_nanos()))
}

#[expect(clippy::cast_possible_truncation, reason = "a clock's steps over a pause: below 2^63")]
fn rounded(ns: f64) -> i64 {
    ns.round() as i64
}

#[cfg(test)]
mod tests {
    use crate::anatomy::tests::{client_answers_at, plain};
    use crate::anatomy::{Judge, judge};
    use crate::handshake::{Blame, VantagePoint};

    #[test]
    fn an_answer_of_one_segment_lost_twice_took_two_timeouts() {
        let mut opening = plain();
        client_answers_at(&mut opening, 670.0, 0x7d4e, 1670);
        let blame = |opening| judge(opening, VantagePoint::Server, &Judge::default()).blame;
        assert_eq!(blame(opening.clone()), Blame::Network);
        // Of several segments two may have been lost at once, and the rest be the client's time.
        opening.reply.as_mut().unwrap().segments = 3;
        assert_eq!(blame(opening), Blame::Unknown);
    }
}
