//! The formats there are, one file each.

mod common;
pub mod haproxy;
mod haproxy_error;
mod haproxy_http;
mod haproxy_tcp;
mod nginx;

use crate::format::Format;

/// All formats, in the order in which they are tried where none is named.
pub const ALL: &[Format] = &[
    haproxy::FORMAT,
    haproxy_http::FORMAT,
    haproxy_tcp::FORMAT,
    haproxy_error::FORMAT,
    nginx::FORMAT,
    common::FORMAT,
];

/// The format of a name.
pub fn find(name: &str) -> Option<&'static Format> {
    ALL.iter().find(|format| format.name == name)
}
