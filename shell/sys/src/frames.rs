//! Whole Ethernet frames of one network interface, as a wire would carry them (packet(7)).

use std::io::{self, Read};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use socket2::{Domain, Protocol, Socket, Type};

use crate::ring::Interface;
use crate::{Error, privilege};

/// A socket that hears every frame an interface receives, and sends frames out of it. It is
/// non-blocking.
#[derive(Debug)]
pub struct Frames {
    socket: Socket,
}

/// `PACKET_IGNORE_OUTGOING` of `include/uapi/linux/if_packet.h`, since Linux 4.20.
const PACKET_IGNORE_OUTGOING: libc::c_int = 23;

impl Frames {
    /// Opens the interface of that name, in the network namespace of the calling thread. What the
    /// machine itself sends out of it is not heard.
    ///
    /// # Errors
    /// Without `CAP_NET_RAW`, or where there is no such interface.
    pub fn open(interface: &str) -> Result<Self, Error> {
        let index = index(interface)?;
        // Protocol 0 hears nothing yet: no frame of another interface comes before the binding.
        let socket = Socket::new(Domain::PACKET, Type::RAW, Some(Protocol::from(0)));
        let socket = socket.map_err(|source| Error {
            operation: "open a packet socket",
            hint: Some(privilege::NET_RAW_HINT),
            source,
        })?;
        socket.set_nonblocking(true).map_err(|e| Error::new("not to block", e))?;
        ignore_outgoing(&socket)?;
        bind(&socket, index)?;
        Ok(Self { socket })
    }

    /// Sends one frame, Ethernet header included.
    ///
    /// # Errors
    /// `WouldBlock` when the queue is full; a frame longer than the interface carries.
    pub fn send(&self, frame: &[u8]) -> io::Result<()> {
        self.socket.send(frame).map(drop)
    }

    /// Takes the next frame into `room`, as much of it as fits.
    ///
    /// # Errors
    /// `WouldBlock` when there is none; anything else is a broken socket or an interface gone.
    pub fn receive<'a>(&self, room: &'a mut [u8]) -> io::Result<&'a [u8]> {
        let len = (&self.socket).read(room)?;
        Ok(&room[..len])
    }
}

impl AsFd for Frames {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

fn index(interface: &str) -> Result<libc::c_int, Error> {
    const OPERATION: &str = "find an interface";
    let index = Interface::named(interface)?.and_then(|i| libc::c_int::try_from(i.index).ok());
    index.ok_or_else(|| Error::new(OPERATION, io::ErrorKind::NotFound.into()))
}

fn ignore_outgoing(socket: &Socket) -> Result<(), Error> {
    let on: libc::c_int = 1;
    // SAFETY: the pointer and the length describe one live int, which the kernel only reads.
    let rc = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_PACKET,
            PACKET_IGNORE_OUTGOING,
            (&raw const on).cast(),
            INT_BYTES,
        )
    };
    if rc == 0 { Ok(()) } else { Err(Error::last("leave outgoing frames out")) }
}

fn bind(socket: &Socket, index: libc::c_int) -> Result<(), Error> {
    let address = libc::sockaddr_ll {
        sll_family: PACKET_FAMILY,
        sll_protocol: EVERY_PROTOCOL.to_be(),
        sll_ifindex: index,
        sll_hatype: 0,
        sll_pkttype: 0,
        sll_halen: 0,
        sll_addr: [0; 8],
    };
    // SAFETY: the pointer and the length describe one live address, which the kernel only reads.
    let rc = unsafe { libc::bind(socket.as_raw_fd(), (&raw const address).cast(), ADDRESS_BYTES) };
    if rc == 0 { Ok(()) } else { Err(Error::last("hear an interface")) }
}

/// `ETH_P_ALL`.
const EVERY_PROTOCOL: u16 = 3;
#[expect(clippy::cast_possible_truncation, reason = "family and size are small constants")]
const PACKET_FAMILY: libc::sa_family_t = libc::AF_PACKET as libc::sa_family_t;
#[expect(clippy::cast_possible_truncation, reason = "a small constant")]
const ADDRESS_BYTES: libc::socklen_t = size_of::<libc::sockaddr_ll>() as libc::socklen_t;
#[expect(clippy::cast_possible_truncation, reason = "a small constant")]
const INT_BYTES: libc::socklen_t = size_of::<libc::c_int>() as libc::socklen_t;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interface_that_is_not_there_is_named() {
        let failed = Frames::open("no-such-if").expect_err("there is none");
        assert_eq!(failed.operation, "find an interface");
        assert!(Frames::open("with\0zero").is_err());
    }
}
