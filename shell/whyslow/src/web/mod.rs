//! The one listener: API, pages, and who may talk to it.

pub mod access;
pub mod api;
pub mod client;
pub mod counts;
pub mod guard;
pub mod login;
pub mod pages;
pub mod problem;
pub mod server;
pub mod socket;
pub mod state;
