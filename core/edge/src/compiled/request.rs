//! Method and path, from a request line or from fields of their own.

use memchr::memchr;

use super::Has;
use super::bytes;
use super::values::{Text, Values};
use crate::record::Record;

/// The path of a request that the balancer did not understand.
const BAD: &[u8] = b"<BADREQ>";

/// Fills method, path and host.
pub(super) fn fill<'a>(
    record: &mut Record<'a>,
    values: &Values<'a>,
    has: Has,
    text: &'a mut Vec<u8>,
) {
    let line = values.text(Text::Request);
    let path = if line.is_empty() && !has.request {
        record.method = values.told(Text::Method);
        match values.told(Text::Path) {
            b"" if has.path => BAD,
            path => path,
        }
    } else {
        let (method, target) = split(line);
        record.method = method;
        target
    };
    let (path, escaped) = match bytes::find_either(b'?', b'\\', path) {
        Some(at) if path[at] == b'?' => (&path[..at], false),
        Some(_) => (without_query(path), true),
        None => (path, false),
    };
    let (host, path) = without_origin(path);
    if record.host.is_empty() {
        record.host = host;
    }
    record.path = if escaped { plain(path, text) } else { path };
}

/// Method and target of a request line; what is none is [`BAD`].
fn split(line: &[u8]) -> (&[u8], &[u8]) {
    let Some(space) = bytes::find(b' ', line) else { return (b"", BAD) };
    let (method, target) = (&line[..space], &line[space + 1..]);
    if method.is_empty()
        || !method.iter().all(|b| b.is_ascii_uppercase() || matches!(b, b'-' | b'_'))
    {
        return (b"", BAD);
    }
    // The version is looked for at the end first, where it nearly always is, as long as any.
    let tail = target.len().saturating_sub(9);
    let end = if target[tail..].starts_with(b" HTTP/") {
        tail
    } else {
        memchr(b' ', target).unwrap_or(target.len())
    };
    (method, &target[..end])
}

fn without_query(target: &[u8]) -> &[u8] {
    memchr(b'?', target).map_or(target, |i| &target[..i])
}

/// Host and path of a target in absolute form, as HTTP/2 requests are logged by some balancers.
fn without_origin(target: &[u8]) -> (&[u8], &[u8]) {
    if target.first() == Some(&b'/') {
        return (b"", target);
    }
    let Some(rest) = target.strip_prefix(b"http://").or_else(|| target.strip_prefix(b"https://"))
    else {
        return (b"", target);
    };
    match memchr(b'/', rest) {
        Some(slash) => (&rest[..slash], &rest[slash..]),
        None => (rest, b"/"),
    }
}

/// The path with its escapes (`\x22`, `\"`, `\u000a`) undone.
fn plain<'a>(path: &[u8], text: &'a mut Vec<u8>) -> &'a [u8] {
    text.clear();
    let mut rest = path;
    while let Some(at) = memchr(b'\\', rest) {
        text.extend_from_slice(&rest[..at]);
        let (byte, len) = escape(&rest[at + 1..]);
        text.push(byte);
        rest = &rest[at + 1 + len..];
    }
    text.extend_from_slice(rest);
    text
}

/// The byte that an escape behind its backslash means, and the escape's length.
fn escape(bytes: &[u8]) -> (u8, usize) {
    match *bytes {
        [b'x', high, low, ..] => hex(high, low).map_or((b'\\', 0), |byte| (byte, 3)),
        [b'u', b'0', b'0', high, low, ..] => hex(high, low).map_or((b'\\', 0), |byte| (byte, 5)),
        [b'n', ..] => (b'\n', 1),
        [b'r', ..] => (b'\r', 1),
        [b't', ..] => (b'\t', 1),
        [same @ (b'"' | b'\\' | b'/'), ..] => (same, 1),
        _ => (b'\\', 0),
    }
}

fn hex(high: u8, low: u8) -> Option<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|d| u8::try_from(d).ok());
    Some(digit(high)? << 4 | digit(low)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compiled::values::Fields;
    use crate::format::Wanted;

    fn read(line: &str) -> (String, String, String) {
        let (mut record, mut fields, mut text) = (Record::default(), Fields::default(), Vec::new());
        let mut values = Values::new(line.as_bytes(), &mut fields, Wanted::default());
        values.set_text(Text::Request, 0, line.len());
        let has = Has { request: true, path: false, server: false };
        fill(&mut record, &values, has, &mut text);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (text(record.method), text(record.host), text(record.path))
    }

    fn is(line: &str, method: &str, host: &str, path: &str) {
        assert_eq!(read(line), (method.to_owned(), host.to_owned(), path.to_owned()), "{line}");
    }

    #[test]
    fn request_lines_come_apart() {
        is("GET /a/b?c=d HTTP/1.1", "GET", "", "/a/b");
        is("GET https://shop.example/a?x HTTP/2.0", "GET", "shop.example", "/a");
        is("GET https://shop.example HTTP/2.0", "GET", "shop.example", "/");
        is("OPTIONS * HTTP/1.1", "OPTIONS", "", "*");
        is("GET /cut-of", "GET", "", "/cut-of");
        is("GET /a\\x22b\\u0009 HTTP/1.1", "GET", "", "/a\"b\t");
        is("GET /a\\xzz\\ HTTP/1.1", "GET", "", "/a\\xzz\\");
    }

    #[test]
    fn what_is_no_request_line_is_said_to_be_bad() {
        for line in ["<BADREQ>", "-", "", "\\x16\\x03\\x01", "get /a HTTP/1.1", " /a"] {
            is(line, "", "", "<BADREQ>");
        }
    }
}
