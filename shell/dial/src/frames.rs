//! Which bytes of an HTTP/2 connection belong to a message (RFC 9113 section 4.1).

/// Bytes of a frame's head: length (3), type, flags, stream (4).
const HEAD: usize = 9;
/// Bytes of the client's preface (RFC 9113 section 3.4).
const PREFACE: usize = 24;
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const CONTINUATION: u8 = 9;

/// Follows the frames of one direction.
#[derive(Clone, Debug, Default)]
pub(crate) struct Frames {
    head: [u8; HEAD],
    /// How much of the head has been seen; less than `HEAD` between two calls.
    seen: usize,
    /// Bytes left of the present frame, or of the preface.
    left: usize,
    /// Whether the present frame belongs to a message.
    message: bool,
}

impl Frames {
    /// Of the client, whose first bytes are no frame.
    pub(crate) fn after_preface() -> Self {
        Self { left: PREFACE, ..Self::default() }
    }

    /// Takes the next bytes; whether any of them belongs to a request or an answer.
    pub(crate) fn carry_message(&mut self, mut bytes: &[u8]) -> bool {
        let mut any = false;
        while !bytes.is_empty() {
            if self.left > 0 {
                let (_, rest) = bytes.split_at(self.left.min(bytes.len()));
                self.left -= bytes.len() - rest.len();
                any |= self.message;
                bytes = rest;
                continue;
            }
            let (part, rest) = bytes.split_at((HEAD - self.seen).min(bytes.len()));
            self.head[self.seen..self.seen + part.len()].copy_from_slice(part);
            self.seen += part.len();
            bytes = rest;
            if self.seen == HEAD {
                self.seen = 0;
                let [a, b, c, kind, ..] = self.head;
                self.left = usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c);
                self.message = matches!(kind, DATA | HEADERS | CONTINUATION);
                any |= self.message;
            }
        }
        any
    }
}

/// For the fuzzer: however the bytes are cut, the same ones are found.
pub fn fuzz_frames(bytes: &[u8]) {
    let whole = Frames::default().carry_message(bytes);
    let mut cut = Frames::default();
    let single = bytes.iter().fold(false, |any, b| cut.carry_message(&[*b]) | any);
    assert_eq!(whole, single);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, length: u8) -> Vec<u8> {
        let mut bytes = vec![0, 0, length, kind, 0, 0, 0, 0, 1];
        bytes.extend(vec![0xff; length.into()]);
        bytes
    }

    #[test]
    fn settings_and_windows_are_no_message() {
        let (settings, window, ping) = (frame(4, 18), frame(8, 4), frame(6, 8));
        let mut frames = Frames::after_preface();
        assert!(!frames.carry_message(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"));
        assert!(!frames.carry_message(&[settings, window, ping].concat()));
        assert!(frames.carry_message(&frame(1, 30)));
    }

    #[test]
    fn a_message_is_found_however_the_bytes_are_cut() {
        let bytes = [frame(4, 0), frame(1, 5), frame(8, 4)].concat();
        for cut in 0..=bytes.len() {
            let mut frames = Frames::default();
            let (a, b) = bytes.split_at(cut);
            assert!(frames.carry_message(a) | frames.carry_message(b), "{cut}");
        }
        fuzz_frames(&bytes);
    }
}
