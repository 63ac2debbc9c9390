//! What one trigger counts and remembers, for the API and `/metrics`.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use whyslow_model::Wall;
use whyslow_model::limits::WIRE_TRIGGER_RECENT_MAX;

use super::super::incident::{Became, Ends, Fate, FateCounts, Fates};
use crate::config::LogTrigger;

/// What became of the lines of a log since it is followed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TriggerCounts {
    /// Lines that told of an incident.
    pub matched: u64,
    /// Lines that matched with a duration below what is slow.
    pub faster: u64,
    /// Lines that matched and said what cannot be.
    pub odd: u64,
    /// Lines that did not match.
    pub other: u64,
    /// What was no line: too long, or no entry of the journal.
    pub unreadable: u64,
    /// Lines that journald said it threw away.
    pub dropped: u64,
    /// Times that lines may have been lost.
    pub gaps: u64,
}

/// One line that told of an incident.
#[derive(Clone, Debug)]
pub struct Match {
    /// When it was noticed.
    pub noticed: Wall,
    /// When what it tells of began, as far as it says.
    pub began: Wall,
    /// And ended.
    pub ended: Wall,
    /// How long it says that took.
    pub duration: Option<Duration>,
    /// Whose connection.
    pub ends: Ends,
    /// The client, where its port is known.
    pub client: Option<SocketAddr>,
    /// The line, harmless to print.
    pub line: String,
    /// What became of its packets.
    pub became: Became,
}

/// How one trigger fares.
#[derive(Clone, Debug)]
pub struct TriggerStatus {
    /// Its name.
    pub name: String,
    /// The log, as configured.
    pub input: String,
    /// The cause of its incidents.
    pub cause: String,
    /// Since when it is followed.
    pub since: Wall,
    /// What was counted.
    pub counts: TriggerCounts,
    /// What became of the incidents that lines told of.
    pub fates: FateCounts,
    /// Why nothing is read, where something stands in the way.
    pub problem: Option<String>,
    /// The last line that said what cannot be, harmless to print.
    pub odd: Option<String>,
    /// The last lines that told of incidents, the oldest first.
    pub recent: Vec<Match>,
}

/// Shared by the thread that follows and those who ask; cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Told(Arc<Mutex<Known>>);

#[derive(Debug)]
struct Known {
    since: Wall,
    counts: TriggerCounts,
    fates: Fates,
    problem: Option<String>,
    odd: Option<String>,
    recent: VecDeque<(Match, Fate)>,
}

impl Told {
    pub(super) fn new(since: Wall) -> Self {
        let (counts, fates, recent) = (TriggerCounts::default(), Fates::default(), VecDeque::new());
        let known = Known { since, counts, fates, problem: None, odd: None, recent };
        Self(Arc::new(Mutex::new(known)))
    }

    pub(super) fn problem(&self, problem: Option<String>) {
        self.update(|known| known.problem = problem);
    }

    pub(super) fn odd(&self, line: String) {
        self.update(|known| known.odd = Some(line));
    }

    pub(super) fn add(&self, counts: &TriggerCounts) {
        self.update(|known| known.counts.add(counts));
    }

    /// The fate of one more incident.
    pub(super) fn fate(&self) -> Fate {
        self.update(|known| known.fates.one())
    }

    pub(super) fn matched(&self, one: Match, fate: Fate) {
        self.update(|known| {
            if known.recent.len() >= WIRE_TRIGGER_RECENT_MAX {
                known.recent.pop_front();
            }
            known.recent.push_back((one, fate));
        });
    }

    pub(super) fn status(&self, config: &LogTrigger) -> TriggerStatus {
        let recent = |(one, fate): &(Match, Fate)| Match { became: fate.read(), ..one.clone() };
        self.update(|known| TriggerStatus {
            name: config.name.clone(),
            input: config.input.to_string(),
            cause: config.cause().to_owned(),
            since: known.since,
            counts: known.counts,
            fates: known.fates.read(),
            problem: known.problem.clone(),
            odd: known.odd.clone(),
            recent: known.recent.iter().map(recent).collect(),
        })
    }

    fn update<T>(&self, change: impl FnOnce(&mut Known) -> T) -> T {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl TriggerCounts {
    fn add(&mut self, other: &Self) {
        let Self { matched, faster, odd, other: unmatched, unreadable, dropped, gaps } = other;
        self.matched += matched;
        self.faster += faster;
        self.odd += odd;
        self.other += unmatched;
        self.unreadable += unreadable;
        self.dropped += dropped;
        self.gaps += gaps;
    }
}
