//! JA4: one short name for the way a client's `ClientHello` looks, which is that of its TLS library
//! and its settings. Only the client's TLS fingerprint, which its authors put under BSD-3.

use sha2::{Digest, Sha256};

use crate::tls::hello::{ALPN, ClientHello, SERVER_NAME, is_grease, pairs};

/// The fingerprint of a hello that came over TCP; absent when its end is missing.
///
/// Every handshake of a capture has one, so it is put together in two buffers and by hand.
pub fn fingerprint(hello: &ClientHello<'_>) -> Option<String> {
    if !hello.whole {
        return None;
    }
    let mut text = String::with_capacity(LENGTH);
    text.push('t');
    text.push_str(version(hello.version()));
    text.push(if hello.extensions.find(SERVER_NAME).is_some() { 'd' } else { 'i' });
    let mut values = Vec::with_capacity(VALUES_USUAL);
    values.extend(pairs(hello.ciphers).filter(|c| !is_grease(*c)));
    push_count(&mut text, values.len());
    values.sort_unstable();
    let mut list = Vec::with_capacity(VALUES_USUAL * VALUE_LENGTH);
    push_values(&mut list, &values);
    let ciphers = hash(&list);

    values.clear();
    values.extend(hello.extensions.iter().map(|(n, ..)| n).filter(|n| !is_grease(*n)));
    push_count(&mut text, values.len());
    text.extend(ends(hello.protocols().next()));
    values.retain(|n| ![SERVER_NAME, ALPN].contains(n));
    values.sort_unstable();
    list.clear();
    push_values(&mut list, &values);
    if !values.is_empty() {
        values.clear();
        values.extend(hello.signature_algorithms().filter(|s| !is_grease(*s)));
        if !values.is_empty() {
            list.push(b'_');
            push_values(&mut list, &values);
        }
    }
    for part in [ciphers, hash(&list)] {
        text.push('_');
        text.extend(part);
    }
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

/// How many there are, in two digits.
fn push_count(text: &mut String, n: usize) {
    let n = n.min(99);
    text.extend([n / 10, n % 10].map(digit));
}

/// Four digits each, commas between.
fn push_values(list: &mut Vec<u8>, values: &[u16]) {
    for (i, value) in values.iter().enumerate() {
        if i > 0 {
            list.push(b',');
        }
        list.extend([12, 8, 4, 0].map(|shift| DIGITS[usize::from(value >> shift & 0xf)]));
    }
}

/// The first twelve digits of the SHA-256; twelve zeros of nothing.
fn hash(list: &[u8]) -> [char; 12] {
    let mut digits = ['0'; 12];
    if list.is_empty() {
        return digits;
    }
    let digest = Sha256::digest(list);
    for (pair, byte) in digits.chunks_exact_mut(2).zip(digest) {
        pair.copy_from_slice(&[byte >> 4, byte & 0xf].map(|n| digit(usize::from(n))));
    }
    digits
}

const fn digit(n: usize) -> char {
    DIGITS[n] as char
}

const DIGITS: &[u8; 16] = b"0123456789abcdef";
const LENGTH: usize = 36;
/// Bytes of a value and the comma behind it.
const VALUE_LENGTH: usize = 5;
/// Hellos of browsers and of OpenSSL have at most as many of anything; others make the buffers grow.
const VALUES_USUAL: usize = 48;

#[cfg(test)]
mod tests {
    use super::*;

    /// A `ClientHello` of these suites and extensions.
    fn hello(version: u16, ciphers: &[u16], extensions: &[(u16, &[u8])]) -> Vec<u8> {
        let wide =
            |values: &[u16]| -> Vec<u8> { values.iter().flat_map(|v| v.to_be_bytes()).collect() };
        let with_length = |bytes: Vec<u8>| -> Vec<u8> {
            [&u16::try_from(bytes.len()).unwrap().to_be_bytes(), bytes.as_slice()].concat()
        };
        let listed = extensions
            .iter()
            .map(|(n, body)| [n.to_be_bytes().to_vec(), with_length(body.to_vec())].concat());
        let extensions: Vec<u8> = listed.flatten().collect();
        let mut body = wide(&[version]);
        body.extend([7; 32]);
        body.push(0);
        body.extend(with_length(wide(ciphers)));
        body.extend([1, 0]);
        body.extend(with_length(extensions));
        body
    }

    fn ja4(version: u16, ciphers: &[u16], extensions: &[(u16, &[u8])]) -> String {
        fingerprint(&ClientHello::read(&hello(version, ciphers, extensions))).unwrap()
    }

    /// Suites and extensions of a Chrome, in its order, GREASE first and last.
    const CIPHERS: &[u16] = &[
        0x2a2a, 0x1301, 0x1302, 0x1303, 0xc02b, 0xc02f, 0xc02c, 0xc030, 0xcca9, 0xcca8, 0xc013,
        0xc014, 0x009c, 0x009d, 0x002f, 0x0035,
    ];
    const EXTENSIONS: &[(u16, &[u8])] = &[
        (0x3a3a, &[]),
        (0x001b, &[]),
        (0x0000, b"\0\x06\0\0\x03a.b"),
        (0x0033, &[]),
        (0x0010, b"\0\x0c\x02h2\x08http/1.1"),
        (0x4469, &[]),
        (0x0017, &[]),
        (0x002d, &[]),
        (0x000d, &[0, 16, 4, 3, 8, 4, 4, 1, 5, 3, 8, 5, 5, 1, 8, 6, 6, 1]),
        (0x0005, &[]),
        (0x0023, &[]),
        (0x0012, &[]),
        (0x002b, &[6, 0x6a, 0x6a, 3, 4, 3, 3]),
        (0xff01, &[]),
        (0x000b, &[]),
        (0x000a, &[]),
        (0x0015, &[]),
        (0x8a8a, &[0]),
    ];

    #[test]
    fn the_published_example_of_a_chrome() {
        assert_eq!(ja4(0x0303, CIPHERS, EXTENSIONS), "t13d1516h2_8daaf6152771_e5627efa2ab1");
    }

    #[test]
    fn the_order_of_extensions_does_not_matter() {
        let mut other = EXTENSIONS.to_vec();
        other.reverse();
        assert_eq!(ja4(0x0303, CIPHERS, &other), ja4(0x0303, CIPHERS, EXTENSIONS));
    }

    #[test]
    fn a_hello_without_anything_has_zeros() {
        assert_eq!(ja4(0x0301, &[0x0a0a], &[]), "t10i000000_000000000000_000000000000");
    }

    #[test]
    fn without_signatures_the_extensions_stand_alone() {
        // sha256("0017") begins so.
        assert!(ja4(0x0303, &[0x002f], &[(0x17, &[])]).ends_with("_1ca028f07214"));
    }

    #[test]
    fn a_protocol_of_odd_bytes_gives_digits_of_its_first_and_last() {
        let alpn = |protocol: &[u8]| {
            let len = u8::try_from(protocol.len()).unwrap();
            let body = [&[0, len + 1, len], protocol].concat();
            ja4(0x0303, &[0x002f], &[(16, &body)])[8..10].to_owned()
        };
        assert_eq!(alpn(b"http/1.1"), "h1");
        assert_eq!(alpn(b"h"), "hh");
        assert_eq!(alpn(&[0xab]), "ab");
        assert_eq!(alpn(&[0xab, 0x33, 0x4d, 0xcd]), "ad");
        assert_eq!(alpn(&[b'a', 0xfe]), "6e");
    }

    #[test]
    fn a_hello_that_was_cut_has_none() {
        let whole = hello(0x0303, CIPHERS, EXTENSIONS);
        // Old hellos end before the extensions; only the message's length tells that one was cut.
        let old = 2 + 32 + 1 + 2 + 2 * CIPHERS.len() + 2;
        for len in (0..whole.len()).filter(|len| *len != old) {
            assert_eq!(fingerprint(&ClientHello::read(&whole[..len])), None, "{len}");
        }
    }
}
