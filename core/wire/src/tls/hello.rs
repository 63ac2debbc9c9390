//! The two hellos (RFC 8446, sections 4.1.2 and 4.1.3), of which the end may be missing.

use whyslow_model::limits::WIRE_SNI_BYTES_MAX;

use super::reader::Reader;

/// What a `ClientHello` offers. Lists are as they stand on the wire: two bytes each.
#[derive(Clone, Copy, Debug, Default)]
pub struct ClientHello<'a> {
    /// The version field: 0x0303 since TLS 1.2, whatever is meant.
    pub legacy_version: u16,
    /// The session id: a resumption in 1.2, a disguise in 1.3.
    pub session_id: &'a [u8],
    /// The cipher suites.
    pub ciphers: &'a [u8],
    /// Every extension: its number and its bytes, in order.
    pub extensions: Extensions<'a>,
    /// Whether it was read to its end.
    pub whole: bool,
}

/// What a `ServerHello` chose.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ServerHello<'a> {
    /// The version agreed on, as far as it was read.
    pub version: u16,
    /// The cipher suite.
    pub cipher: Option<u16>,
    /// The session id: the client's one again in a 1.2 resumption.
    pub session_id: &'a [u8],
    /// It is a `HelloRetryRequest`.
    pub retry: bool,
    /// It took a pre-shared key.
    pub psk: bool,
    /// Whether it was read to its end.
    pub whole: bool,
}

/// Extensions, in order.
#[derive(Clone, Copy, Debug, Default)]
pub struct Extensions<'a>(&'a [u8]);

impl<'a> Extensions<'a> {
    /// Each one's number and bytes, and whether those are all.
    pub fn iter(&self) -> impl Iterator<Item = (u16, &'a [u8], bool)> + use<'a> {
        let mut reader = Reader::new(self.0);
        std::iter::from_fn(move || {
            let number = reader.u16()?;
            let (bytes, whole) = reader.vec16()?;
            Some((number, bytes, whole))
        })
    }

    /// The bytes of the first extension of that number.
    pub fn find(&self, number: u16) -> Option<&'a [u8]> {
        self.iter().find(|(n, ..)| *n == number).map(|(_, bytes, _)| bytes)
    }
}

impl<'a> ClientHello<'a> {
    /// Reads the body of the message as far as there is one; `whole` says whether it all was.
    pub fn read(body: &'a [u8]) -> Self {
        let mut hello = Self::default();
        hello.whole = hello.read_on(&mut Reader::new(body)).is_some();
        hello
    }

    fn read_on(&mut self, reader: &mut Reader<'a>) -> Option<()> {
        self.legacy_version = reader.u16()?;
        reader.take(RANDOM)?;
        let whole;
        (self.session_id, whole) = reader.vec8()?;
        whole.then_some(())?;
        let whole;
        (self.ciphers, whole) = reader.vec16()?;
        whole.then_some(())?;
        reader.vec8()?.1.then_some(())?;
        let whole;
        (self.extensions, whole) = read_extensions(reader)?;
        whole.then_some(())
    }

    /// The server's name (RFC 6066, section 3), its odd bytes made harmless.
    pub fn sni(&self) -> Option<String> {
        let mut reader = Reader::new(self.extensions.find(SERVER_NAME)?);
        reader.u16()?;
        (reader.u8()? == 0).then_some(())?;
        let (name, _) = reader.vec16()?;
        Some(harmless(name))
    }

    /// The protocols offered (RFC 7301), in order, their odd bytes made harmless.
    pub fn alpn(&self) -> Vec<String> {
        self.protocols().take(ALPN_MAX).map(harmless).collect()
    }

    /// The protocols offered, as they are.
    pub fn protocols(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let mut reader = Reader::new(self.extensions.find(ALPN).unwrap_or_default());
        reader.u16();
        std::iter::from_fn(move || reader.vec8().map(|(name, _)| name))
    }

    /// The versions offered: of the extension, else the version field.
    pub fn versions(&self) -> impl Iterator<Item = u16> + use<'a> {
        let listed = self.extensions.find(SUPPORTED_VERSIONS);
        let legacy = listed.is_none().then_some(self.legacy_version);
        pairs(listed.and_then(|bytes| bytes.get(1..)).unwrap_or_default()).chain(legacy)
    }

    /// The signature algorithms, in order.
    pub fn signature_algorithms(&self) -> impl Iterator<Item = u16> + use<'a> {
        let listed = self.extensions.find(SIGNATURE_ALGORITHMS);
        pairs(listed.and_then(|bytes| bytes.get(2..)).unwrap_or_default())
    }

    /// The greatest version offered.
    pub fn version(&self) -> u16 {
        self.versions().filter(|v| !is_grease(*v)).max().unwrap_or(self.legacy_version)
    }

    /// Whether it sends early data.
    pub fn early_data(&self) -> bool {
        self.extensions.find(EARLY_DATA).is_some()
    }
}

impl<'a> ServerHello<'a> {
    /// Reads the body of the message as far as there is one; `whole` says whether it all was.
    pub fn read(body: &'a [u8]) -> Self {
        let mut hello = Self::default();
        hello.whole = hello.read_on(&mut Reader::new(body)).is_some();
        hello
    }

    fn read_on(&mut self, reader: &mut Reader<'a>) -> Option<()> {
        self.version = reader.u16()?;
        self.retry = reader.take(RANDOM)? == RETRY_RANDOM;
        let whole;
        (self.session_id, whole) = reader.vec8()?;
        whole.then_some(())?;
        let cipher = reader.u16()?;
        self.cipher = Some(cipher);
        // Suites of 1.3 are for 1.3 only, so that a cut message tells its version too.
        if cipher >> 8 == 0x13 {
            self.version = TLS_1_3;
        }
        reader.u8()?;
        let (extensions, whole) = read_extensions(reader)?;
        if let Some(&[high, low]) = extensions.find(SUPPORTED_VERSIONS) {
            self.version = u16::from_be_bytes([high, low]);
        }
        self.psk = extensions.find(PRE_SHARED_KEY).is_some();
        whole.then_some(())
    }
}

/// Extensions behind their length, absent altogether in old hellos, and whether they are all there.
fn read_extensions<'a>(reader: &mut Reader<'a>) -> Option<(Extensions<'a>, bool)> {
    if reader.is_empty() {
        return Some((Extensions::default(), true));
    }
    let (bytes, whole) = reader.vec16()?;
    let extensions = Extensions(bytes);
    Some((extensions, whole && extensions.iter().all(|(.., whole)| whole)))
}

/// Numbers of two bytes.
pub fn pairs(bytes: &[u8]) -> impl Iterator<Item = u16> + use<'_> {
    bytes.as_chunks().0.iter().map(|pair| u16::from_be_bytes(*pair))
}

/// Whether it is one of the values that mean nothing and keep servers tolerant (RFC 8701).
pub const fn is_grease(value: u16) -> bool {
    value & 0x0f0f == 0x0a0a && value >> 8 == value & 0xff
}

fn harmless(bytes: &[u8]) -> String {
    let kept = &bytes[..bytes.len().min(WIRE_SNI_BYTES_MAX)];
    kept.iter().map(|b| if b.is_ascii_graphic() { char::from(*b) } else { '\u{fffd}' }).collect()
}

/// TLS 1.3.
pub const TLS_1_3: u16 = 0x0304;
const RANDOM: usize = 32;
/// Protocols of one hello that are kept.
const ALPN_MAX: usize = 16;

pub(crate) const SERVER_NAME: u16 = 0;
pub(crate) const SIGNATURE_ALGORITHMS: u16 = 13;
pub(crate) const ALPN: u16 = 16;
pub(crate) const PRE_SHARED_KEY: u16 = 41;
const EARLY_DATA: u16 = 42;
const SUPPORTED_VERSIONS: u16 = 43;

/// SHA-256 of "`HelloRetryRequest`" (RFC 8446, section 4.1.3).
const RETRY_RANDOM: [u8; RANDOM] = [
    0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11, 0xbe, 0x1d, 0x8c, 0x02, 0x1e, 0x65, 0xb8, 0x91,
    0xc2, 0xa2, 0x11, 0x16, 0x7a, 0xbb, 0x8c, 0x5e, 0x07, 0x9e, 0x09, 0xe2, 0xc8, 0xa8, 0x33, 0x9c,
];
