//! A path's template: what varies from request to request written as `:id`.

use whyslow_model::limits::{EDGE_ROUTE_BYTES_MAX, EDGE_ROUTE_SEGMENTS_MAX};

/// What stands for an identifier.
const ID: &[u8] = b":id";
/// Hexadecimal digits from which on a segment is an identifier.
const HEX_MIN: usize = 8;
/// Characters from which on a segment with a digit in it is a token.
const TOKEN_MIN: usize = 20;
/// Letters of a file name's ending, which is kept.
const ENDING_MAX: usize = 5;

/// Writes the template of `path` into `out`, which is cleared first. Segments beyond
/// [`EDGE_ROUTE_SEGMENTS_MAX`] and bytes beyond [`EDGE_ROUTE_BYTES_MAX`] are left out.
pub fn template(path: &[u8], out: &mut Vec<u8>) {
    out.clear();
    let mut rest = path;
    for _ in 0..=EDGE_ROUTE_SEGMENTS_MAX {
        let end = memchr::memchr(b'/', rest).unwrap_or(rest.len());
        let (segment, after) = rest.split_at(end);
        write_segment(segment, out);
        let Some((slash, after)) = after.split_first() else { break };
        out.push(*slash);
        rest = after;
    }
    out.truncate(EDGE_ROUTE_BYTES_MAX);
}

fn write_segment(segment: &[u8], out: &mut Vec<u8>) {
    let kinds = Kinds::of(segment);
    if kinds.digits == 0 {
        out.extend_from_slice(segment);
    } else if kinds.is_identifier(segment.len()) {
        out.extend_from_slice(ID);
    } else if let Some((stem, ending)) = split_ending(segment)
        && Kinds::of(stem).is_identifier(stem.len())
    {
        out.extend_from_slice(ID);
        out.extend_from_slice(ending);
    } else {
        out.extend_from_slice(segment);
    }
}

/// What a segment is made of.
struct Kinds {
    digits: usize,
    /// Of `a` to `f` in either case.
    hex_letters: usize,
    other_letters: usize,
    /// `-` and `_`.
    joints: usize,
}

impl Kinds {
    fn of(segment: &[u8]) -> Self {
        let mut kinds = Self { digits: 0, hex_letters: 0, other_letters: 0, joints: 0 };
        for byte in segment {
            match byte {
                b'0'..=b'9' => kinds.digits += 1,
                b'a'..=b'f' | b'A'..=b'F' => kinds.hex_letters += 1,
                b'g'..=b'z' | b'G'..=b'Z' => kinds.other_letters += 1,
                b'-' | b'_' => kinds.joints += 1,
                _ => {}
            }
        }
        kinds
    }

    /// Digits; hex with dashes (UUIDs); tokens; and whatever is mostly digits, at least four.
    const fn is_identifier(&self, length: usize) -> bool {
        let word = self.digits + self.hex_letters + self.other_letters + self.joints == length;
        let hex = self.digits + self.hex_letters + self.joints == length;
        let mostly_digits = self.digits >= 4 && 2 * self.digits >= length;
        self.digits > 0
            && word
            && (self.digits + self.joints == length
                || hex && self.digits + self.hex_letters >= HEX_MIN
                || length >= TOKEN_MIN
                || mostly_digits)
    }
}

/// A file's name and its ending, dot included.
fn split_ending(segment: &[u8]) -> Option<(&[u8], &[u8])> {
    let dot = memchr::memrchr(b'.', segment)?;
    let (stem, ending) = segment.split_at(dot);
    let letters = ending.get(1..)?;
    let plain = letters.first()?.is_ascii_alphabetic()
        && letters.iter().all(u8::is_ascii_alphanumeric)
        && letters.len() <= ENDING_MAX;
    plain.then_some((stem, ending))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(path: &str) -> String {
        let mut out = Vec::new();
        template(path.as_bytes(), &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn identifiers_become_id_and_words_stay() {
        let cases = [
            ("/", "/"),
            ("/users/17", "/users/:id"),
            ("/users/17/orders/993", "/users/:id/orders/:id"),
            ("/o/550e8400-e29b-41d4-a716-446655440000", "/o/:id"),
            ("/blob/deadbeef01", "/blob/:id"),
            ("/facade/decade", "/facade/decade"),
            ("/api/v1/items", "/api/v1/items"),
            ("/t/eyJhbGciOiJIUzI1NiIsInR5cCI", "/t/:id"),
            ("/img/123456.jpg", "/img/:id.jpg"),
            ("/app.3f9a1c77.js", "/app.3f9a1c77.js"),
            ("/p/sku12345", "/p/:id"),
            ("/2026-11-21/news", "/:id/news"),
            ("/a//b/", "/a//b/"),
            ("<BADREQ>", "<BADREQ>"),
        ];
        for (path, wanted) in cases {
            assert_eq!(of(path), wanted, "{path}");
        }
    }

    #[test]
    fn a_template_is_no_longer_than_it_may_be() {
        assert!(of(&"/a".repeat(5000)).len() <= EDGE_ROUTE_BYTES_MAX);
        assert!(of(&"x".repeat(5000)).len() <= EDGE_ROUTE_BYTES_MAX);
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_give_a_template_that_is_its_own(path: Vec<u8>) {
            let (mut once, mut twice) = (Vec::new(), Vec::new());
            template(&path, &mut once);
            template(&once, &mut twice);
            proptest::prop_assert_eq!(once, twice);
        }
    }
}
