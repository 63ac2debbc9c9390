//! The record layer (RFC 8446, section 5.1), read as bytes come: a header may be spread over
//! segments, and bytes may be unknown.

use whyslow_model::Wall;

use super::Chunk;

/// `ChangeCipherSpec`.
pub const CHANGE_CIPHER_SPEC: u8 = 20;
/// Alert.
pub const ALERT: u8 = 21;
/// Handshake; sealed after a `ChangeCipherSpec` up to TLS 1.2.
pub const HANDSHAKE: u8 = 22;
/// Application data, and in TLS 1.3 everything that is sealed.
pub const APPLICATION_DATA: u8 = 23;
/// Not a record: bytes whose framing is lost.
pub const UNFRAMED: u8 = 0;

/// A record that is whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record {
    /// Its content type, or [`UNFRAMED`].
    pub kind: u8,
    /// Bytes behind its header.
    pub len: u32,
    /// When its first byte was there.
    pub first: Wall,
    /// When its last byte was.
    pub last: Wall,
    /// Where it begins in the stream.
    pub from: u32,
    /// Where the next one begins.
    pub to: u32,
}

/// What comes out of [`Records::feed`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part<'a> {
    /// Some of a record's bytes.
    Body {
        /// The record's content type.
        kind: u8,
        /// When the record's first byte was there.
        first: Wall,
        /// The bytes.
        bytes: Chunk<'a>,
    },
    /// The end of a record.
    End(Record),
    /// A header that cannot be one.
    Malformed,
}

/// One side's records.
#[derive(Clone, Debug)]
pub struct Records {
    head: [u8; HEADER],
    have: usize,
    /// Bytes of the body yet to come; counts once the header is whole.
    left: u32,
    kind: u8,
    len: u32,
    first: Wall,
    from: u32,
    /// Where a record begins is not known: bytes were missed, or were no records.
    lost: bool,
}

impl Default for Records {
    fn default() -> Self {
        Self {
            head: [0; HEADER],
            have: 0,
            left: 0,
            kind: UNFRAMED,
            len: 0,
            first: Wall::default(),
            from: 0,
            lost: false,
        }
    }
}

impl Records {
    /// Takes bytes that follow the ones before: they are at `offset` and were there `at`.
    pub fn feed(
        &mut self,
        at: Wall,
        offset: u32,
        chunk: Chunk<'_>,
        sink: &mut impl FnMut(Part<'_>),
    ) {
        match chunk {
            Chunk::Known(bytes) => self.known(at, offset, bytes, sink),
            Chunk::Unknown(n) => self.unknown(at, offset, n, sink),
        }
    }

    /// Whether the next byte begins a record.
    pub const fn is_between(&self) -> bool {
        self.have == 0
    }

    fn known(
        &mut self,
        at: Wall,
        mut offset: u32,
        mut bytes: &[u8],
        sink: &mut impl FnMut(Part<'_>),
    ) {
        while !bytes.is_empty() {
            if self.lost {
                if !looks_like_a_header(bytes) {
                    let end = offset.wrapping_add(length(bytes));
                    return sink(Part::End(unframed(at, offset, end)));
                }
                (self.lost, self.have) = (false, 0);
            }
            let taken = if self.have < HEADER {
                self.header(at, offset, bytes, sink)
            } else {
                self.body(bytes, sink)
            };
            offset = offset.wrapping_add(length(&bytes[..taken]));
            bytes = &bytes[taken..];
            self.ended(at, offset, sink);
        }
    }

    /// Takes what is missing of a header, and says how much that was.
    fn header(
        &mut self,
        at: Wall,
        offset: u32,
        bytes: &[u8],
        sink: &mut impl FnMut(Part<'_>),
    ) -> usize {
        if self.have == 0 {
            (self.first, self.from) = (at, offset);
        }
        let taken = bytes.len().min(HEADER - self.have);
        self.head[self.have..self.have + taken].copy_from_slice(&bytes[..taken]);
        self.have += taken;
        if self.have == HEADER {
            let [kind, .., high, low] = self.head;
            (self.kind, self.len) = (kind, u32::from(u16::from_be_bytes([high, low])));
            self.left = self.len;
            if !looks_like_a_header(&self.head) {
                (self.lost, self.left) = (true, 0);
                sink(Part::Malformed);
            }
        }
        taken
    }

    /// Takes of the body what is there.
    fn body(&mut self, bytes: &[u8], sink: &mut impl FnMut(Part<'_>)) -> usize {
        let taken = bytes.len().min(self.left as usize);
        self.left -= length(&bytes[..taken]);
        let bytes = Chunk::Known(&bytes[..taken]);
        sink(Part::Body { kind: self.kind, first: self.first, bytes });
        taken
    }

    fn unknown(&mut self, at: Wall, offset: u32, n: u32, sink: &mut impl FnMut(Part<'_>)) {
        let inside = if self.lost || self.have < HEADER { 0 } else { n.min(self.left) };
        let end = offset.wrapping_add(inside);
        if inside > 0 {
            self.left -= inside;
            let bytes = Chunk::Unknown(inside);
            sink(Part::Body { kind: self.kind, first: self.first, bytes });
            self.ended(at, end, sink);
        }
        if inside < n {
            self.lost = true;
            sink(Part::End(unframed(at, end, offset.wrapping_add(n))));
        }
    }

    fn ended(&mut self, at: Wall, to: u32, sink: &mut impl FnMut(Part<'_>)) {
        if self.have == HEADER && self.left == 0 && !self.lost {
            self.have = 0;
            let (kind, len, first, from) = (self.kind, self.len, self.first, self.from);
            sink(Part::End(Record { kind, len, first, last: at, from, to }));
        }
    }
}

const fn unframed(at: Wall, from: u32, to: u32) -> Record {
    let len = to.wrapping_sub(from);
    Record { kind: UNFRAMED, len, first: at, last: at, from, to }
}

/// Whether `bytes` begin as a record of TLS 1.0 to 1.3 does.
pub fn looks_like_a_header(bytes: &[u8]) -> bool {
    let Some(&[kind, 3, minor, high, low]) = bytes.get(..HEADER) else { return false };
    let len = u16::from_be_bytes([high, low]);
    // Heartbeats (24) are records too, if of no use.
    (CHANGE_CIPHER_SPEC..=24).contains(&kind) && minor <= 4 && len > 0 && len <= SEALED_MAX
}

/// The length of bytes of one segment, which is at most that of a datagram.
fn length(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).unwrap_or(u32::MAX)
}

const HEADER: usize = 5;
/// 2^14 + 2048: the most a sealed record may have in TLS 1.2 (RFC 5246, section 6.2.3).
const SEALED_MAX: u16 = 16384 + 2048;
