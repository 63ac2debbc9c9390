//! What the kernel says of a network interface, without any privilege.

use std::ffi::CString;
use std::io;
use std::mem::zeroed;
use std::os::fd::AsRawFd;

use socket2::{Domain, Socket, Type};

use crate::Error;

/// A network interface as it is now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interface {
    /// Its number; another one after it was taken away and made again.
    pub index: u32,
    /// Whether it is switched on.
    pub up: bool,
    /// What its frames begin with.
    pub link: Link,
}

/// What frames begin with, by `include/uapi/linux/if_arp.h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    /// Ethernet.
    Ethernet,
    /// Ethernet headers, and every packet is seen twice: leaving and coming.
    Loopback,
    /// Nothing: they are IP packets, as of tun, wireguard and ppp.
    Raw,
    /// Something that is not read.
    Unknown(u16),
}

impl Interface {
    /// The interface of that name; `None` where there is none now.
    ///
    /// # Errors
    /// Where the kernel gives no socket to ask by.
    pub fn named(name: &str) -> Result<Option<Self>, Error> {
        let Ok(text) = CString::new(name) else { return Ok(None) };
        // SAFETY: `text` is a string that ends in its only zero byte, and is read only.
        let index = unsafe { libc::if_nametoindex(text.as_ptr()) };
        if index == 0 {
            return Ok(None);
        }
        let fail = |e| Error::new("ask for a network interface", e);
        let socket = Socket::new(Domain::UNIX, Type::DGRAM, None).map_err(fail)?;
        let asked = |request| ask(&socket, name, request);
        // It may go between two questions, which is as if it had not been there.
        let (Ok(flags), Ok(hardware)) = (asked(libc::SIOCGIFFLAGS), asked(libc::SIOCGIFHWADDR))
        else {
            return Ok(None);
        };
        // SAFETY: the kernel filled the part of the union that each request is for.
        let (flags, kind) =
            unsafe { (flags.ifr_ifru.ifru_flags, hardware.ifr_ifru.ifru_hwaddr.sa_family) };
        Ok(Some(Self { index, up: i32::from(flags) & libc::IFF_UP != 0, link: link(kind) }))
    }
}

/// Names of the interfaces there are now, for telling which one was meant.
pub fn names() -> Vec<String> {
    // SAFETY: it takes no argument; the list, where there is one, is freed below.
    let list = unsafe { libc::if_nameindex() };
    let mut names = Vec::new();
    if list.is_null() {
        return names;
    }
    for at in 0.. {
        // SAFETY: the list is an array that ends with an entry of number 0 and no name; `at` has
        // not passed that end, and each name before it is a string.
        unsafe {
            let entry = &*list.add(at);
            if entry.if_index == 0 || entry.if_name.is_null() {
                break;
            }
            let name = std::ffi::CStr::from_ptr(entry.if_name);
            names.push(name.to_string_lossy().into_owned());
        }
    }
    // SAFETY: the list came from `if_nameindex`, and nothing points into it any more.
    unsafe { libc::if_freenameindex(list) };
    names
}

fn ask(socket: &Socket, name: &str, request: libc::Ioctl) -> io::Result<libc::ifreq> {
    // SAFETY: a request of zeroes is a valid one with an empty name.
    let mut asked: libc::ifreq = unsafe { zeroed() };
    if name.len() >= asked.ifr_name.len() {
        return Err(io::ErrorKind::NotFound.into());
    }
    for (to, from) in asked.ifr_name.iter_mut().zip(name.bytes()) {
        *to = libc::c_char::from_ne_bytes([from]);
    }
    // SAFETY: both requests take one ifreq, which is live and whose name ends in a zero.
    let rc = unsafe { libc::ioctl(socket.as_raw_fd(), request, &raw mut asked) };
    if rc == 0 { Ok(asked) } else { Err(io::Error::last_os_error()) }
}

const fn link(kind: libc::sa_family_t) -> Link {
    match kind {
        libc::ARPHRD_ETHER => Link::Ethernet,
        libc::ARPHRD_LOOPBACK => Link::Loopback,
        // `ARPHRD_NONE`, `ARPHRD_RAWIP` and the tunnels whose packets begin with IP.
        0xFFFE | 519 | libc::ARPHRD_PPP | libc::ARPHRD_TUNNEL | libc::ARPHRD_TUNNEL6 => Link::Raw,
        other => Link::Unknown(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_is_there_and_an_unknown_name_is_not() {
        let lo = Interface::named("lo").expect("asked").expect("lo");
        assert_eq!(lo.link, Link::Loopback);
        assert!(names().iter().any(|name| name == "lo"));
        for name in ["", "no-such-one", "a-name-longer-than-any-interface-may-have", "a\0b"] {
            assert_eq!(Interface::named(name).expect("asked"), None);
        }
    }
}
