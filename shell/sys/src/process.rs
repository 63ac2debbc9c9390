//! What this process and its threads cost, and what they had to wait for.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::time::Duration;

use crate::Error;

/// What this process has used so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    /// Processor time, ours and the kernel's for us.
    pub cpu: Duration,
    /// Memory in use right now, in bytes; 0 where /proc is not to be had.
    pub resident_bytes: u64,
    /// Open file descriptors; 0 where /proc is not to be had.
    pub open_files: u64,
}

/// What this process has used so far.
///
/// # Errors
/// Never on a kernel that whyslow runs on.
pub fn usage() -> Result<Usage, Error> {
    let open_files = fs::read_dir("/proc/self/fd").map_or(0, |list| list.count() as u64);
    Ok(Usage { cpu: cpu(libc::RUSAGE_SELF)?, resident_bytes: resident_bytes(), open_files })
}

/// Processor time, theirs and the kernel's for them, of all programs that this one started and
/// whose end it has seen.
///
/// # Errors
/// Never on a kernel that whyslow runs on.
pub fn children_cpu() -> Result<Duration, Error> {
    cpu(libc::RUSAGE_CHILDREN)
}

fn cpu(whose: libc::c_int) -> Result<Duration, Error> {
    let mut raw = std::mem::MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: `raw` has room for one rusage, which the kernel fills before the call returns 0.
    let used = unsafe {
        if libc::getrusage(whose, raw.as_mut_ptr()) != 0 {
            return Err(Error::last("ask for resource usage"));
        }
        raw.assume_init()
    };
    let span = |t: libc::timeval| {
        let us = t.tv_sec.saturating_mul(1_000_000).saturating_add(t.tv_usec);
        Duration::from_micros(us.unsigned_abs())
    };
    Ok(span(used.ru_utime) + span(used.ru_stime))
}

/// Lets this process open as many files as it is allowed to; returns how many that is.
///
/// # Errors
/// Where the kernel refuses, which it has no reason to.
pub fn raise_open_files() -> Result<u64, Error> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `limit` is a valid place for one rlimit.
    if unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) } != 0 {
        return Err(Error::last("ask how many files we may open"));
    }
    limit.rlim_cur = limit.rlim_max;
    // SAFETY: `limit` is a valid rlimit, which the kernel only reads.
    if unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) } != 0 {
        return Err(Error::last("raise how many files we may open"));
    }
    Ok(limit.rlim_cur)
}

/// How long one thread has been ready to run and was not let: its share of a starved machine.
#[derive(Debug)]
pub struct ThreadWait(File);

impl ThreadWait {
    /// Watches the calling thread.
    ///
    /// # Errors
    /// Where the kernel keeps no such account (`CONFIG_SCHED_INFO`).
    pub fn of_this_thread() -> Result<Self, Error> {
        let fail = |e| Error::new("open /proc/thread-self/schedstat", e);
        File::open("/proc/thread-self/schedstat").map(Self).map_err(fail)
    }

    /// How long the thread has waited for a processor in all; `None` where the kernel does not
    /// say.
    pub fn total(&self) -> Option<Duration> {
        let mut text = [0; 64];
        let n = self.0.read_at(&mut text, 0).ok()?;
        waited(std::str::from_utf8(text.get(..n)?).ok()?)
    }
}

/// The second of the three numbers of a schedstat line (`Documentation/scheduler/sched-stats`).
fn waited(line: &str) -> Option<Duration> {
    line.split_ascii_whitespace().nth(1)?.parse().ok().map(Duration::from_nanos)
}

fn resident_bytes() -> u64 {
    let text = fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = text.split_ascii_whitespace().nth(1).and_then(|n| n.parse::<u64>().ok());
    // SAFETY: sysconf takes no pointer.
    let page = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    pages.unwrap_or(0) * u64::try_from(page).unwrap_or(4096)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_uses_memory_and_files() {
        let used = usage().expect("usage");
        assert!(used.resident_bytes > 100_000);
        assert!(used.open_files >= 3);
    }

    #[test]
    fn the_wait_for_a_processor_is_the_second_number() {
        assert_eq!(waited("69855 51467 2\n"), Some(Duration::from_nanos(51_467)));
        assert_eq!(waited("69855"), None);
        assert_eq!(waited("a b c"), None);
    }

    #[test]
    fn a_thread_can_ask_how_long_it_waited() {
        let wait = ThreadWait::of_this_thread().expect("schedstat");
        assert!(wait.total().is_some());
    }
}
