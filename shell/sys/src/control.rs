//! Control messages: what the kernel tells beside a packet, and what we tell it beside one.

use std::mem::size_of;
use std::net::IpAddr;

use whyslow_model::Wall;

/// Room for the control messages of one packet, aligned as their headers must be.
pub(crate) type Room = [u64; 16];

/// What the kernel said beside a packet.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Said {
    /// When it received the packet.
    pub(crate) stamp: Option<Wall>,
    /// How many packets this socket has lost in all for want of buffer.
    pub(crate) dropped: Option<u32>,
}

/// Reads the control messages of a received packet.
pub(crate) fn read(header: &libc::msghdr) -> Said {
    let mut said = Said::default();
    // SAFETY: the kernel filled `header`, so its control room and length describe well-formed
    // messages, which these macros walk.
    let mut at = unsafe { libc::CMSG_FIRSTHDR(header) };
    while !at.is_null() {
        // SAFETY: `at` is not null, hence a message within the room; its data begins at
        // CMSG_DATA and is as long as its type says, read without assuming alignment.
        unsafe {
            let data = libc::CMSG_DATA(at);
            match ((*at).cmsg_level, (*at).cmsg_type) {
                (libc::SOL_SOCKET, libc::SCM_TIMESTAMPNS) => {
                    let t = data.cast::<libc::timespec>().read_unaligned();
                    said.stamp = Some(Wall::from_nanos(t.tv_sec * 1_000_000_000 + t.tv_nsec));
                }
                (libc::SOL_SOCKET, libc::SO_RXQ_OVFL) => {
                    said.dropped = Some(data.cast::<u32>().read_unaligned());
                }
                _ => {}
            }
            at = libc::CMSG_NXTHDR(header, at);
        }
    }
    said
}

/// Writes the one message that makes a packet leave from `source`; returns its length.
pub(crate) fn write_source(room: &mut Room, source: IpAddr) -> usize {
    match source {
        IpAddr::V4(v4) => {
            let info = libc::in_pktinfo {
                ipi_ifindex: 0,
                ipi_spec_dst: libc::in_addr { s_addr: u32::from(v4).to_be() },
                ipi_addr: libc::in_addr { s_addr: 0 },
            };
            write(room, libc::IPPROTO_IP, libc::IP_PKTINFO, info)
        }
        IpAddr::V6(v6) => {
            let info = libc::in6_pktinfo {
                ipi6_addr: libc::in6_addr { s6_addr: v6.octets() },
                ipi6_ifindex: 0,
            };
            write(room, libc::IPPROTO_IPV6, libc::IPV6_PKTINFO, info)
        }
    }
}

/// Writes one message that carries `value`; returns its length with padding.
fn write<T: Copy>(room: &mut Room, level: i32, kind: i32, value: T) -> usize {
    let bytes = u32::try_from(size_of::<T>()).unwrap_or(u32::MAX);
    // SAFETY: these two only compute.
    let (len, space) = unsafe { (libc::CMSG_LEN(bytes), libc::CMSG_SPACE(bytes)) };
    assert!(space as usize <= size_of::<Room>(), "one control message fits its room");
    let at = room.as_mut_ptr().cast::<libc::cmsghdr>();
    // SAFETY: the room is aligned as a header is, and was just found long enough for header and
    // value together.
    unsafe {
        (*at).cmsg_len = len as usize;
        (*at).cmsg_level = level;
        (*at).cmsg_type = kind;
        libc::CMSG_DATA(at).cast::<T>().write_unaligned(value);
    }
    space as usize
}
