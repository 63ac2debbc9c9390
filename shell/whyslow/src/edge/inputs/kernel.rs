//! Limits of the kernel that lose log lines where they are small, and the line that mends each.

use std::fs;

/// Bytes a socket's buffer should be able to hold: a tenth of a second at half a million lines.
const BUFFER_BYTES_MIN: usize = 16 << 20;
/// Datagrams that should fit a unix socket's queue before its senders are held up or refused.
const QUEUE_MIN: u64 = 512;

/// What a limit is, and how to raise it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SmallLimit {
    /// What was found and what it costs.
    pub what: String,
    /// The line to type.
    pub mend: &'static str,
}

/// What is said of a UDP socket that the kernel granted so many bytes.
pub fn small_buffer(granted: usize) -> Option<SmallLimit> {
    (granted < BUFFER_BYTES_MIN).then(|| SmallLimit {
        what: format!(
            "UDP sockets may buffer {} KiB; a burst of log lines may be lost in the kernel, \
             which is counted",
            granted >> 10
        ),
        mend: "sudo sysctl -w net.core.rmem_max=67108864",
    })
}

/// The most bytes a socket may be given, as the system is set up.
pub fn buffer_limit() -> Option<usize> {
    number("/proc/sys/net/core/rmem_max").and_then(|n| usize::try_from(n).ok())
}

/// What is said of the length of unix datagram sockets' queues.
pub fn short_queue() -> Option<SmallLimit> {
    let length = number("/proc/sys/net/unix/max_dgram_qlen")?;
    (length < QUEUE_MIN).then(|| SmallLimit {
        what: format!(
            "a unix datagram socket's queue holds {length} lines; a balancer that does not wait \
             drops lines when it is full, and nobody here can count those"
        ),
        mend: "sudo sysctl -w net.unix.max_dgram_qlen=4096   # before the socket is opened",
    })
}

pub(super) fn warn_small_buffer(source: &str, granted: usize) {
    if let Some(small) = small_buffer(granted) {
        tracing::warn!("source {source}: {}; hint: {}", small.what, small.mend);
    }
}

pub(super) fn warn_short_queue(source: &str) {
    if let Some(short) = short_queue() {
        tracing::warn!("source {source}: {}; hint: {}", short.what, short.mend);
    }
}

fn number(path: &str) -> Option<u64> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_limit_is_told_with_its_remedy() {
        assert_eq!(small_buffer(64 << 20), None);
        let small = small_buffer(425_984).unwrap();
        assert!(small.what.contains("416 KiB") && small.mend.contains("rmem_max"), "{small:?}");
    }
}
