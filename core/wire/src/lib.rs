//! The wire plane: packets, from bytes to flows to the anatomy of every TCP and TLS opening, and
//! what openings show by themselves.
//!
//! ```text
//! bytes ─ capture ─ packet ─ Segment ─ engine ─ Opening ─ judge ─ Handshake ─┬─ report, pages
//!                                        │                                   └─ detectors ─ Reading
//!                                        └─ unanswered SYNs, resets, requests in no log
//! ```
//!
//! One engine serves a file and a live ring; it is driven by the packets' own stamps.

pub mod anatomy;
pub mod capture;
pub mod cause;
pub mod detect;
pub mod engine;
pub mod event;
pub mod evidence;
pub mod filter;
mod flow;
pub mod handshake;
mod ja4;
#[cfg(test)]
mod made;
pub mod opening;
pub mod packet;
pub mod plan;
pub mod report;
pub mod row;
pub mod segment;
mod slow;
pub mod stream;
pub mod tls;
mod usual;
pub mod watch;
pub mod windows;
