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
///
/// Less than three quarters, by as much as may come between two looks: the kernel asks without a
/// lock whether the block a quarter of the ring ahead of the one it fills is free, and where it is
/// not, whether that one itself is (`__tpacket_v3_has_room` in `net/packet/af_packet.c`). That one
/// is nobody's while another processor, or the retire timer, changes it for the next: a packet that
/// comes then is dropped though the ring has room.
const HELD_PERCENT: u64 = 65;

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
    fn a_ring_is_cut_into_many_blocks_of_which_most_are_held() {
        let of = |mib: u64| {
            let plan = RingPlan::of(mib << 20);
            (plan.block_bytes >> 10, plan.blocks, plan.held)
        };
        assert_eq!(of(1), (128, 8, 5));
        assert_eq!(of(64), (128, 512, 332));
        assert_eq!(of(256), (128, 2048, 1331));
        assert_eq!(of(1024), (512, 2048, 1331));
        assert_eq!(of(8192), (1024, 8192, 5324));
        assert_eq!((of(0), of(1 << 40)), ((128, 8, 5), (1024, 65_536, 42_598)));
    }

    #[test]
    fn the_block_that_the_kernel_asks_for_is_free_while_the_follower_keeps_up() {
        for mib in 1..5000 {
            let plan = RingPlan::of(mib << 20);
            // Where the kernel fills the first block after the held ones, it asks for this one.
            let asked = plan.held + plan.blocks / 4;
            assert!(asked < plan.blocks, "{mib} MiB: {plan:?}");
            // It fills further ones while the follower rests.
            let rest = u64::from(plan.blocks - asked) * u64::from(plan.block_bytes);
            assert!(mib < 256 || rest >= 560_000_000 / 1000 * 40, "{mib} MiB: {rest} bytes");
        }
    }

    #[test]
    fn dense_traffic_is_bounded_by_bytes_and_thin_traffic_by_blocks() {
        let plan = RingPlan::of(1 << 30);
        assert_eq!(plan.depth(125_000_000), Duration::from_micros(5_582_618));
        assert_eq!(plan.depth(12_500_000), Duration::from_micros(55_826_186));
        assert_eq!(plan.depth(1000), Duration::from_millis(66_550));
        assert_eq!(plan.depth(0), Duration::from_millis(66_550));
        assert_eq!(RingPlan::of(256 << 20).slack(560_000_000), Duration::from_micros(167_818));
        assert_eq!(plan.slack(0), Duration::MAX);
    }
}
