//! The fuzzer's way into each format: lines of it, read every way.

use super::traefik;
use super::{alb, apache, caddy, cloudflare, combined, envoy_json, envoy_text, f5, iis, nginx};
use crate::format::Format;
use crate::fuzz::read_every_way;

pub(super) fn lines_of(format: &Format, bytes: &[u8]) {
    read_every_way((format.parser)().as_ref(), bytes);
}

/// For the fuzzer: lines of this format.
pub fn fuzz_alb(bytes: &[u8]) {
    lines_of(&alb::FORMAT, bytes);
}

/// For the fuzzer: lines of this format.
pub fn fuzz_apache(bytes: &[u8]) {
    lines_of(&apache::FORMAT, bytes);
}

/// For the fuzzer: lines of this format.
pub fn fuzz_caddy(bytes: &[u8]) {
    lines_of(&caddy::FORMAT, bytes);
}

/// For the fuzzer: lines of this format.
pub fn fuzz_cloudflare(bytes: &[u8]) {
    lines_of(&cloudflare::FORMAT, bytes);
}

/// For the fuzzer: lines of this format.
pub fn fuzz_common_log(bytes: &[u8]) {
    lines_of(&combined::FORMAT, bytes);
}

/// For the fuzzer: lines of this format.
pub fn fuzz_envoy(bytes: &[u8]) {
    lines_of(&envoy_text::FORMAT, bytes);
}

/// For the fuzzer: lines of this format.
pub fn fuzz_envoy_json(bytes: &[u8]) {
    lines_of(&envoy_json::FORMAT, bytes);
}

/// For the fuzzer: lines of this format.
pub fn fuzz_f5(bytes: &[u8]) {
    lines_of(&f5::FORMAT, bytes);
}

/// For the fuzzer: lines of this format.
pub fn fuzz_iis(bytes: &[u8]) {
    lines_of(&iis::FORMAT, bytes);
}

/// For the fuzzer: lines of this format.
pub fn fuzz_nginx(bytes: &[u8]) {
    lines_of(&nginx::FORMAT, bytes);
}

/// For the fuzzer: lines of this format.
pub fn fuzz_traefik(bytes: &[u8]) {
    lines_of(&traefik::FORMAT, bytes);
}
