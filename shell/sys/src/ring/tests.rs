//! A real ring on loopback, where `CAP_NET_RAW` allows one.

use std::net::UdpSocket;
use std::time::Instant;

use super::*;
use crate::privilege::{self, Capability};

const LAYOUT: Layout =
    Layout { block_bytes: 4096, blocks: 8, held: 5, retire: Duration::from_millis(20) };
const PAYLOAD: usize = 1000;

/// A ring that sees what is sent to one UDP port on loopback, and the sender.
struct World {
    follower: Follower,
    history: History,
    sender: UdpSocket,
    _receiver: UdpSocket,
}

impl World {
    /// `None` where we may not capture.
    fn new() -> Option<Self> {
        Self::of(LAYOUT)
    }

    fn of(layout: Layout) -> Option<Self> {
        let socket = match open_socket() {
            Ok(socket) => socket,
            Err(error) => {
                let told = privilege::probe().expect("privileges");
                assert!(!told.capabilities.has(Capability::NetRaw), "{error}");
                assert!(error.hint.is_some_and(|hint| hint.contains("setcap")));
                return None;
            }
        };
        let receiver = UdpSocket::bind("127.0.0.1:0").expect("bind");
        let to = receiver.local_addr().expect("address");
        let sender = UdpSocket::bind("127.0.0.1:0").expect("bind");
        sender.connect(to).expect("connect");
        let (follower, history) = open(socket, layout).expect("ring");
        follower.filter(&udp_to(to.port())).expect("filter");
        let lo = Interface::named("lo").expect("asked").expect("lo");
        follower.bind(lo.index).expect("bind");
        Some(Self { follower, history, sender, _receiver: receiver })
    }

    fn send(&self, numbers: std::ops::Range<u32>) {
        send(&self.sender, numbers);
    }

    /// Walks until `wanted` packets were met, each once though loopback shows it twice.
    fn follow(&mut self, wanted: usize) -> Vec<u32> {
        let mut met = Vec::new();
        let began = Instant::now();
        while met.len() < wanted && began.elapsed() < Duration::from_secs(10) {
            self.follower.walk(u64::MAX, |packet| met.extend(number(packet)));
            std::thread::yield_now();
        }
        met
    }
}

fn send(sender: &UdpSocket, numbers: std::ops::Range<u32>) {
    for n in numbers {
        let mut payload = [0; PAYLOAD];
        payload[..4].copy_from_slice(&n.to_be_bytes());
        sender.send(&payload).expect("send");
    }
}

/// The number a packet bears; those that leave are the same ones that come.
fn number(packet: &Packet<'_>) -> Option<u32> {
    let payload = packet.bytes.get(42..46)?;
    assert_eq!(packet.original_len as usize, 42 + PAYLOAD);
    (!packet.outgoing).then(|| u32::from_be_bytes(payload.try_into().expect("four")))
}

/// Ethernet, IPv4 without options, UDP, this destination.
fn udp_to(port: u16) -> Vec<Instruction> {
    let of = |code, jt, jf, k| Instruction { code, jt, jf, k };
    vec![
        of(0x28, 0, 0, 12),
        of(0x15, 0, 5, 0x0800),
        of(0x30, 0, 0, 23),
        of(0x15, 0, 3, 17),
        of(0x28, 0, 0, 36),
        of(0x15, 0, 1, u32::from(port)),
        of(0x06, 0, 0, u32::MAX),
        of(0x06, 0, 0, 0),
    ]
}

/// More than any two stamps of one packet lie apart.
const SLACK: Duration = Duration::from_secs(1);

#[test]
fn every_packet_is_met_once_in_its_order_and_stays_readable() {
    let Some(mut world) = World::new() else { return };
    world.send(0..5);
    assert_eq!(world.follow(5), [0, 1, 2, 3, 4]);
    let depth = world.history.depth().expect("held");
    let mut read = Vec::new();
    // The two copies that loopback makes of a packet are stamped apart, and may be in the ring in
    // another order than their stamps: what stands last need not be the latest.
    let (from, to) = (depth.from.before(SLACK), depth.to.after(SLACK));
    let told = world.history.read(from, to, |p| read.extend(number(p)));
    assert_eq!((read, told.packets, told.missed), (vec![0, 1, 2, 3, 4], 10, 0));
    assert_eq!(told.from, Some(depth.from));
    let later = world.history.read(depth.to.after(Duration::from_secs(1)), depth.to, |_| {});
    assert_eq!(later.packets, 0);
    let stats = world.follower.stats().expect("stats");
    assert_eq!(stats, Stats { packets: 10, drops: 0, freezes: 0 });
    assert_eq!(
        (world.follower.stats().expect("stats"), world.history.broken()),
        (Stats::default(), 0)
    );
}

#[test]
fn the_oldest_give_way_so_that_no_packet_is_lost() {
    let Some(mut world) = World::new() else { return };
    let mut met = Vec::new();
    // A block holds three such packets, so this goes round the ring many times; each is there
    // twice, so between two walks at most one block more than the open one is filled.
    for at in 0..400 {
        world.send(at..at + 1);
        world.follower.walk(u64::MAX, |p| met.extend(number(p)));
        let held = world.history.depth().map_or(0, |d| d.blocks);
        assert!(held <= u64::from(LAYOUT.held), "{held} blocks held");
    }
    met.extend(world.follow(400 - met.len()));
    assert_eq!(met, (0..400).collect::<Vec<_>>());
    assert_eq!(world.follower.stats().expect("stats").drops, 0);
    let depth = world.history.depth().expect("held");
    assert!(depth.bytes <= depth.blocks * 4096 && depth.bytes > 0);
    let mut read = Vec::new();
    world.history.read(depth.from, depth.to, |p| read.extend(number(p)));
    assert!(read.len() >= 6 && read.ends_with(&[399]), "{read:?}");
    assert!(read.is_sorted());
}

#[test]
fn processors_that_fill_it_at_once_lose_nothing_while_there_is_room() {
    const SENDERS: u32 = 2;
    const ROUNDS: u32 = 500;
    const AT_ONCE: u32 = 20;
    /// A block holds three packets, and loopback shows each twice.
    const OPEN_MAX: u64 = 3;
    let Some(mut world) = World::of(Layout { blocks: 512, held: 332, ..LAYOUT }) else { return };
    let begin = std::sync::Barrier::new(SENDERS as usize + 1);
    let (mut seen, mut lost) = (0, 0);
    std::thread::scope(|scope| {
        for _ in 0..SENDERS {
            let (sender, begin) = (world.sender.try_clone().expect("clone"), &begin);
            scope.spawn(move || {
                for round in 0..ROUNDS {
                    begin.wait();
                    send(&sender, round * AT_ONCE..(round + 1) * AT_ONCE);
                    begin.wait();
                }
            });
        }
        for round in 1..=u64::from(ROUNDS) {
            begin.wait();
            begin.wait();
            // What one round leaves is walked before the next: of the blocks that are not held more
            // than a quarter stays free, so whatever is dropped is dropped though there is room.
            let sent = round * u64::from(SENDERS * AT_ONCE) * 2;
            let began = Instant::now();
            while seen + lost + OPEN_MAX < sent && began.elapsed() < Duration::from_secs(10) {
                seen += world.follower.walk(u64::MAX, |_| {}).packets;
                lost += world.follower.stats().expect("stats").drops;
            }
        }
    });
    assert_eq!(lost, 0);
    assert!(seen + OPEN_MAX >= u64::from(ROUNDS * SENDERS * AT_ONCE) * 2, "{seen} seen");
    assert!(world.follower.free_min() > 512 / 4);
}

#[test]
fn what_nobody_follows_is_dropped_and_counted() {
    let Some(mut world) = World::new() else { return };
    world.send(0..100);
    let met = world.follow(1);
    let stats = world.follower.stats().expect("stats");
    assert!(stats.drops > 0 && stats.freezes > 0, "{stats:?}");
    assert_eq!(stats.packets + stats.drops, 200);
    assert!(!met.is_empty() && met[0] == 0);
    // It goes on once there is room again.
    world.follow(0);
    world.send(100..102);
    assert!(world.follow(2).ends_with(&[101]));
}

#[test]
fn a_socket_can_bear_a_ring_again() {
    let Ok(socket) = open_socket() else { return };
    for _ in 0..2 {
        let again = socket.try_clone().expect("clone");
        let (follower, history) = open(again, LAYOUT).expect("ring");
        drop(follower);
        assert_eq!(history.depth(), None);
    }
    let wrong = Layout { held: 8, ..LAYOUT };
    assert!(open(socket, wrong).is_err());
}
