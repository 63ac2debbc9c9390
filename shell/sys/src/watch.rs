//! Waiting, on tokio's reactor, until an ICMP socket has something.

use std::io;

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use crate::Error;
use crate::icmp::IcmpSocket;

/// An ICMP socket that the current runtime's reactor watches.
#[derive(Debug)]
pub struct Watched(AsyncFd<IcmpSocket>);

impl Watched {
    /// Has the current runtime watch `socket`.
    ///
    /// # Errors
    /// Where the kernel can watch no more.
    ///
    /// # Panics
    /// Outside a runtime.
    pub fn new(socket: IcmpSocket) -> Result<Self, Error> {
        // SAFETY: an IcmpSocket owns its descriptor, always returns the same one, closes it only
        // when dropped, and nobody can replace it, since its field is private and never written.
        let watched = unsafe { AsyncFd::register_with_interest(socket, Interest::READABLE) };
        watched.map(Self).map_err(|e| Error::new("watch an ICMP socket", e.into_parts().1))
    }

    /// The socket.
    pub fn socket(&self) -> &IcmpSocket {
        self.0.get_ref()
    }

    /// Returns when something has arrived since the last time; take all of it then, until
    /// `WouldBlock` or a batch that is not full, or it is not told of again.
    ///
    /// # Errors
    /// Where the runtime is shutting down.
    pub async fn readable(&self) -> io::Result<()> {
        self.0.readable().await.map(|mut ready| ready.clear_ready())
    }
}
