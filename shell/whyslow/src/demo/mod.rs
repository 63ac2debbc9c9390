//! `whyslow demo`: a small sample shop on loopback and a script of faults, so that the pages have
//! something to show. No root, no internet; whatever is simulated is labelled so.

pub mod backend;
pub mod balancer;
pub mod certificates;
pub mod config;
pub mod log;
pub mod networks;
pub mod play;
pub mod resolver;
pub mod run;
pub mod script;
pub mod server;
pub mod shop;
pub mod traffic;
pub mod wire;
