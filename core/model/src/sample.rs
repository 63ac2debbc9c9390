//! One value of one series at one time.

use crate::labels::Labels;

/// The bit pattern with which Prometheus marks a series as gone (`StaleNaN`).
pub const STALE_NAN_BITS: u64 = 0x7ff0_0000_0000_0002;

/// The value that says "this series stopped here".
pub const fn stale_nan() -> f64 {
    f64::from_bits(STALE_NAN_BITS)
}

/// Whether `v` is the staleness marker and not an ordinary NaN.
pub const fn is_stale(v: f64) -> bool {
    v.to_bits() == STALE_NAN_BITS
}

/// One value of one series.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// The series.
    pub labels: Labels,
    /// Milliseconds since the epoch.
    pub at_ms: i64,
    /// The value; [`stale_nan`] ends the series.
    pub value: f64,
}
