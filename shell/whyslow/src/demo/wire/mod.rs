//! Handshakes as packets, made and not captured: what a tap at a server would have seen of
//! simulated clients. Pure: the same seed gives the same bytes.
//!
//! The frames are true to the byte, so that they go the whole way that captured ones go.

pub mod replay;
mod tls;
pub mod told;

use std::net::SocketAddr;
use std::time::Duration;

use whyslow_model::Wall;
use whyslow_wire::packet::made::Made;
use whyslow_wire::packet::{Captured, LinkType};
use whyslow_wire::segment::{Flags, Options};

/// From SYN to SYN-ACK, by a kernel.
const KERNEL: Duration = Duration::from_micros(30);
/// Bytes of payload in a segment of the server's.
const SEGMENT: usize = 1448;

/// A frame as a tap at the server saw it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// When.
    pub at: Wall,
    /// Whether the server sent it.
    pub outgoing: bool,
    /// Its bytes, from the Ethernet header on.
    pub bytes: Vec<u8>,
}

impl Frame {
    /// The frame as a capture hands it on.
    pub fn captured(&self, interface: u32) -> Captured<'_> {
        Captured {
            at: self.at,
            interface,
            link: LinkType::Ethernet,
            outgoing: Some(self.outgoing),
            original_len: u32::try_from(self.bytes.len()).unwrap_or(u32::MAX),
            bytes: &self.bytes,
        }
    }
}

/// How one handshake goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Course {
    /// Who opens it.
    pub client: SocketAddr,
    /// To where; of the same family.
    pub server: SocketAddr,
    /// The first SYN.
    pub at: Wall,
    /// The round trip between the two.
    pub round_trip: Duration,
    /// From the `ClientHello` to the `ServerHello`.
    pub server_think: Duration,
    /// From the flight's acknowledgment to the client's Finished.
    pub client_think: Duration,
    /// What tells it from others: random bytes, numbers, identifications.
    pub seed: u64,
    /// What becomes of it.
    pub ends: Ends,
}

/// What becomes of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ends {
    /// A request and its response.
    Answered,
    /// A request, and the client goes before a response.
    Abandoned,
    /// Opened, and closed by RST without a byte: a health check.
    Unused,
    /// No SYN is answered; it is sent again after one and three seconds.
    Unanswered,
}

/// Two ends, and the frames between them so far.
#[derive(Debug)]
struct Talk {
    course: Course,
    now: Wall,
    client: End,
    server: End,
    frames: Vec<Frame>,
}

#[derive(Clone, Copy, Debug)]
struct End {
    next: u32,
    ip_id: u16,
    /// What its clock of milliseconds showed when the connection began.
    clock: u32,
    window: u16,
    /// The last value of the peer's clock that it saw.
    echo: u32,
}

/// The frames of one connection, in their order.
pub fn frames(course: Course) -> Vec<Frame> {
    let mut talk = Talk::new(course);
    match course.ends {
        Ends::Unanswered => {
            for pause_s in [1, 2] {
                talk.send(true, Flags::SYN, &[]);
                talk.wait(Duration::from_secs(pause_s));
                talk.client.next = talk.client.next.wrapping_sub(1);
            }
            talk.send(true, Flags::SYN, &[]);
        }
        Ends::Unused => {
            talk.connect();
            talk.send(true, Flags::RST | Flags::ACK, &[]);
        }
        Ends::Answered | Ends::Abandoned => {
            talk.connect();
            talk.handshake();
            talk.request();
        }
    }
    talk.frames
}

impl Talk {
    fn new(course: Course) -> Self {
        let mut dice = Dice(course.seed);
        let mut end = |window| End {
            next: dice.word(),
            ip_id: dice.word().to_le_bytes()[0].into(),
            clock: dice.word(),
            window,
            echo: 0,
        };
        let (client, server) = (end(502), end(509));
        Self { course, now: course.at, client, server, frames: Vec::new() }
    }

    fn connect(&mut self) {
        self.send(true, Flags::SYN, &[]);
        self.wait(KERNEL);
        self.send(false, Flags::SYN | Flags::ACK, &[]);
        self.wait(self.course.round_trip);
        self.send(true, Flags::ACK, &[]);
    }

    /// TLS 1.3 with a certificate, in the sizes that openssl gives.
    fn handshake(&mut self) {
        let Course { round_trip, server_think, client_think, seed, .. } = self.course;
        let mut dice = Dice(seed ^ 0x5eed);
        self.wait(Duration::from_micros(400));
        self.send(true, Flags::ACK | Flags::PSH, &tls::client_hello(&mut dice));
        self.wait(KERNEL);
        self.send(false, Flags::ACK, &[]);
        self.wait(server_think.saturating_sub(KERNEL));
        for part in tls::server_flight(&mut dice).chunks(SEGMENT) {
            self.send(false, Flags::ACK | Flags::PSH, part);
            self.wait(Duration::from_micros(4));
        }
        self.wait(round_trip);
        self.send(true, Flags::ACK, &[]);
        self.wait(client_think);
        self.send(true, Flags::ACK | Flags::PSH, &tls::client_finished(&mut dice));
    }

    fn request(&mut self) {
        let mut dice = Dice(self.course.seed ^ 0xda7a);
        self.wait(Duration::from_micros(200));
        self.send(true, Flags::ACK | Flags::PSH, &tls::sealed(&mut dice, 412));
        self.wait(Duration::from_micros(40));
        self.send(false, Flags::ACK, &[]);
        if self.course.ends == Ends::Abandoned {
            self.wait(Duration::from_millis(900));
            self.send(true, Flags::FIN | Flags::ACK, &[]);
            self.wait(KERNEL);
            self.send(false, Flags::FIN | Flags::ACK, &[]);
            self.wait(self.course.round_trip);
            self.send(true, Flags::ACK, &[]);
            return;
        }
        self.wait(Duration::from_millis(6));
        self.send(false, Flags::ACK | Flags::PSH, &tls::sealed(&mut dice, 1180));
        self.wait(self.course.round_trip);
        self.send(true, Flags::FIN | Flags::ACK, &[]);
        self.wait(KERNEL);
        self.send(false, Flags::FIN | Flags::ACK, &[]);
        self.wait(self.course.round_trip);
        self.send(true, Flags::ACK, &[]);
    }

    fn wait(&mut self, by: Duration) {
        self.now = self.now.after(by);
    }

    fn send(&mut self, from_client: bool, flags: u8, payload: &[u8]) {
        let Course { client, server, at, .. } = self.course;
        let passed = u32::try_from(self.now.since(at).as_millis()).unwrap_or(u32::MAX);
        let peer = if from_client { self.server } else { self.client };
        let me = if from_client { &mut self.client } else { &mut self.server };
        let (syn, fin) = (flags & Flags::SYN != 0, flags & Flags::FIN != 0);
        let clock = me.clock.wrapping_add(passed);
        me.ip_id = me.ip_id.wrapping_add(1);
        let made = Made {
            from: if from_client { client } else { server },
            to: if from_client { server } else { client },
            ip_id: Some(me.ip_id),
            ttl: if from_client { 53 } else { 64 },
            seq: me.next,
            ack: if flags & Flags::ACK == 0 { 0 } else { peer.next },
            flags: Flags(flags),
            window: if syn { 64_240 } else { me.window },
            options: Options {
                mss: syn.then_some(1460),
                window_scale: syn.then_some(7),
                sack_permitted: syn,
                timestamps: Some((clock, me.echo)),
                ..Options::default()
            },
            payload,
        };
        let bytes = made.ethernet();
        let taken = u32::try_from(payload.len()).unwrap_or(u32::MAX);
        me.next = me.next.wrapping_add(taken + u32::from(syn) + u32::from(fin));
        let peer = if from_client { &mut self.server } else { &mut self.client };
        peer.echo = clock;
        self.frames.push(Frame { at: self.now, outgoing: !from_client, bytes });
    }
}

/// Numbers that look like chance and are the same for the same seed (splitmix64).
#[derive(Clone, Copy, Debug)]
pub struct Dice(pub u64);

impl Dice {
    /// The next number.
    pub const fn throw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// The next number of 32 bits.
    pub fn word(&mut self) -> u32 {
        let [a, b, c, d, ..] = self.throw().to_le_bytes();
        u32::from_le_bytes([a, b, c, d])
    }

    /// The next number below `of`, or 0.
    pub const fn below(&mut self, of: u64) -> u64 {
        if of == 0 { 0 } else { self.throw() % of }
    }

    /// So many bytes.
    pub fn bytes(&mut self, n: usize) -> Vec<u8> {
        let words = std::iter::repeat_with(|| self.throw().to_le_bytes());
        words.take(n.div_ceil(8)).flatten().take(n).collect()
    }
}

#[cfg(test)]
mod tests;
