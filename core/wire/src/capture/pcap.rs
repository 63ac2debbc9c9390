//! The classic format: a header of 24 bytes, then packets with 16 bytes before each.
//!
//! ```text
//! magic 4 · version 2+2 · zone 4 · accuracy 4 · snap length 4 · link type 4 (high bits: FCS)
//! seconds 4 · micro- or nanoseconds 4 · captured 4 · on the wire 4 · bytes …
//! ```

use whyslow_model::Wall;
use whyslow_model::limits::WIRE_PACKET_BYTES_MAX;

use super::{CaptureError, Step, looks};
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
        let [m0, m1, m2, m3, v0, v1, .., l0, l1, l2, l3] = *head;
        let Some((big_endian, unit_ns)) = order_and_unit([m0, m1, m2, m3]) else {
            return Err(refused(head));
        };
        let major = if big_endian { [v0, v1] } else { [v1, v0] };
        if major != [0, 2] {
            return Err(CaptureError::Malformed { offset: 4, what: "the version of pcap" });
        }
        let link = number(big_endian, [l0, l1, l2, l3]);
        let link = LinkType::from_number(u16::try_from(link & 0xffff).unwrap_or(u16::MAX));
        if let LinkType::Unknown(number) = link {
            return Err(CaptureError::UnknownLink(number));
        }
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
        Ok(Step::Packet { packet, comment: None, consumed: RECORD_LEN + captured })
    }
}

/// Whether the file is big-endian, and the nanoseconds of its unit.
const fn order_and_unit(magic: [u8; 4]) -> Option<(bool, i64)> {
    match magic {
        [0xa1, 0xb2, 0xc3, 0xd4] => Some((true, 1000)),
        [0xd4, 0xc3, 0xb2, 0xa1] => Some((false, 1000)),
        [0xa1, 0xb2, 0x3c, 0x4d] => Some((true, 1)),
        [0x4d, 0x3c, 0xb2, 0xa1] => Some((false, 1)),
        _ => None,
    }
}

/// Whether `head`, which is too short for a header, begins like one.
///
/// # Errors
/// What it looks like otherwise.
pub(super) fn begins(head: &[u8]) -> Result<(), CaptureError> {
    match head.first_chunk() {
        Some(magic) if order_and_unit(*magic).is_some() => Ok(()),
        _ => Err(refused(head)),
    }
}

/// What a file is that does not begin with a magic number of the format.
fn refused(head: &[u8]) -> CaptureError {
    match head {
        [0xa1, 0xb2, 0xcd, 0x34, ..] | [0x34, 0xcd, 0xb2, 0xa1, ..] => {
            CaptureError::Dialect("pcap with Kuznetzov's longer record headers")
        }
        [0x1c, 0x00, 0x01, 0xac | 0xab, ..] | [0xac | 0xab, 0x01, 0x00, 0x1c, ..] => {
            CaptureError::Dialect("pcap as Ixia writes it")
        }
        head => CaptureError::NotACapture(looks::like(head)),
    }
}

fn number(big_endian: bool, bytes: [u8; 4]) -> u32 {
    if big_endian { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) }
}
