//! Active checks: what each kind asks of the network, how its phases are read, when it is due,
//! and what an answer means. The shell carries conversations out; this crate decides and judges.

pub mod certificate;
pub mod checks;
pub mod codes;
pub mod expect;
pub mod guard;
pub mod json_path;
pub mod metrics;
pub mod ping;
pub mod redact;
pub mod request;
pub mod run;
pub mod schedule;
pub mod sentences;
pub mod spec;
pub mod starved;
pub mod target;
mod transcript;
