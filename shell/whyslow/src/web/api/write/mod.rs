//! `POST /api/v1/write`: Prometheus remote write 1.0.

pub mod names;
#[cfg(test)]
pub(crate) mod sent;
