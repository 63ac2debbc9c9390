//! The Prometheus HTTP API: what Grafana's data source and `promtool query` ask for.

pub mod json;
pub mod numbers;
pub mod params;
pub mod status;
