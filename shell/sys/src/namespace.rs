//! Network namespaces (namespaces(7)): one thread may stand in another one than its process.

use std::fs::File;
use std::os::fd::AsRawFd;
use std::path::Path;

use crate::Error;

/// Moves the calling thread, and those it starts from now on, into the network namespace at
/// `path`, such as `/run/netns/NAME`. Sockets opened before stay where they were opened.
///
/// # Errors
/// Without `CAP_SYS_ADMIN`, or where `path` is no network namespace.
pub fn enter(path: &Path) -> Result<(), Error> {
    const OPERATION: &str = "enter a network namespace";
    let file = File::open(path).map_err(|e| Error::new(OPERATION, e))?;
    // SAFETY: setns takes a descriptor and a flag, and touches no memory of ours.
    let rc = unsafe { libc::setns(file.as_raw_fd(), libc::CLONE_NEWNET) };
    if rc == 0 { Ok(()) } else { Err(Error::last(OPERATION)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_namespace_cannot_be_entered() {
        assert!(enter(Path::new("/no/such/namespace")).is_err());
        assert!(enter(Path::new("/dev/null")).is_err());
    }
}
