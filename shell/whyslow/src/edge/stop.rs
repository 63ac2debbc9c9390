//! Telling threads to end, and resting until then.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

/// A word that all threads of a source wait for; clone it freely.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stop(Arc<(Mutex<bool>, Condvar)>);

impl Stop {
    /// Says it.
    pub(crate) fn tell(&self) {
        let (said, heard) = &*self.0;
        *said.lock().unwrap_or_else(PoisonError::into_inner) = true;
        heard.notify_all();
    }

    /// Whether it was said.
    pub(crate) fn is_told(&self) -> bool {
        *self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Rests for a while, or until it is said.
    pub(crate) fn rest(&self, while_: Duration) {
        let (said, heard) = &*self.0;
        let guard = said.lock().unwrap_or_else(PoisonError::into_inner);
        drop(heard.wait_timeout_while(guard, while_, |said| !*said));
    }
}
