//! Tests of the whole: the built program, and checks against peers made in this process.

mod api;
mod certificates;
mod cli;
mod examples;
mod nameserver;
mod opener;
mod peers;
