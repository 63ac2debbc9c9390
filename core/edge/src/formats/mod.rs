//! The formats there are, one file each.

mod alb;
mod apache;
mod caddy;
mod client;
mod cloudflare;
mod combined;
mod envoy_json;
mod envoy_text;
mod f5;
mod fuzz;
pub mod haproxy;
mod haproxy_error;
mod haproxy_http;
mod haproxy_tcp;
pub mod iis;
pub(crate) mod json;
mod nginx;
mod request;
#[cfg(test)]
mod testing;
mod traefik;

pub use fuzz::{
    fuzz_alb, fuzz_apache, fuzz_caddy, fuzz_cloudflare, fuzz_common_log, fuzz_envoy,
    fuzz_envoy_json, fuzz_f5, fuzz_iis, fuzz_nginx, fuzz_traefik,
};

use crate::format::Format;

/// All formats, in the order in which they are tried where none is named.
pub const ALL: &[Format] = &[
    haproxy::FORMAT,
    haproxy_http::FORMAT,
    haproxy_tcp::FORMAT,
    haproxy_error::FORMAT,
    envoy_text::FORMAT,
    envoy_json::FORMAT,
    traefik::FORMAT,
    caddy::FORMAT,
    cloudflare::FORMAT,
    alb::FORMAT,
    f5::FORMAT,
    nginx::FORMAT,
    combined::FORMAT,
    apache::FORMAT,
    iis::FORMAT,
    combined::START,
];

/// The name of the format that reads a line's beginning alone: found by a report only, which says
/// so, and where no other takes most of the lines.
pub(crate) const COMBINED_START: &str = combined::START.name;

/// The format of a name.
pub fn find(name: &str) -> Option<&'static Format> {
    ALL.iter().find(|format| format.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #[test]
        fn no_bytes_and_no_damaged_example_do_harm(
            bytes: Vec<u8>,
            which in 0..ALL.len(),
            at in 0..2000_usize,
            patch: Vec<u8>,
        ) {
            let format = &ALL[which];
            fuzz::lines_of(format, &bytes);
            let mut line = format.example.as_bytes().to_vec();
            let at = at % line.len();
            let end = (at + patch.len()).min(line.len());
            line.splice(at..end, patch);
            fuzz::lines_of(format, &line);
            fuzz::lines_of(format, &line[..at]);
        }
    }

    #[test]
    fn names_are_told_apart_and_every_entry_says_what_it_is() {
        let mut names: Vec<_> = ALL.iter().map(|format| format.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), ALL.len());
        for format in ALL {
            assert!(!format.summary.is_empty() && !format.looks_like.is_empty());
        }
    }
}
