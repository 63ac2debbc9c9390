//! Timed conversations: resolve, connect, TLS, HTTP/1.1 and HTTP/2, DNS.
//!
//! Each takes an `…Ask` of `whyslow_model::conversation` and gives back what happened and when.
//! It decides nothing: what failed is said as a fault, and what that means is the core's to say.
//! Nothing here starts a thread or a task of its own, save hyper's for HTTP/2.

mod conduit;
pub mod connect;
pub mod connection;
pub mod dns;
mod faults;
mod frames;
mod http;
mod machine;
pub mod resolve;
mod tls;
pub mod trust;

use std::sync::Arc;

pub use connection::Connection;
pub use frames::fuzz_frames;
pub use machine::fuzz_resolv_conf;
use whyslow_model::conversation::Trust;

/// What all conversations of a process share: trusted certificates, TLS settings, and the
/// machine's way of resolving names. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Dial {
    trust: Arc<trust::Store>,
    machine: Arc<machine::Machine>,
}

impl Dial {
    /// With nothing read yet; each thing is read when it is first needed.
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads what handshakes under `trust` will need, so that the first of them is not charged
    /// for it. A file that cannot be used is said by the handshake itself.
    pub fn prepare(&self, trust: &Trust, alpn: &[&'static str]) {
        let _ = self.trust.prepared(trust, alpn);
    }
}
