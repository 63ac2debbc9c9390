//! Worlds to test in: real balancers, servers, resolvers, namespaces and a browser at the other end
//! of whyslow's conversations. Never shipped.
//!
//! A scenario is one file under [`scenarios`] and one line in its list. It runs the built `whyslow`
//! as a user would and judges what comes out, so it proves the promise and not the parts.

pub mod bench;
pub mod certificates;
pub mod cost;
pub mod edge_logs;
pub mod figure;
pub mod journald;
pub mod line;
pub mod log;
pub mod namespace;
pub mod packets;
pub mod peer;
pub mod scenario;
pub mod scenarios;
pub mod server;
pub mod slow_tls;
pub mod soak;
pub mod up;
pub mod world;
