//! What is asked of the keeper of slow requests.

use std::sync::Arc;

use whyslow_model::asn::AsnTable;
use whyslow_model::seeded::Seed;

use crate::routes::Routes;

/// What is kept, and how much of it.
#[derive(Clone, Debug)]
pub struct Options {
    /// The log's name.
    pub source: Arc<str>,
    /// How paths become routes; the same as for the windows.
    pub routes: Routes,
    /// Whose an address is.
    pub asn: Option<Arc<AsnTable>>,
    /// Limits by glob of routes, in microseconds; the first glob that matches a route's name
    /// counts.
    pub route_limits: Vec<(String, u64)>,
    /// The limit of all other routes, in microseconds.
    pub limit_us: Option<u64>,
    /// How many times its route's own p99 a request may take; `None` where that is no reason.
    pub own_p99_factor: Option<f64>,
    /// Requests kept in a window of ten seconds.
    pub rows_per_window: usize,
    /// About how many bytes may be kept in a day.
    pub bytes_per_day: u64,
    /// Seeds the hash tables and the lots.
    pub seed: Seed,
}

impl Options {
    /// Everything over three times its route's own p99, within a thousand requests in a window
    /// and 256 MiB a day.
    pub fn new(source: Arc<str>, seed: Seed) -> Self {
        Self {
            source,
            routes: Routes::default(),
            asn: None,
            route_limits: Vec::new(),
            limit_us: None,
            own_p99_factor: Some(3.0),
            rows_per_window: 1000,
            bytes_per_day: 256 << 20,
            seed,
        }
    }
}
