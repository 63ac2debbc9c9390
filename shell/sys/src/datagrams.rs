//! Receiving datagrams in batches, with the count of those the kernel had to drop.

use std::io;
use std::mem::zeroed;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use socket2::{Domain, Protocol, SockAddr, SockRef, Socket, Type};

use crate::{Error, control, icmp};

/// Datagrams one call takes at most.
pub const BATCH_MAX: usize = 64;
/// Bytes of one datagram that are kept; the longest UDP can carry.
pub const BYTES_MAX: usize = 65_536;
/// Room the kernel is asked to keep for what has arrived and is not yet taken.
const BUFFER_BYTES: usize = 64 << 20;

/// A socket that datagrams are taken from.
#[derive(Debug)]
pub struct Datagrams {
    socket: OwnedFd,
    buffer_bytes: usize,
}

/// What the kernel holds for a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory {
    /// Bytes of memory that wait to be taken.
    pub waiting_bytes: u32,
    /// Datagrams dropped for want of room since the socket was opened; it wraps at 2³².
    pub dropped: u32,
}

/// `include/uapi/linux/sock_diag.h`: the option, and how many words it gives (the first is the
/// memory in use for receiving, the last the drops).
const SO_MEMINFO: i32 = 55;
const MEMORY_WORDS: usize = 9;

/// Room for one batch of datagrams; used again and again.
pub struct Batch {
    bytes: Box<[u8]>,
    filled: Vec<(usize, IpAddr)>,
    /// Datagrams longer than their room, in all.
    cut: u64,
    dropped: Option<u32>,
}

impl Datagrams {
    /// A UDP socket at `address` that may share it with others of this process, so that each gets
    /// its part of the senders (`SO_REUSEPORT`, socket(7)).
    ///
    /// # Errors
    /// Where the address is taken by others or is not ours.
    pub fn udp(address: SocketAddr) -> Result<Self, Error> {
        let fail = |source: io::Error| {
            let hints = [
                (io::ErrorKind::AddrInUse, "another program receives there"),
                (io::ErrorKind::PermissionDenied, "a port below 1024 needs CAP_NET_BIND_SERVICE"),
            ];
            let hint = hints.iter().find(|(kind, _)| *kind == source.kind()).map(|(_, hint)| *hint);
            Error { operation: "open a UDP socket", hint, source }
        };
        let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP));
        let socket = socket.map_err(fail)?;
        socket.set_reuse_port(true).map_err(fail)?;
        socket.bind(&SockAddr::from(address)).map_err(fail)?;
        Self::configured(socket.into())
    }

    /// Takes over a datagram socket.
    ///
    /// # Errors
    /// Where it is none.
    pub fn of(socket: impl Into<OwnedFd>) -> Result<Self, Error> {
        Self::configured(socket.into())
    }

    /// Bytes the kernel may keep for it, which may be less than was asked for. The kernel's own
    /// bookkeeping takes its share of them.
    pub const fn buffer_bytes(&self) -> usize {
        self.buffer_bytes
    }

    /// Datagrams that the kernel has dropped so far for want of room, and bytes of memory that wait
    /// to be taken; `None` where the kernel does not say (`SO_MEMINFO`, since Linux 4.12). The
    /// first wraps at 2³².
    pub fn memory(&self) -> Option<Memory> {
        let mut words = [0_u32; MEMORY_WORDS];
        let mut length = libc::socklen_t::try_from(size_of_val(&words)).unwrap_or(0);
        let at = words.as_mut_ptr().cast();
        // SAFETY: the pointer and the length describe one live array, which the kernel fills up to
        // that length and says how far.
        let rc = unsafe {
            let fd = self.socket.as_raw_fd();
            libc::getsockopt(fd, libc::SOL_SOCKET, SO_MEMINFO, at, &raw mut length)
        };
        let told = rc == 0 && length as usize == size_of_val(&words);
        told.then_some(Memory { waiting_bytes: words[0], dropped: words[8] })
    }

    /// The address it receives at, where it is an internet socket.
    pub fn address(&self) -> Option<SocketAddr> {
        SockRef::from(&self.socket).local_addr().ok().and_then(|a| a.as_socket())
    }

    /// Takes what has arrived, at most [`BATCH_MAX`] datagrams, into `batch`; gives how many.
    ///
    /// # Errors
    /// `WouldBlock` when nothing is there; anything else is a broken socket.
    pub fn receive(&self, batch: &mut Batch) -> io::Result<usize> {
        batch.filled.clear();
        // SAFETY: arrays of zeroed headers, addresses, control bytes and vectors are all valid.
        let (mut headers, mut names, mut rooms, mut iovs): (
            [libc::mmsghdr; BATCH_MAX],
            [libc::sockaddr_storage; BATCH_MAX],
            [control::Room; BATCH_MAX],
            [libc::iovec; BATCH_MAX],
        ) = unsafe { (zeroed(), zeroed(), zeroed(), zeroed()) };
        for (i, place) in batch.bytes.chunks_exact_mut(BYTES_MAX).enumerate().take(BATCH_MAX) {
            iovs[i].iov_base = place.as_mut_ptr().cast();
            iovs[i].iov_len = BYTES_MAX;
            let header = &mut headers[i].msg_hdr;
            header.msg_name = (&raw mut names[i]).cast();
            header.msg_namelen = icmp::ADDRESS_BYTES;
            header.msg_iov = &raw mut iovs[i];
            header.msg_iovlen = 1;
            header.msg_control = rooms[i].as_mut_ptr().cast();
            header.msg_controllen = size_of::<control::Room>();
        }
        // SAFETY: each header points at its own name, place and control room, all of the stated
        // lengths and all alive until the call returns; with MSG_DONTWAIT no timeout is needed.
        let n = unsafe {
            libc::recvmmsg(
                self.socket.as_raw_fd(),
                headers.as_mut_ptr(),
                BATCH_COUNT,
                libc::MSG_DONTWAIT,
                std::ptr::null_mut(),
            )
        };
        let Ok(n) = usize::try_from(n) else {
            return Err(io::Error::last_os_error());
        };
        for i in 0..n {
            let header = &headers[i].msg_hdr;
            batch.dropped = control::read(header).dropped.or(batch.dropped);
            batch.cut += u64::from(header.msg_flags & libc::MSG_TRUNC != 0);
            let length = (headers[i].msg_len as usize).min(BYTES_MAX);
            batch.filled.push((length, icmp::address(&names[i], header.msg_namelen)));
        }
        Ok(n)
    }

    fn configured(socket: OwnedFd) -> Result<Self, Error> {
        let fail = |e| Error::new("set up a datagram socket", e);
        let view = SockRef::from(&socket);
        view.set_nonblocking(true).map_err(fail)?;
        // The first needs CAP_NET_ADMIN and passes net.core.rmem_max; the second is cut to it.
        if set(&socket, libc::SO_RCVBUFFORCE, BUFFER_BYTES).is_err() {
            set(&socket, libc::SO_RCVBUF, BUFFER_BYTES).map_err(fail)?;
        }
        set(&socket, libc::SO_RXQ_OVFL, 1).map_err(fail)?;
        let buffer_bytes = view.recv_buffer_size().map_err(fail)?;
        Ok(Self { socket, buffer_bytes })
    }
}

fn set(socket: &OwnedFd, option: i32, value: usize) -> io::Result<()> {
    let value = i32::try_from(value).unwrap_or(i32::MAX);
    let length = libc::socklen_t::try_from(size_of::<i32>()).unwrap_or(0);
    let at = (&raw const value).cast();
    // SAFETY: the pointer and the length describe one live `i32`, which the kernel only reads.
    let rc = unsafe { libc::setsockopt(socket.as_raw_fd(), libc::SOL_SOCKET, option, at, length) };
    if rc == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

impl AsFd for Datagrams {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl Default for Batch {
    fn default() -> Self {
        // Untouched pages of it cost nothing, and most datagrams are short.
        let bytes = vec![0; BATCH_MAX * BYTES_MAX].into_boxed_slice();
        Self { bytes, filled: Vec::with_capacity(BATCH_MAX), cut: 0, dropped: None }
    }
}

impl Batch {
    /// The datagrams of the last receive, in order of arrival, each with its sender, which is
    /// unspecified where it is no internet address.
    pub fn datagrams(&self) -> impl Iterator<Item = (&[u8], IpAddr)> {
        let places = self.bytes.chunks_exact(BYTES_MAX);
        places.zip(&self.filled).map(|(place, (length, from))| (&place[..*length], *from))
    }

    /// Datagrams that the kernel has dropped since the socket was opened for want of room, as told
    /// with the last one received; it wraps at 2³². Unix datagram sockets drop none: their senders
    /// wait, or are refused.
    pub fn dropped(&self) -> u32 {
        self.dropped.unwrap_or(0)
    }

    /// Datagrams longer than [`BYTES_MAX`], whose rest is lost.
    pub const fn cut(&self) -> u64 {
        self.cut
    }
}

impl std::fmt::Debug for Batch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Batch").field("datagrams", &self.filled.len()).finish_non_exhaustive()
    }
}

const BATCH_COUNT: libc::c_uint = 64;

const _: () = assert!(BATCH_MAX == 64);

/// Has whatever `socket` sends in one call cut into datagrams of `bytes`, the last maybe shorter, by
/// the kernel (`UDP_SEGMENT`, udp(7), since Linux 4.18): at most 64 KiB and 128 datagrams a call.
///
/// # Errors
/// Where the kernel cannot.
pub fn cut_into(socket: &UdpSocket, bytes: u16) -> io::Result<()> {
    let bytes = libc::c_int::from(bytes);
    let length = libc::socklen_t::try_from(size_of_val(&bytes)).unwrap_or(0);
    let at = (&raw const bytes).cast();
    // SAFETY: the pointer and the length describe one live `int`, which the kernel only reads.
    let rc = unsafe {
        libc::setsockopt(socket.as_raw_fd(), libc::SOL_UDP, libc::UDP_SEGMENT, at, length)
    };
    if rc == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;

    use super::*;

    #[test]
    fn datagrams_come_out_as_they_went_in_with_their_sender() {
        let socket = Datagrams::udp("127.0.0.1:0".parse().expect("address")).expect("socket");
        let to = socket.address().expect("address");
        let sender = UdpSocket::bind("127.0.0.1:0").expect("sender");
        let mut batch = Batch::default();
        let none = socket.receive(&mut batch).expect_err("nothing yet");
        assert_eq!(none.kind(), io::ErrorKind::WouldBlock);
        sender.send_to(b"one", to).expect("send");
        sender.send_to(b"", to).expect("send");
        assert_eq!(socket.receive(&mut batch).expect("receive"), 2);
        let found: Vec<_> = batch.datagrams().collect();
        let here = sender.local_addr().expect("address").ip();
        assert_eq!(found, [(&b"one"[..], here), (&b""[..], here)]);
    }

    #[test]
    fn what_the_kernel_drops_is_counted_exactly() {
        let socket = Datagrams::udp("127.0.0.1:0".parse().expect("address")).expect("socket");
        set(&socket.socket, libc::SO_RCVBUF, 4096).expect("a small buffer");
        let to = socket.address().expect("address");
        let sender = UdpSocket::bind("127.0.0.1:0").expect("sender");
        let mut sent = 0_u64;
        let mut received = 0_u64;
        let mut batch = Batch::default();
        for _ in 0..3 {
            for _ in 0..500 {
                sender.send_to(&[b'x'; 200], to).expect("send");
                sent += 1;
            }
            while let Ok(n) = socket.receive(&mut batch) {
                received += n as u64;
            }
        }
        let at_rest = socket.memory().map(|m| (u64::from(m.dropped), m.waiting_bytes));
        assert_eq!(at_rest, Some((sent - received, 0)));
        // With the next one the kernel tells of those dropped before it.
        sender.send_to(b"last", to).expect("send");
        received += socket.receive(&mut batch).expect("receive") as u64;
        assert!(batch.dropped() > 0, "nothing was dropped");
        assert_eq!(socket.memory().map(|m| m.dropped), Some(batch.dropped()));
        assert_eq!(received + u64::from(batch.dropped()), sent + 1);
    }

    #[test]
    fn one_call_sends_many_datagrams() {
        let socket = Datagrams::udp("127.0.0.1:0".parse().expect("address")).expect("socket");
        let sender = UdpSocket::bind("127.0.0.1:0").expect("sender");
        sender.connect(socket.address().expect("address")).expect("connect");
        cut_into(&sender, 4).expect("cut");
        assert_eq!(sender.send(b"one two three").expect("send"), 13);
        let mut batch = Batch::default();
        assert_eq!(socket.receive(&mut batch).expect("receive"), 4);
        let found: Vec<&[u8]> = batch.datagrams().map(|(bytes, _)| bytes).collect();
        assert_eq!(found, [&b"one "[..], b"two ", b"thre", b"e"]);
    }

    #[test]
    fn two_sockets_may_share_an_address() {
        let first = Datagrams::udp("127.0.0.1:0".parse().expect("address")).expect("socket");
        let address = first.address().expect("address");
        Datagrams::udp(address).expect("the second");
        assert!(first.buffer_bytes() > 0);
    }
}
