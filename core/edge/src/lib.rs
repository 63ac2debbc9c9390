//! The edge plane: a balancer's log, from bytes to records to windows with mergeable histograms,
//! and what they show by themselves.
//!
//! ```text
//! bytes ─ framing ─ syslog header ─ format ─ Record ─┬─ windows ─ Row ─┬─ store, Graphite, pages
//!                                                    │                 └─ detectors ─ Reading
//!                                                    └─ slow requests
//! ```

pub mod auto;
mod bits;
pub mod blame;
pub mod brief;
mod client;
pub mod compiled;
pub mod completeness;
mod contrast;
mod cursor;
pub mod detect;
pub mod format;
pub mod formats;
pub mod framing;
mod fuzz;
pub mod grouping;
pub mod journal_entry;
mod marks;
mod merge;
pub mod names;
pub mod pack;
pub mod places;
pub mod record;
pub mod report;
pub mod routes;
pub mod row;
pub mod slow;
pub mod stamp;
pub mod syslog;
pub mod top;
pub mod trigger;
pub mod windows;

pub use fuzz::{fuzz_edge_report, fuzz_edge_windows};
pub use merge::merge_windows;
