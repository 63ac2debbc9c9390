//! The configuration file: read, checked as a whole, swapped as a whole.
//!
//! [`types`] is at once the configuration, its schema and its documentation.

pub mod planned;
pub mod types;

pub use planned::{CheckId, PlannedCheck};
pub use types::{Agent, Config, Retention, Server, Service, Storage, Vantage};

/// The JSON Schema (2020-12) of the configuration, for editors and for [`Config`]'s own checks.
pub fn schema() -> schemars::Schema {
    schemars::schema_for!(Config)
}
