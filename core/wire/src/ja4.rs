//! JA4: one short name for the way a client's `ClientHello` looks, which is that of its TLS library
//! and its settings. Only the client's TLS fingerprint, which its authors put under BSD-3.

use std::hash::BuildHasher as _;

use foldhash::quality::SeedableRandomState;
use sha2::{Digest, Sha256};
use whyslow_model::seeded::Seed;

use crate::tls::hello::{ALPN, ClientHello, SERVER_NAME, is_grease, pairs};

/// What of a hello that came over TCP goes into its fingerprint, in the order in which it does.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Looks {
    version: u16,
    /// It names a server.
    named: bool,
    /// Of the first protocol.
    ends: [char; 2],
    /// How many extensions there are, those that are not listed too.
    extensions: usize,
    /// Cipher suites and extensions, each sorted, then signature algorithms as they came.
    values: Vec<u16>,
    /// Where the suites end in them.
    ciphers_end: usize,
    /// Where the extensions do.
    extensions_end: usize,
}

impl Looks {
    /// Of this hello; absent when its end is missing.
    pub(crate) fn of(hello: &ClientHello<'_>) -> Option<Self> {
        if !hello.whole {
            return None;
        }
        let mut values = Vec::with_capacity(VALUES_USUAL);
        values.extend(pairs(hello.ciphers).filter(|c| !is_grease(*c)));
        values.sort_unstable();
        let ciphers_end = values.len();
        let (mut extensions, mut named) = (0, false);
        for (number, ..) in hello.extensions.iter().filter(|(n, ..)| !is_grease(*n)) {
            extensions += 1;
            named |= number == SERVER_NAME;
            if ![SERVER_NAME, ALPN].contains(&number) {
                values.push(number);
            }
        }
        values[ciphers_end..].sort_unstable();
        let extensions_end = values.len();
        values.extend(hello.signature_algorithms().filter(|s| !is_grease(*s)));
        let (version, ends) = (hello.version(), ends(hello.protocols().next()));
        Some(Self { version, named, ends, extensions, values, ciphers_end, extensions_end })
    }

    /// Bytes it takes.
    pub(crate) const fn held(&self) -> usize {
        self.values.capacity() * size_of::<u16>()
    }

    /// The fingerprint.
    fn text(&self) -> String {
        let (ciphers, rest) = self.values.split_at(self.ciphers_end);
        let (extensions, signatures) = rest.split_at(self.extensions_end - self.ciphers_end);
        let mut text = String::with_capacity(LENGTH);
        text.push('t');
        text.push_str(version(self.version));
        text.push(if self.named { 'd' } else { 'i' });
        push_count(&mut text, ciphers.len());
        push_count(&mut text, self.extensions);
        text.extend(self.ends);
        let mut list = Vec::with_capacity(self.values.len() * VALUE_LENGTH);
        push_values(&mut list, ciphers);
        text.push('_');
        text.extend(hash(&list));
        list.clear();
        push_values(&mut list, extensions);
        if !extensions.is_empty() && !signatures.is_empty() {
            list.push(b'_');
            push_values(&mut list, signatures);
        }
        text.push('_');
        text.extend(hash(&list));
        text
    }
}

/// Gives fingerprints. Clients are of few kinds, so those made last are kept beside what they were
/// made of: the digests in one cost as much as all other reading of its hello.
#[derive(Debug)]
pub(crate) struct Names {
    state: SeedableRandomState,
    /// Of two in one place the older is forgotten.
    kept: Vec<Option<(Looks, String)>>,
}

impl Names {
    /// Has none yet; `seed` keeps clients from choosing what collides.
    pub(crate) fn new(seed: Seed) -> Self {
        Self { state: seed.state(), kept: vec![None; KEPT] }
    }

    /// The fingerprint of a hello that looks so.
    pub(crate) fn of(&mut self, looks: Looks) -> String {
        let place = self.state.hash_one(&looks) % KEPT as u64;
        match self.kept.get_mut(usize::try_from(place).unwrap_or(0)) {
            Some(Some((known, text))) if *known == looks => text.clone(),
            Some(place) if looks.values.len() <= VALUES_KEPT_MAX => {
                let text = looks.text();
                *place = Some((looks, text.clone()));
                text
            }
            _ => looks.text(),
        }
    }
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
/// Browsers' and OpenSSL's hellos have fewer of everything together.
const VALUES_USUAL: usize = 96;
/// Fingerprints kept.
const KEPT: usize = 64;
/// Of hellos with more than so many values none is.
const VALUES_KEPT_MAX: usize = 512;

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

    fn fingerprint(hello: &ClientHello<'_>) -> Option<String> {
        Looks::of(hello).map(|looks| looks.text())
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

    /// Hellos of real clients, each with its fingerprint by ja4plus 1.4.0, a program of others.
    const REAL: &str = include_str!("ja4/hellos.txt");

    #[test]
    fn real_hellos_have_the_fingerprints_that_others_give_them() {
        for line in REAL.lines() {
            let [client, theirs, hello] = line.split('\t').collect::<Vec<_>>()[..] else {
                panic!("{line}");
            };
            let byte = |at: usize| u8::from_str_radix(&hello[at..at + 2], 16).unwrap();
            let hello: Vec<u8> = (0..hello.len()).step_by(2).map(byte).collect();
            let ours = fingerprint(&ClientHello::read(&hello));
            assert_eq!(ours.as_deref(), Some(theirs), "{client}");
        }
        assert_eq!(REAL.lines().count(), 35);
    }

    #[test]
    fn one_that_is_kept_is_that_of_a_hello_that_looks_the_same() {
        let mut names = Names::new(Seed(7));
        let mut named = |ciphers: &[u16], extensions: &[(u16, &[u8])]| {
            let hello = hello(0x0303, ciphers, extensions);
            let looks = Looks::of(&ClientHello::read(&hello)).unwrap();
            (names.of(looks.clone()), looks.text())
        };
        // More kinds than places, each twice in a row and all of them again.
        let kinds: Vec<u16> = (0..200).map(|n| 0xc000 + n).collect();
        for kind in kinds.iter().chain(&kinds).flat_map(|kind| [kind; 2]) {
            let (given, made) = named(&[0x1301, *kind], EXTENSIONS);
            assert_eq!(given, made);
        }
        // What is a suite in one is an extension in the other.
        let (a, b) = (named(&[1, 2], &[(3, &[])]), named(&[1], &[(2, &[]), (3, &[])]));
        assert_eq!((&a.0, &b.0), (&a.1, &b.1));
        assert_ne!(a.0, b.0);
    }

    #[test]
    fn a_hello_with_too_many_values_is_named_and_not_kept() {
        let ciphers: Vec<u16> = (0x0100..0x0500).collect();
        let hello = hello(0x0303, &ciphers, EXTENSIONS);
        let looks = Looks::of(&ClientHello::read(&hello)).unwrap();
        let mut names = Names::new(Seed(7));
        assert_eq!(names.of(looks.clone()), looks.text());
        assert!(names.kept.iter().all(Option::is_none));
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
