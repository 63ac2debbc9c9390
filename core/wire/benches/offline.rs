//! Packets of a file a second, followed and judged: bytes to packets to handshakes to a report.
//! Budget: 390 ns of a processor for each packet of TLS 1.3, sixteen of which are a connection.

use std::net::SocketAddr;
use std::time::Duration;

use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use whyslow_model::Wall;
use whyslow_model::seeded::Seed;
use whyslow_wire::anatomy::Judge;
use whyslow_wire::capture::{Reader, Step, write};
use whyslow_wire::packet::made::Made;
use whyslow_wire::packet::{Captured, LinkType};
use whyslow_wire::report::{Options, Report};
use whyslow_wire::segment::{self, Flags};
use whyslow_wire::watch::{self, Told, Watch};

/// So many connections are under way at a time.
const AT_ONCE: usize = 20;
const CONNECTIONS: usize = 20_000;

fn main() {
    divan::main();
}

/// As `whyslow wire FILE` does; with sentences for every handshake, as it does for `--json`.
#[divan::bench(args = [false, true], sample_count = 10, sample_size = 1)]
fn file_to_report(bencher: Bencher<'_, '_>, evidence_of_all: bool) {
    let (file, packets) = capture();
    assert_eq!(handshakes(&file, evidence_of_all), CONNECTIONS as u64, "each is one");
    bencher
        .counter(ItemsCount::new(packets))
        .bench_local(|| handshakes(black_box(&file), evidence_of_all));
}

fn handshakes(file: &[u8], evidence_of_all: bool) -> u64 {
    let judge = Judge { slow: Duration::from_millis(300), evidence_of_all, ..Judge::default() };
    let mut watch = Watch::new(watch::Options { judge, ..watch::Options::default() }, Seed(7));
    let mut report = Report::new(Options { asn: None, seed: Seed(7), worst: 10 });
    let (mut reader, mut at) = (Reader::new(), 0);
    while let Ok(step) = reader.next(&file[at..]) {
        match step {
            Step::Packet { packet, consumed, .. } => {
                watch.handle_packet(&packet);
                at += consumed;
            }
            Step::Statistics { consumed, .. } | Step::Other { consumed } => at += consumed,
            Step::Need(_) => break,
        }
        drain(&mut watch, &mut report);
    }
    watch.finish();
    drain(&mut watch, &mut report);
    report.finish().total.handshakes
}

fn drain(watch: &mut Watch, report: &mut Report) {
    while let Some(told) = watch.poll() {
        match told {
            Told::Handshake(handshake) => report.handle_handshake(&handshake),
            Told::Unanswered(unanswered) => report.handle_unanswered(unanswered),
            Told::Ending(ending) => report.handle_ending(ending),
        }
    }
}

/// A file of connections, [`AT_ONCE`] of them in step with each other, and its packets.
fn capture() -> (Vec<u8>, usize) {
    let mut file = Vec::new();
    write::section(&mut file, &write::Origin::default());
    let (name, link) = ("eth0", LinkType::Ethernet);
    write::interface(&mut file, &write::Description { name, link, snap_len: 0, filter: None });
    let script = script();
    let mut us = 1_700_000_000_000_000;
    for first in (0..CONNECTIONS).step_by(AT_ONCE) {
        let mut pairs: Vec<Pair> = (first..first + AT_ONCE).map(Pair::new).collect();
        for said in &script {
            us += 1_000;
            for pair in &mut pairs {
                us += 5;
                let frame = pair.frame(said, us);
                write::packet(&mut file, &captured(&frame, us), &[]);
            }
        }
    }
    (file, CONNECTIONS * script.len())
}

fn captured(bytes: &[u8], us: i64) -> Captured<'_> {
    Captured {
        at: Wall::from_nanos(us * 1_000),
        interface: 0,
        link: LinkType::Ethernet,
        outgoing: None,
        original_len: u32::try_from(bytes.len()).unwrap_or(u32::MAX),
        bytes,
    }
}

/// A segment of the script.
struct Said {
    by_client: bool,
    flags: u8,
    payload: Vec<u8>,
}

/// One connection, from its SYN to its last acknowledgment, as OpenSSL and nginx have it.
fn script() -> Vec<Said> {
    let ack = Flags::ACK;
    let server_flight = [
        record(22, &server_hello()),
        record(20, &[1]),
        sealed(40),
        sealed(817),
        sealed(281),
        sealed(53),
    ];
    let said = [
        (true, Flags::SYN, Vec::new()),
        (false, Flags::SYN | ack, Vec::new()),
        (true, ack, Vec::new()),
        (true, ack, record(22, &client_hello())),
        (false, ack, Vec::new()),
        (false, ack, server_flight.concat()),
        (true, ack, Vec::new()),
        (true, ack, [record(20, &[1]), sealed(53), sealed(120)].concat()),
        (false, ack, [sealed(250), sealed(250)].concat()),
        (false, ack, sealed(180)),
        (true, ack, Vec::new()),
        (false, ack, sealed(19)),
        (false, Flags::FIN | ack, Vec::new()),
        (true, ack, Vec::new()),
        (true, Flags::FIN | ack, Vec::new()),
        (false, ack, Vec::new()),
    ];
    said.map(|(by_client, flags, payload)| Said { by_client, flags, payload }).into()
}

/// Two ends, the client's first.
struct Pair {
    ends: [SocketAddr; 2],
    next: [u32; 2],
    ip_id: [u16; 2],
    clock: [u32; 2],
}

impl Pair {
    fn new(nth: usize) -> Self {
        let n = u32::try_from(nth).unwrap_or(0);
        let port = 10_000 + u16::try_from(n % 50_000).unwrap_or(0);
        let [_, _, c, d] = (n % 2_000).to_be_bytes();
        Self {
            ends: [([198, 51, c, d], port).into(), ([192, 0, 2, 1], 443).into()],
            next: [n.wrapping_mul(0x9e37_79b9), n.wrapping_mul(0x85eb_ca6b)],
            ip_id: [0x7d00, 0x100],
            clock: [5_000, 900_000],
        }
    }

    fn frame(&mut self, said: &Said, us: i64) -> Vec<u8> {
        let (me, peer) = if said.by_client { (0, 1) } else { (1, 0) };
        self.ip_id[me] = self.ip_id[me].wrapping_add(1);
        let ms = u32::try_from(us / 1_000 % 1_000_000_000).unwrap_or(0);
        let flags = Flags(said.flags);
        let syn = flags.has(Flags::SYN);
        let stamps = (self.clock[me].wrapping_add(ms), self.clock[peer].wrapping_add(ms));
        let made = Made {
            from: self.ends[me],
            to: self.ends[peer],
            ip_id: Some(self.ip_id[me]),
            ttl: 57,
            seq: self.next[me],
            ack: if flags.has(Flags::ACK) { self.next[peer] } else { 0 },
            flags,
            window: 502,
            options: segment::Options {
                mss: syn.then_some(1460),
                window_scale: syn.then_some(7),
                sack_permitted: syn,
                timestamps: Some(stamps),
                ..segment::Options::default()
            },
            payload: &said.payload,
        };
        let taken = said.payload.len() + usize::from(syn || flags.has(Flags::FIN));
        self.next[me] = self.next[me].wrapping_add(u32::try_from(taken).unwrap_or(0));
        made.ethernet()
    }
}

fn record(kind: u8, body: &[u8]) -> Vec<u8> {
    [&[kind, 3, 3], &wide(body.len())[..], body].concat()
}

fn sealed(len: usize) -> Vec<u8> {
    record(23, &vec![0x5a; len])
}

/// A hello of as many suites and extensions as that of OpenSSL.
fn client_hello() -> Vec<u8> {
    let ciphers: Vec<u8> = (0..31).flat_map(|n| [0xc0, 0x2b + n]).collect();
    let signatures: Vec<u8> = (0..20).flat_map(|n| [8, 4 + n]).collect();
    let extensions = [
        extension(0, b"\0\x0f\0\0\x0cshop.example"),
        extension(11, &[3, 0, 1, 2]),
        extension(10, &[0, 8, 0, 29, 0, 23, 0, 30, 0, 25]),
        extension(35, &[]),
        extension(16, b"\0\x0c\x02h2\x08http/1.1"),
        extension(22, &[]),
        extension(23, &[]),
        extension(13, &[&wide(signatures.len())[..], &signatures].concat()),
        extension(43, &[4, 3, 4, 3, 3]),
        extension(45, &[1, 1]),
        extension(51, &[0x44; 38]),
    ];
    let after = [&wide(ciphers.len())[..], &ciphers, &[1, 0]].concat();
    message(1, &after, &extensions)
}

fn server_hello() -> Vec<u8> {
    message(2, &[0x13, 0x01, 0], &[extension(43, &[3, 4]), extension(51, &[0x55; 36])])
}

/// A hello: version, random, session id, then `chosen` and the extensions.
fn message(kind: u8, chosen: &[u8], extensions: &[Vec<u8>]) -> Vec<u8> {
    let extensions = extensions.concat();
    let head = [&[3, 3][..], &[0x33; 32], &[32], &[0x22; 32], chosen].concat();
    let body = [&head[..], &wide(extensions.len()), &extensions].concat();
    [&[kind, 0][..], &wide(body.len()), &body].concat()
}

fn extension(number: u16, body: &[u8]) -> Vec<u8> {
    [&number.to_be_bytes()[..], &wide(body.len()), body].concat()
}

fn wide(len: usize) -> [u8; 2] {
    u16::try_from(len).unwrap_or(u16::MAX).to_be_bytes()
}
