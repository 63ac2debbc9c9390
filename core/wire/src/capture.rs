//! Capture files, read as they stream by.
//!
//! The caller owns the bytes: it hands what it has to [`Reader::next`], takes what comes out, drops
//! as many bytes as were consumed, and reads on from its file when more are needed.
//!
//! ```text
//! loop {
//!     match reader.next(&buffer[at..])? {
//!         Step::Need(n)        => fill the buffer until `n` bytes are behind `at`; at the file's
//!                                 end, `reader.finish(&buffer[at..])` tells how whole it was
//!         Step::Packet { .. }  => decode it; at += consumed
//!         Step::Statistics{ .. } | Step::Other { .. } => at += consumed
//!     }
//! }
//! ```

mod looks;
mod pcap;
mod pcapng;
pub mod write;

use whyslow_model::Wall;

use crate::packet::Captured;
pub use pcapng::Interface;

/// What a capture's next bytes are. `consumed` counts from the start of what was handed over.
#[derive(Clone, Copy, Debug)]
pub enum Step<'a> {
    /// At least this many bytes from the same place on, which is more than there were.
    Need(usize),
    /// A packet.
    Packet {
        /// The packet.
        packet: Captured<'a>,
        /// What its writer noted beside it; bytes from outside.
        comment: Option<&'a [u8]>,
        /// Bytes that are done with.
        consumed: usize,
    },
    /// What the capturing program counted on one interface up to here.
    Statistics {
        /// The counts.
        statistics: Statistics,
        /// Bytes that are done with.
        consumed: usize,
    },
    /// A header, or a block without a packet.
    Other {
        /// Bytes that are done with.
        consumed: usize,
    },
}

/// What the capturing program counted on one interface; absent where it did not say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    /// Which interface.
    pub interface: u32,
    /// When it counted.
    pub at: Wall,
    /// Packets received since the capture began.
    pub received: Option<u64>,
    /// Packets the interface dropped.
    pub dropped_by_interface: Option<u64>,
    /// Packets the operating system dropped, for want of room most of the time.
    pub dropped_by_system: Option<u64>,
}

/// What makes a capture less than whole, as far as it says so itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Noted {
    /// Packets lost, as noted beside other packets; those in [`Statistics`] come besides.
    pub lost: u64,
    /// Packets without a time, which were left out.
    pub timeless: u64,
    /// Packets of interfaces whose link type is not known here.
    pub unknown_link: u64,
}

/// Why bytes are not, or no longer, a capture.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CaptureError {
    /// There was not one byte.
    #[error("the capture is empty")]
    Empty,
    /// The first bytes are those of something else.
    #[error("not a capture: this looks like {0}")]
    NotACapture(&'static str),
    /// A dialect of pcap whose records are laid out otherwise.
    #[error("a capture in a form that is not read here: {0}")]
    Dialect(&'static str),
    /// Packets begin with something that is not known here.
    #[error("the capture's link type {0} is not known here")]
    UnknownLink(u16),
    /// The bytes at this offset of the file cannot be.
    #[error("broken capture at byte {offset}: {what}")]
    Malformed {
        /// Where it stopped making sense.
        offset: u64,
        /// What is wrong.
        what: &'static str,
    },
}

impl CaptureError {
    /// What the operator can do.
    pub const fn hint(&self) -> &'static str {
        match self {
            Self::Empty => "was the capture still being written, or its disk full?",
            Self::NotACapture(_) => "give a pcap or pcapng file, as tcpdump -w writes it",
            Self::Dialect(_) => "`editcap -F pcapng IN OUT` rewrites it",
            Self::UnknownLink(_) => {
                "known are Ethernet, Linux cooked (any), BSD loopback and raw IP; capture on such \
                 an interface"
            }
            Self::Malformed { .. } => "what was read before that place is good",
        }
    }
}

/// How whole a capture was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// It ended between two packets.
    Whole,
    /// It ended within a packet or block, of which this many bytes were there.
    Cut(usize),
}

/// Reads one capture of any kind.
#[derive(Debug, Default)]
pub struct Reader {
    format: Format,
    /// Bytes consumed, for errors.
    offset: u64,
}

#[derive(Debug, Default)]
enum Format {
    /// Not a byte was consumed.
    #[default]
    Unknown,
    Pcap(pcap::Pcap, [Interface; 1]),
    Pcapng(pcapng::Pcapng),
}

impl Reader {
    /// A reader at the beginning of a capture.
    pub fn new() -> Self {
        Self::default()
    }

    /// The next thing in `input`, which begins where the last step ended.
    ///
    /// # Errors
    /// [`CaptureError`] for what is no capture, or one that stopped making sense; it cannot be read
    /// any further then.
    pub fn next<'a>(&mut self, input: &'a [u8]) -> Result<Step<'a>, CaptureError> {
        let step = match &mut self.format {
            Format::Unknown => self.begin(input),
            Format::Pcap(pcap, _) => pcap.next(input, self.offset),
            Format::Pcapng(pcapng) => pcapng.next(input, self.offset),
        }?;
        if let Step::Packet { consumed, .. }
        | Step::Statistics { consumed, .. }
        | Step::Other { consumed } = step
        {
            self.offset += u64::try_from(consumed).unwrap_or(u64::MAX);
        }
        Ok(step)
    }

    /// How whole the capture was: its end came, and `rest` is left.
    ///
    /// # Errors
    /// [`CaptureError`] where there was too little of it to tell that it is one.
    pub fn finish(&self, rest: &[u8]) -> Result<Ending, CaptureError> {
        match (&self.format, rest) {
            (Format::Unknown, []) => Err(CaptureError::Empty),
            (Format::Unknown, rest) => {
                if !rest.starts_with(&pcapng::SECTION) {
                    pcap::begins(rest)?;
                }
                Err(CaptureError::Malformed { offset: 0, what: "it ends within its header" })
            }
            (Format::Pcapng(pcapng), []) if pcapng.is_within_a_block() => Ok(Ending::Cut(0)),
            (Format::Pcap(..) | Format::Pcapng(_), []) => Ok(Ending::Whole),
            (Format::Pcap(..) | Format::Pcapng(_), rest) => Ok(Ending::Cut(rest.len())),
        }
    }

    /// The interfaces described so far; a packet's number counts from 0 in them.
    pub fn interfaces(&self) -> &[Interface] {
        match &self.format {
            Format::Unknown => &[],
            Format::Pcap(_, interface) => interface,
            Format::Pcapng(pcapng) => &pcapng.interfaces,
        }
    }

    /// What makes the capture less than whole, as far as it was read.
    pub const fn noted(&self) -> Noted {
        match &self.format {
            Format::Pcapng(pcapng) => pcapng.noted,
            Format::Unknown | Format::Pcap(..) => Noted { lost: 0, timeless: 0, unknown_link: 0 },
        }
    }

    fn begin<'a>(&mut self, input: &'a [u8]) -> Result<Step<'a>, CaptureError> {
        let Some((head, _)) = input.split_first_chunk::<{ pcap::HEADER_LEN }>() else {
            return Ok(Step::Need(pcap::HEADER_LEN));
        };
        if pcapng::begins(head) {
            let mut pcapng = pcapng::Pcapng::default();
            let step = pcapng.next(input, 0)?;
            if !matches!(step, Step::Need(_)) {
                self.format = Format::Pcapng(pcapng);
            }
            return Ok(step);
        }
        let pcap = pcap::Pcap::open(head)?;
        self.format = Format::Pcap(pcap, [Interface::plain(pcap.link)]);
        Ok(Step::Other { consumed: pcap::HEADER_LEN })
    }
}

/// For the fuzzer: however a capture is cut into reads, the same packets come out, and reading on
/// always comes to an end.
pub fn fuzz_capture(bytes: &[u8]) {
    let whole = told(bytes, bytes.len());
    assert_eq!(whole, told(bytes, 1 + bytes.len() / 7), "cut otherwise");
    assert_eq!(whole, told(bytes, 1), "cut small");
}

/// What a capture gives, no more than `piece` bytes at a time beyond what is asked for: times and
/// lengths of its packets, and how it ended.
fn told(file: &[u8], piece: usize) -> (Vec<(Wall, usize)>, Result<Ending, CaptureError>) {
    let mut reader = Reader::new();
    let mut packets = Vec::new();
    let (mut at, mut there) = (0, piece.min(file.len()));
    loop {
        let step = match reader.next(&file[at..there]) {
            Ok(step) => step,
            Err(e) => return (packets, Err(e)),
        };
        match step {
            Step::Need(n) => {
                assert!(n > there - at, "asks for what was there");
                if there == file.len() {
                    return (packets, reader.finish(&file[at..]));
                }
                there = file.len().min(at.saturating_add(n).max(there + piece));
            }
            Step::Packet { packet, consumed, .. } => {
                packets.push((packet.at, packet.bytes.len()));
                at += consumed;
            }
            Step::Statistics { consumed, .. } | Step::Other { consumed } => {
                assert!(consumed > 0, "stands still");
                at += consumed;
            }
        }
    }
}

#[cfg(test)]
mod tests;
