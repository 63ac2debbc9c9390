//! Waiting for an instant of whyslow's own monotonic clock.

use std::future::pending;
use std::time::Duration;

use whyslow_model::Mono;
use whyslow_sys::clock;

/// The runtime's timers stand still while the machine sleeps, ours go on. Looking again this
/// often bounds how late a wake-up after a sleep can be.
const LOOK_AGAIN: Duration = Duration::from_secs(5);

/// Returns at `wake`, a little later, or earlier where a look at the clocks is due; never where
/// there is nothing to wait for.
pub(super) async fn until(wake: Option<Mono>) {
    match wake {
        Some(wake) => {
            let left = wake.since(clock::mono());
            if !left.is_zero() {
                tokio::time::sleep(left.min(LOOK_AGAIN)).await;
            }
        }
        None => pending().await,
    }
}
