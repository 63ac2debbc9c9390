//! Packets of the recent past, copied out of a ring before it forgets them.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use whyslow_model::Wall;
use whyslow_sys::ring::{Depth, History, Link};
use whyslow_wire::packet::{Captured, Decoded, Decoder, LinkType};
use whyslow_wire::segment::FlowKey;

use super::tap::captured;

/// A recorder's ring, as long as there is one; cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Past(Arc<Mutex<Option<(History, Link)>>>);

/// Packets that were copied.
#[derive(Clone, Debug, Default)]
pub struct Copied {
    /// Oldest first.
    pub packets: Vec<CopiedPacket>,
    /// What their bytes begin with.
    pub link: Option<LinkType>,
    /// Bytes of all of them.
    pub bytes: usize,
    /// The oldest packet the ring held when copying began: what is older is gone.
    pub held_from: Option<Wall>,
    /// Blocks that the ring gave up while they were about to be read.
    pub missed_blocks: u64,
    /// Packets left out because there were more bytes than may be copied.
    pub beyond_limit: u64,
}

/// One packet, whole as it was captured, its VLAN tag back in its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CopiedPacket {
    /// When it was seen.
    pub at: Wall,
    /// Bytes it had on the wire.
    pub original_len: u32,
    /// Whether this machine sent it.
    pub outgoing: bool,
    /// What was captured of it.
    pub bytes: Box<[u8]>,
}

impl Past {
    /// From now on this ring is meant, or none.
    pub(super) fn set(&self, ring: Option<(History, Link)>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = ring;
    }

    /// What the ring holds now; `None` where there is none, or nothing in it.
    pub fn depth(&self) -> Option<Depth> {
        self.ring()?.0.depth()
    }

    /// The packets of one connection, both ways, seen from `from` to `to`, at most `bytes_max`
    /// bytes of them. The recorder goes on meanwhile. What was seen less than the retire time ago
    /// ([`whyslow_wire::plan::RETIRE`]) may not be in the ring's readable part yet.
    pub fn copy(&self, flow: &FlowKey, from: Wall, to: Wall, bytes_max: usize) -> Copied {
        let ends = (flow.client, flow.server);
        self.copy_where(from, to, bytes_max, |a, b| (a, b) == ends || (b, a) == ends)
    }

    /// The packets whose sender and receiver `wanted` says yes to; it is called with the ring
    /// locked, so it should be quick.
    pub fn copy_where(
        &self,
        from: Wall,
        to: Wall,
        bytes_max: usize,
        wanted: impl Fn(SocketAddr, SocketAddr) -> bool,
    ) -> Copied {
        let mut copied = Copied::default();
        let Some((history, link)) = self.ring() else { return copied };
        let mut decoder = Decoder::new();
        let mut whole = Vec::new();
        let told = history.read(from, to, |packet| {
            let Some(seen) = captured(packet, link) else { return };
            copied.link = Some(seen.link);
            if !ends(&mut decoder, &seen).is_some_and(|(from, to)| wanted(from, to)) {
                return;
            }
            packet.write_whole(&mut whole);
            if copied.bytes + whole.len() > bytes_max {
                copied.beyond_limit += 1;
                return;
            }
            copied.bytes += whole.len();
            copied.packets.push(CopiedPacket {
                at: packet.at,
                original_len: packet.whole_len(),
                outgoing: packet.outgoing,
                bytes: whole.as_slice().into(),
            });
        });
        Copied { held_from: told.from, missed_blocks: told.missed, ..copied }
    }

    fn ring(&self) -> Option<(History, Link)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Who sent a packet and to whom, where it is TCP or UDP.
fn ends(decoder: &mut Decoder, packet: &Captured<'_>) -> Option<(SocketAddr, SocketAddr)> {
    match decoder.decode(packet) {
        Decoded::Tcp(segment) => Some((segment.from, segment.to)),
        Decoded::Udp(datagram) => Some((datagram.from, datagram.to)),
        Decoded::Fragment | Decoded::Other | Decoded::Cut(_) | Decoded::Malformed(_) => None,
    }
}
