//! Tests of the whole: the built program, and checks against peers made in this process.

#![expect(clippy::expect_used, reason = "a test that cannot set its world up has failed")]

mod api;
mod certificates;
mod cli;
mod examples;
mod formats;
mod graphite;
mod keep_socket;
mod links;
mod nameserver;
mod opener;
mod peers;
mod reference;
mod wire_api;
