//! Passing open file descriptors from one process to another over a Unix socket.

use std::io;
use std::mem::{size_of, zeroed};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;

use crate::Error;

/// Descriptors one message carries at most.
pub const DESCRIPTORS_MAX: usize = 20;

/// Room for the control message that carries them, aligned as its header must be.
type Room = [u64; 12];

/// Sends `message`, which may not be empty, and with it the descriptors `fds`.
///
/// # Errors
/// Where the other end is gone.
///
/// # Panics
/// With an empty message or more than [`DESCRIPTORS_MAX`] descriptors.
pub fn send(to: &UnixStream, message: &[u8], fds: &[BorrowedFd<'_>]) -> Result<(), Error> {
    assert!(!message.is_empty() && fds.len() <= DESCRIPTORS_MAX);
    let mut room = Room::default();
    let mut iov =
        libc::iovec { iov_base: message.as_ptr().cast_mut().cast(), iov_len: message.len() };
    // SAFETY: a msghdr of zeroes is a valid empty one.
    let mut header: libc::msghdr = unsafe { zeroed() };
    header.msg_iov = &raw mut iov;
    header.msg_iovlen = 1;
    if !fds.is_empty() {
        header.msg_control = room.as_mut_ptr().cast();
        header.msg_controllen = write_rights(&mut room, fds);
    }
    // SAFETY: every pointer in `header` is to a live local or to `message`, with its length;
    // sendmsg only reads them, and keeps none.
    let sent = unsafe { libc::sendmsg(to.as_raw_fd(), &raw const header, libc::MSG_NOSIGNAL) };
    match usize::try_from(sent) {
        Ok(n) if n == message.len() => Ok(()),
        Ok(_) => Err(Error::new("pass file descriptors", io::ErrorKind::WriteZero.into())),
        Err(_) => Err(Error::last("pass file descriptors")),
    }
}

/// Waits for one message of at most `message`'s length; returns its length, which is 0 when the
/// other end is gone, and the descriptors that came with it. They are closed on `exec`.
///
/// # Errors
/// Where the socket is broken, or a message came cut short.
pub fn receive(from: &UnixStream, message: &mut [u8]) -> Result<(usize, Vec<OwnedFd>), Error> {
    let mut room = Room::default();
    let mut iov = libc::iovec { iov_base: message.as_mut_ptr().cast(), iov_len: message.len() };
    // SAFETY: a msghdr of zeroes is a valid empty one.
    let mut header: libc::msghdr = unsafe { zeroed() };
    header.msg_iov = &raw mut iov;
    header.msg_iovlen = 1;
    header.msg_control = room.as_mut_ptr().cast();
    header.msg_controllen = size_of::<Room>();
    // SAFETY: every pointer in `header` is to a live local or to `message`, with its length.
    let n = unsafe { libc::recvmsg(from.as_raw_fd(), &raw mut header, libc::MSG_CMSG_CLOEXEC) };
    let Ok(n) = usize::try_from(n) else {
        return Err(Error::last("receive file descriptors"));
    };
    let fds = read_rights(&header);
    if header.msg_flags & (libc::MSG_CTRUNC | libc::MSG_TRUNC) != 0 {
        return Err(Error::new("receive file descriptors", io::ErrorKind::InvalidData.into()));
    }
    Ok((n, fds))
}

fn write_rights(room: &mut Room, fds: &[BorrowedFd<'_>]) -> usize {
    let bytes = u32::try_from(size_of_val(fds)).unwrap_or(u32::MAX);
    // SAFETY: these two only compute.
    let (len, space) = unsafe { (libc::CMSG_LEN(bytes), libc::CMSG_SPACE(bytes)) };
    assert!(space as usize <= size_of::<Room>(), "the descriptors fit their room");
    let at = room.as_mut_ptr().cast::<libc::cmsghdr>();
    // SAFETY: the room is aligned as a header is, and was just found long enough for header and
    // descriptors together.
    unsafe {
        (*at).cmsg_len = len as usize;
        (*at).cmsg_level = libc::SOL_SOCKET;
        (*at).cmsg_type = libc::SCM_RIGHTS;
        let data = libc::CMSG_DATA(at).cast::<RawFd>();
        for (i, fd) in fds.iter().enumerate() {
            data.add(i).write_unaligned(fd.as_raw_fd());
        }
    }
    space as usize
}

fn read_rights(header: &libc::msghdr) -> Vec<OwnedFd> {
    let mut fds = Vec::new();
    // SAFETY: this only computes.
    let header_len = unsafe { libc::CMSG_LEN(0) } as usize;
    // SAFETY: the kernel filled `header`, so its control room and length describe well-formed
    // messages, which these macros walk.
    let mut at = unsafe { libc::CMSG_FIRSTHDR(header) };
    while !at.is_null() {
        // SAFETY: `at` is not null, hence a message within the room. The kernel made every
        // descriptor in a rights message ours, open, and told nobody else of it.
        unsafe {
            if ((*at).cmsg_level, (*at).cmsg_type) == (libc::SOL_SOCKET, libc::SCM_RIGHTS) {
                let n = (*at).cmsg_len.saturating_sub(header_len) / size_of::<RawFd>();
                let data = libc::CMSG_DATA(at).cast::<RawFd>();
                fds.extend((0..n).map(|i| OwnedFd::from_raw_fd(data.add(i).read_unaligned())));
            }
            at = libc::CMSG_NXTHDR(header, at);
        }
    }
    fds
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::os::fd::AsFd;

    use super::*;

    #[test]
    fn a_passed_descriptor_is_the_same_open_file() {
        let (near, far) = UnixStream::pair().expect("pair");
        let (mut a, b) = UnixStream::pair().expect("pair");
        send(&near, b"r4", &[b.as_fd()]).expect("send");
        drop(b);
        let mut message = [0; 16];
        let (n, fds) = receive(&far, &mut message).expect("receive");
        assert_eq!((&message[..n], fds.len()), (&b"r4"[..], 1));
        let mut passed = UnixStream::from(fds.into_iter().next().expect("one"));
        a.write_all(b"hello").expect("write");
        let mut text = [0; 5];
        passed.read_exact(&mut text).expect("read");
        assert_eq!(&text, b"hello");
    }

    #[test]
    fn a_message_may_bring_no_descriptor_and_an_end_that_is_gone_reads_as_nothing() {
        let (near, far) = UnixStream::pair().expect("pair");
        send(&near, b"no", &[]).expect("send");
        drop(near);
        let mut message = [0; 16];
        assert_eq!(receive(&far, &mut message).expect("receive").0, 2);
        assert_eq!(receive(&far, &mut message).expect("receive").0, 0);
    }
}
