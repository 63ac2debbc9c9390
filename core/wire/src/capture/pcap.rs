//! The classic format: a header of 24 bytes, then packets with 16 bytes before each.
//!
//! ```text
//! magic 4 · version 2+2 · zone 4 · accuracy 4 · snap length 4 · link type 4 (high bits: FCS)
//! seconds 4 · micro- or nanoseconds 4 · captured 4 · on the wire 4 · bytes …
//! ```

use whyslow_model::Wall;
use whyslow_model::limits::WIRE_PACKET_BYTES_MAX;

use super::{CaptureError, Step};
use crate::packet::{Captured, LinkType};

/// Bytes of the file's header.
pub(super) const HEADER_LEN: usize = 24;
/// Bytes before each packet.
const RECORD_LEN: usize = 16;

/// What the file's header said.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pcap {
    big_endian: bool,
    /// Nanoseconds in the unit of the fractions.
    unit_ns: i64,
    pub link: LinkType,
}

impl Pcap {
    /// Reads the file's header.
    pub(super) fn open(head: &[u8; HEADER_LEN]) -> Result<Self, CaptureError> {
        let magic = [head[0], head[1], head[2], head[3]];
        let (big_endian, unit_ns) = match magic {
            [0xa1, 0xb2, 0xc3, 0xd4] => (true, 1000),
            [0xd4, 0xc3, 0xb2, 0xa1] => (false, 1000),
            [0xa1, 0xb2, 0x3c, 0x4d] => (true, 1),
            [0x4d, 0x3c, 0xb2, 0xa1] => (false, 1),
            [0xa1, 0xb2, 0xcd, 0x34] | [0x34, 0xcd, 0xb2, 0xa1] => {
                return Err(CaptureError::Dialect("pcap with Kuznetzov's longer record headers"));
            }
            _ => return Err(CaptureError::NotACapture("neither pcap nor pcapng")),
        };
        let link = number(big_endian, [head[20], head[21], head[22], head[23]]);
        let link = LinkType::from_number(u16::try_from(link & 0xffff).unwrap_or(u16::MAX));
        Ok(Self { big_endian, unit_ns, link })
    }

    /// The packet at the beginning of `input`, which is at `offset` of the file.
    pub(super) fn next<'a>(&self, input: &'a [u8], offset: u64) -> Result<Step<'a>, CaptureError> {
        let Some((head, rest)) = input.split_first_chunk::<RECORD_LEN>() else {
            return Ok(Step::Need(RECORD_LEN));
        };
        let field = |at: usize| {
            number(self.big_endian, [head[at], head[at + 1], head[at + 2], head[at + 3]])
        };
        let captured = usize::try_from(field(8)).unwrap_or(usize::MAX);
        if captured > WIRE_PACKET_BYTES_MAX {
            let what = "a packet longer than any that is captured";
            return Err(CaptureError::Malformed { offset, what });
        }
        let Some(bytes) = rest.get(..captured) else {
            return Ok(Step::Need(RECORD_LEN + captured));
        };
        let at = i64::from(field(0)) * 1_000_000_000 + i64::from(field(4)) * self.unit_ns;
        let packet = Captured {
            at: Wall::from_nanos(at),
            interface: 0,
            link: self.link,
            outgoing: None,
            original_len: field(12),
            bytes,
        };
        Ok(Step::Packet { packet, consumed: RECORD_LEN + captured })
    }
}

fn number(big_endian: bool, bytes: [u8; 4]) -> u32 {
    if big_endian { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) }
}
