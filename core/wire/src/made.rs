//! Two ends that exchange segments, for scenarios written as scripts: each line moves the clock and
//! lets one end send.

use std::net::SocketAddr;

use whyslow_model::Wall;

use crate::segment::{Flags, Options, Segment};

/// A segment that owns its payload.
#[derive(Clone, Debug)]
pub(crate) struct Packet {
    pub(crate) at: Wall,
    pub(crate) from_client: bool,
    pub(crate) seq: u32,
    pub(crate) ack: u32,
    pub(crate) flags: u8,
    pub(crate) window: u16,
    pub(crate) ip_id: u16,
    pub(crate) options: Options,
    pub(crate) len: u32,
    pub(crate) payload: Vec<u8>,
}

/// One end.
#[derive(Clone, Copy, Debug)]
struct Peer {
    next: u32,
    ip_id: u16,
    /// Milliseconds its clock is ahead.
    clock: u32,
    window: u16,
}

/// Two ends and a tap.
#[derive(Clone, Debug)]
pub(crate) struct Wire {
    pub(crate) packets: Vec<Packet>,
    now_ns: i64,
    client: Peer,
    server: Peer,
}

impl Wire {
    pub(crate) fn new() -> Self {
        Self {
            packets: Vec::new(),
            now_ns: START_NS,
            // Both wrap within the first bytes.
            client: Peer { next: u32::MAX - 3, ip_id: 0x7d00, clock: 5_000, window: 502 },
            server: Peer { next: u32::MAX - 700, ip_id: 1, clock: 900_000, window: 509 },
        }
    }

    /// Lets time pass.
    pub(crate) fn wait_us(&mut self, us: i64) -> &mut Self {
        self.now_ns += us * 1000;
        self
    }

    pub(crate) fn wait_ms(&mut self, ms: i64) -> &mut Self {
        self.wait_us(ms * 1000)
    }

    pub(crate) fn now(&self) -> Wall {
        Wall::from_nanos(self.now_ns)
    }

    /// SYN, SYN-ACK after 30 µs, its acknowledgment after `rtt_ms`.
    pub(crate) fn connect(&mut self, rtt_ms: i64) -> &mut Self {
        self.send(true, Flags::SYN, &[]).wait_us(30);
        self.send(false, Flags::SYN | Flags::ACK, &[]).wait_ms(rtt_ms);
        self.ack(true)
    }

    pub(crate) fn ack(&mut self, from_client: bool) -> &mut Self {
        self.send(from_client, Flags::ACK, &[])
    }

    pub(crate) fn client(&mut self, payload: &[u8]) -> &mut Self {
        self.send(true, Flags::ACK | Flags::PSH, payload)
    }

    pub(crate) fn server(&mut self, payload: &[u8]) -> &mut Self {
        self.send(false, Flags::ACK | Flags::PSH, payload)
    }

    /// Sends a segment; a SYN, a FIN and every byte move the sender's number on.
    pub(crate) fn send(&mut self, from_client: bool, flags: u8, payload: &[u8]) -> &mut Self {
        let peer = if from_client { self.server } else { self.client };
        let me = if from_client { &mut self.client } else { &mut self.server };
        let clock = |p: &Peer, ns: i64| {
            p.clock.wrapping_add(u32::try_from((ns - START_NS) / 1_000_000).unwrap())
        };
        let syn = flags & Flags::SYN != 0;
        me.ip_id = me.ip_id.wrapping_add(1);
        let echo = self.packets.iter().rev().find(|p| p.from_client != from_client);
        let echo = echo.and_then(|p| p.options.timestamps).map_or(0, |t| t.0);
        let packet = Packet {
            at: Wall::from_nanos(self.now_ns),
            from_client,
            seq: me.next,
            ack: if flags & Flags::ACK != 0 { peer.next } else { 0 },
            flags,
            window: me.window,
            ip_id: me.ip_id,
            options: Options {
                window_scale: syn.then_some(7),
                sack_permitted: syn,
                timestamps: Some((clock(me, self.now_ns), echo)),
                ..Options::default()
            },
            len: u32::try_from(payload.len()).unwrap(),
            payload: payload.to_vec(),
        };
        let taken = packet.len + u32::from(syn) + u32::from(flags & Flags::FIN != 0);
        me.next = me.next.wrapping_add(taken);
        self.packets.push(packet);
        self
    }

    /// Sends the last segment of one end again, as a retransmission does: a new identification and
    /// a new stamp.
    pub(crate) fn again(&mut self, from_client: bool) -> &mut Self {
        let found = self.packets.iter().rposition(|p| p.from_client == from_client && p.len > 0);
        let mut packet = self.packets[found.unwrap()].clone();
        let me = if from_client { &mut self.client } else { &mut self.server };
        me.ip_id = me.ip_id.wrapping_add(1);
        packet.ip_id = me.ip_id;
        packet.at = Wall::from_nanos(self.now_ns);
        let ticks = u32::try_from((self.now_ns - START_NS) / 1_000_000).unwrap();
        let clock = me.clock.wrapping_add(ticks);
        packet.options.timestamps = packet.options.timestamps.map(|(_, echo)| (clock, echo));
        self.packets.push(packet);
        self
    }

    /// Takes `n` of the client's numbers back: what it sends next, it sends again.
    pub(crate) fn rewind(&mut self, n: u32) -> &mut Self {
        self.client.next = self.client.next.wrapping_sub(n);
        self
    }

    /// A SYN-ACK of an end that sends it again: its number stays, and it counts the SYN.
    pub(crate) fn send_after_syn(&mut self) -> &mut Self {
        self.client.next = self.client.next.wrapping_add(1);
        self.send(false, Flags::SYN | Flags::ACK, &[]);
        self.server.next = self.server.next.wrapping_sub(1);
        self.rewind(1)
    }

    /// What the client takes from now on, in units of its scale.
    pub(crate) const fn window(&mut self, window: u16) -> &mut Self {
        self.client.window = window;
        self
    }

    pub(crate) fn segments(&self) -> impl Iterator<Item = Segment<'_>> {
        self.packets.iter().map(|p| p.segment(40_000))
    }
}

impl Packet {
    pub(crate) fn segment(&self, port: u16) -> Segment<'_> {
        let client = SocketAddr::from(([192, 0, 2, 7], port));
        let server = SocketAddr::from(([198, 51, 100, 1], 443));
        let (from, to) = if self.from_client { (client, server) } else { (server, client) };
        Segment {
            at: self.at,
            interface: 0,
            outgoing: Some(!self.from_client),
            from,
            to,
            ip_id: Some(self.ip_id),
            ttl: 64,
            seq: self.seq,
            ack: self.ack,
            flags: Flags(self.flags),
            window: self.window,
            options: self.options,
            len: self.len,
            payload: &self.payload,
        }
    }
}

/// 2026-01-01T00:00:00Z.
const START_NS: i64 = 1_767_225_600_000_000_000;
