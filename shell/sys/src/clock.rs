//! The machine's clocks. Cores never read them; the shell reads them here and hands them on.

use std::time::Duration;

use whyslow_model::{Mono, Wall};

/// Now on the monotonic clock.
///
/// It is `CLOCK_BOOTTIME`, which goes on while the machine sleeps, so that a schedule sees a
/// suspension as the stretch of time it was. No step of the wall clock moves it.
pub fn mono() -> Mono {
    let t = read(libc::CLOCK_BOOTTIME);
    Mono::from_nanos(nanos(t).unsigned_abs())
}

/// Now on the wall clock. It may step in either direction at any time.
pub fn wall() -> Wall {
    Wall::from_nanos(nanos(read(libc::CLOCK_REALTIME)))
}

/// How long the machine has slept in all since it booted.
pub fn suspended() -> Duration {
    let awake = nanos(read(libc::CLOCK_MONOTONIC)).unsigned_abs();
    Duration::from_nanos(mono().as_nanos().saturating_sub(awake))
}

fn nanos(t: libc::timespec) -> i64 {
    t.tv_sec.saturating_mul(1_000_000_000).saturating_add(t.tv_nsec)
}

fn read(clock: libc::clockid_t) -> libc::timespec {
    let mut t = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `t` is a valid place for one timespec, and the call keeps no pointer to it.
    let rc = unsafe { libc::clock_gettime(clock, &raw mut t) };
    // Only an unknown clock or a bad pointer can fail, and all three clocks are older than
    // anything we run on.
    assert_eq!(rc, 0, "clock_gettime({clock}) failed");
    t
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_monotonic_clock_never_runs_backwards() {
        let mut last = mono();
        for _ in 0..1000 {
            let now = mono();
            assert!(now >= last);
            last = now;
        }
    }

    #[test]
    fn the_wall_clock_agrees_with_std() {
        let before = std::time::SystemTime::now();
        let ours = wall();
        let since = before.duration_since(std::time::UNIX_EPOCH).expect("after 1970").as_secs();
        assert!(ours.as_millis() / 1000 >= i64::try_from(since).expect("small"));
    }
}
