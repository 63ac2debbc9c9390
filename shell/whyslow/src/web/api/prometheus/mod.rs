//! The Prometheus HTTP API: what Grafana's data source and `promtool query` ask for.

pub mod gate;
pub mod json;
pub mod names;
pub mod numbers;
pub mod params;
pub mod query;
pub mod status;
