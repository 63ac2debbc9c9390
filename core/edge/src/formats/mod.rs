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
];

/// The format of a name.
pub fn find(name: &str) -> Option<&'static Format> {
    ALL.iter().find(|format| format.name == name)
}

/// Any bytes do no harm, and what parses holds together.
fn harmless(format: &Format, bytes: &[u8]) {
    let near = whyslow_model::Wall::from_nanos(1_770_380_055_000_000_000);
    let context = crate::format::Context { near, zone_s: 0 };
    let mut scratch = crate::format::Scratch::default();
    if let Ok(record) = (format.parser)().parse(bytes, &context, &mut scratch) {
        assert!(record.code <= 999, "{} reads the code {}", format.name, record.code);
        assert!(!record.path.contains(&b'?'), "{} keeps a query", format.name);
    }
}

/// For the fuzzer: `harmless` of this format.
pub fn fuzz_alb(bytes: &[u8]) {
    harmless(&alb::FORMAT, bytes);
}

/// For the fuzzer: `harmless` of this format.
pub fn fuzz_caddy(bytes: &[u8]) {
    harmless(&caddy::FORMAT, bytes);
}

/// For the fuzzer: `harmless` of this format.
pub fn fuzz_cloudflare(bytes: &[u8]) {
    harmless(&cloudflare::FORMAT, bytes);
}

/// For the fuzzer: `harmless` of this format.
pub fn fuzz_envoy(bytes: &[u8]) {
    harmless(&envoy_text::FORMAT, bytes);
}

/// For the fuzzer: `harmless` of this format.
pub fn fuzz_envoy_json(bytes: &[u8]) {
    harmless(&envoy_json::FORMAT, bytes);
}

/// For the fuzzer: `harmless` of this format.
pub fn fuzz_f5(bytes: &[u8]) {
    harmless(&f5::FORMAT, bytes);
}

/// For the fuzzer: `harmless` of this format.
pub fn fuzz_traefik(bytes: &[u8]) {
    harmless(&traefik::FORMAT, bytes);
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
            harmless(format, &bytes);
            let mut line = format.example.as_bytes().to_vec();
            let at = at % line.len();
            let end = (at + patch.len()).min(line.len());
            line.splice(at..end, patch);
            harmless(format, &line);
            harmless(format, &line[..at]);
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
