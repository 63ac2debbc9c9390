//! The lots that slow requests draw, and who is kept by them.

use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::sync::Arc;

use super::{Reason, SlowRow};

/// A slow request that drew a lot.
#[derive(Debug)]
pub(super) struct Drawn {
    pub(super) lot: u64,
    pub(super) row: SlowRow,
}

impl PartialEq for Drawn {
    fn eq(&self, other: &Self) -> bool {
        self.lot == other.lot
    }
}

impl Eq for Drawn {}

impl PartialOrd for Drawn {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Drawn {
    fn cmp(&self, other: &Self) -> Ordering {
        self.lot.cmp(&other.lot)
    }
}

/// The slow requests of one route and reason in the window under way.
#[derive(Debug)]
pub(super) struct Stratum {
    pub(super) route: Arc<str>,
    pub(super) reason: Reason,
    pub(super) seen: u64,
    /// Lots at or above find no room any more.
    pub(super) below: u64,
    pub(super) kept: BinaryHeap<Drawn>,
}

/// The next lot: `SplitMix64` (Steele, Lea, Flood: Fast Splittable Pseudorandom Number
/// Generators, 2014).
pub(super) const fn next_lot(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
