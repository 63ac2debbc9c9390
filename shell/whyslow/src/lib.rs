//! whyslow: watches a web service from outside, at the edge, on the wire and in the host, and
//! says which segment of the world is at fault.
//!
//! This crate is the shell: it wires pure cores to sockets, files, clocks and people.

pub mod asn;
pub mod cli;
pub mod config;
pub mod demo;
pub mod edge;
pub mod edge_out;
pub mod links;
pub mod live;
mod packed;
pub mod pipeline;
pub mod prober;
pub mod remote_write;
pub mod storage;
pub mod web;
pub mod wire;
