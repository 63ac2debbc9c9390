//! What every request may use.

use std::sync::{Arc, PoisonError, RwLock};

use tokio::sync::watch;

use crate::web::access::Access;

/// Shared by all requests; cheap to clone behind its `Arc`.
#[derive(Debug)]
pub struct AppState {
    access: RwLock<Arc<Access>>,
    /// Becomes true when the process is about to end, so that endless answers end too.
    pub stopping: watch::Receiver<bool>,
}

impl AppState {
    /// A state in which `access` decides who may talk to the listener.
    pub fn new(access: Access, stopping: watch::Receiver<bool>) -> Self {
        Self { access: RwLock::new(Arc::new(access)), stopping }
    }

    /// The rules for callers as they are now.
    pub fn access(&self) -> Arc<Access> {
        Arc::clone(&self.access.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Lets new rules for callers take effect with the next request.
    pub fn replace_access(&self, access: Access) {
        *self.access.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(access);
    }
}
