//! The packet socket behind a ring: opening it, setting it up, what it counts (packet(7)).

use std::io;
use std::mem::zeroed;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use super::{Instruction, Layout, Stats};
use crate::{Error, privilege};

/// Opens a packet socket that receives nothing yet: whoever gets it sets it up and binds it, for
/// which no privilege is needed.
///
/// # Errors
/// Without `CAP_NET_RAW`; the hint says how to grant it.
pub fn open() -> Result<OwnedFd, Error> {
    let kind = libc::SOCK_RAW | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
    // SAFETY: no pointers are involved.
    let fd = unsafe { libc::socket(libc::AF_PACKET, kind, 0) };
    if fd < 0 {
        let source = io::Error::last_os_error();
        let hint = Some(privilege::CAPTURE_HINT);
        return Err(Error { operation: "open a packet socket", hint, source });
    }
    // SAFETY: the descriptor was just opened and belongs to nobody else.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// A socket that is put to rest when dropped: it keeps no ring and receives nothing.
#[derive(Debug)]
pub(super) struct Resting(OwnedFd);

impl Resting {
    /// Sets a ring up on `socket`, which receives nothing until it is bound.
    pub(super) fn with_ring(socket: OwnedFd, layout: Layout) -> Result<Self, Error> {
        let this = Self(socket);
        let version = libc::tpacket_versions::TPACKET_V3 as libc::c_int;
        set(this.0.as_fd(), libc::SOL_PACKET, libc::PACKET_VERSION, &version)
            .map_err(|e| Error::new("ask for a ring of version 3", e))?;
        this.ring(layout).map_err(|source| {
            let short = source.raw_os_error() == Some(libc::ENOMEM);
            let hint = short.then_some("the kernel has no memory for it; configure a smaller ring");
            Error { operation: "set up a packet ring", hint, source }
        })?;
        Ok(this)
    }

    fn ring(&self, layout: Layout) -> io::Result<()> {
        let frames_per_block = layout.block_bytes / FRAME_BYTES;
        let request = libc::tpacket_req3 {
            tp_block_size: layout.block_bytes,
            tp_block_nr: layout.blocks,
            tp_frame_size: FRAME_BYTES,
            tp_frame_nr: frames_per_block * layout.blocks,
            tp_retire_blk_tov: u32::try_from(layout.retire.as_millis()).unwrap_or(u32::MAX),
            tp_sizeof_priv: 0,
            tp_feature_req_word: 0,
        };
        set(self.0.as_fd(), libc::SOL_PACKET, libc::PACKET_RX_RING, &request)
    }

    /// Lets only what `program` passes into the ring, and of that as much as it says.
    pub(super) fn filter(&self, program: &[Instruction]) -> Result<(), Error> {
        let mut program: Vec<libc::sock_filter> = program
            .iter()
            .map(|i| libc::sock_filter { code: i.code, jt: i.jt, jf: i.jf, k: i.k })
            .collect();
        let len = u16::try_from(program.len()).map_err(|_| {
            Error::new("attach a packet filter", io::ErrorKind::InvalidInput.into())
        })?;
        let attached = libc::sock_fprog { len, filter: program.as_mut_ptr() };
        // The kernel copies the instructions and checks each before the call returns.
        set(self.0.as_fd(), libc::SOL_SOCKET, libc::SO_ATTACH_FILTER, &attached)
            .map_err(|e| Error::new("attach a packet filter", e))
    }

    /// Receives what passes the interface of that number, both ways, from now on.
    pub(super) fn bind(&self, index: u32) -> Result<(), Error> {
        self.bind_protocol(index, libc::ETH_P_ALL)
            .map_err(|e| Error::new("bind to a network interface", e))
    }

    fn bind_protocol(&self, index: u32, protocol: libc::c_int) -> io::Result<()> {
        // SAFETY: an address of zeroes is valid.
        let mut address: libc::sockaddr_ll = unsafe { zeroed() };
        address.sll_family = u16::try_from(libc::AF_PACKET).unwrap_or(0);
        address.sll_protocol = u16::try_from(protocol).unwrap_or(0).to_be();
        address.sll_ifindex = i32::try_from(index).unwrap_or(-1);
        let len = libc::socklen_t::try_from(size_of_val(&address)).unwrap_or(0);
        // SAFETY: pointer and length describe one live address, which the kernel only reads.
        let rc = unsafe { libc::bind(self.0.as_raw_fd(), (&raw const address).cast(), len) };
        if rc == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }

    /// What the socket counted since it was last asked.
    pub(super) fn stats(&self) -> Result<Stats, Error> {
        let told: libc::tpacket_stats_v3 =
            get(self.0.as_fd(), libc::SOL_PACKET, libc::PACKET_STATISTICS)
                .map_err(|e| Error::new("ask what a packet ring lost", e))?;
        Ok(Stats {
            // The kernel's count includes what it dropped.
            packets: u64::from(told.tp_packets.saturating_sub(told.tp_drops)),
            drops: u64::from(told.tp_drops),
            freezes: u64::from(told.tp_freeze_q_cnt),
        })
    }

    /// What went wrong with the socket since it was last asked: `NetworkDown` when its interface
    /// was switched off.
    pub(super) fn problem(&self) -> Option<io::Error> {
        match get::<libc::c_int>(self.0.as_fd(), libc::SOL_SOCKET, libc::SO_ERROR) {
            Ok(0) => None,
            Ok(code) => Some(io::Error::from_raw_os_error(code)),
            Err(error) => Some(error),
        }
    }
}

impl AsFd for Resting {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl Drop for Resting {
    fn drop(&mut self) {
        // The descriptor may live on in another handle; whatever of this fails, the socket has at
        // worst a ring that nobody reads, and no packet of it is ever looked at.
        let _ = self.filter(&[Instruction { code: RETURN, jt: 0, jf: 0, k: 0 }]);
        let _ = self.bind_protocol(0, NO_PROTOCOL);
        // SAFETY: a request of zeroes is valid, and gives the ring up.
        let none: libc::tpacket_req3 = unsafe { zeroed() };
        let _ = set(self.0.as_fd(), libc::SOL_PACKET, libc::PACKET_RX_RING, &none);
    }
}

fn set<T>(socket: BorrowedFd<'_>, level: i32, option: i32, value: &T) -> io::Result<()> {
    let len = libc::socklen_t::try_from(size_of::<T>()).unwrap_or(0);
    let value = std::ptr::from_ref(value).cast();
    // SAFETY: `value` and `len` describe one live `T`, which the kernel only reads.
    let rc = unsafe { libc::setsockopt(socket.as_raw_fd(), level, option, value, len) };
    if rc == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Reads an option of plain numbers, of which any bytes are a valid value.
fn get<T: Plain>(socket: BorrowedFd<'_>, level: i32, option: i32) -> io::Result<T> {
    // SAFETY: `Plain` types are valid as zeroes.
    let mut value: T = unsafe { zeroed() };
    let mut len = libc::socklen_t::try_from(size_of::<T>()).unwrap_or(0);
    let at = (&raw mut value).cast();
    // SAFETY: `at` and `len` describe one live `T`, and any bytes make a valid one.
    let rc = unsafe { libc::getsockopt(socket.as_raw_fd(), level, option, at, &raw mut len) };
    if rc == 0 { Ok(value) } else { Err(io::Error::last_os_error()) }
}

/// Types of which any bytes are a valid value.
trait Plain {}
impl Plain for libc::c_int {}
impl Plain for libc::tpacket_stats_v3 {}

/// Version 3 packs packets as they come; the size is only checked.
const FRAME_BYTES: u32 = 2048;
/// `BPF_RET | BPF_K`.
const RETURN: u16 = 6;
/// `ETH_P_802_EX1`, for local experiments: nothing of it comes by.
const NO_PROTOCOL: libc::c_int = 0x88B5;
