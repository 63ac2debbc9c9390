//! JA4: one short name for the way a client's `ClientHello` looks, which is that of its TLS library
//! and its settings. Only the client's TLS fingerprint, which its authors put under BSD-3.

use std::fmt::Write as _;

use sha2::{Digest, Sha256};

use crate::tls::hello::{ALPN, ClientHello, SERVER_NAME, is_grease, pairs};

/// The fingerprint of a hello that came over TCP; absent when its end is missing.
pub fn fingerprint(hello: &ClientHello<'_>) -> Option<String> {
    if !hello.whole {
        return None;
    }
    let mut ciphers: Vec<u16> = pairs(hello.ciphers).filter(|c| !is_grease(*c)).collect();
    let mut extensions: Vec<u16> =
        hello.extensions.iter().map(|(n, ..)| n).filter(|n| !is_grease(*n)).collect();
    let mut text = String::with_capacity(LENGTH);
    let named = if extensions.contains(&SERVER_NAME) { 'd' } else { 'i' };
    let counts = [ciphers.len().min(99), extensions.len().min(99)];
    let [first, last] = ends(hello.protocols().next());
    let version = version(hello.version());
    let _ = write!(text, "t{version}{named}{:02}{:02}{first}{last}_", counts[0], counts[1]);
    ciphers.sort_unstable();
    text.push_str(&hash(&listed(&ciphers)));
    text.push('_');
    extensions.retain(|n| ![SERVER_NAME, ALPN].contains(n));
    extensions.sort_unstable();
    let mut tail = listed(&extensions);
    let signatures: Vec<u16> = hello.signature_algorithms().filter(|s| !is_grease(*s)).collect();
    if !signatures.is_empty() {
        tail.push('_');
        tail.push_str(&listed(&signatures));
    }
    text.push_str(&if extensions.is_empty() { hash("") } else { hash(&tail) });
    Some(text)
}

const fn version(version: u16) -> &'static str {
    match version {
        0x0304 => "13",
        0x0303 => "12",
        0x0302 => "11",
        0x0301 => "10",
        0x0300 => "s3",
        0x0002 => "s2",
        _ => "00",
    }
}

/// First and last character of the first protocol, of its hexadecimal form where they are odd.
fn ends(protocol: Option<&[u8]>) -> [char; 2] {
    let Some((first, last)) = protocol.and_then(|p| Some((*p.first()?, *p.last()?))) else {
        return ['0', '0'];
    };
    if first.is_ascii_alphanumeric() && last.is_ascii_alphanumeric() {
        return [char::from(first), char::from(last)];
    }
    [first >> 4, last & 0x0f].map(|n| char::from_digit(u32::from(n), 16).unwrap_or('0'))
}

fn listed(values: &[u16]) -> String {
    let mut text = String::with_capacity(values.len() * 5);
    for (i, value) in values.iter().enumerate() {
        let comma = if i == 0 { "" } else { "," };
        let _ = write!(text, "{comma}{value:04x}");
    }
    text
}

/// The first twelve digits of the SHA-256; twelve zeros of nothing.
fn hash(text: &str) -> String {
    if text.is_empty() {
        return "0".repeat(12);
    }
    let digest = Sha256::digest(text.as_bytes());
    digest.iter().take(6).fold(String::with_capacity(12), |mut hex, b| {
        let _ = write!(hex, "{b:02x}");
        hex
    })
}

const LENGTH: usize = 36;
