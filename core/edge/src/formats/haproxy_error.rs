//! What `HAProxy` writes of a connection that never became a session; manual, section 8.2.5.

use whyslow_model::Segment;

use super::haproxy::{Haproxy, Shape};
use crate::format::Format;
use crate::record::{End, Record};

/// TLS handshakes that failed, headers of the PROXY protocol that were none.
pub(super) const FORMAT: Format = Format {
    name: "haproxy-error",
    summary: "HAProxy: connections that failed before their first request",
    looks_like: "HAProxy's error lines",
    example: "127.0.0.1:56059 [03/Dec/2012:17:35:10.380] frt/f1: Connection error during SSL handshake",
    parser: || Box::new(Haproxy(Shape::Error)),
};

/// Takes the listener (`frt/f1`) and the message behind it. The message stands as the flags: it is
/// all that is told, and one of a few dozen.
pub(super) fn finish<'a>(record: &mut Record<'a>, listener: &'a [u8], message: &'a [u8]) {
    let slash = memchr::memchr(b'/', listener).unwrap_or(listener.len());
    record.vip = listener.get(..slash).unwrap_or(listener);
    let has = |text: &[u8]| memchr::memmem::find(message, text).is_some();
    // A client that refuses our certificate errs as one that talks nonsense does, and then it is
    // not to blame: only one that says nothing in time is.
    let silent = has(b"Timeout") || has(b"timed out");
    record.end = End {
        flags: message.get(..MESSAGE_BYTES_MAX).unwrap_or(message),
        blames: silent.then_some(Segment::Client),
        client_aborted: has(b"closed") || has(b"reset") || has(b"abort"),
        local: false,
    };
}

/// Longer than any message of `HAProxy`'s own (`src/connection.c`).
const MESSAGE_BYTES_MAX: usize = 80;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::Context;

    #[test]
    fn the_manuals_line_blames_nobody() {
        let context = Context { near: "2012-12-03T17:36:00Z".parse().unwrap(), zone_s: 0 };
        let mut scratch = crate::format::Scratch::default();
        let parser = (FORMAT.parser)();
        let r = parser.parse(FORMAT.example.as_bytes(), &context, &mut scratch).unwrap();
        assert_eq!((r.vip, r.server, r.path), (&b"frt"[..], &b""[..], &b""[..]));
        assert_eq!(
            (r.end.flags, r.end.blames),
            (&b"Connection error during SSL handshake"[..], None)
        );
        assert!(!r.timed());
    }

    #[test]
    fn silence_is_the_clients_and_leaving_too() {
        let mut record = Record::default();
        finish(&mut record, b"frt/1", b"Timeout during SSL handshake");
        assert_eq!((record.end.blames, record.end.client_aborted), (Some(Segment::Client), false));
        finish(&mut record, b"frt/1", b"Connection closed during SSL handshake");
        assert_eq!((record.end.blames, record.end.client_aborted), (None, true));
    }
}
