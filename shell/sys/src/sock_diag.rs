//! Listening TCP sockets and how many connections wait to be accepted at each: `sock_diag(7)`.
//!
//! The layouts are those of `include/uapi/linux/{netlink,inet_diag}.h`; numbers are the machine's
//! own, ports and addresses as on the wire.

use std::io::{self, ErrorKind, Read};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};

use crate::Error;

/// A listening socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listening {
    /// Where; unspecified where on all addresses.
    pub address: SocketAddr,
    /// Connections that wait to be accepted.
    pub waiting: u32,
    /// How many may.
    pub backlog: u32,
    /// The number of its file, as links in `/proc/PID/fd` say it.
    pub inode: u32,
}

/// All listening TCP sockets of this network namespace. Needs no privilege.
///
/// # Errors
/// Where the kernel has no such interface or answers nothing within a second.
pub fn listening() -> Result<Vec<Listening>, Error> {
    let mut all = Vec::new();
    for family in [libc::AF_INET, libc::AF_INET6] {
        dump(u8::try_from(family).unwrap_or(0), &mut all).map_err(|source| Error {
            operation: "ask for listening sockets",
            hint: Some("the kernel needs its module inet_diag for that: `modprobe tcp_diag`"),
            source,
        })?;
    }
    Ok(all)
}

/// `NETLINK_SOCK_DIAG`.
const SOCK_DIAG: i32 = 4;
/// `SOCK_DIAG_BY_FAMILY`.
const BY_FAMILY: u16 = 20;
/// `NLM_F_REQUEST | NLM_F_DUMP`.
const DUMP: u16 = 0x301;
/// `1 << TCP_LISTEN`.
const LISTEN: u32 = 1 << 10;
const ERROR: u16 = 2;
const DONE: u16 = 3;
/// `struct nlmsghdr`.
const HEADER_LEN: usize = 16;
/// `struct inet_diag_msg`.
const MESSAGE_LEN: usize = 72;
/// More than the kernel puts into one answer.
const ANSWER_LEN: usize = 64 << 10;

fn dump(family: u8, all: &mut Vec<Listening>) -> io::Result<()> {
    let domain = Domain::from(libc::AF_NETLINK);
    let mut socket = Socket::new(domain, Type::DGRAM, Some(Protocol::from(SOCK_DIAG)))?;
    socket.set_read_timeout(Some(Duration::from_secs(1)))?;
    socket.send(&request(family))?;
    let mut answer = vec![0; ANSWER_LEN];
    loop {
        let len = match socket.read(&mut answer) {
            Ok(len) => len,
            Err(e) if e.kind() == ErrorKind::Interrupted => continue,
            Err(e) => return Err(e),
        };
        if read(&answer[..len], all)? {
            return Ok(());
        }
    }
}

/// `struct nlmsghdr` and `struct inet_diag_req_v2`.
fn request(family: u8) -> Vec<u8> {
    let mut request = Vec::with_capacity(MESSAGE_LEN);
    request.extend(72_u32.to_ne_bytes());
    request.extend(BY_FAMILY.to_ne_bytes());
    request.extend(DUMP.to_ne_bytes());
    // A sequence number, and the kernel's own port.
    request.extend([0; 8]);
    request.extend([family, 6, 0, 0]);
    request.extend(LISTEN.to_ne_bytes());
    // Any addresses.
    request.extend([0; 48]);
    request
}

/// Reads one answer; whether it was the last.
fn read(mut answer: &[u8], all: &mut Vec<Listening>) -> io::Result<bool> {
    let broken = || io::Error::new(ErrorKind::InvalidData, "the kernel's answer is cut short");
    while !answer.is_empty() {
        let (len, kind) = (number(answer, 0), answer.get(4..6));
        let (Some(len), Some(&[a, b])) = (len, kind) else { return Err(broken()) };
        let len = usize::try_from(len).unwrap_or(usize::MAX);
        let body = answer.get(HEADER_LEN..len).ok_or_else(broken)?;
        match u16::from_ne_bytes([a, b]) {
            DONE => return Ok(true),
            ERROR => {
                let number = number(body, 0).ok_or_else(broken)?.cast_signed();
                return Err(io::Error::from_raw_os_error(number.saturating_neg()));
            }
            BY_FAMILY => all.push(listener(body).ok_or_else(broken)?),
            _ => {}
        }
        answer = answer.get(len.next_multiple_of(4)..).unwrap_or_default();
    }
    Ok(false)
}

/// `struct inet_diag_msg`.
fn listener(body: &[u8]) -> Option<Listening> {
    let family = i32::from(*body.first()?);
    let port = u16::from_be_bytes(body.get(4..6)?.try_into().ok()?);
    let octets: [u8; 16] = body.get(8..24)?.try_into().ok()?;
    let [a, b, c, d, ..] = octets;
    let ip = match family {
        libc::AF_INET => IpAddr::V4(Ipv4Addr::new(a, b, c, d)),
        _ => IpAddr::V6(Ipv6Addr::from(octets)),
    };
    Some(Listening {
        address: SocketAddr::new(ip, port),
        waiting: number(body, 56)?,
        backlog: number(body, 60)?,
        inode: number(body, 68)?,
    })
}

fn number(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn a_listener_is_found_with_those_that_wait() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let waiting: Vec<TcpStream> =
            (0..3).map(|_| TcpStream::connect(address).unwrap()).collect();
        let all = match listening() {
            Ok(all) => all,
            // Some sandboxes have no such sockets.
            Err(refused) => return assert!(refused.hint.is_some(), "{refused}"),
        };
        let found: Vec<_> = all.iter().filter(|one| one.address == address).collect();
        assert_eq!(found.len(), 1, "{all:?}");
        assert_eq!(found[0].waiting as usize, waiting.len());
        assert!(found[0].backlog > 3 && found[0].inode > 0, "{found:?}");
        let v6 = TcpListener::bind("[::1]:0").map(|l| (l.local_addr(), l));
        if let Ok((Ok(address), _kept)) = v6 {
            assert!(listening().unwrap().iter().any(|one| one.address == address));
        }
    }

    #[test]
    fn an_answer_that_is_cut_short_is_an_error_at_every_length() {
        let mut message = vec![2, 10, 0, 0, 0x01, 0xbb, 0, 0, 10, 0, 0, 1];
        message.resize(MESSAGE_LEN, 0);
        message[56] = 2;
        message[60] = 1;
        message[68] = 9;
        let mut answer = 88_u32.to_ne_bytes().to_vec();
        answer.extend(BY_FAMILY.to_ne_bytes());
        answer.resize(HEADER_LEN, 0);
        answer.extend(message);
        for len in 1..answer.len() {
            assert!(read(&answer[..len], &mut Vec::new()).is_err(), "{len}");
        }
        let mut all = Vec::new();
        assert!(!read(&answer, &mut all).unwrap());
        let address = "10.0.0.1:443".parse().unwrap();
        assert_eq!(all, [Listening { address, waiting: 2, backlog: 1, inode: 9 }]);
        let refused = [20_u32.to_ne_bytes(), [2, 0, 0, 0], [0; 4], [0; 4], (-2_i32).to_ne_bytes()];
        assert_eq!(
            read(&refused.concat(), &mut all).unwrap_err().kind(),
            ErrorKind::NotFound,
            "the number is that of ENOENT"
        );
    }
}
