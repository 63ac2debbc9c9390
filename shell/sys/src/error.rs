//! The one way in which a request to the kernel fails.

use std::io;

/// A request to the kernel that it did not grant.
#[derive(Debug, thiserror::Error)]
#[error("{operation}: {source}")]
pub struct Error {
    /// What was asked, such as `open a raw ICMP socket`.
    pub operation: &'static str,
    /// What would mend it, for the operator; `None` where we know of nothing.
    pub hint: Option<&'static str>,
    /// What the kernel said.
    pub source: io::Error,
}

impl Error {
    /// An error without a hint, from what the kernel said.
    pub(crate) const fn new(operation: &'static str, source: io::Error) -> Self {
        Self { operation, hint: None, source }
    }

    /// An error of the system call that just failed on this thread.
    pub(crate) fn last(operation: &'static str) -> Self {
        Self::new(operation, io::Error::last_os_error())
    }

    /// Whether the kernel refused for want of a privilege.
    pub fn is_permission(&self) -> bool {
        self.source.kind() == io::ErrorKind::PermissionDenied
    }
}
