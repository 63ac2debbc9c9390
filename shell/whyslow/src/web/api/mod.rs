//! What programs ask for.

pub mod prometheus;
pub mod write;
