//! A path's template: what varies from request to request written as `:id`.

use whyslow_model::limits::{EDGE_ROUTE_BYTES_MAX, EDGE_ROUTE_SEGMENTS_MAX};

use crate::marks;

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
    let marks = Marks::of(path);
    // Where what is not written yet begins, and the segment under way.
    let (mut kept, mut start) = (0, 0);
    for _ in 0..=EDGE_ROUTE_SEGMENTS_MAX {
        let end = marks.slash(path, start);
        if let Some(varies) = marks.varying(path, start, end) {
            out.extend_from_slice(&path[kept..start]);
            out.extend_from_slice(ID);
            kept = varies;
        }
        if end == path.len() {
            start = end;
            break;
        }
        start = end + 1;
    }
    out.extend_from_slice(&path[kept..start]);
    out.truncate(EDGE_ROUTE_BYTES_MAX);
}

/// Where slashes and digits stand in a path's first [`MARKED`] bytes, a bit each: most paths are
/// no longer.
struct Marks {
    slashes: u64,
    digits: u64,
}

/// Bytes that have a mark.
const MARKED: usize = 64;

impl Marks {
    fn of(path: &[u8]) -> Self {
        let mut marks = Self { slashes: 0, digits: 0 };
        let path = &path[..path.len().min(MARKED)];
        let (parts, rest) = path.as_chunks();
        for (i, part) in parts.iter().enumerate() {
            marks.add(part, 0, 16 * i);
        }
        if !rest.is_empty() {
            let mut padded = [0; 16];
            let last = path.last_chunk().unwrap_or_else(|| {
                padded[16 - rest.len()..].copy_from_slice(rest);
                &padded
            });
            marks.add(last, 16 - rest.len(), 16 * parts.len());
        }
        marks
    }

    /// Marks a part of a path from its byte `at` on, but for the part's first `seen` bytes.
    #[inline]
    fn add(&mut self, part: &[u8; 16], seen: usize, at: usize) {
        self.slashes |= u64::from(marks::equal(part, b'/') >> seen) << at;
        self.digits |= u64::from((marks::no_digits(part) ^ 0xffff) >> seen) << at;
    }

    /// Where the segment that begins at `start` ends.
    #[inline]
    fn slash(&self, path: &[u8], start: usize) -> usize {
        if start < MARKED {
            let behind = self.slashes >> start;
            if behind != 0 {
                return start + behind.trailing_zeros() as usize;
            }
        }
        if path.len() <= MARKED {
            return path.len();
        }
        let from = start.max(MARKED);
        memchr::memchr(b'/', &path[from..]).map_or(path.len(), |i| from + i)
    }

    /// Where what stays of a segment begins behind its identifier, at its end for most; `None` of a
    /// segment that is a word.
    #[inline]
    fn varying(&self, path: &[u8], start: usize, end: usize) -> Option<usize> {
        if end <= MARKED {
            let length = end - start;
            let all = if length == 0 { 0 } else { u64::MAX >> (MARKED - length) };
            let digits = if start < MARKED { (self.digits >> start) & all } else { 0 };
            if digits == 0 {
                return None;
            }
            if digits == all {
                return Some(end);
            }
        }
        identifier(&path[start..end]).map(|length| start + length)
    }
}

/// The length of a segment's identifier: all of it, or all before the ending of a file's name.
fn identifier(segment: &[u8]) -> Option<usize> {
    let kinds = Kinds::of(segment);
    if kinds.digits == 0 {
        return None;
    }
    if kinds.is_word(segment.len()) {
        // It has no dot, before which an identifier could stand.
        return kinds.is_identifier(segment.len()).then_some(segment.len());
    }
    let (stem, _) = split_ending(segment)?;
    Kinds::of(stem).is_identifier(stem.len()).then_some(stem.len())
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

/// What each byte counts for: 16 bits for each of [`Kinds`]' four, in their order.
const COUNTS: [u64; 256] = {
    let mut counts = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        #[expect(clippy::cast_possible_truncation, reason = "below 256")]
        let kind = match byte as u8 {
            b'0'..=b'9' => 0,
            b'a'..=b'f' | b'A'..=b'F' => 1,
            b'g'..=b'z' | b'G'..=b'Z' => 2,
            b'-' | b'_' => 3,
            _ => 4,
        };
        if kind < 4 {
            counts[byte] = 1 << (16 * kind);
        }
        byte += 1;
    }
    counts
};

impl Kinds {
    fn of(segment: &[u8]) -> Self {
        let mut kinds = Self { digits: 0, hex_letters: 0, other_letters: 0, joints: 0 };
        // A count has 16 bits.
        for part in segment.chunks(1 << 15) {
            let sum: u64 = part.iter().map(|byte| COUNTS[usize::from(*byte)]).sum();
            let of = |kind: u32| ((sum >> (16 * kind)) & 0xffff) as usize;
            kinds.digits += of(0);
            kinds.hex_letters += of(1);
            kinds.other_letters += of(2);
            kinds.joints += of(3);
        }
        kinds
    }

    /// Letters, digits and joints alone.
    const fn is_word(&self, length: usize) -> bool {
        self.digits + self.hex_letters + self.other_letters + self.joints == length
    }

    /// Digits; hex with dashes (UUIDs); tokens; and whatever is mostly digits, at least four.
    const fn is_identifier(&self, length: usize) -> bool {
        let hex = self.digits + self.hex_letters + self.joints == length;
        let mostly_digits = self.digits >= 4 && 2 * self.digits >= length;
        self.digits > 0
            && self.is_word(length)
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

    /// The template by its definition, segment by segment.
    fn by_segments(path: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        let segments: Vec<&[u8]> = path.split(|b| *b == b'/').collect();
        for (i, segment) in segments.iter().take(EDGE_ROUTE_SEGMENTS_MAX + 1).enumerate() {
            match identifier(segment) {
                Some(length) => out.extend([ID, &segment[length..]].concat()),
                None => out.extend_from_slice(segment),
            }
            if i + 1 < segments.len() {
                out.push(b'/');
            }
        }
        out.truncate(EDGE_ROUTE_BYTES_MAX);
        out
    }

    proptest::proptest! {
        #[test]
        fn paths_are_read_as_their_segments_are(path in "([/0-9a-z.]|/[0-9]{1,9}|\\PC){0,90}") {
            let mut out = Vec::new();
            template(path.as_bytes(), &mut out);
            proptest::prop_assert_eq!(out, by_segments(path.as_bytes()));
        }

        #[test]
        fn any_bytes_give_a_template_that_is_its_own(path: Vec<u8>) {
            let (mut once, mut twice) = (Vec::new(), Vec::new());
            template(&path, &mut once);
            template(&once, &mut twice);
            proptest::prop_assert_eq!(once, twice);
        }
    }
}
