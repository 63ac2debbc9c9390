//! A request as a client wrote it, and its target.

use crate::cursor::Cursor;
use crate::record::Record;

/// `GET /index.html?q HTTP/1.1`, `GET https://host/path HTTP/2.0`, `<BADREQ>`.
#[inline]
pub(super) fn line<'a>(request: &'a [u8], record: &mut Record<'a>) {
    let mut cursor = Cursor::new(request);
    let Some(method) = cursor.until(b' ') else {
        // `<BADREQ>`, or a line that was cut inside the method.
        record.path = if request == BAD { BAD } else { b"" };
        return;
    };
    record.method = method;
    let rest = cursor.rest();
    let end = memchr::memchr2(b' ', b'?', rest).unwrap_or(rest.len());
    path(rest.get(..end).unwrap_or(rest), record);
}

/// A path, or a whole URL as HTTP/2 and forward proxies name it; its query is cut off.
#[inline]
pub(super) fn target<'a>(target: &'a [u8], record: &mut Record<'a>) {
    let end = memchr::memchr(b'?', target).unwrap_or(target.len());
    path(target.get(..end).unwrap_or(target), record);
}

/// The target where other fields may have named host and server already: such a host outranks
/// the target's own, and without a server none was chosen.
pub(super) fn target_beside_names<'a>(target: &'a [u8], record: &mut Record<'a>) {
    let host = record.host;
    self::target(target, record);
    if !host.is_empty() {
        record.host = host;
    }
    if record.server.is_empty() {
        record.server = NO_SERVER;
    }
}

#[inline]
fn path<'a>(target: &'a [u8], record: &mut Record<'a>) {
    if target.first() == Some(&b'/') {
        record.path = target;
        return;
    }
    let Some(at) = memchr::memmem::find(target, b"://") else {
        record.path = target;
        return;
    };
    let after = target.get(at + 3..).unwrap_or_default();
    let slash = memchr::memchr(b'/', after).unwrap_or(after.len());
    let (host, path) = after.split_at_checked(slash).unwrap_or((after, b""));
    record.host = host;
    record.path = if path.is_empty() { b"/" } else { path };
}

/// Whether a body follows the headers: its upload hides in the wait for the server's answer.
#[inline]
pub(super) fn uploads(method: &[u8]) -> bool {
    matches!(method, b"POST" | b"PUT" | b"PATCH")
}

/// What stands for a request that was not understood.
pub(super) const BAD: &[u8] = b"<BADREQ>";
/// What stands for a server where none was chosen.
pub(super) const NO_SERVER: &[u8] = b"<NOSRV>";
