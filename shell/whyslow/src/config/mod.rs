//! The configuration file: read, checked as a whole, swapped as a whole.
//!
//! [`types`] is at once the configuration, its schema and its documentation.

pub mod absolute;
pub mod added;
pub mod current;
pub mod difference;
pub mod edge;
pub mod keep;
pub mod links;
pub mod load;
pub mod merge;
pub mod node;
pub mod planned;
pub mod problem;
pub mod read;
pub mod redacted;
mod rules;
mod scalar;
pub mod secret;
pub mod shape;
pub mod slow;
pub mod substitute;
pub mod trigger;
pub mod types;
pub mod wire;
pub mod world;

pub use current::{Current, NotInForce, Origin, Refused, Snapshot, default_data};
pub use edge::{EdgeSource, Input, Network, ReadFrom, SocketMode, Zone};
pub use keep::Keep;
pub use links::{Graphite, RemoteWrite};
pub use load::{LoadError, load};
pub use planned::{CheckId, PlannedCheck};
pub use problem::Problems;
pub use redacted::redacted;
pub use trigger::LogTrigger;
pub use types::{Agent, Config, Retention, Server, Service, Storage, Vantage};
pub use wire::{Size, Snap, WireTap};

/// The JSON Schema (2020-12) of the configuration, for editors and for [`Config`]'s own checks.
pub fn schema() -> schemars::Schema {
    schemars::schema_for!(Config)
}
