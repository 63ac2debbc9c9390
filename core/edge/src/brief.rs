//! One request as far as a report by names alone counts it.

/// A request that the first server asked answered and nobody broke off, whose names were read in a
/// line before.
/// Its record would tell the same, and much that such a report does not ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Brief {
    /// [`crate::record::Record::place`], not 0.
    pub place: u32,
    /// The second of [`crate::record::Record::at_us`], since the epoch.
    pub second: i64,
    /// The microsecond of that second.
    pub micros: u32,
    /// The status code.
    pub code: u16,
    /// Bytes sent to the client.
    pub bytes_out: u64,
    /// The total, in milliseconds, exact.
    pub total_ms: u32,
    /// What the server's side took, in milliseconds; see
    /// [`crate::record::Record::server_micros`].
    pub server_ms: u32,
}
