//! What is counted of what could not be kept.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Events that are counted in windows and not kept by themselves, by kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotKept {
    /// A slow or failed handshake.
    Handshake,
    /// Unanswered SYNs.
    Unanswered,
    /// An ending.
    Ending,
}

impl NotKept {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Handshake, Self::Unanswered, Self::Ending];

    /// The label users read.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Handshake => "handshake",
            Self::Unanswered => "unanswered",
            Self::Ending => "ending",
        }
    }
}

/// What a keeper counts; cheap to clone, all clones are the same.
#[derive(Clone, Debug, Default)]
pub struct Counted(Arc<Counters>);

#[derive(Debug, Default)]
struct Counters {
    not_kept: [AtomicU64; NotKept::ALL.len()],
    late: AtomicU64,
    other: AtomicU64,
    lost: AtomicU64,
}

impl Counted {
    /// Events of a kind that were not kept.
    pub fn of(&self, kind: NotKept) -> u64 {
        self.0.not_kept[kind as usize].load(Ordering::Relaxed)
    }

    /// What became known after its window was closed, and is in the next one.
    pub fn late(&self) -> u64 {
        self.0.late.load(Ordering::Relaxed)
    }

    /// How often a cell found no place of its own in its window.
    pub fn other(&self) -> u64 {
        self.0.other.load(Ordering::Relaxed)
    }

    /// Events that were lost on their way to the keeper.
    pub fn lost(&self) -> u64 {
        self.0.lost.load(Ordering::Relaxed)
    }

    pub(super) fn not_kept(&self, kind: NotKept) {
        self.0.not_kept[kind as usize].fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn windows(&self, late: u64, other: u64) {
        self.0.late.store(late, Ordering::Relaxed);
        self.0.other.store(other, Ordering::Relaxed);
    }

    pub(super) fn set_lost(&self, lost: u64) {
        self.0.lost.store(lost, Ordering::Relaxed);
    }
}
