//! The Prometheus HTTP API.

pub mod json;
pub mod numbers;
pub mod params;
