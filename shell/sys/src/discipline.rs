//! Whether something keeps the wall clock right, as the kernel has been told.

use std::mem::MaybeUninit;
use std::time::Duration;

use crate::error::Error;

/// What the kernel knows of the wall clock's discipline (RFC 5905 section 11.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Discipline {
    /// Whether a time service says that the clock is right.
    pub synchronised: bool,
    /// The most by which it may be wrong; it grows while nobody corrects it.
    pub error_max: Duration,
}

/// Asks the kernel; changes nothing.
///
/// # Errors
/// Where the kernel does not say, as some sandboxes make it.
pub fn discipline() -> Result<Discipline, Error> {
    let mut raw = MaybeUninit::<libc::timex>::zeroed();
    // SAFETY: all zeros is a valid timex, whose `modes` of 0 asks for nothing to be changed; the
    // kernel fills it in and keeps no pointer to it.
    let (state, told) = unsafe {
        let state = libc::adjtimex(raw.as_mut_ptr());
        (state, raw.assume_init())
    };
    if state < 0 {
        return Err(Error::last("ask how right the clock is"));
    }
    let micros = u64::try_from(told.maxerror).unwrap_or(0);
    Ok(Discipline {
        synchronised: state != libc::TIME_ERROR && told.status & libc::STA_UNSYNC == 0,
        error_max: Duration::from_micros(micros),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_says_how_right_its_clock_is_or_that_it_may_not() {
        match discipline() {
            Ok(told) => assert!(told.error_max < Duration::from_hours(1), "{told:?}"),
            Err(refused) => assert!(refused.is_permission(), "{refused}"),
        }
    }
}
