//! The phases as stretches of one axis: each begins where the one before it ended, so they add up.

use whyslow_model::Wall;

use crate::handshake::Phase;
use crate::opening::{Opening, Outcome};

/// A stretch of time, in nanoseconds since the epoch; `to` is not before `from`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stretch {
    pub(super) from: i64,
    pub(super) to: i64,
}

impl Stretch {
    /// How long it is.
    pub(super) const fn ns(self) -> i64 {
        self.to.saturating_sub(self.from)
    }
}

/// A phase that was observed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Observed {
    pub(super) stretch: Stretch,
    /// Phases before it were not observed on their own, and their time is in this one.
    pub(super) holds_others: bool,
    /// Its end is not a packet of its own but an estimate.
    pub(super) estimated: bool,
    /// The opening ended in it, before its own end.
    pub(super) ended: bool,
}

/// The axis of one opening.
#[derive(Clone, Debug)]
pub(super) struct Timeline {
    pub(super) phases: [Option<Observed>; Phase::ALL.len()],
    /// The whole: from the first observed point to the last.
    pub(super) whole: Stretch,
}

impl Timeline {
    /// Lays out the time points t0 to t6b or t7b. `rtt_client_ns` places the acknowledgment of the
    /// server's flight where it came with the client's answer.
    pub(super) fn of(opening: &Opening, rtt_client_ns: Option<i64>) -> Self {
        let points = points(opening, rtt_client_ns);
        let mut walk = Walk::begin(opening, &points);
        for (phase, point) in Phase::ALL.into_iter().zip(points) {
            walk.step(phase, point);
        }
        walk.end(opening);
        Self {
            phases: walk.phases,
            whole: Stretch { from: walk.first.unwrap_or(walk.cursor), to: walk.cursor },
        }
    }

    /// One phase, if it was observed.
    pub(super) const fn get(&self, phase: Phase) -> Option<Observed> {
        self.phases[phase as usize]
    }

    /// Whether the end of the flight's acknowledgment was only estimated.
    pub(super) fn ack_estimated(&self) -> bool {
        self.get(Phase::Ack).is_some_and(|ack| ack.estimated)
    }
}

/// The end of a phase: when, and whether it is an estimate.
type Point = Option<(i64, bool)>;

fn points(opening: &Opening, rtt_client_ns: Option<i64>) -> [Point; Phase::ALL.len()] {
    let flight = opening.flight.as_ref();
    let reply = opening.reply.as_ref().map(|reply| reply.span);
    let finish = opening.closing.map(|closing| closing.last).or(reply.map(|reply| reply.last));
    [
        exact(opening.syns.last),
        exact(opening.syn_acks.last),
        exact(opening.acked),
        exact(opening.hello.map(|hello| hello.last)),
        exact(flight.map(|flight| flight.span.first)),
        exact(flight.map(|flight| flight.span.last)),
        acknowledged(opening, rtt_client_ns),
        exact(reply.map(|reply| reply.first)),
        exact(finish),
    ]
}

fn exact(at: Option<Wall>) -> Point {
    at.map(|at| (nanos(at), false))
}

/// Nanoseconds since the epoch, kept so near to it that two of them can be subtracted.
fn nanos(at: Wall) -> i64 {
    at.as_nanos().clamp(-i64::MAX / 2, i64::MAX / 2)
}

/// t5. An acknowledgment that rides on the client's answer says nothing of when the flight
/// arrived: a round trip behind the flight is the best estimate.
fn acknowledged(opening: &Opening, rtt_client_ns: Option<i64>) -> Point {
    let flight = opening.flight.as_ref()?;
    let reply = opening.reply.as_ref().map(|reply| nanos(reply.span.first));
    let acked = flight.acked.map(nanos);
    match (acked, reply) {
        (Some(acked), None) => Some((acked, !flight.acked_alone)),
        (Some(acked), Some(reply)) if flight.acked_alone && acked <= reply => Some((acked, false)),
        (_, Some(reply)) => {
            let estimate = nanos(flight.span.last).saturating_add(rtt_client_ns?);
            Some((estimate.min(reply), true))
        }
        (None, None) => None,
    }
}

struct Walk {
    phases: [Option<Observed>; Phase::ALL.len()],
    first: Option<i64>,
    cursor: i64,
    skipped: bool,
    last: Option<usize>,
}

impl Walk {
    fn begin(opening: &Opening, points: &[Point]) -> Self {
        let known = points.iter().flatten().map(|(at, _)| *at).min();
        let first = opening.syns.first.map(nanos);
        let cursor = first.or(known).unwrap_or_else(|| nanos(opening.first));
        Self {
            phases: [None; Phase::ALL.len()],
            first: first.map(|first| first.max(cursor)),
            cursor,
            skipped: false,
            last: None,
        }
    }

    fn step(&mut self, phase: Phase, point: Point) {
        let Some((at, estimated)) = point else {
            self.skipped = true;
            return;
        };
        let at = at.max(self.cursor);
        self.last = Some(phase as usize);
        if self.first.is_none() {
            // Nothing was observed before: this point is where the axis begins.
            self.first = Some(at);
            self.cursor = at;
            self.skipped = false;
            return;
        }
        let stretch = Stretch { from: self.cursor, to: at };
        self.phases[phase as usize] =
            Some(Observed { stretch, holds_others: self.skipped, estimated, ended: false });
        self.cursor = at;
        self.skipped = false;
    }

    /// Gives the phase in which the opening ended the time until that.
    fn end(&mut self, opening: &Opening) {
        if !opening.outcome.is_early_end() {
            return;
        }
        let to = nanos(opening.last).max(self.cursor);
        let under_way = match self.last {
            Some(last) => (last + 1).min(Phase::ALL.len() - 1),
            None => 0,
        };
        let from = self.phases[under_way].map_or(self.cursor, |finish| finish.stretch.from);
        self.first.get_or_insert(from);
        self.phases[under_way] = Some(Observed {
            stretch: Stretch { from, to },
            holds_others: false,
            estimated: false,
            ended: true,
        });
        self.cursor = to;
    }
}

impl Outcome {
    /// Whether the opening ended before its end and the end was seen or waited for.
    pub(super) const fn is_early_end(self) -> bool {
        match self {
            Self::Reset { .. } | Self::Closed { .. } | Self::Alert { .. } | Self::TimedOut => true,
            Self::Complete | Self::Plain | Self::CutOff => false,
        }
    }
}
