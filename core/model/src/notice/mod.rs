//! What every plane's detectors share: how far a sample's figure may be trusted, what is usual for
//! a cell, and how abnormal readings become findings.

mod about;
pub mod interval;
mod past;
mod persistence;

pub use about::{About, ms, percent};
pub use past::{Pasts, Usual};
pub use persistence::{Changed, Patience, Persistence};
