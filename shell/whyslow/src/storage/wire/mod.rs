//! What the wire plane keeps: windows, and single handshakes, unanswered SYNs and endings.

mod commit;
mod events;
mod rollup;
mod windows;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use whyslow_model::Wall;
use whyslow_wire::row::Window;

pub use events::{WireEventPage, WireEventQuery, WireOrder};

pub(super) use events::SHAPE as EVENTS;
pub(super) use rollup::levels;
pub(super) use windows::{SHAPE as WINDOWS, note_all};

use super::Db;
use super::error::StorageError;

/// What the wire plane brings. Its readings and findings go with the edge's.
#[derive(Clone, Debug, Default)]
pub struct WireBatch {
    /// Closed windows, each with the tap it is of; one of the same tap and start replaces the one
    /// that is there.
    pub windows: Vec<(Arc<str>, Window)>,
    /// Single events; one of a known id replaces what is there.
    pub events: Vec<WireEvent>,
    /// Where the packets of events are; of those that are kept.
    pub evidence: Vec<WireEvidence>,
}

/// Where the packets of an event are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WireEvidence {
    /// The event's id.
    pub id: u64,
    /// When the event began.
    pub at: Wall,
    /// The name of the file in the spool.
    pub file: String,
}

impl WireBatch {
    /// How many entries it has.
    pub const fn len(&self) -> usize {
        self.windows.len() + self.events.len() + self.evidence.len()
    }

    /// Whether it brings nothing.
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// What kind of thing an event is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum WireKind {
    /// A judged opening.
    Handshake,
    /// SYNs without an answer.
    Unanswered,
    /// An ending in no log.
    Ending,
}

/// One event that is kept by itself.
#[derive(Clone, Debug, PartialEq)]
pub struct WireEvent {
    /// Names it: [`WireEvent::id_of`].
    pub id: u64,
    /// When it began.
    pub at: Wall,
    /// Which tap saw it.
    pub tap: Arc<str>,
    /// What kind it is.
    pub kind: WireKind,
    /// Who opened the connection.
    pub client: SocketAddr,
    /// To where.
    pub server: SocketAddr,
    /// The client's network.
    pub asn: Option<u32>,
    /// The suffix of the client's name.
    pub rdns: Option<Arc<str>>,
    /// How long it took, in microseconds: of a handshake that was seen to its end.
    pub total_us: Option<u64>,
    /// Whose time it was, the cause, or the kind of ending; from a closed list.
    pub word: String,
    /// How it ended, from a closed list; of a handshake.
    pub outcome: Option<String>,
    /// It is kept because it is slow or failed, not as a sample of what is usual.
    pub notable: bool,
    /// The name of its packets' file in the spool.
    pub evidence: Option<String>,
    /// The whole of it, as JSON: an element of `whyslow.wire/1`.
    pub document: String,
}

impl WireEvent {
    /// The id of what began at `at` between these two.
    pub fn id_of(kind: WireKind, at: Wall, client: SocketAddr, server: SocketAddr) -> u64 {
        let words = format!("{kind:?} {} {client} {server}", at.as_nanos());
        whyslow_model::hash::fnv1a(&words)
    }
}

/// What became of a [`WireBatch`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WireAppended {
    /// Windows written.
    pub windows: u64,
    /// Events written.
    pub events: u64,
    /// What was refused: older than it is kept, or more than a day ahead of the clock.
    pub refused: u64,
}

impl WireAppended {
    /// Adds another's counts.
    pub(super) const fn add(&mut self, other: &Self) {
        self.windows += other.windows;
        self.events += other.events;
        self.refused += other.refused;
    }
}

impl Db {
    /// Windows as taps closed them that start in `from..to`, of one tap or of all, oldest first: as
    /// long as these are kept. It blocks.
    ///
    /// # Errors
    /// [`StorageError`] where a file cannot be read.
    pub fn wire_windows(
        &self,
        tap: Option<&str>,
        from: Wall,
        to: Wall,
    ) -> Result<Vec<(Arc<str>, Window)>, StorageError> {
        windows::read(&self.0.files, tap, from, to)
    }

    /// Shows `each` what the windows of a range hold, of one tap or of all, oldest first: of roll-ups
    /// of at most `wanted_s` seconds, or such that there are about 120; what is not rolled up yet
    /// comes in finer windows, and what is no longer kept in coarser ones. Gives the seconds of
    /// those that fit. It blocks.
    ///
    /// # Errors
    /// [`StorageError`] where a file cannot be read.
    pub fn wire_over(
        &self,
        tap: Option<&str>,
        range: (Wall, Wall),
        wanted_s: Option<i64>,
        each: &mut dyn FnMut(Arc<str>, Window),
    ) -> Result<i64, StorageError> {
        let levels = levels(&self.0.retention);
        rollup::over(&self.0.files, &levels, tap, range, wanted_s, each)
    }

    /// Events that the query asks for; it blocks.
    ///
    /// # Errors
    /// [`StorageError`] where a file cannot be read.
    pub fn wire_events(&self, query: &WireEventQuery) -> Result<WireEventPage, StorageError> {
        events::page(&self.0.files, query)
    }

    /// One event; it blocks.
    ///
    /// # Errors
    /// [`StorageError`] where a file cannot be read.
    pub fn wire_event(&self, id: u64) -> Result<Option<WireEvent>, StorageError> {
        events::find(&self.0.files, id)
    }

    /// Until when each tap's windows reach; it blocks.
    ///
    /// # Errors
    /// [`StorageError`] where a file cannot be read.
    pub fn wire_ends(&self) -> Result<BTreeMap<Arc<str>, Wall>, StorageError> {
        windows::ends(&self.0.files, &levels(&self.0.retention))
    }

    /// The taps of which there are windows that start in `from..to`; it blocks.
    ///
    /// # Errors
    /// [`StorageError`] where the file cannot be read.
    pub fn wire_taps(&self, from: Wall, to: Wall) -> Result<Vec<Arc<str>>, StorageError> {
        windows::taps(&self.0.files, &levels(&self.0.retention), from, to)
    }
}

#[cfg(test)]
mod tests;
