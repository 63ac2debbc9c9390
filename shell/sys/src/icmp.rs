//! ICMP sockets for ping: raw ones, or the datagram kind that needs no privilege where
//! `net.ipv4.ping_group_range` allows it. Every packet received carries the kernel's own stamp,
//! so a busy machine does not make the network look slow.

use std::io;
use std::mem::zeroed;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::time::Duration;

use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use whyslow_model::{Mono, Wall};

use crate::{Error, clock, control, privilege};

/// Which of the two internet protocols.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl Family {
    /// The family of `address`.
    pub const fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(_) => Self::V4,
            IpAddr::V6(_) => Self::V6,
        }
    }
}

/// How a socket came by its packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Raw: it needs `CAP_NET_RAW`, chooses its own identifier, and sees every answer that
    /// reaches this host; an IPv4 packet arrives with its IP header.
    Raw,
    /// Datagram: no privilege; the kernel sets the identifier and hands over only our answers,
    /// without IP header.
    Datagram,
}

/// One non-blocking ICMP socket that stamps what it receives.
#[derive(Debug)]
pub struct IcmpSocket {
    socket: Socket,
    family: Family,
    access: Access,
}

/// One packet received.
#[derive(Clone, Copy, Debug)]
pub struct Received<'a> {
    /// Who sent it.
    pub from: IpAddr,
    /// The first bytes of the packet, at most [`PACKET_BYTES_MAX`].
    pub bytes: &'a [u8],
    /// When the kernel received it.
    pub at: Mono,
}

/// Bytes of each packet that are kept: the longest IPv4 header, ICMP's, and a quoted packet's
/// two headers, with room to spare.
pub const PACKET_BYTES_MAX: usize = 256;

/// Packets one call of [`IcmpSocket::receive`] takes at most.
pub const BATCH_MAX: usize = 32;

/// Room for one batch of packets; used again and again.
pub struct Batch {
    packets: Box<[[u8; PACKET_BYTES_MAX]; BATCH_MAX]>,
    filled: Vec<Filled>,
    dropped: u32,
}

struct Filled {
    from: IpAddr,
    len: usize,
    at: Mono,
}

impl IcmpSocket {
    /// Opens a raw socket.
    ///
    /// # Errors
    /// Without `CAP_NET_RAW`, or where the family is switched off.
    pub fn open_raw(family: Family) -> Result<Self, Error> {
        let (domain, protocol) = domain(family);
        let socket = Socket::new(domain, Type::RAW, Some(protocol)).map_err(|source| Error {
            operation: "open a raw ICMP socket",
            hint: Some(privilege::NET_RAW_HINT),
            source,
        })?;
        Self::configured(socket, family, Access::Raw)
    }

    /// Opens a datagram socket.
    ///
    /// # Errors
    /// Where `ping_group_range` excludes our group, or the family is switched off.
    pub fn open_datagram(family: Family) -> Result<Self, Error> {
        let (domain, protocol) = domain(family);
        let socket = Socket::new(domain, Type::DGRAM, Some(protocol)).map_err(|source| Error {
            operation: "open an ICMP datagram socket",
            hint: Some(privilege::NET_RAW_HINT),
            source,
        })?;
        Self::configured(socket, family, Access::Datagram)
    }

    /// Takes over a raw socket that another process opened.
    ///
    /// # Errors
    /// Where `fd` is no such socket.
    pub fn from_raw_socket(fd: OwnedFd, family: Family) -> Result<Self, Error> {
        Self::configured(Socket::from(fd), family, Access::Raw)
    }

    /// A second handle on the same socket: what one of them receives the other does not.
    ///
    /// # Errors
    /// Where this process may open no more files.
    pub fn try_clone(&self) -> Result<Self, Error> {
        let socket = self.socket.try_clone().map_err(|e| Error::new("clone an ICMP socket", e))?;
        Ok(Self { socket, family: self.family, access: self.access })
    }

    /// The family it speaks.
    pub const fn family(&self) -> Family {
        self.family
    }

    /// How it came by its packets.
    pub const fn access(&self) -> Access {
        self.access
    }

    /// Hands one ICMP packet to the kernel, which adds the IP header, and for IPv6 the checksum.
    /// With `from` it leaves from that address of ours.
    ///
    /// # Errors
    /// What the kernel says of the way to `to`: `WouldBlock` when its queue is full,
    /// `NetworkUnreachable` where there is no route, and so on. That is data, not our failure.
    pub fn send(&self, to: IpAddr, from: Option<IpAddr>, packet: &[u8]) -> io::Result<()> {
        let to = SockAddr::from(SocketAddr::new(to, 0));
        let Some(from) = from else {
            return self.socket.send_to(packet, &to).map(drop);
        };
        let mut room = control::Room::default();
        let len = control::write_source(&mut room, from);
        let mut iov =
            libc::iovec { iov_base: packet.as_ptr().cast_mut().cast(), iov_len: packet.len() };
        // SAFETY: a msghdr of zeroes is a valid empty one.
        let mut header: libc::msghdr = unsafe { zeroed() };
        header.msg_name = to.as_ptr().cast_mut().cast();
        header.msg_namelen = to.len();
        header.msg_iov = &raw mut iov;
        header.msg_iovlen = 1;
        header.msg_control = room.as_mut_ptr().cast();
        header.msg_controllen = len;
        // SAFETY: every pointer in `header` is to a live local or to `packet`, with its length;
        // sendmsg reads them only, and keeps none.
        let sent = unsafe { libc::sendmsg(self.socket.as_raw_fd(), &raw const header, 0) };
        if sent < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }

    /// Takes what has arrived, at most [`BATCH_MAX`] packets, into `batch`; returns how many.
    ///
    /// # Errors
    /// `WouldBlock` when nothing is there; anything else is a broken socket.
    pub fn receive(&self, batch: &mut Batch) -> io::Result<usize> {
        batch.filled.clear();
        // SAFETY: arrays of zeroed headers, addresses and control bytes are all valid.
        let (mut headers, mut names, mut rooms, mut iovs): (
            [libc::mmsghdr; BATCH_MAX],
            [libc::sockaddr_storage; BATCH_MAX],
            [control::Room; BATCH_MAX],
            [libc::iovec; BATCH_MAX],
        ) = unsafe { (zeroed(), zeroed(), zeroed(), zeroed()) };
        for i in 0..BATCH_MAX {
            iovs[i].iov_base = batch.packets[i].as_mut_ptr().cast();
            iovs[i].iov_len = PACKET_BYTES_MAX;
            let header = &mut headers[i].msg_hdr;
            header.msg_name = (&raw mut names[i]).cast();
            header.msg_namelen = ADDRESS_BYTES;
            header.msg_iov = &raw mut iovs[i];
            header.msg_iovlen = 1;
            header.msg_control = rooms[i].as_mut_ptr().cast();
            header.msg_controllen = size_of::<control::Room>();
        }
        // SAFETY: each header points at its own name, buffer and control room, all of the stated
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
        let (mono, wall) = (clock::mono(), clock::wall());
        for i in 0..n {
            let said = control::read(&headers[i].msg_hdr);
            batch.dropped = said.dropped.unwrap_or(batch.dropped);
            let len = (headers[i].msg_len as usize).min(PACKET_BYTES_MAX);
            let from = address(&names[i], headers[i].msg_hdr.msg_namelen);
            let at = arrival(mono, wall, said.stamp);
            batch.filled.push(Filled { from, len, at });
        }
        Ok(n)
    }

    fn configured(socket: Socket, family: Family, access: Access) -> Result<Self, Error> {
        let fail = |e| Error::new("set up an ICMP socket", e);
        socket.set_nonblocking(true).map_err(fail)?;
        socket.set_recv_buffer_size(RECEIVE_BUFFER_BYTES).map_err(fail)?;
        let this = Self { socket, family, access };
        this.set(libc::SOL_SOCKET, libc::SO_TIMESTAMPNS, &1_i32)?;
        this.set(libc::SOL_SOCKET, libc::SO_RXQ_OVFL, &1_i32)?;
        if access == Access::Raw {
            this.filter()?;
        }
        Ok(this)
    }

    /// Lets only answers and errors through, so that a flood of requests does not reach us.
    fn filter(&self) -> Result<(), Error> {
        match self.family {
            Family::V4 => {
                let passed = [0, 3, 11, 12].iter().fold(0_u32, |bits, t| bits | 1 << t);
                self.set(SOL_RAW, ICMP_FILTER, &!passed)
            }
            Family::V6 => {
                let mut blocked = [u32::MAX; 8];
                for t in [1_usize, 2, 3, 4, 129] {
                    blocked[t / 32] &= !(1 << (t % 32));
                }
                self.set(libc::IPPROTO_ICMPV6, ICMP6_FILTER, &blocked)
            }
        }
    }

    fn set<T: Copy>(&self, level: i32, option: i32, value: &T) -> Result<(), Error> {
        let len = libc::socklen_t::try_from(size_of::<T>()).unwrap_or(0);
        let value = std::ptr::from_ref(value).cast();
        // SAFETY: `value` and `len` describe one live `T`, which the kernel only reads.
        let rc = unsafe { libc::setsockopt(self.socket.as_raw_fd(), level, option, value, len) };
        if rc == 0 { Ok(()) } else { Err(Error::last("set up an ICMP socket")) }
    }
}

impl AsFd for IcmpSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl AsRawFd for IcmpSocket {
    fn as_raw_fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }
}

impl Default for Batch {
    fn default() -> Self {
        let packets = Box::new([[0; PACKET_BYTES_MAX]; BATCH_MAX]);
        Self { packets, filled: Vec::with_capacity(BATCH_MAX), dropped: 0 }
    }
}

impl Batch {
    /// The packets of the last receive, in order of arrival.
    pub fn packets(&self) -> impl Iterator<Item = Received<'_>> {
        self.filled.iter().zip(self.packets.iter()).map(|(f, bytes)| Received {
            from: f.from,
            bytes: &bytes[..f.len],
            at: f.at,
        })
    }

    /// Packets that the kernel has dropped since the socket was opened because we were too slow
    /// to take them: loss of our own making.
    pub const fn dropped(&self) -> u32 {
        self.dropped
    }
}

impl std::fmt::Debug for Batch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Batch").field("packets", &self.filled.len()).finish_non_exhaustive()
    }
}

const fn domain(family: Family) -> (Domain, Protocol) {
    match family {
        Family::V4 => (Domain::IPV4, Protocol::ICMPV4),
        Family::V6 => (Domain::IPV6, Protocol::ICMPV6),
    }
}

/// The kernel stamps by the wall clock. Its age by that clock, taken off the monotonic one, is
/// the monotonic stamp; where the wall clock was stepped meanwhile, the moment of reading is.
fn arrival(mono: Mono, wall: Wall, stamp: Option<Wall>) -> Mono {
    let Some(stamp) = stamp else { return mono };
    let age = wall.since(stamp);
    if stamp > wall || age > STAMP_AGE_MAX {
        return mono;
    }
    Mono::from_nanos(mono.as_nanos().saturating_sub(age.as_nanos().try_into().unwrap_or(0)))
}

pub(crate) fn address(name: &libc::sockaddr_storage, len: libc::socklen_t) -> IpAddr {
    let unknown = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
    if usize::try_from(len).is_ok_and(|len| len < size_of::<libc::sockaddr_in>()) {
        return unknown;
    }
    let at: *const libc::sockaddr_storage = name;
    match i32::from(name.ss_family) {
        libc::AF_INET => {
            // SAFETY: sockaddr_storage is at least as large and as aligned as sockaddr_in.
            let v4 = unsafe { &*at.cast::<libc::sockaddr_in>() };
            IpAddr::V4(Ipv4Addr::from(u32::from_be(v4.sin_addr.s_addr)))
        }
        libc::AF_INET6 => {
            // SAFETY: sockaddr_storage is at least as large and as aligned as sockaddr_in6.
            let v6 = unsafe { &*at.cast::<libc::sockaddr_in6>() };
            IpAddr::V6(Ipv6Addr::from(v6.sin6_addr.s6_addr))
        }
        _ => unknown,
    }
}

/// A stamp older than this was made before a step of the wall clock.
const STAMP_AGE_MAX: Duration = Duration::from_mins(1);
/// Room for the answers of thousands of targets; the kernel grants less by its own limit.
const RECEIVE_BUFFER_BYTES: usize = 1 << 20;
pub(crate) const ADDRESS_BYTES: libc::socklen_t = 128;
const BATCH_COUNT: libc::c_uint = 32;
/// `include/uapi/linux/icmp.h`; libc has neither these two nor their IPv6 twin.
const SOL_RAW: i32 = 255;
const ICMP_FILTER: i32 = 1;
const ICMP6_FILTER: i32 = 1;

const _: () = {
    assert!(size_of::<libc::sockaddr_storage>() == 128);
    assert!(BATCH_MAX == 32);
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_over_loopback_bears_the_kernels_stamp() {
        let Ok(socket) = IcmpSocket::open_raw(Family::V4) else {
            assert!(
                !privilege::probe()
                    .expect("privileges")
                    .capabilities
                    .has(privilege::Capability::NetRaw)
            );
            return;
        };
        // Echo request, identifier 0x7701, sequence 9; the checksum is that of these bytes.
        let request = [8, 0, 0x80, 0xf5, 0x77, 0x01, 0, 9];
        let before = clock::mono();
        let here = IpAddr::V4(Ipv4Addr::LOCALHOST);
        socket.send(here, Some(here), &request).expect("send");
        let mut batch = Batch::default();
        // Another test's pings may share the loopback, so take until ours is there.
        let ours = (0..1000).find_map(|_| {
            if socket.receive(&mut batch).is_err() {
                std::thread::yield_now();
                return None;
            }
            batch
                .packets()
                .find(|p| p.bytes[20..].starts_with(&[0, 0, 0x88, 0xf5, 0x77, 0x01]))
                .map(|p| p.at)
        });
        let at = ours.expect("an answer");
        assert!(at >= before && at <= clock::mono());
    }

    #[test]
    fn a_stamp_from_before_a_step_of_the_clock_is_not_believed() {
        let mono = Mono::from_nanos(1_000_000_000_000);
        let wall = Wall::from_millis(1_000_000);
        let at = |ms| arrival(mono, wall, Some(Wall::from_millis(ms)));
        assert_eq!(mono.since(at(999_999)), Duration::from_millis(1));
        assert_eq!(at(1_000_001), mono);
        assert_eq!(at(900_000), mono);
        assert_eq!(arrival(mono, wall, None), mono);
    }
}
