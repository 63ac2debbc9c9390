//! From a byte stream to lines: line feeds, or the octet counts of RFC 6587 section 3.4.1.
//!
//! The framer owns the buffer the shell reads into, so that a line is handed out where it lies:
//!
//! ```text
//! handed out already | line\n | line\n | begun line ... | room to read into
//!                    ^ start                            ^ end
//! ```

use whyslow_model::limits::EDGE_LINE_BYTES_MAX;

/// How messages are told apart on a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// By the first bytes: a count of octets and a space, or lines.
    Detect,
    /// Each message ends with a line feed (RFC 6587 section 3.4.2).
    Lines,
    /// Each message is preceded by its length in octets and a space (RFC 6587 section 3.4.1).
    Counted,
}

/// One message of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Frame<'a> {
    /// A message, without the line feed (and carriage return) that ended it.
    Line(&'a [u8]),
    /// A message longer than [`EDGE_LINE_BYTES_MAX`], all of which was skipped.
    TooLong,
    /// No octet count stands where one must; nothing after it can be read.
    Broken,
}

/// What is left to skip of a message that is too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Skipping {
    ToLineFeed,
    Octets(usize),
}

/// Bytes of the buffer: some messages of the longest kind.
const ROOM: usize = 4 * EDGE_LINE_BYTES_MAX;
/// Digits of an octet count; more of them are no count but the begin of a text.
const COUNT_DIGITS_MAX: usize = 7;

const _: () = assert!(ROOM > EDGE_LINE_BYTES_MAX + COUNT_DIGITS_MAX + 1);

/// Splits one stream into messages.
#[derive(Debug)]
pub struct Framer {
    buffer: Box<[u8]>,
    start: usize,
    end: usize,
    /// Bytes from `start` on that are known to hold no line feed.
    searched: usize,
    framing: Framing,
    skipping: Option<Skipping>,
    /// Bytes handed out or skipped since the beginning.
    position: u64,
}

impl Framer {
    /// A framer at the beginning of a stream.
    pub fn new(framing: Framing) -> Self {
        Self {
            buffer: vec![0; ROOM].into_boxed_slice(),
            start: 0,
            end: 0,
            searched: 0,
            framing,
            skipping: None,
            position: 0,
        }
    }

    /// How messages are told apart, as far as it is known by now.
    pub const fn framing(&self) -> Framing {
        self.framing
    }

    /// Where the next message begins: bytes since the beginning of the stream.
    pub const fn position(&self) -> u64 {
        self.position
    }

    /// Where the bytes that were read end: bytes since the beginning of the stream.
    pub const fn read_to(&self) -> u64 {
        self.position.saturating_add((self.end - self.start) as u64)
    }

    /// Room to read into; never empty once [`Framer::poll_frame`] has given `None`.
    pub fn room(&mut self) -> &mut [u8] {
        if self.start > 0 {
            self.buffer.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
        &mut self.buffer[self.end..]
    }

    /// Says that `n` bytes were read into [`Framer::room`].
    pub fn handle_read(&mut self, n: usize) {
        self.end = self.end.saturating_add(n).min(self.buffer.len());
    }

    /// Forgets all that was read and not handed out, and begins anew at `position`.
    pub fn restart(&mut self, position: u64) {
        (self.start, self.end, self.searched) = (0, 0, 0);
        self.skipping = None;
        self.position = position;
    }

    /// The next whole message; `None` where more bytes are needed.
    pub fn poll_frame(&mut self) -> Option<Frame<'_>> {
        if self.framing == Framing::Detect {
            self.framing = detected(&self.buffer[self.start..self.end])?;
        }
        match self.framing {
            Framing::Counted => self.counted(),
            Framing::Lines | Framing::Detect => self.line(),
        }
    }

    /// The last message of a stream that has ended, where it lacks its end.
    pub fn poll_rest(&mut self) -> Option<Frame<'_>> {
        let length = self.end - self.start;
        let from = self.start;
        self.advance(length);
        if self.skipping.take().is_some() {
            return Some(Frame::TooLong);
        }
        (length > 0).then(|| Frame::Line(trimmed(&self.buffer[from..from + length])))
    }

    fn line(&mut self) -> Option<Frame<'_>> {
        let unread = &self.buffer[self.start + self.searched..self.end];
        let Some(at) = memchr::memchr(b'\n', unread) else {
            self.searched = self.end - self.start;
            if self.skipping.is_some() || self.searched > EDGE_LINE_BYTES_MAX {
                self.skipping = Some(Skipping::ToLineFeed);
                self.advance(self.searched);
            }
            return None;
        };
        let length = self.searched + at;
        let from = self.start;
        self.advance(length + 1);
        if self.skipping.take().is_some() || length > EDGE_LINE_BYTES_MAX {
            return Some(Frame::TooLong);
        }
        Some(Frame::Line(trimmed(&self.buffer[from..from + length])))
    }

    fn counted(&mut self) -> Option<Frame<'_>> {
        if let Some(Skipping::Octets(left)) = self.skipping {
            let now = left.min(self.end - self.start);
            self.advance(now);
            if now < left {
                self.skipping = Some(Skipping::Octets(left - now));
                return None;
            }
            self.skipping = None;
            return Some(Frame::TooLong);
        }
        let unread = &self.buffer[self.start..self.end];
        // A line feed after a message is not counted by every sender.
        let blank = unread.iter().take_while(|b| matches!(b, b'\n' | b'\r')).count();
        let (length, digits) = match count(&unread[blank..]) {
            Count::Octets(length, digits) => (length, digits),
            Count::Unfinished => return None,
            Count::None => {
                self.advance(self.end - self.start);
                return Some(Frame::Broken);
            }
        };
        let head = blank + digits + 1;
        if length > EDGE_LINE_BYTES_MAX {
            self.advance(head);
            self.skipping = Some(Skipping::Octets(length));
            return self.counted();
        }
        if unread.len() < head + length {
            return None;
        }
        let from = self.start + head;
        self.advance(head + length);
        Some(Frame::Line(trimmed(&self.buffer[from..from + length])))
    }

    fn advance(&mut self, by: usize) {
        self.start += by;
        self.searched = 0;
        self.position = self.position.saturating_add(by as u64);
    }
}

/// The message of one datagram: all of it, less a line feed or NUL at its end.
pub fn datagram(bytes: &[u8]) -> &[u8] {
    let end = bytes.iter().rposition(|b| !matches!(b, b'\n' | b'\r' | 0));
    &bytes[..end.map_or(0, |last| last + 1)]
}

fn trimmed(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// What stands where an octet count may.
enum Count {
    /// So many octets follow; of how many digits the count is.
    Octets(usize, usize),
    /// More bytes may make it a count.
    Unfinished,
    /// It is none.
    None,
}

fn count(bytes: &[u8]) -> Count {
    let digits = bytes.iter().take_while(|b| b.is_ascii_digit()).count();
    let sound = digits <= COUNT_DIGITS_MAX && bytes.first() != Some(&b'0');
    if !sound {
        return Count::None;
    }
    match bytes.get(digits) {
        None => Count::Unfinished,
        Some(b' ') if digits > 0 => {
            let value = bytes[..digits].iter().fold(0_usize, |n, b| n * 10 + usize::from(b - b'0'));
            Count::Octets(value, digits)
        }
        Some(_) => Count::None,
    }
}

/// `None` until enough bytes are there. A line that begins with an address or a time of day has
/// something else than a space after its first digits.
fn detected(bytes: &[u8]) -> Option<Framing> {
    match count(bytes) {
        Count::Octets(..) => Some(Framing::Counted),
        Count::Unfinished => None,
        Count::None => Some(Framing::Lines),
    }
}

/// For the fuzzer: however a stream is cut into reads, the same messages come out, each within its
/// bounds, and every byte is accounted for.
pub fn fuzz_framing(bytes: &[u8]) {
    let whole = messages(bytes, bytes.len().max(1));
    assert_eq!(whole, messages(bytes, 1 + bytes.len() / 7), "cut otherwise");
    assert_eq!(whole, messages(bytes, 3), "cut small");
    assert!(datagram(bytes).len() <= bytes.len());
}

/// The messages of a stream read in pieces of `piece` bytes; `None` for one that was no line.
fn messages(bytes: &[u8], piece: usize) -> Vec<Option<Vec<u8>>> {
    let mut framer = Framer::new(Framing::Detect);
    let mut told = Vec::new();
    let mut rest = bytes;
    loop {
        while let Some(frame) = framer.poll_frame() {
            let broken = frame == Frame::Broken;
            told.push(owned(frame));
            if broken {
                return told;
            }
        }
        if rest.is_empty() {
            break;
        }
        let room = framer.room();
        assert!(!room.is_empty(), "no room left to read into");
        let n = piece.min(rest.len()).min(room.len());
        room[..n].copy_from_slice(&rest[..n]);
        rest = &rest[n..];
        framer.handle_read(n);
    }
    told.extend(framer.poll_rest().map(owned));
    assert_eq!(framer.position(), bytes.len() as u64, "bytes are lost");
    told
}

fn owned(frame: Frame<'_>) -> Option<Vec<u8>> {
    match frame {
        Frame::Line(line) => {
            assert!(line.len() <= EDGE_LINE_BYTES_MAX, "a line beyond its limit");
            Some(line.to_vec())
        }
        Frame::TooLong | Frame::Broken => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(stream: &[u8], piece: usize) -> Vec<Option<String>> {
        let text = |line: Vec<u8>| String::from_utf8_lossy(&line).into_owned();
        messages(stream, piece).into_iter().map(|m| m.map(text)).collect()
    }

    fn lines(of: &[&str]) -> Vec<Option<String>> {
        of.iter().map(|line| Some((*line).to_owned())).collect()
    }

    #[test]
    fn lines_come_out_whole_however_the_stream_is_cut() {
        let stream = b"<134>one\r\ntw\0o\n\nlast";
        for piece in 1..=stream.len() {
            assert_eq!(told(stream, piece), lines(&["<134>one", "tw\0o", "", "last"]), "{piece}");
        }
    }

    #[test]
    fn counted_messages_may_hold_line_feeds_and_end_with_one() {
        let stream = b"8 <134>one11 <134>tw\no\n!7 <134>x\n\n3 end";
        for piece in 1..=stream.len() {
            let expected = lines(&["<134>one", "<134>tw\no\n!", "<134>x", "end"]);
            assert_eq!(told(stream, piece), expected, "{piece}");
        }
    }

    #[test]
    fn a_line_that_begins_with_an_address_is_no_octet_count() {
        for line in ["10.0.0.1 - - x", "192 no", "17000000000 x", "0 x", "2026-11-21 x"] {
            let stream = format!("{line}\n");
            let counted = line.starts_with("192 ");
            let framing = detected(stream.as_bytes());
            let expected = if counted { Framing::Counted } else { Framing::Lines };
            assert_eq!(framing, Some(expected), "{line}");
        }
    }

    #[test]
    fn a_line_beyond_the_limit_is_skipped_and_the_next_one_is_read() {
        let mut stream = vec![b'x'; EDGE_LINE_BYTES_MAX];
        stream.extend_from_slice(b"\n");
        stream.extend(vec![b'y'; 1 << 20]);
        stream.extend_from_slice(b"\nafter\n");
        for piece in [1000, 65_536, 1 << 21] {
            let found = told(&stream, piece);
            assert_eq!(found.len(), 3, "{piece}");
            assert_eq!(found[0].as_ref().map(String::len), Some(EDGE_LINE_BYTES_MAX));
            assert_eq!((&found[1], found[2].as_deref()), (&None, Some("after")));
        }
    }

    #[test]
    fn a_counted_message_beyond_the_limit_is_skipped_and_the_next_one_is_read() {
        let mut stream = b"100000 ".to_vec();
        stream.extend(vec![b'z'; 100_000]);
        stream.extend_from_slice(b"5 after");
        for piece in [999, 1 << 20] {
            assert_eq!(told(&stream, piece), [None, Some("after".to_owned())], "{piece}");
        }
    }

    #[test]
    fn a_wrong_count_breaks_the_stream() {
        assert_eq!(told(b"3 onetwo three\n", 100), [Some("one".to_owned()), None]);
    }

    #[test]
    fn an_unfinished_long_line_counts_once_at_the_end() {
        assert_eq!(told(&vec![b'x'; 200_000], 5000), [None]);
        assert_eq!(told(b"70000 xyz", 5000), [None]);
    }

    #[test]
    fn positions_tell_where_the_next_line_begins() {
        let mut framer = Framer::new(Framing::Lines);
        framer.restart(100);
        framer.room()[..9].copy_from_slice(b"one\ntwo\nt");
        framer.handle_read(9);
        assert_eq!((framer.position(), framer.read_to()), (100, 109));
        assert_eq!(framer.poll_frame(), Some(Frame::Line(b"one")));
        assert_eq!(framer.position(), 104);
        assert_eq!(framer.poll_frame(), Some(Frame::Line(b"two")));
        assert_eq!(framer.poll_frame(), None);
        assert_eq!((framer.position(), framer.read_to()), (108, 109));
    }

    #[test]
    fn a_datagram_loses_what_ends_it() {
        assert_eq!(datagram(b"<134>x\n"), b"<134>x");
        assert_eq!(datagram(b"<134>x\r\n\0"), b"<134>x");
        assert_eq!(datagram(b"\n"), b"");
        assert_eq!(datagram(b"a\nb"), b"a\nb");
    }
}
