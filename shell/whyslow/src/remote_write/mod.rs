//! Remote write out: stored samples, sent on to others.

pub mod body;
