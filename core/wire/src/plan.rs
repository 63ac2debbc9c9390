//! How much of the past a ring holds, and what a recorder lost when.
//!
//! A ring is cut into blocks. The kernel fills one after the other and hands each over when it is
//! full, or when the retire time has passed since its first packet, however little it holds. So
//! the past that is held is bounded twice: by bytes where traffic is dense, and by the number of
//! blocks times the retire time where it is thin. Hence many small blocks.

mod losses;

use std::time::Duration;

pub use losses::{Loss, Losses, Why};

/// How long a block waits to be filled. A dump waits as long for the packets of just now.
pub const RETIRE: Duration = Duration::from_millis(50);
/// How long the follower rests between two looks.
pub const REST: Duration = Duration::from_millis(5);
/// Blocks a ring is cut into where it is large enough.
const BLOCKS_WANTED: u64 = 2048;
/// The smallest block: a super-packet of an offloading card fits.
const BLOCK_BYTES_MIN: u64 = 128 << 10;
/// The largest: the kernel finds larger ones seldom in one piece.
const BLOCK_BYTES_MAX: u64 = 1 << 20;
/// Blocks of the smallest ring.
const BLOCKS_MIN: u64 = 8;
/// Of the blocks, in hundredths, those that may be held; the rest is for what comes while the
/// follower does not run.
const HELD_PERCENT: u64 = 75;

/// The smallest ring, in bytes.
pub const RING_BYTES_MIN: u64 = BLOCK_BYTES_MIN * BLOCKS_MIN;
/// The largest, in bytes.
pub const RING_BYTES_MAX: u64 = 64 << 30;

/// How a ring is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RingPlan {
    /// Bytes of one block, a power of two.
    pub block_bytes: u32,
    /// Blocks in all.
    pub blocks: u32,
    /// Blocks that may be held at once.
    pub held: u32,
}

impl RingPlan {
    /// How a ring of about `bytes` is cut; what lies outside the bounds counts as the bound.
    pub fn of(bytes: u64) -> Self {
        let bytes = bytes.clamp(RING_BYTES_MIN, RING_BYTES_MAX);
        let block = (bytes / BLOCKS_WANTED).max(1).next_power_of_two();
        let block = block.clamp(BLOCK_BYTES_MIN, BLOCK_BYTES_MAX);
        let blocks = bytes / block;
        let narrow = |n: u64| u32::try_from(n).unwrap_or(u32::MAX);
        Self {
            block_bytes: narrow(block),
            blocks: narrow(blocks),
            held: narrow(blocks * HELD_PERCENT / 100),
        }
    }

    /// Bytes of the whole ring.
    pub fn bytes(self) -> u64 {
        u64::from(self.block_bytes) * u64::from(self.blocks)
    }

    /// How far back it reaches where `bytes_per_s` are captured, its heads and paddings counted:
    /// at least, since a block that is not full is handed over after [`RETIRE`].
    pub fn depth(self, bytes_per_s: u64) -> Duration {
        let held = u64::from(self.block_bytes) * u64::from(self.held);
        let quiet = RETIRE * self.held;
        let Some(whole) = held.checked_div(bytes_per_s) else { return quiet };
        let rest = (held % bytes_per_s).saturating_mul(1_000_000) / bytes_per_s;
        quiet.min(Duration::from_secs(whole) + Duration::from_micros(rest))
    }

    /// How long the follower may not run before packets are lost at `bytes_per_s`.
    pub fn slack(self, bytes_per_s: u64) -> Duration {
        let free = u64::from(self.block_bytes) * u64::from(self.blocks - self.held);
        let micros = free.saturating_mul(1_000_000).checked_div(bytes_per_s);
        micros.map_or(Duration::MAX, Duration::from_micros)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ring_is_cut_into_many_blocks_of_which_three_quarters_are_held() {
        let of = |mib: u64| {
            let plan = RingPlan::of(mib << 20);
            (plan.block_bytes >> 10, plan.blocks, plan.held)
        };
        assert_eq!(of(1), (128, 8, 6));
        assert_eq!(of(64), (128, 512, 384));
        assert_eq!(of(256), (128, 2048, 1536));
        assert_eq!(of(1024), (512, 2048, 1536));
        assert_eq!(of(8192), (1024, 8192, 6144));
        assert_eq!((of(0), of(1 << 40)), ((128, 8, 6), (1024, 65_536, 49_152)));
    }

    #[test]
    fn dense_traffic_is_bounded_by_bytes_and_thin_traffic_by_blocks() {
        let plan = RingPlan::of(1 << 30);
        assert_eq!(plan.depth(125_000_000), Duration::from_micros(6_442_450));
        assert_eq!(plan.depth(12_500_000), Duration::from_micros(64_424_509));
        assert_eq!(plan.depth(1000), Duration::from_millis(76_800));
        assert_eq!(plan.depth(0), Duration::from_millis(76_800));
        assert_eq!(RingPlan::of(256 << 20).slack(560_000_000), Duration::from_micros(119_837));
        assert_eq!(plan.slack(0), Duration::MAX);
    }
}
