//! The pcapng format: blocks within sections, each section with its own byte order and interfaces.
//!
//! ```text
//! type 4 · length of all 4 · body, padded to 4 · length of all 4
//! ```
//!
//! Blocks of other types are skipped, however long they are. An interface of a later section gets a
//! number behind those of the earlier ones.

mod block;
mod interface;

use whyslow_model::limits::{WIRE_INTERFACES_MAX, WIRE_PACKET_BYTES_MAX};

use super::{CaptureError, Noted, Statistics, Step};
use crate::packet::{Captured, LinkType};
use block::{Block, Fields, Options};
pub use interface::Interface;

/// The type of a section header, the same in both byte orders.
pub(super) const SECTION: [u8; 4] = [0x0a, 0x0d, 0x0d, 0x0a];
/// The mark of a section's byte order, as either order writes it.
const BIG_ENDIAN: [u8; 4] = [0x1a, 0x2b, 0x3c, 0x4d];
const LITTLE_ENDIAN: [u8; 4] = [0x4d, 0x3c, 0x2b, 0x1a];
const INTERFACE: u32 = 1;
const OLD_PACKET: u32 = 2;
const SIMPLE_PACKET: u32 = 3;
const STATISTICS: u32 = 5;
const PACKET: u32 = 6;
/// Bytes of a block that is looked into: the longest packet, and room for its options.
const BLOCK_LEN_MAX: usize = WIRE_PACKET_BYTES_MAX + (256 << 10);

/// Whether a file begins as the format does: a text may begin with the same four bytes, which are
/// line ends.
pub(super) fn begins(head: &[u8]) -> bool {
    head.starts_with(&SECTION)
        && matches!(head.get(8..12), Some(mark) if mark == BIG_ENDIAN || mark == LITTLE_ENDIAN)
}

/// The state of a file that is being read.
#[derive(Debug, Default)]
pub(super) struct Pcapng {
    big_endian: bool,
    /// Interfaces of all sections.
    pub interfaces: Vec<Interface>,
    /// Those of the current section begin here.
    section: usize,
    /// Bytes of a block that are still to be skipped.
    skip: u64,
    pub noted: Noted,
}

impl Pcapng {
    /// What is at the beginning of `input`, which is at `offset` of the file.
    pub(super) fn next<'a>(
        &mut self,
        input: &'a [u8],
        offset: u64,
    ) -> Result<Step<'a>, CaptureError> {
        if self.skip > 0 {
            return Ok(self.skipped(input));
        }
        let Some((head, _)) = input.split_first_chunk::<12>() else {
            return Ok(Step::Need(12));
        };
        let broken = |what| CaptureError::Malformed { offset, what };
        let [t0, t1, t2, t3, l0, l1, l2, l3, m0, m1, m2, m3] = *head;
        let is_section = [t0, t1, t2, t3] == SECTION;
        if is_section {
            self.big_endian = match [m0, m1, m2, m3] {
                BIG_ENDIAN => true,
                LITTLE_ENDIAN => false,
                _ => return Err(broken("the byte order of a section")),
            };
        }
        let fields = Fields { big_endian: self.big_endian };
        let kind = fields.u32([t0, t1, t2, t3]);
        let declared = fields.u32([l0, l1, l2, l3]);
        let len = usize::try_from(declared).unwrap_or(usize::MAX);
        if len < 12 || !len.is_multiple_of(4) {
            return Err(broken("the length of a block"));
        }
        let read = is_section
            || matches!(kind, INTERFACE | OLD_PACKET | SIMPLE_PACKET | STATISTICS | PACKET);
        if !read {
            self.skip = u64::from(declared);
            return Ok(self.skipped(input));
        }
        if len > BLOCK_LEN_MAX {
            return Err(broken("a block longer than any that is written"));
        }
        let Some(block) = input.get(..len) else {
            return Ok(Step::Need(len));
        };
        if block[4..8] != block[len - 4..] {
            return Err(broken("the two lengths of a block differ"));
        }
        let mut block = Block { fields, body: &block[8..len - 4] };
        if is_section {
            return self.open_section(&mut block, len).map_err(broken);
        }
        self.read(kind, &mut block, len).map_err(broken)
    }

    /// Whether a block is only partly skipped.
    pub(super) const fn is_within_a_block(&self) -> bool {
        self.skip > 0
    }

    fn skipped<'a>(&mut self, input: &[u8]) -> Step<'a> {
        let there = u64::try_from(input.len()).unwrap_or(u64::MAX);
        let consumed = self.skip.min(there);
        if consumed == 0 {
            return Step::Need(1);
        }
        self.skip -= consumed;
        Step::Other { consumed: usize::try_from(consumed).unwrap_or(input.len()) }
    }

    fn open_section<'a>(
        &mut self,
        block: &mut Block<'_>,
        len: usize,
    ) -> Result<Step<'a>, &'static str> {
        let _magic = block.u32()?;
        if block.u16()? != 1 {
            return Err("the version of pcapng");
        }
        self.section = self.interfaces.len();
        Ok(Step::Other { consumed: len })
    }

    fn read<'a>(
        &mut self,
        kind: u32,
        block: &mut Block<'a>,
        consumed: usize,
    ) -> Result<Step<'a>, &'static str> {
        match kind {
            INTERFACE => {
                if self.interfaces.len() >= WIRE_INTERFACES_MAX {
                    return Err("more interfaces than a machine has");
                }
                self.interfaces.push(Interface::read(block)?);
                Ok(Step::Other { consumed })
            }
            PACKET => {
                let interface = block.u32()?;
                self.packet(interface, None, block, consumed)
            }
            OLD_PACKET => {
                let interface = u32::from(block.u16()?);
                // All ones say that it is not known.
                let lost = block.u16().map(|n| if n == 0xffff { 0 } else { u64::from(n) })?;
                self.packet(interface, Some(lost), block, consumed)
            }
            STATISTICS => self.statistics(block, consumed),
            _ => {
                // A simple packet has no time, and nothing can be said about it without.
                self.noted.timeless += 1;
                Ok(Step::Other { consumed })
            }
        }
    }

    /// A packet block of the current or the old kind, from its time stamp on.
    fn packet<'a>(
        &mut self,
        number: u32,
        lost: Option<u64>,
        block: &mut Block<'a>,
        consumed: usize,
    ) -> Result<Step<'a>, &'static str> {
        let (number, interface) = self.interface(number)?;
        let at = interface.at(block.u64_halves()?);
        let link = interface.link;
        let captured = usize::try_from(block.u32()?).unwrap_or(usize::MAX);
        let original_len = block.u32()?;
        if captured > WIRE_PACKET_BYTES_MAX {
            return Err("a packet longer than any that is captured");
        }
        let bytes = block.padded(captured)?;
        let mut packet =
            Captured { at, interface: number, link, outgoing: None, original_len, bytes };
        let (mut lost_before, mut comment) = (lost.unwrap_or(0), None);
        for (code, value) in Options(*block) {
            match code {
                1 => comment = comment.or(Some(value)),
                2 => packet.outgoing = block.fields.direction(value),
                4 if lost.is_none() => lost_before = block.fields.number(value).unwrap_or(0),
                _ => {}
            }
        }
        self.noted.lost = self.noted.lost.saturating_add(lost_before);
        if matches!(link, LinkType::Unknown(_)) {
            self.noted.unknown_link += 1;
        }
        Ok(Step::Packet { packet, comment, consumed })
    }

    fn statistics<'a>(
        &self,
        block: &mut Block<'a>,
        consumed: usize,
    ) -> Result<Step<'a>, &'static str> {
        let (number, interface) = self.interface(block.u32()?)?;
        let at = interface.at(block.u64_halves()?);
        let mut statistics = Statistics { interface: number, at, ..Statistics::default() };
        for (code, value) in Options(*block) {
            let field = match code {
                4 => &mut statistics.received,
                5 => &mut statistics.dropped_by_interface,
                7 => &mut statistics.dropped_by_system,
                _ => continue,
            };
            *field = block.fields.number(value);
        }
        Ok(Step::Statistics { statistics, consumed })
    }

    /// The interface of that number in the current section, and its number in the file.
    fn interface(&self, number: u32) -> Result<(u32, &Interface), &'static str> {
        const NONE: &str = "an interface that was not described";
        let at = usize::try_from(number).ok().and_then(|n| n.checked_add(self.section));
        let at = at.ok_or(NONE)?;
        let interface = self.interfaces.get(at).ok_or(NONE)?;
        Ok((u32::try_from(at).map_err(|_| NONE)?, interface))
    }
}
