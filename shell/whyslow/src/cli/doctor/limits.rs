//! Limits of the process and of the kernel's buffers.

use super::Finding;
use crate::config::Config;

/// Open files that many checks at once, browsers and the store need.
const FILES_MIN: u64 = 4096;
/// Bytes a socket may buffer, so that a burst of echoes is not lost here.
const RECEIVE_BYTES_MIN: u64 = 1 << 20;

pub(super) fn look(_: &Config) -> Vec<Finding> {
    [open_files(), receive_buffer()].into_iter().flatten().collect()
}

fn open_files() -> Option<Finding> {
    let text = std::fs::read_to_string("/proc/self/limits").ok()?;
    let files = open_files_in(&text)?;
    Some(if files >= FILES_MIN {
        Finding::works("open files", shown(files))
    } else {
        Finding::limited("open files", format!("{files}; enough for some hundred checks"))
            .mend(format!("ulimit -n {FILES_MIN}"))
            .mend(format!("LimitNOFILE={FILES_MIN} in the systemd unit"))
    })
}

fn shown(files: u64) -> String {
    if files == u64::MAX { "no limit".to_owned() } else { format!("up to {files}") }
}

/// The soft limit of `Max open files` (proc(5)).
fn open_files_in(limits: &str) -> Option<u64> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    match line.split_whitespace().next()? {
        "unlimited" => Some(u64::MAX),
        number => number.parse().ok(),
    }
}

fn receive_buffer() -> Option<Finding> {
    let name = "socket buffers";
    let text = std::fs::read_to_string("/proc/sys/net/core/rmem_max").ok()?;
    let bytes: u64 = text.trim().parse().ok()?;
    Some(if bytes >= RECEIVE_BYTES_MIN {
        Finding::works(name, format!("up to {} KiB", bytes >> 10))
    } else {
        let what = format!("{} KiB; a burst of thousands of echoes may be lost here", bytes >> 10);
        Finding::limited(name, what).mend("sudo sysctl -w net.core.rmem_max=4194304")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_soft_limit_of_open_files_is_read() {
        let text = "Limit   Soft Limit Hard Limit Units\nMax open files            1024                 524288               files\n";
        assert_eq!(open_files_in(text), Some(1024));
        assert_eq!(open_files_in("Max open files unlimited unlimited files\n"), Some(u64::MAX));
        assert_eq!(open_files_in(""), None);
    }
}
