//! What is usual at each server: the 99th percentiles of some figures over its last hours.

use std::net::SocketAddr;
use std::time::Duration;

use whyslow_model::limits::WIRE_SERVERS_MAX;
use whyslow_model::seeded::{Seed, SeededMap};
use whyslow_model::{Histogram, Wall};

/// `N` figures of each server, in milliseconds. At most [`WIRE_SERVERS_MAX`] servers are known;
/// of others nothing is usual.
#[derive(Debug)]
pub(crate) struct Usual<const N: usize> {
    servers: SeededMap<SocketAddr, Server<N>>,
}

/// One server's last hours.
#[derive(Debug)]
struct Server<const N: usize> {
    /// When the newer of the two began.
    since: Wall,
    newer: [Histogram; N],
    older: [Histogram; N],
    /// Observed since the percentiles were worked out.
    fresh: u32,
    p99: [Option<f64>; N],
}

/// For how long a histogram is filled before the next one is; two of them count.
const HOUR: Duration = Duration::from_hours(1);
/// Observations without which a percentile says nothing.
const OBSERVED_MIN: u64 = 200;
/// Percentiles are worked out anew after so many.
const EVERY: u32 = 100;

impl<const N: usize> Usual<N> {
    /// Nothing is known yet; `seed` keeps strangers from choosing servers that collide.
    pub(crate) fn new(seed: Seed) -> Self {
        Self { servers: seed.map() }
    }

    /// What 99 of 100 take at a server, of each figure; `None` until [`OBSERVED_MIN`] are known.
    pub(crate) fn p99(&self, server: SocketAddr) -> [Option<f64>; N] {
        self.servers.get(&server).map_or([None; N], |server| server.p99)
    }

    /// Learns what was observed of a server at `at`.
    pub(crate) fn learn(&mut self, server: SocketAddr, at: Wall, observed: [Option<f64>; N]) {
        if self.servers.len() >= WIRE_SERVERS_MAX && !self.servers.contains_key(&server) {
            // Servers that nobody has asked for hours make room.
            self.servers.retain(|_, server| at.since(server.since) < 2 * HOUR);
            if self.servers.len() >= WIRE_SERVERS_MAX {
                return;
            }
        }
        self.servers.entry(server).or_insert_with(|| Server::new(at)).learn(at, observed);
    }
}

impl<const N: usize> Server<N> {
    fn new(since: Wall) -> Self {
        let empty = || std::array::from_fn(|_| Histogram::default());
        Self { since, newer: empty(), older: empty(), fresh: 0, p99: [None; N] }
    }

    fn learn(&mut self, at: Wall, observed: [Option<f64>; N]) {
        if at.since(self.since) >= HOUR {
            let empty = std::array::from_fn(|_| Histogram::default());
            self.older = std::mem::replace(&mut self.newer, empty);
            self.since = at;
        }
        for (histogram, ms) in self.newer.iter_mut().zip(observed) {
            if let Some(ms) = ms {
                histogram.observe(micros(ms));
            }
        }
        self.fresh += 1;
        if self.fresh >= EVERY {
            self.fresh = 0;
            self.work_out();
        }
    }

    fn work_out(&mut self) {
        for ((p99, newer), older) in self.p99.iter_mut().zip(&self.newer).zip(&self.older) {
            let mut both = older.clone();
            both.merge(newer);
            let enough = both.count() >= OBSERVED_MIN;
            *p99 = both.quantile(0.99).filter(|_| enough).map(|s| s * 1e3);
        }
    }
}

fn micros(ms: f64) -> u64 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a phase is not below 0, and one of ages is as good as a long one"
    )]
    let micros = (ms * 1e3).round().max(0.0) as u64;
    micros
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(n: u32) -> SocketAddr {
        (n.to_be_bytes(), 443).into()
    }

    fn at(s: u64) -> Wall {
        Wall::from_millis(0).after(Duration::from_secs(s))
    }

    #[test]
    fn too_few_say_nothing_and_what_is_old_is_forgotten() {
        let mut usual = Usual::<2>::new(Seed(3));
        let one = server(1);
        for n in 0..199 {
            usual.learn(one, at(n), [Some(10.0), None]);
        }
        assert_eq!(usual.p99(one), [None, None]);
        usual.learn(one, at(199), [Some(10.0), None]);
        let [Some(p99), None] = usual.p99(one) else { panic!("{:?}", usual.p99(one)) };
        assert!((9.9..=10.3).contains(&p99), "{p99}");
        // An hour on, the older ones still count; one more, and they do not.
        for (hour, wanted) in [(1, 40.0), (2, 40.0)] {
            for n in 0..300 {
                usual.learn(one, at(3600 * hour + 200 + n), [Some(40.0), None]);
            }
            let [Some(p99), _] = usual.p99(one) else { panic!("known") };
            assert!((39.0..=41.5).contains(&p99), "{p99} wanted {wanted}");
        }
    }

    #[test]
    fn servers_beyond_the_limit_are_not_learned_until_others_are_long_unasked() {
        let mut usual = Usual::<1>::new(Seed(3));
        let most = u32::try_from(WIRE_SERVERS_MAX).unwrap();
        (0..=most).for_each(|n| usual.learn(server(n), at(5), [Some(1.0)]));
        assert_eq!(usual.servers.len(), WIRE_SERVERS_MAX);
        usual.learn(server(most + 9), at(2 * 3600 + 5), [Some(1.0)]);
        assert_eq!(usual.servers.len(), 1);
    }
}
