//! The memory that the kernel and we share, and whose block is whose.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, Ordering};

use super::Layout;

/// The mapped blocks of one ring; unmapped when dropped.
#[derive(Debug)]
pub(super) struct Map {
    /// Page-aligned start of `len` mapped bytes.
    start: NonNull<u8>,
    len: usize,
    /// A multiple of the page size; `len` is a multiple of it.
    block_bytes: usize,
}

// SAFETY: the mapping belongs to the process, not to a thread. Statuses are read and written
// atomically, and blocks are only handed out through `block`, whose caller answers for their
// being ours.
unsafe impl Send for Map {}
// SAFETY: as above.
unsafe impl Sync for Map {}

/// `block_status` within a block (`struct tpacket_hdr_v1`).
const STATUS_AT: usize = 8;

impl Map {
    /// Maps the ring that was set up on `socket`.
    pub(super) fn new(socket: BorrowedFd<'_>, layout: Layout) -> io::Result<Self> {
        let len = layout.blocks as usize * layout.block_bytes as usize;
        let (protection, flags) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED);
        // SAFETY: the kernel chooses the place, so nothing of ours is replaced.
        let at = unsafe {
            libc::mmap(std::ptr::null_mut(), len, protection, flags, socket.as_raw_fd(), 0)
        };
        if at == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let start = NonNull::new(at.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Self { start, len, block_bytes: layout.block_bytes as usize })
    }

    /// How many blocks there are.
    pub(super) const fn blocks(&self) -> usize {
        self.len / self.block_bytes
    }

    /// Whether the kernel has filled block `index` and left it to us.
    pub(super) fn is_ours(&self, index: usize) -> bool {
        // Acquire: what the kernel wrote before it left the block to us is seen after this.
        self.status(index).load(Ordering::Acquire) & libc::TP_STATUS_USER != 0
    }

    /// Gives block `index` back to the kernel, which may write to it from then on.
    ///
    /// # Safety
    /// No slice of it may be alive.
    pub(super) unsafe fn release(&self, index: usize) {
        // Release: what we read of it was read before this.
        self.status(index).store(libc::TP_STATUS_KERNEL, Ordering::Release);
    }

    /// The bytes of block `index`.
    ///
    /// # Safety
    /// The block is ours (see [`Self::is_ours`]) and is not released while the slice lives.
    pub(super) unsafe fn block(&self, index: usize) -> &[u8] {
        let at = self.offset(index);
        // SAFETY: `offset` is within the mapping by a whole block. The kernel does not write to
        // a block that is ours, and the caller promises that it stays so.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr().add(at), self.block_bytes) }
    }

    fn status(&self, index: usize) -> &AtomicU32 {
        let at = self.offset(index) + STATUS_AT;
        // SAFETY: the place is within the mapping and aligned to 4, since blocks are aligned to
        // pages; kernel and we access it as a whole only, and the mapping outlives `self`.
        unsafe { AtomicU32::from_ptr(self.start.as_ptr().add(at).cast()) }
    }

    fn offset(&self, index: usize) -> usize {
        assert!(index < self.blocks(), "block {index} of {}", self.blocks());
        index * self.block_bytes
    }
}

impl Drop for Map {
    fn drop(&mut self) {
        // SAFETY: the mapping is ours, and no slice of it outlives `self`.
        unsafe { libc::munmap(self.start.as_ptr().cast(), self.len) };
    }
}
