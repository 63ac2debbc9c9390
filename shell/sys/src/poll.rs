//! Waiting until one of some descriptors has something, without a runtime.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::time::Duration;

/// Waits until one of `fds` can be read, has ended or is broken, for at most `limit`, and marks
/// those in `ready`, which gets their number of places. Gives how many there are.
///
/// # Errors
/// Where the kernel has no memory, or more descriptors are given than may be open. A signal is no
/// error: then none is ready.
pub fn readable(
    fds: &[BorrowedFd<'_>],
    limit: Duration,
    ready: &mut Vec<bool>,
) -> io::Result<usize> {
    let mut polled: Vec<libc::pollfd> = fds
        .iter()
        .map(|fd| libc::pollfd { fd: fd.as_raw_fd(), events: libc::POLLIN, revents: 0 })
        .collect();
    let limit = libc::timespec {
        tv_sec: libc::time_t::try_from(limit.as_secs()).unwrap_or(libc::time_t::MAX),
        tv_nsec: limit.subsec_nanos().into(),
    };
    let count = polled.len() as libc::nfds_t;
    // SAFETY: the pointer and the count describe one live array, which the kernel reads and whose
    // `revents` it writes; the limit is a live timespec; no signal mask is given.
    let n = unsafe { libc::ppoll(polled.as_mut_ptr(), count, &raw const limit, std::ptr::null()) };
    ready.clear();
    ready.resize(fds.len(), false);
    let Ok(n) = usize::try_from(n) else {
        let error = io::Error::last_os_error();
        return if error.kind() == io::ErrorKind::Interrupted { Ok(0) } else { Err(error) };
    };
    for (ready, polled) in ready.iter_mut().zip(&polled) {
        *ready = polled.revents != 0;
    }
    Ok(n)
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::fd::AsFd;
    use std::os::unix::net::UnixStream;

    use super::*;

    #[test]
    fn only_what_has_something_is_ready() {
        let (mut a, b) = UnixStream::pair().expect("pair");
        let (c, d) = UnixStream::pair().expect("pair");
        let mut ready = Vec::new();
        let fds = [b.as_fd(), d.as_fd()];
        assert_eq!(readable(&fds, Duration::ZERO, &mut ready).expect("poll"), 0);
        a.write_all(b"x").expect("write");
        assert_eq!(readable(&fds, Duration::from_secs(9), &mut ready).expect("poll"), 1);
        assert_eq!(ready, [true, false]);
        drop(c);
        assert_eq!(readable(&fds, Duration::from_secs(9), &mut ready).expect("poll"), 2);
        assert_eq!(ready, [true, true]);
    }
}
