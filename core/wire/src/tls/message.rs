//! Handshake messages in the clear (RFC 8446, section 4), put together from records.

use whyslow_model::limits::WIRE_HANDSHAKE_BYTES_MAX;

use super::Chunk;

/// `ClientHello`.
pub const CLIENT_HELLO: u8 = 1;
/// `ServerHello`, and `HelloRetryRequest`.
pub const SERVER_HELLO: u8 = 2;
/// Certificate.
pub const CERTIFICATE: u8 = 11;
/// `ServerHelloDone`: the end of the server's first flight up to TLS 1.2.
pub const SERVER_HELLO_DONE: u8 = 14;
/// `ClientKeyExchange`.
pub const CLIENT_KEY_EXCHANGE: u8 = 16;

/// A message that ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message<'a> {
    /// Its type.
    pub kind: u8,
    /// Bytes behind its header.
    pub len: u32,
    /// Its bytes; of most kinds none is kept.
    pub body: &'a [u8],
    /// Whether `body` is all that is kept of its kind; not so where bytes are unknown.
    pub whole: bool,
}

/// One side's messages.
#[derive(Clone, Debug, Default)]
pub struct Messages {
    head: [u8; HEADER],
    have: usize,
    left: u32,
    body: Vec<u8>,
    broken: bool,
    /// Where a message begins is not known.
    lost: bool,
}

impl Messages {
    /// Takes the body of handshake records; keeps at most `room` bytes. A message with unknown
    /// bytes is told as soon as it is known that there are some: what follows may never be read.
    pub fn feed(&mut self, chunk: Chunk<'_>, room: usize, sink: &mut impl FnMut(Message<'_>)) {
        match chunk {
            Chunk::Known(bytes) => self.known(bytes, room, sink),
            Chunk::Unknown(n) => self.unknown(n, sink),
        }
    }

    /// Bytes that are kept now.
    pub const fn held(&self) -> usize {
        self.body.capacity()
    }

    /// The kind of the message that is half read.
    pub const fn under_way(&self) -> Option<u8> {
        if self.have == HEADER { Some(self.head[0]) } else { None }
    }

    fn known(&mut self, mut bytes: &[u8], room: usize, sink: &mut impl FnMut(Message<'_>)) {
        while !bytes.is_empty() && !self.lost {
            if self.have < HEADER {
                let taken = bytes.len().min(HEADER - self.have);
                self.head[self.have..self.have + taken].copy_from_slice(&bytes[..taken]);
                self.have += taken;
                bytes = &bytes[taken..];
                let [_, a, b, c] = self.head;
                self.left = u32::from_be_bytes([0, a, b, c]);
            }
            if self.have == HEADER {
                let taken = bytes.len().min(self.left as usize);
                let (body, rest) = bytes.split_at(taken);
                self.body(body, room, sink);
                bytes = rest;
            }
        }
    }

    fn body(&mut self, bytes: &[u8], room: usize, sink: &mut impl FnMut(Message<'_>)) {
        let kept = kept(self.head[0]);
        let whole_in_one = self.body.is_empty() && bytes.len() == self.left as usize;
        self.left -= u32::try_from(bytes.len()).unwrap_or(self.left);
        if whole_in_one && !self.broken {
            return self.end(&bytes[..bytes.len().min(kept)], sink);
        }
        let wanted = bytes.len().min(kept - self.body.len().min(kept));
        if wanted > room {
            self.broken = true;
        } else if !self.broken {
            self.body.extend_from_slice(&bytes[..wanted]);
        }
        if self.left == 0 {
            let body = std::mem::take(&mut self.body);
            self.end(&body, sink);
        }
    }

    fn end(&mut self, body: &[u8], sink: &mut impl FnMut(Message<'_>)) {
        let [kind, a, b, c] = self.head;
        let len = u32::from_be_bytes([0, a, b, c]);
        let whole = !self.broken && body.len() >= kept(kind).min(len as usize);
        (self.have, self.broken) = (0, false);
        sink(Message { kind, len, body, whole });
    }

    fn unknown(&mut self, n: u32, sink: &mut impl FnMut(Message<'_>)) {
        if self.lost {
            return;
        }
        if self.have < HEADER {
            self.lost = true;
            return;
        }
        self.broken = true;
        let inside = n.min(self.left);
        self.left -= inside;
        if self.left == 0 {
            let body = std::mem::take(&mut self.body);
            self.end(&body, sink);
            if inside < n {
                self.lost = true;
            }
        } else {
            self.lost = inside < n;
        }
    }
}

/// How many bytes of a message of this kind are of use.
const fn kept(kind: u8) -> usize {
    match kind {
        CLIENT_HELLO | SERVER_HELLO => WIRE_HANDSHAKE_BYTES_MAX,
        // Whether the list is empty.
        CERTIFICATE => 3,
        _ => 0,
    }
}

const HEADER: usize = 4;
