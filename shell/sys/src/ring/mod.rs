//! The recent past of an interface, held in the kernel's memory: a `TPACKET_V3` receive ring
//! (`Documentation/networking/packet_mmap.rst`) whose blocks are kept until their room is needed.
//!
//! ```text
//!   released ─┐ oldest            next          ahead        the kernel fills
//!   ──────────┴─[held: history]───[retired, not yet followed]──[free]──▶
//! ```
//!
//! One [`Follower`] walks each block once, as soon as the kernel has retired it, and gives the
//! oldest back when more than the layout says are unreleased: history gives way before a packet is
//! lost. Any number of [`History`] handles read the held blocks meanwhile. Wait by a timer: a held
//! block makes poll(2) return at once, always.

pub mod block;
pub mod interface;
mod map;
mod socket;

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use whyslow_model::Wall;

pub use block::{Packet, Vlan};
pub use interface::{Interface, Link};
pub use socket::open as open_socket;

use crate::Error;
use block::Packets;
use map::Map;
use socket::Resting;

/// One instruction of a classic packet filter (`include/uapi/linux/filter.h`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Instruction {
    /// What to do.
    pub code: u16,
    /// Instructions to skip where the comparison holds.
    pub jt: u8,
    /// Instructions to skip where it does not.
    pub jf: u8,
    /// Its number.
    pub k: u32,
}

/// How a ring is laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// Bytes of one block: a power of two of at least a page.
    pub block_bytes: u32,
    /// How many blocks.
    pub blocks: u32,
    /// How many of them may be ours at once; fewer than there are, for the kernel drops what
    /// comes while it has none. From three quarters on it drops single packets sooner: where the
    /// block a quarter of the ring ahead is not free, it looks without a lock at the one that is
    /// filled, which another processor may be about to hand over.
    pub held: u32,
    /// How long the kernel waits for a block to fill before it hands it over, in milliseconds.
    pub retire: Duration,
}

/// What a ring counted in a while.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Packets that went into it.
    pub packets: u64,
    /// Packets that passed the filter and found no room.
    pub drops: u64,
    /// How often the kernel found no block of its own.
    pub freezes: u64,
}

/// Sets a ring up on a socket from [`open_socket`]. It receives nothing until
/// [`Follower::bind`].
///
/// # Errors
/// Where the kernel has no memory for it, or the layout is not one it takes.
pub fn open(socket: OwnedFd, layout: Layout) -> Result<(Follower, History), Error> {
    let page_sized = layout.block_bytes.is_power_of_two() && layout.block_bytes >= 4096;
    if !page_sized || layout.held == 0 || layout.held >= layout.blocks {
        return Err(Error::new("set up a packet ring", io::ErrorKind::InvalidInput.into()));
    }
    let socket = Resting::with_ring(socket, layout)?;
    let map = Map::new(socket.as_fd(), layout).map_err(|e| Error::new("map a packet ring", e))?;
    let shared = Shared { map, socket, layout, held: Mutex::default(), broken: AtomicU64::new(0) };
    let shared = Arc::new(shared);
    let free_min = u64::from(layout.blocks);
    let follower = Follower { shared: Arc::clone(&shared), next: 0, ahead: 0, free_min };
    Ok((follower, History(shared)))
}

/// Follows a ring; there is one for each.
#[derive(Debug)]
pub struct Follower {
    shared: Arc<Shared>,
    /// The block to walk next, counted from the first ever; [`Held::next`] says the same.
    next: u64,
    /// Behind the last block that is known to be retired; at most a whole ring from the oldest.
    ahead: u64,
    /// The fewest blocks that the kernel was ever found to have left, the one it fills included.
    free_min: u64,
}

/// Reads the blocks that are held. Cheap to clone.
#[derive(Clone, Debug)]
pub struct History(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    // Before the socket: the ring can be given up only when it is no longer mapped.
    map: Map,
    socket: Resting,
    layout: Layout,
    held: Mutex<Held>,
    broken: AtomicU64,
}

/// Which blocks are held, counted from the first ever: those from `oldest` up to `next` were
/// followed and not released. Releasing needs this lock, so whoever holds it may read them.
#[derive(Clone, Copy, Debug, Default)]
struct Held {
    oldest: u64,
    next: u64,
    bytes: u64,
}

/// What is held now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Depth {
    /// The oldest packet held.
    pub from: Wall,
    /// The newest one.
    pub to: Wall,
    /// Blocks held.
    pub blocks: u64,
    /// Bytes of them that are filled.
    pub bytes: u64,
}

/// How a reading of the history went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// Packets told.
    pub packets: u64,
    /// The oldest packet that was still held when it began; what is asked for from before it is
    /// gone.
    pub from: Option<Wall>,
    /// Blocks that were released while it was under way, before it came to them.
    pub missed: u64,
}

/// What one walk met.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Walked {
    /// Blocks walked.
    pub blocks: u64,
    /// Packets in them.
    pub packets: u64,
    /// Blocks that wait to be walked.
    pub waiting: u64,
}

impl Follower {
    /// Lets only what `program` passes into the ring, and of each packet as many bytes as it says.
    ///
    /// # Errors
    /// Where the kernel takes no such program.
    pub fn filter(&self, program: &[Instruction]) -> Result<(), Error> {
        self.shared.socket.filter(program)
    }

    /// Receives what passes the interface of that number, both ways, from now on. To be called
    /// again after the interface was taken away and made again; being switched off and on does
    /// not need it.
    ///
    /// # Errors
    /// Where there is no such interface, or it is switched off.
    pub fn bind(&self, index: u32) -> Result<(), Error> {
        self.shared.socket.bind(index)
    }

    /// Walks blocks that were retired and not yet walked, at most `blocks_max` of them, and shows
    /// `each` packet.
    pub fn walk(&mut self, blocks_max: u64, mut each: impl FnMut(&Packet<'_>)) -> Walked {
        let mut walked = Walked::default();
        while walked.blocks < blocks_max {
            self.make_room();
            if self.next == self.ahead {
                break;
            }
            let index = self.shared.index(self.next);
            // SAFETY: the block is ours, as `ahead` has passed it, and stays so until `next` has
            // passed it too: only blocks before `next` are released.
            let bytes = unsafe { self.shared.map.block(index) };
            let mut packets = Packets::of(bytes);
            for packet in packets.by_ref() {
                each(&packet);
                walked.packets += 1;
            }
            if packets.is_broken() {
                self.shared.broken.fetch_add(1, Ordering::Relaxed);
            }
            let filled = block::extent(bytes).map_or(0, |e| u64::from(e.bytes));
            self.next += 1;
            walked.blocks += 1;
            let mut held = self.shared.held();
            held.next = self.next;
            held.bytes += filled;
        }
        walked.waiting = self.ahead - self.next;
        walked
    }

    /// The fewest blocks that the kernel had left whenever retired ones were looked for, the one it
    /// filled included: at 0 it dropped what came.
    pub const fn free_min(&self) -> u64 {
        self.free_min
    }

    /// What the ring counted since this was last asked.
    ///
    /// # Errors
    /// Where the kernel does not say, which it has no reason to.
    pub fn stats(&self) -> Result<Stats, Error> {
        self.shared.socket.stats()
    }

    /// What went wrong with the ring since this was last asked: `NetworkDown` when the interface
    /// was switched off or taken away.
    pub fn problem(&self) -> Option<io::Error> {
        self.shared.socket.problem()
    }

    /// Sees which blocks were retired, and releases the oldest of those that were walked while
    /// more are unreleased than may be.
    fn make_room(&mut self) {
        let blocks = u64::from(self.shared.layout.blocks);
        let mut held = self.shared.held();
        while self.ahead - held.oldest < blocks
            && self.shared.map.is_ours(self.shared.index(self.ahead))
        {
            self.ahead += 1;
        }
        self.free_min = self.free_min.min(blocks - (self.ahead - held.oldest));
        let may = u64::from(self.shared.layout.held);
        while self.ahead - held.oldest > may && held.oldest < self.next {
            let index = self.shared.index(held.oldest);
            // SAFETY: the block is before `next`, hence ours and no longer walked; histories read
            // under the lock that is held here, so no slice of it is alive.
            unsafe {
                let filled = block::extent(self.shared.map.block(index)).map_or(0, |e| e.bytes);
                held.bytes = held.bytes.saturating_sub(u64::from(filled));
                self.shared.map.release(index);
            }
            held.oldest += 1;
        }
    }
}

impl History {
    /// Shows `each` held packet that was seen from `from` to `to`, both included, oldest first.
    /// The follower goes on meanwhile, except that it releases nothing while `each` runs: copy,
    /// and decide later.
    pub fn read(&self, from: Wall, to: Wall, mut each: impl FnMut(&Packet<'_>)) -> Told {
        let mut told = Told::default();
        let mut at = self.0.held().oldest;
        loop {
            let held = self.0.held();
            if at < held.oldest {
                told.missed += held.oldest - at;
                at = held.oldest;
            }
            if at >= held.next {
                return told;
            }
            // SAFETY: the block is held, and nobody releases it while the lock is ours.
            let bytes = unsafe { self.0.map.block(self.0.index(at)) };
            at += 1;
            let Some(extent) = block::extent(bytes).filter(|e| e.packets > 0) else { continue };
            told.from.get_or_insert(extent.first);
            if extent.first > to {
                return told;
            }
            if extent.last < from {
                continue;
            }
            for packet in Packets::of(bytes).filter(|p| (from..=to).contains(&p.at)) {
                each(&packet);
                told.packets += 1;
            }
        }
    }

    /// What is held now; `None` while nothing is.
    pub fn depth(&self) -> Option<Depth> {
        let held = self.0.held();
        let newest = held.next.checked_sub(1).filter(|newest| *newest >= held.oldest)?;
        // SAFETY: both blocks are held, and nobody releases them while the lock is ours.
        let (first, last) = unsafe {
            let of = |at| block::extent(self.0.map.block(self.0.index(at)));
            (of(held.oldest)?, of(newest)?)
        };
        let blocks = held.next - held.oldest;
        Some(Depth { from: first.first, to: last.last, blocks, bytes: held.bytes })
    }

    /// How the ring is laid out.
    pub fn layout(&self) -> Layout {
        self.0.layout
    }

    /// Blocks that could not be read to their end; a mistake of the kernel's or ours.
    pub fn broken(&self) -> u64 {
        self.0.broken.load(Ordering::Relaxed)
    }
}

impl Shared {
    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where a block lies.
    fn index(&self, count: u64) -> usize {
        usize::try_from(count % u64::from(self.layout.blocks)).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests;
