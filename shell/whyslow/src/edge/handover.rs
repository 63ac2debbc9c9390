//! Sockets that a source leaves to the one that takes its place when its configuration changes, so
//! that nobody who sends notices: what comes meanwhile waits in the kernel.

use std::any::Any;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// What the workers of a source leave, each under its number; clone it freely.
#[derive(Clone, Debug, Default)]
pub(super) struct Handover(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    wanted: AtomicBool,
    left: Mutex<BTreeMap<usize, Box<dyn Any + Send>>>,
}

impl Handover {
    /// Says that somebody will take what is left.
    pub(super) fn want(&self) {
        self.0.wanted.store(true, Ordering::Relaxed);
    }

    /// Whether somebody will.
    pub(super) fn is_wanted(&self) -> bool {
        self.0.wanted.load(Ordering::Relaxed)
    }

    /// Leaves something for the worker of the same number.
    pub(super) fn leave(&self, worker: usize, what: impl Any + Send) {
        self.lock().insert(worker, Box::new(what));
    }

    /// Takes what was left, where it is of this kind.
    pub(super) fn take<T: Any>(&self, worker: usize) -> Option<T> {
        self.lock().remove(&worker)?.downcast().ok().map(|what| *what)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<usize, Box<dyn Any + Send>>> {
        self.0.left.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_is_taken_once_by_the_worker_of_the_same_number() {
        let handover = Handover::default();
        assert!(!handover.is_wanted());
        handover.want();
        handover.leave(1, "a socket".to_owned());
        assert!(handover.is_wanted());
        assert_eq!(handover.take::<String>(0), None);
        assert_eq!(handover.take::<String>(1).as_deref(), Some("a socket"));
        assert_eq!(handover.take::<String>(1), None);
    }
}
