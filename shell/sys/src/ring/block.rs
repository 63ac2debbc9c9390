//! Reads one retired block of a `TPACKET_V3` ring (`include/uapi/linux/if_packet.h`).
//!
//! ```text
//! block   0 version  4 offset of private  8 status  12 packets  16 first packet  20 length
//!        24 sequence  32 first stamp (s, ns)  40 last stamp (s, ns)
//! packet  0 next  4 s  8 ns  12 captured  16 original  20 status  24 mac  26 net
//!        28 hash  32 VLAN tag  36 VLAN protocol  48 sockaddr_ll
//! ```
//!
//! The kernel wrote it, yet every offset is held against the block before it is followed: what
//! does not fit ends the block and is counted by [`Packets::is_broken`].

use whyslow_model::Wall;

/// A packet as the ring holds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet<'a> {
    /// When the kernel saw it.
    pub at: Wall,
    /// Its bytes on the wire, without the VLAN tag that the card took out.
    pub original_len: u32,
    /// What was captured of it, from its link-layer header on.
    pub bytes: &'a [u8],
    /// Whether this machine sent it.
    pub outgoing: bool,
    /// The VLAN tag that was taken out of it.
    pub vlan: Option<Vlan>,
}

/// A VLAN tag (IEEE 802.1Q) that the card or the kernel took out of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Vlan {
    /// The protocol of the tag: 0x8100, 0x88a8.
    pub protocol: u16,
    /// Priority, drop eligibility and number.
    pub tag: u16,
}

impl Packet<'_> {
    /// Writes the frame as it was on the wire into `into`, which it empties first: with its VLAN
    /// tag back behind the two addresses. Only Ethernet has tags.
    pub fn write_whole(&self, into: &mut Vec<u8>) {
        into.clear();
        match (self.vlan, self.bytes.split_at_checked(ADDRESSES_BYTES)) {
            (Some(vlan), Some((addresses, rest))) => {
                into.extend_from_slice(addresses);
                into.extend_from_slice(&vlan.protocol.to_be_bytes());
                into.extend_from_slice(&vlan.tag.to_be_bytes());
                into.extend_from_slice(rest);
            }
            _ => into.extend_from_slice(self.bytes),
        }
    }

    /// Bytes of the whole frame on the wire, its VLAN tag included.
    pub const fn whole_len(&self) -> u32 {
        let tag = if self.vlan.is_some() && self.bytes.len() >= ADDRESSES_BYTES { 4 } else { 0 };
        self.original_len.saturating_add(tag)
    }
}

/// The first and the last stamp of a block, and its length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// When its first packet was seen.
    pub first: Wall,
    /// When its last packet was seen.
    pub last: Wall,
    /// Packets in it.
    pub packets: u32,
    /// Bytes of it that are filled.
    pub bytes: u32,
}

/// What the head of a block says.
pub fn extent(block: &[u8]) -> Option<Extent> {
    Some(Extent {
        first: stamp(u32_at(block, 32)?, u32_at(block, 36)?),
        last: stamp(u32_at(block, 40)?, u32_at(block, 44)?),
        packets: u32_at(block, 12)?,
        bytes: u32_at(block, 20)?,
    })
}

/// The packets of a block, in the order in which they were seen.
#[derive(Clone, Debug)]
pub struct Packets<'a> {
    block: &'a [u8],
    at: usize,
    left: u32,
    broken: bool,
}

impl<'a> Packets<'a> {
    /// Those of `block`.
    pub fn of(block: &'a [u8]) -> Self {
        let head = u32_at(block, 12).zip(u32_at(block, 16));
        let (left, at) = head.unwrap_or_default();
        Self { block, at: at as usize, left, broken: head.is_none() }
    }

    /// Whether an offset led nowhere, so that the rest of the block could not be read.
    pub const fn is_broken(&self) -> bool {
        self.broken
    }

    fn read(&mut self) -> Option<Packet<'a>> {
        let packet = self.block.get(self.at..)?;
        let head: &[u8; PACKET_HEAD_BYTES] = packet.first_chunk()?;
        let from = usize::from(u16_at(head, 24)?);
        let captured = u32_at(head, 12)? as usize;
        let bytes = packet.get(from..from.checked_add(captured)?)?;
        let status = u32_at(head, 20)?;
        let next = u32_at(head, 0)? as usize;
        let read = Packet {
            at: stamp(u32_at(head, 4)?, u32_at(head, 8)?),
            original_len: u32_at(head, 16)?,
            bytes,
            outgoing: head.get(PKTTYPE_AT) == Some(&PACKET_OUTGOING),
            vlan: vlan(status, u32_at(head, 32)?, u16_at(head, 36)?),
        };
        self.left -= 1;
        // The last packet's offset of the next one leads to the end of the block or is 0.
        if self.left > 0 {
            fetch(self.block, self.at.saturating_add(next.saturating_mul(FETCHED_AHEAD)));
            if next < PACKET_HEAD_BYTES {
                self.left = 0;
                self.broken = true;
            }
            self.at = self.at.saturating_add(next);
        }
        Some(read)
    }
}

impl<'a> Iterator for Packets<'a> {
    type Item = Packet<'a>;

    fn next(&mut self) -> Option<Packet<'a>> {
        if self.left == 0 {
            return None;
        }
        let read = self.read();
        if read.is_none() {
            self.left = 0;
            self.broken = true;
        }
        read
    }
}

/// For the fuzzer: reads any bytes as a block, and every packet of it. Each lies within the block,
/// and all that the block tells of are read unless it is broken.
pub fn fuzz_ring_block(data: &[u8]) {
    let mut whole = Vec::new();
    let (mut packets, mut read) = (Packets::of(data), 0);
    for packet in packets.by_ref() {
        read += 1;
        let inside = data.as_ptr_range();
        assert!(packet.bytes.is_empty() || inside.contains(&packet.bytes.as_ptr()));
        packet.write_whole(&mut whole);
        let tag = whole.len() - packet.bytes.len();
        assert_eq!(packet.whole_len(), packet.original_len.saturating_add(4 * u32::from(tag > 0)));
        assert!(tag == 0 || tag == 4 && packet.vlan.is_some());
        assert!(whole.starts_with(packet.bytes.get(..ADDRESSES_BYTES).unwrap_or(packet.bytes)));
    }
    let told = extent(data).map_or(0, |extent| extent.packets);
    assert!(read == told || read < told && packets.is_broken(), "{read} packets of {told}");
}

/// Has the processor fetch the heads of the packet at `at` while others are read: another one wrote
/// them just now, and each would be waited for. Where no packet begins there, nothing is lost but
/// the fetching.
#[cfg(target_arch = "x86_64")]
fn fetch(block: &[u8], at: usize) {
    use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
    for at in [at, at.saturating_add(CACHE_LINE_BYTES)] {
        if let Some(there) = block.get(at) {
            // SAFETY: the pointer is to a byte of the block, and a prefetch changes no state that a
            // program can see.
            unsafe { _mm_prefetch::<_MM_HINT_T0>(std::ptr::from_ref(there).cast()) };
        }
    }
}

/// Elsewhere the processor does without.
#[cfg(not(target_arch = "x86_64"))]
const fn fetch(_: &[u8], _: usize) {}

fn vlan(status: u32, tag: u32, protocol: u16) -> Option<Vlan> {
    if status & libc::TP_STATUS_VLAN_VALID == 0 {
        return None;
    }
    let told = status & libc::TP_STATUS_VLAN_TPID_VALID != 0;
    let protocol = if told { protocol } else { 0x8100 };
    Some(Vlan { protocol, tag: u16::try_from(tag & 0xffff).unwrap_or(0) })
}

fn stamp(s: u32, ns: u32) -> Wall {
    Wall::from_nanos(i64::from(s).saturating_mul(1_000_000_000).saturating_add(i64::from(ns)))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|b| u32::from_ne_bytes(*b))
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..)?.first_chunk().map(|b| u16::from_ne_bytes(*b))
}

/// So many packets ahead their heads are fetched, if those in between are as long as this one, as
/// most are where there are many.
const FETCHED_AHEAD: usize = 4;
#[cfg(target_arch = "x86_64")]
const CACHE_LINE_BYTES: usize = 64;
/// Destination and source of an Ethernet frame.
const ADDRESSES_BYTES: usize = 12;
/// `struct tpacket3_hdr` and the address behind it, up to its kind of packet.
const PACKET_HEAD_BYTES: usize = 60;
/// `sll_pkttype` of the address behind the header.
const PKTTYPE_AT: usize = 48 + 10;
/// `PACKET_OUTGOING` of `include/uapi/linux/if_packet.h`.
const PACKET_OUTGOING: u8 = 4;

const _: () = {
    assert!(size_of::<libc::tpacket3_hdr>() == 48);
    assert!(size_of::<libc::tpacket_block_desc>() == 48);
};

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A block of these packets, as the kernel lays it out: seconds, frame, outgoing, VLAN tag.
    pub(in crate::ring) fn block(packets: &[(u32, &[u8], bool, Option<u16>)]) -> Vec<u8> {
        let mut block = vec![0; 48];
        let mut starts = Vec::new();
        for (s, frame, outgoing, tag) in packets {
            let at = block.len();
            starts.push(at);
            block.resize(at + 80, 0);
            put(&mut block, at + 4, *s);
            put(&mut block, at + 12, size(frame.len()));
            put(&mut block, at + 16, size(frame.len()) + 100);
            put(&mut block, at + 24, 80);
            if let Some(tag) = tag {
                put(&mut block, at + 20, 1 | 1 << 4 | 1 << 6);
                put(&mut block, at + 32, u32::from(*tag));
                put(&mut block, at + 36, 0x88a8);
            }
            block[at + 58] = if *outgoing { 4 } else { 0 };
            block.extend_from_slice(frame);
            block.resize(block.len().next_multiple_of(16), 0);
            let next = size(block.len() - at);
            put(&mut block, at, next);
        }
        put(&mut block, 12, size(packets.len()));
        put(&mut block, 16, 48);
        let len = size(block.len());
        put(&mut block, 20, len);
        put(&mut block, 32, packets.first().map_or(0, |p| p.0));
        put(&mut block, 40, packets.last().map_or(0, |p| p.0));
        block
    }

    fn size(n: usize) -> u32 {
        u32::try_from(n).expect("small")
    }

    fn put(block: &mut [u8], at: usize, value: u32) {
        block[at..at + 4].copy_from_slice(&value.to_ne_bytes());
    }

    #[test]
    fn packets_come_in_their_order_with_what_the_kernel_says_of_them() {
        let block = block(&[(7, b"abcdefghijklmnop", true, None), (8, b"xy", false, Some(0x2003))]);
        let mut packets = Packets::of(&block);
        let read: Vec<Packet<'_>> = packets.by_ref().collect();
        assert!(!packets.is_broken());
        assert_eq!(
            (read.len(), read[0].bytes, read[1].bytes),
            (2, &b"abcdefghijklmnop"[..], &b"xy"[..])
        );
        assert_eq!((read[0].at.as_millis(), read[0].outgoing, read[0].vlan), (7000, true, None));
        assert_eq!((read[0].original_len, read[1].outgoing), (116, false));
        assert_eq!(read[1].vlan, Some(Vlan { protocol: 0x88a8, tag: 0x2003 }));
        let extent = extent(&block).expect("a head");
        assert_eq!((extent.first.as_millis(), extent.last.as_millis()), (7000, 8000));
    }

    #[test]
    fn a_tag_goes_back_to_its_place() {
        let block = block(&[(7, b"DDDDDDSSSSSS\x08\x00rest", false, Some(5))]);
        let packet = Packets::of(&block).next().expect("one");
        let mut whole = Vec::new();
        packet.write_whole(&mut whole);
        assert_eq!(whole, b"DDDDDDSSSSSS\x88\xa8\x00\x05\x08\x00rest");
        assert_eq!(packet.whole_len(), packet.original_len + 4);
    }

    #[test]
    fn no_offset_leads_out_of_the_block() {
        let sound = block(&[(7, b"abcdefgh", true, None), (8, b"xyz", false, None)]);
        for at in 0..sound.len() {
            for value in [0_u8, 1, 0x7f, 0xff] {
                let mut bent = sound.clone();
                bent[at] = value;
                assert!(Packets::of(&bent).count() <= 1 << 16, "byte {at} as {value}");
                let cut = &sound[..at];
                assert!(Packets::of(cut).count() <= 2);
            }
        }
        let mut endless = sound;
        put(&mut endless, 12, u32::MAX);
        let mut packets = Packets::of(&endless);
        assert_eq!(packets.by_ref().count(), 2);
        assert!(packets.is_broken());
    }
}
