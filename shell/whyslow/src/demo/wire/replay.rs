//! Simulated clients of every network, connection after connection, as packets through the decoder,
//! the engine and the judge. Pure: time is an argument, chance a seed.

use std::collections::BinaryHeap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use whyslow_model::Wall;
use whyslow_model::seeded::Seed;
use whyslow_wire::watch::{self, Told, Watch};

use super::{Course, Dice, Ends, Frame, frames};
use crate::demo::networks::NETWORKS;

/// From one connection to the next.
const EVERY: Duration = Duration::from_millis(40);
/// The round trip to each network, in milliseconds.
const ROUND_TRIPS_MS: [u64; NETWORKS.len()] = [14, 22, 38];
/// Clients in each network.
const CLIENTS: u64 = 200;

/// How the clients of one network behave just now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stall {
    /// Its place in [`NETWORKS`].
    pub network: usize,
    /// How long they wait for themselves after the server's flight.
    pub by: Duration,
}

/// Connections under way.
#[derive(Debug)]
pub struct Replay {
    watch: Watch,
    dice: Dice,
    server: SocketAddr,
    /// When the next connection begins.
    next: Wall,
    /// Frames that are still to be seen, the earliest on top.
    waiting: BinaryHeap<Earliest>,
    made: u64,
    packets: u64,
}

#[derive(Debug, PartialEq, Eq)]
struct Earliest {
    frame: Frame,
    made: u64,
}

impl Ord for Earliest {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (other.frame.at, other.made).cmp(&(self.frame.at, self.made))
    }
}

impl PartialOrd for Earliest {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Replay {
    /// Connections to a server (its address is IPv4) from `now` on.
    pub fn new(server: SocketAddr, seed: u64, now: Wall) -> Self {
        Self {
            watch: Watch::new(watch::Options::default(), Seed(seed)),
            dice: Dice(seed),
            server,
            next: now,
            waiting: BinaryHeap::new(),
            made: 0,
            packets: 0,
        }
    }

    /// Lets everything happen that happens before `now`; connections that begin in that time are
    /// under `stall`.
    pub fn handle_timeout(&mut self, now: Wall, stall: Option<Stall>) {
        while self.next < now {
            for frame in frames(self.course(stall)) {
                self.made += 1;
                self.waiting.push(Earliest { frame, made: self.made });
            }
            self.next = self.next.after(EVERY);
        }
        while self.waiting.peek().is_some_and(|earliest| earliest.frame.at < now) {
            let Some(earliest) = self.waiting.pop() else { break };
            self.packets += 1;
            self.watch.handle_packet(&earliest.frame.captured(0));
        }
        self.watch.handle_timeout(now);
    }

    /// What became known, oldest first.
    pub fn poll(&mut self) -> Option<Told> {
        self.watch.poll()
    }

    /// Packets that were seen.
    pub const fn packets(&self) -> u64 {
        self.packets
    }

    fn course(&mut self, stall: Option<Stall>) -> Course {
        let dice = &mut self.dice;
        let network = usize::try_from(dice.below(NETWORKS.len() as u64)).unwrap_or(0);
        let host = u8::try_from(10 + dice.below(CLIENTS)).unwrap_or(10);
        let port = u16::try_from(20_000 + dice.below(40_000)).unwrap_or(20_000);
        let stalled = stall.filter(|stall| stall.network == network).map(|stall| stall.by);
        let ends = match dice.below(200) {
            0 => Ends::Abandoned,
            1..8 => Ends::Unused,
            _ => Ends::Answered,
        };
        let millis = ROUND_TRIPS_MS.get(network).copied().unwrap_or(20);
        let second_byte = NETWORKS.get(network).map_or(0, |network| network.second_byte);
        Course {
            client: SocketAddr::new(IpAddr::from([127, second_byte, 0, host]), port),
            server: self.server,
            at: self.next,
            round_trip: Duration::from_micros(1000 * millis + dice.below(4000)),
            server_think: Duration::from_micros(700 + dice.below(400)),
            client_think: stalled.unwrap_or_default() + Duration::from_micros(dice.below(1500)),
            seed: dice.throw(),
            ends,
        }
    }
}

#[cfg(test)]
mod tests {
    use whyslow_wire::handshake::Blame;
    use whyslow_wire::opening::Outcome;

    use super::*;

    #[test]
    fn only_the_network_that_stalls_has_slow_handshakes_and_they_are_its_clients_own() {
        let start = Wall::from_millis(1_800_000_000_000);
        let mut replay = Replay::new("127.0.0.1:443".parse().unwrap(), 5, start);
        let stall = Stall { network: 1, by: Duration::from_millis(420) };
        let (mut slow, mut fine) = (0, 0);
        for tick in 1..=300 {
            let now = start.after(Duration::from_millis(200 * tick));
            let stalls = (100..200).contains(&tick);
            replay.handle_timeout(now, stalls.then_some(stall));
            while let Some(told) = replay.poll() {
                let Told::Handshake(handshake) = told else { continue };
                if !handshake.is_tls() {
                    continue;
                }
                let opening = &handshake.opening;
                assert_eq!(opening.outcome, Outcome::Complete);
                let began = u64::try_from(opening.first.since(start).as_millis()).unwrap();
                let fault = (19_800..39_800).contains(&began)
                    && NETWORKS[1].holds(opening.flow.client.ip());
                let blame = if fault { Blame::Client } else { Blame::None };
                assert_eq!(handshake.blame, blame, "{:?}", handshake.evidence);
                *if fault { &mut slow } else { &mut fine } += 1;
            }
        }
        assert!(slow > 20 && fine > 200, "{slow} slow, {fine} fine");
        assert!(replay.packets() > 4000);
    }
}
