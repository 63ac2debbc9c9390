//! One TCP segment as a tap saw it, headers decoded, whatever carried it.

use std::net::SocketAddr;

use whyslow_model::Wall;

/// A TCP segment, borrowed from the packet that held it.
#[derive(Clone, Copy, Debug)]
pub struct Segment<'a> {
    /// When the tap saw it.
    pub at: Wall,
    /// Which tap: the capture's interface number.
    pub interface: u32,
    /// Whether the tapped machine sent it; absent where the capture does not tell.
    pub outgoing: Option<bool>,
    /// Who sent it.
    pub from: SocketAddr,
    /// Whom it is for.
    pub to: SocketAddr,
    /// The IPv4 identification (RFC 791); IPv6 has none.
    pub ip_id: Option<u16>,
    /// Time to live, or hop limit, at the tap.
    pub ttl: u8,
    /// Sequence number of the first byte of `payload` (RFC 9293).
    pub seq: u32,
    /// Acknowledgment number; means something with [`Flags::ACK`] only.
    pub ack: u32,
    /// The control bits.
    pub flags: Flags,
    /// The window field as sent, not scaled.
    pub window: u16,
    /// The options.
    pub options: Options,
    /// Bytes of payload on the wire; super-packets of offloading cards count whole.
    pub len: u32,
    /// What of the payload was captured: from its first byte on, at most `len`.
    pub payload: &'a [u8],
}

/// TCP control bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Flags(pub u8);

impl Flags {
    /// No more data from the sender.
    pub const FIN: u8 = 1;
    /// Synchronise sequence numbers.
    pub const SYN: u8 = 2;
    /// Reset the connection.
    pub const RST: u8 = 4;
    /// Push.
    pub const PSH: u8 = 8;
    /// The acknowledgment number counts.
    pub const ACK: u8 = 16;

    /// Whether every bit of `bits` is set.
    pub const fn has(self, bits: u8) -> bool {
        self.0 & bits == bits
    }
}

/// The TCP options that tell something here (RFC 9293, 7323, 2018).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Maximum segment size; on a SYN.
    pub mss: Option<u16>,
    /// Window scale; on a SYN.
    pub window_scale: Option<u8>,
    /// TSval and TSecr.
    pub timestamps: Option<(u32, u32)>,
    /// Whether the sender takes selective acknowledgments; on a SYN.
    pub sack_permitted: bool,
    /// Selectively acknowledged ranges, left edge inclusive, right exclusive.
    pub sack: [Option<(u32, u32)>; 4],
}

/// Names a connection: who opened it and to where.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FlowKey {
    /// Who opened it.
    pub client: SocketAddr,
    /// Who listens.
    pub server: SocketAddr,
}
