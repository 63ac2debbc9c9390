//! Where ping's and the recorder's sockets come from.
//!
//! Raw sockets need `CAP_NET_RAW`, and the process that talks to the world shall not hold it. So
//! a child, this same program started with [`OPENER`], opens them, passes their descriptors over
//! a Unix socket that is its standard input, and is gone. Where it may not, the datagram kind is
//! tried for pings, which needs no privilege but the operator's leave. Packet sockets are opened
//! as many as there are interfaces to record, and receive nothing until they are set up here.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::time::Duration;

use whyslow_model::limits::WIRE_RECORDERS_MAX;
use whyslow_sys::icmp::{Family, IcmpSocket};
use whyslow_sys::{Error, pass, privilege, ring};

/// The argument that makes this program the child which opens sockets. Nobody types it.
pub const OPENER: &str = "open-raw-sockets";

/// How often a child is started anew that was ended before it had passed anything.
const CHILDREN_MAX: u32 = 3;
/// How long the child may take.
const CHILD_TIMEOUT: Duration = Duration::from_secs(5);
/// The descriptors the child may send, in this order; a letter each in its message.
const FAMILIES: [(Family, u8); 2] = [(Family::V4, b'4'), (Family::V6, b'6')];

/// What stands for a packet socket in the child's message.
const PACKET: u8 = b'p';
/// What stands before the reason why there is none.
const REASON: u8 = b';';
/// Bytes of the child's message.
const MESSAGE_BYTES_MAX: usize = 512;

const _: () = assert!(WIRE_RECORDERS_MAX + FAMILIES.len() <= pass::DESCRIPTORS_MAX);

/// ICMP sockets, one for each family that could be had, and packet sockets.
#[derive(Debug, Default)]
pub struct Sockets {
    /// For IPv4.
    pub v4: Option<IcmpSocket>,
    /// For IPv6.
    pub v6: Option<IcmpSocket>,
    /// Why there is none for IPv4, or for IPv6 where there is one for IPv4.
    pub problem: Option<String>,
    /// For recording, one for each interface.
    pub packet: Vec<OwnedFd>,
    /// Why there are fewer than were asked for.
    pub packet_problem: Option<String>,
}

/// Who opens raw sockets.
#[derive(Clone, Copy, Debug)]
pub enum Opener<'a> {
    /// The child, from the program at this path.
    Child(&'a Path),
    /// This process itself, which keeps its privileges: for programs that have no such child.
    Here,
}

impl Sockets {
    /// Opens what can be opened; of packet sockets `packet` many.
    pub fn open(opener: Opener<'_>, packet: usize) -> Self {
        let mut sockets = match opener {
            Opener::Child(program) => {
                from_child(program, packet).unwrap_or_else(|e| Self::without(&format!("{e:#}")))
            }
            Opener::Here => here(packet),
        };
        for family in [Family::V4, Family::V6] {
            if sockets.of(family).is_none() {
                match IcmpSocket::open_datagram(family) {
                    Ok(socket) => sockets.place(socket),
                    Err(e) => sockets.blame(&e),
                }
            }
        }
        sockets
    }

    /// The same sockets for pings, for a role that begins anew.
    pub fn again(&self) -> Self {
        let clone = |s: &Option<IcmpSocket>| s.as_ref().and_then(|s| s.try_clone().ok());
        let (v4, v6) = (clone(&self.v4), clone(&self.v6));
        Self { v4, v6, problem: self.problem.clone(), ..Self::default() }
    }

    /// Takes the packet sockets out, and the reason why there are not more.
    pub fn take_packet(&mut self) -> (Vec<OwnedFd>, Option<String>) {
        (std::mem::take(&mut self.packet), self.packet_problem.take())
    }

    /// No socket at all, for this reason.
    pub fn without(problem: &str) -> Self {
        let problem = Some(problem.to_owned());
        Self { problem: problem.clone(), packet_problem: problem, ..Self::default() }
    }

    /// The socket of one family.
    pub const fn of(&self, family: Family) -> Option<&IcmpSocket> {
        match family {
            Family::V4 => self.v4.as_ref(),
            Family::V6 => self.v6.as_ref(),
        }
    }

    fn place(&mut self, socket: IcmpSocket) {
        match socket.family() {
            Family::V4 => self.v4 = Some(socket),
            Family::V6 => self.v6 = Some(socket),
        }
    }

    fn blame(&mut self, e: &Error) {
        self.problem.get_or_insert_with(|| told(e));
    }
}

/// The child's whole life: opens raw sockets, of packet sockets as many as its argument says,
/// passes them on by its standard input, ends.
///
/// # Errors
/// Where its standard input is no Unix socket with somebody at the other end.
pub fn open_and_pass(packet: Option<&str>) -> Result<(), Error> {
    let failed = |source| Error { operation: "use the parent's socket", hint: None, source };
    let parent = io::stdin().as_fd().try_clone_to_owned().map_err(failed)?;
    let opened = here(packet.and_then(|n| n.parse().ok()).unwrap_or(0));
    let mut message = vec![b':'];
    let mut fds = Vec::new();
    for (family, letter) in FAMILIES {
        if let Some(socket) = opened.of(family) {
            message.push(letter);
            fds.push(socket.as_fd());
        }
    }
    for socket in &opened.packet {
        message.push(PACKET);
        fds.push(socket.as_fd());
    }
    if let Some(problem) = &opened.packet_problem {
        message.push(REASON);
        message.extend(problem.bytes().take(MESSAGE_BYTES_MAX - message.len()));
    }
    pass::send(&UnixStream::from(parent), &message, &fds)
}

fn here(packet: usize) -> Sockets {
    let mut sockets = Sockets::default();
    for _ in 0..packet.min(WIRE_RECORDERS_MAX) {
        match ring::open_socket() {
            Ok(socket) => sockets.packet.push(socket),
            Err(e) => sockets.packet_problem = Some(told(&e)),
        }
    }
    for (family, _) in FAMILIES {
        // What is missing is asked for again, without privilege, by whoever wants to ping.
        if let Ok(socket) = IcmpSocket::open_raw(family) {
            sockets.place(socket);
        }
    }
    sockets
}

fn told(e: &Error) -> String {
    match e.hint {
        Some(hint) => format!("{e}; {hint}"),
        None => e.to_string(),
    }
}

/// One that was killed says nothing, and is started anew: later nobody here may open anything.
fn from_child(program: &Path, packet: usize) -> anyhow::Result<Sockets> {
    for n in 1..=CHILDREN_MAX {
        let (sockets, ended) = from_one_child(program, packet)?;
        if let Some(sockets) = sockets {
            return Ok(sockets);
        }
        tracing::warn!(
            "the child that opens raw sockets ended before it passed any ({ended}), {n} of at most \
             {CHILDREN_MAX}"
        );
    }
    anyhow::bail!(
        "each of {CHILDREN_MAX} children that open raw sockets ended before it passed any; hint: \
         see in the kernel's log who ended them, then restart whyslow"
    )
}

/// What a child passed, nothing where it ended before, and how it ended.
fn from_one_child(program: &Path, packet: usize) -> anyhow::Result<(Option<Sockets>, ExitStatus)> {
    let (ours, theirs) = UnixStream::pair()?;
    ours.set_read_timeout(Some(CHILD_TIMEOUT))?;
    let mut child = Command::new(program)
        .args([OPENER, &packet.to_string()])
        .env_clear()
        .stdin(Stdio::from(OwnedFd::from(theirs)))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    let mut message = [0; MESSAGE_BYTES_MAX];
    let received = pass::receive(&ours, &mut message);
    // It has nothing left to do; a child that hangs must not outlive this.
    let _ = child.kill();
    let ended = child.wait()?;
    let (n, fds) = received?;
    if n == 0 {
        return Ok((None, ended));
    }
    let mut sockets = Sockets::default();
    let said = message.get(1..n).unwrap_or_default();
    let mut said = said.splitn(2, |b| *b == REASON);
    for (letter, fd) in said.next().unwrap_or_default().iter().zip(fds) {
        if *letter == PACKET {
            sockets.packet.push(fd);
        } else if let Some((family, _)) = FAMILIES.iter().find(|(_, l)| l == letter) {
            sockets.place(IcmpSocket::from_raw_socket(fd, *family)?);
        }
    }
    sockets.packet_problem = said.next().map(|text| String::from_utf8_lossy(text).into_owned());
    Ok((Some(sockets), ended))
}

/// Gives up what the process needs no more once its sockets are open: every capability but those
/// for listening on a low port and for reading files as root. To be called while there is one
/// thread only.
///
/// # Errors
/// Where the kernel refuses, which it has no reason to.
pub fn give_up_privileges() -> Result<(), Error> {
    use privilege::Capability::{DacOverride, NetBindService};
    privilege::keep_only(&[DacOverride, NetBindService])?;
    privilege::forbid_new_privileges()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_that_is_no_opener_leaves_us_without_raw_sockets_and_a_reason() {
        let sockets = Sockets::open(Opener::Child(Path::new("/nonexistent/whyslow")), 1);
        assert!(sockets.packet.is_empty() && sockets.packet_problem.is_some());
        let privileges = privilege::probe().unwrap();
        assert_eq!(sockets.v4.is_some(), privileges.datagram_ping);
        assert_eq!(sockets.problem.is_some(), sockets.v4.is_none() || sockets.v6.is_none());
    }

    #[test]
    fn children_that_end_before_they_pass_anything_are_told_of() {
        let sockets = Sockets::open(Opener::Child(Path::new("/bin/true")), 1);
        let problem = sockets.packet_problem.expect("a reason");
        assert!(problem.starts_with("each of 3 children") && problem.contains("; hint: "));
        assert!(sockets.packet.is_empty());
    }

    #[test]
    fn with_the_privilege_raw_sockets_open_here() {
        let sockets = Sockets::open(Opener::Here, 0);
        assert_eq!(sockets.v4.is_some(), privilege::probe().unwrap().can_ping());
    }
}
