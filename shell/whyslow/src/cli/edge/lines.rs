//! Lines out of a stream of bytes, in large blocks and without copying each.

use std::io::{self, Read};

use whyslow_model::limits::EDGE_LINE_BYTES_MAX;

/// Bytes read at once: the block and what is done with it stay in the processor's cache.
const BLOCK: usize = 256 << 10;

const _: () = assert!(BLOCK > 2 * EDGE_LINE_BYTES_MAX, "the longest line fits twice");

/// Which lines of a stream are wanted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Part {
    /// What stands before the first line feed belongs to the part before.
    pub(super) skip_first: bool,
    /// Lines that begin at or behind this many bytes belong to the next part.
    pub(super) until: u64,
}

impl Part {
    /// All lines.
    pub(super) const WHOLE: Self = Self { skip_first: false, until: u64::MAX };
}

/// Calls `line` with each line, without its line feed. One longer than [`EDGE_LINE_BYTES_MAX`]
/// is given once, at least that many bytes of it.
pub(super) fn each(
    input: &mut dyn Read,
    part: Part,
    mut line: impl FnMut(&[u8]),
) -> io::Result<()> {
    let mut block = vec![0; BLOCK];
    let (mut filled, mut base) = (0, 0_u64);
    let mut skipping = part.skip_first;
    loop {
        let n = read_some(input, &mut block[filled..])?;
        filled += n;
        let ended = n == 0;
        let mut at = 0;
        while let Some(feed) = memchr::memchr(b'\n', &block[at..filled]) {
            if !skipping {
                if base + at as u64 >= part.until {
                    return Ok(());
                }
                line(&block[at..at + feed]);
            }
            skipping = false;
            at += feed + 1;
        }
        let rest = filled - at;
        let wanted = rest > 0 && !skipping && base + (at as u64) < part.until;
        if ended {
            if wanted {
                line(&block[at..filled]);
            }
            return Ok(());
        }
        if rest > EDGE_LINE_BYTES_MAX {
            if wanted {
                line(&block[at..filled]);
            }
            skipping = true;
            at = filled;
        }
        block.copy_within(at..filled, 0);
        filled -= at;
        base += at as u64;
        if !skipping && base >= part.until {
            return Ok(());
        }
    }
}

fn read_some(input: &mut dyn Read, into: &mut [u8]) -> io::Result<usize> {
    loop {
        match input.read(into) {
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            done => return done,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &[u8], part: Part) -> Vec<Vec<u8>> {
        let mut found = Vec::new();
        each(&mut &*text, part, |line| found.push(line.to_vec())).unwrap();
        found
    }

    #[test]
    fn the_last_line_may_lack_its_line_feed() {
        assert_eq!(lines(b"a\n\nbc", Part::WHOLE), [b"a".to_vec(), b"".to_vec(), b"bc".to_vec()]);
        assert_eq!(lines(b"a\n", Part::WHOLE), [b"a".to_vec()]);
        assert!(lines(b"", Part::WHOLE).is_empty());
    }

    #[test]
    fn an_endless_line_is_given_once_and_the_next_one_is_whole() {
        let text = [vec![b'x'; 3 * BLOCK], b"\nnext\n".to_vec()].concat();
        let found = lines(&text, Part::WHOLE);
        assert_eq!(found.len(), 2);
        assert!(found[0].len() > EDGE_LINE_BYTES_MAX);
        assert_eq!(found[1], b"next");
    }

    #[test]
    fn parts_hold_each_line_once_wherever_they_are_cut() {
        let text = b"one\n\ntwo two\nthree\n\n\nfour";
        let whole = lines(text, Part::WHOLE);
        for cut in 1..text.len() {
            let mut found = lines(text, Part { skip_first: false, until: cut as u64 });
            // The second part begins a byte earlier, to see whether a line ends just there.
            found.extend(lines(&text[cut - 1..], Part { skip_first: true, until: u64::MAX }));
            assert_eq!(found, whole, "cut at {cut}");
        }
    }
}
