//! Sends captured handshakes again, each under an address, ports, numbers and clocks of its own,
//! from both ends of the wire, in the time they took.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use whyslow_lab::packets;
use whyslow_model::Wall;
use whyslow_sys::frames::Frames;
use whyslow_sys::{clock, namespace};
use whyslow_wire::opening::Outcome;
use whyslow_wire::packet::made::Made;
use whyslow_wire::segment::{Flags, Options, Segment};

/// Handshakes that are taken from a capture at most.
const TAKEN_MAX: usize = 1000;
/// Addresses of clients.
const ADDRESSES: u64 = 50_000;
const PORT_FIRST: u64 = 20_000;
/// The longest payload that fits a frame.
const PAYLOAD_MAX: usize = 1448;

/// A segment of a captured connection.
#[derive(Clone, Debug)]
struct Part {
    /// Since the connection's first segment.
    after: Duration,
    from_client: bool,
    to: SocketAddr,
    from: SocketAddr,
    ip_id: Option<u16>,
    ttl: u8,
    seq: u32,
    ack: u32,
    flags: Flags,
    window: u16,
    options: Options,
    payload: Vec<u8>,
}

/// A captured connection.
#[derive(Clone, Debug)]
struct Captured {
    parts: Vec<Part>,
    /// When it began, for its clocks.
    at: Wall,
}

/// Sends the handshakes in the capture, `rate` a second, over the `w0` of both namespaces.
///
/// # Errors
/// Where the capture holds none, or a frame cannot be sent.
pub(crate) fn run(
    client: &str,
    server: &str,
    capture: &str,
    seconds: u64,
    rate: u64,
) -> Result<()> {
    let captured = captured(&std::fs::read(capture)?)?;
    let ends = (frames(client)?, frames(server)?);
    let (wanted, began, began_at) = (seconds * rate, Instant::now(), clock::wall());
    let begins = |nth: u64| Duration::from_secs_f64(nth as f64 / rate as f64);
    let mut due = BinaryHeap::new();
    let (mut begun, mut sent, mut late) = (0, 0_u64, Duration::ZERO);
    loop {
        // One more begins before the last of those that did is due.
        let next = begins(begun);
        if begun < wanted && due.peek().is_none_or(|Reverse((at, _, _))| *at >= next) {
            due.push(Reverse((next, begun, 0_usize)));
            begun += 1;
        }
        let Some(Reverse((at, nth, part))) = due.pop() else { break };
        while began.elapsed() < at {
            std::hint::spin_loop();
        }
        late = late.max(began.elapsed() - at);
        let of = &captured[usize::try_from(nth)? % captured.len()];
        let later = began_at.after(begins(nth)).since(of.at);
        send(&ends, &of.parts[part].again(nth, later))?;
        sent += 1;
        if let Some(next) = of.parts.get(part + 1) {
            due.push(Reverse((at + next.after - of.parts[part].after, nth, part + 1)));
        }
    }
    let s = began.elapsed().as_secs_f64();
    println!(
        "{sent} frames in {s:.3} s, {wanted} handshakes, {} different ones, at most {:.1} ms late",
        captured.len(),
        late.as_secs_f64() * 1e3
    );
    Ok(())
}

/// The wire's end in a namespace.
fn frames(namespace_file: &str) -> Result<Frames> {
    let path = Path::new(namespace_file);
    // A thread of its own, since whoever enters a namespace stays in it.
    let opened = std::thread::scope(|scope| {
        scope
            .spawn(|| {
                namespace::enter(path)?;
                Frames::open("w0")
            })
            .join()
    });
    Ok(opened.map_err(|_| anyhow::anyhow!("opening w0 ended badly"))??)
}

fn send(ends: &(Frames, Frames), (from_client, frame): &(bool, Vec<u8>)) -> Result<()> {
    let end = if *from_client { &ends.0 } else { &ends.1 };
    loop {
        match end.send(frame) {
            Ok(()) => return Ok(()),
            Err(e) if e.kind() == ErrorKind::WouldBlock => std::thread::yield_now(),
            Err(e) => return Err(e).context("sending a frame"),
        }
    }
}

impl Part {
    /// The frame that stands for it in the `nth` handshake, and whether the client sends it.
    /// Everything that names the connection is another than in any other handshake, and its ends'
    /// clocks, of which a tick is a millisecond, say that it is `later`.
    fn again(&self, nth: u64, later: Duration) -> (bool, Vec<u8>) {
        let moved = |by: u32| (nth as u32).wrapping_mul(0x9e37_79b1).rotate_left(by);
        let (ours, theirs) = if self.from_client { (7, 19) } else { (19, 7) };
        let client = client(nth);
        let (from, to) = if self.from_client { (client, self.to) } else { (self.from, client) };
        let clock = |of: u32| if of == 0 { 0 } else { of.wrapping_add(later.as_millis() as u32) };
        let timestamps = self.options.timestamps.map(|(own, other)| (clock(own), clock(other)));
        let ack = if self.flags.has(Flags::ACK) { self.ack.wrapping_add(moved(theirs)) } else { 0 };
        let made = Made {
            from,
            to,
            ip_id: self.ip_id,
            ttl: self.ttl,
            seq: self.seq.wrapping_add(moved(ours)),
            ack,
            flags: self.flags,
            window: self.window,
            options: Options { timestamps, ..self.options },
            payload: &self.payload,
        };
        (self.from_client, made.ethernet())
    }
}

/// The client of the `nth` handshake: nobody else's address and port.
fn client(nth: u64) -> SocketAddr {
    let (host, port) = (nth % ADDRESSES, PORT_FIRST + nth / ADDRESSES);
    let ip = Ipv4Addr::new(10, 98, (host / 250) as u8, (1 + host % 250) as u8);
    SocketAddr::new(IpAddr::V4(ip), port as u16)
}

/// Whether a client is one of a replayed handshake.
pub(crate) fn is_ours(client: &str) -> bool {
    client.starts_with("10.98.")
}

/// The connections in a capture whose handshake is complete and that hold nothing unusual.
fn captured(bytes: &[u8]) -> Result<Vec<Captured>> {
    let openings = packets::openings(bytes)?;
    let complete = openings.iter().filter(|opening| opening.outcome == Outcome::Complete);
    let complete: BTreeSet<SocketAddr> = complete.map(|opening| opening.flow.client).collect();
    let mut found: BTreeMap<SocketAddr, Captured> = BTreeMap::new();
    let mut unusual = BTreeSet::new();
    packets::segments(bytes, |segment| {
        let from_client = complete.contains(&segment.from);
        let client = if from_client { segment.from } else { segment.to };
        if !complete.contains(&client) {
            return;
        }
        let of =
            found.entry(client).or_insert_with(|| Captured { parts: Vec::new(), at: segment.at });
        let part = Part::of(segment, from_client, of.at);
        if part.payload.len() != segment.len as usize
            || part.payload.len() > PAYLOAD_MAX
            || segment.options.sack.iter().any(Option::is_some)
        {
            unusual.insert(client);
        }
        of.parts.push(part);
    })?;
    let usual = found.into_iter().filter(|(client, of)| {
        let opens = of.parts.first().is_some_and(|part| part.flags == Flags(Flags::SYN));
        opens && !unusual.contains(client)
    });
    let captured: Vec<Captured> = usual.map(|(_, of)| of).take(TAKEN_MAX).collect();
    ensure!(!captured.is_empty(), "no handshake in the capture");
    Ok(captured)
}

impl Part {
    fn of(segment: &Segment<'_>, from_client: bool, began: Wall) -> Self {
        Self {
            after: segment.at.since(began),
            from_client,
            to: segment.to,
            from: segment.from,
            ip_id: segment.ip_id,
            ttl: segment.ttl,
            seq: segment.seq,
            ack: segment.ack,
            flags: segment.flags,
            window: segment.window,
            options: segment.options,
            payload: segment.payload.to_vec(),
        }
    }
}
