//! Captures, written as pcapng: what evidence is kept in, and what every other tool reads.
//!
//! Each function appends one block; a file is a section, its interfaces, then packets, then names
//! and statistics. Numbers are little-endian, stamps are nanoseconds.

use std::net::IpAddr;

use whyslow_model::Wall;

use super::Statistics;
use crate::packet::{Captured, LinkType};

/// What wrote a capture, and on what.
#[derive(Clone, Copy, Debug, Default)]
pub struct Origin<'a> {
    /// The machine.
    pub hardware: Option<&'a str>,
    /// The operating system.
    pub system: Option<&'a str>,
    /// The program.
    pub application: Option<&'a str>,
    /// What the capture is about.
    pub comment: Option<&'a str>,
}

/// An interface that packets will refer to by its number, which counts from 0.
#[derive(Clone, Copy, Debug)]
pub struct Description<'a> {
    /// Its name.
    pub name: &'a str,
    /// What its packets begin with.
    pub link: LinkType,
    /// Bytes kept of a packet at most; 0 where there was no limit.
    pub snap_len: u32,
    /// The filter packets had to pass, in words.
    pub filter: Option<&'a str>,
}

/// Bytes of one option's value that are written: lengths have 16 bits, and are padded.
const VALUE_LEN_MAX: usize = 65_532;
/// The code of comments, in every block.
const COMMENT: u16 = 1;

/// Begins a section, which a file must begin with.
pub fn section(out: &mut Vec<u8>, origin: &Origin<'_>) {
    block(out, 0x0a0d_0d0a, |out| {
        out.extend(0x1a2b_3c4d_u32.to_le_bytes());
        out.extend([1, 0, 0, 0]);
        // The section's length, which is not known yet.
        out.extend(u64::MAX.to_le_bytes());
        let texts = [origin.comment, origin.hardware, origin.system, origin.application];
        for (code, text) in (1..).zip(texts) {
            text_option(out, code, text);
        }
    });
}

/// Describes the next interface.
pub fn interface(out: &mut Vec<u8>, description: &Description<'_>) {
    block(out, 1, |out| {
        out.extend(description.link.number().to_le_bytes());
        out.extend([0, 0]);
        out.extend(description.snap_len.to_le_bytes());
        text_option(out, 2, Some(description.name));
        option(out, 9, &[9]);
        if let Some(filter) = description.filter {
            // A zero before it says that it is a text.
            let mut value = vec![0];
            value.extend(cut(filter, VALUE_LEN_MAX - 1).as_bytes());
            option(out, 11, &value);
        }
    });
}

/// Writes a packet, with what is to be said beside it. Its interface counts within the section.
pub fn packet(out: &mut Vec<u8>, packet: &Captured<'_>, comments: &[&str]) {
    block(out, 6, |out| {
        out.extend(packet.interface.to_le_bytes());
        stamp(out, packet.at);
        out.extend(u32::try_from(packet.bytes.len()).unwrap_or(u32::MAX).to_le_bytes());
        out.extend(packet.original_len.to_le_bytes());
        padded(out, packet.bytes);
        for comment in comments {
            text_option(out, COMMENT, Some(comment));
        }
        if let Some(outgoing) = packet.outgoing {
            let flags: u32 = if outgoing { 2 } else { 1 };
            option(out, 2, &flags.to_le_bytes());
        }
    });
}

/// Writes what addresses are called.
pub fn names<'a>(out: &mut Vec<u8>, names: impl IntoIterator<Item = (IpAddr, &'a str)>) {
    block(out, 4, |out| {
        for (address, name) in names {
            let (kind, mut value) = match address {
                IpAddr::V4(ip) => (1_u16, ip.octets().to_vec()),
                IpAddr::V6(ip) => (2, ip.octets().to_vec()),
            };
            // A zero would end the name; DNS allows 255 bytes.
            value.extend(cut(name, 255).bytes().take_while(|byte| *byte != 0));
            value.push(0);
            option(out, kind, &value);
        }
        out.extend([0; 4]);
    });
}

/// Writes what was counted on an interface. Its number counts within the section.
pub fn statistics(out: &mut Vec<u8>, statistics: &Statistics) {
    block(out, 5, |out| {
        out.extend(statistics.interface.to_le_bytes());
        stamp(out, statistics.at);
        let counts = [
            (4, statistics.received),
            (5, statistics.dropped_by_interface),
            (7, statistics.dropped_by_system),
        ];
        for (code, count) in counts {
            if let Some(count) = count {
                option(out, code, &count.to_le_bytes());
            }
        }
    });
}

/// Writes a block around what `body` writes; its length is known behind it.
fn block(out: &mut Vec<u8>, kind: u32, body: impl FnOnce(&mut Vec<u8>)) {
    let begin = out.len();
    out.extend(kind.to_le_bytes());
    out.extend([0; 4]);
    body(out);
    let len = u32::try_from(out.len() - begin + 4).unwrap_or(u32::MAX).to_le_bytes();
    out.extend(len);
    out[begin + 4..begin + 8].copy_from_slice(&len);
}

/// Writes a text, if there is one, as an option.
fn text_option(out: &mut Vec<u8>, code: u16, text: Option<&str>) {
    if let Some(text) = text {
        option(out, code, cut(text, VALUE_LEN_MAX).as_bytes());
    }
}

/// Writes an option. A list of them may end without the mark of its end.
fn option(out: &mut Vec<u8>, code: u16, value: &[u8]) {
    let len = u16::try_from(value.len()).unwrap_or(u16::MAX);
    out.extend(code.to_le_bytes());
    out.extend(len.to_le_bytes());
    padded(out, &value[..usize::from(len).min(value.len())]);
}

/// Writes bytes and fills the word up.
fn padded(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend_from_slice(bytes);
    out.resize(out.len() + bytes.len().next_multiple_of(4) - bytes.len(), 0);
}

/// Writes a time, its upper half first; before 1970 there is none.
fn stamp(out: &mut Vec<u8>, at: Wall) {
    let ns = u64::try_from(at.as_nanos()).unwrap_or(0).to_le_bytes();
    out.extend_from_slice(&ns[4..]);
    out.extend_from_slice(&ns[..4]);
}

/// At most `len` bytes of a text, cut between characters.
fn cut(text: &str, len: usize) -> &str {
    &text[..text.floor_char_boundary(len)]
}
