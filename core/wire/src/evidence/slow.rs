//! Which handshakes are slow enough to be kept: by thresholds, and by what is usual at their server.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use whyslow_model::limits::WIRE_SERVERS_MAX;
use whyslow_model::seeded::{Seed, SeededMap};
use whyslow_model::{Histogram, Wall};

use crate::handshake::{Handshake, Phase};

/// From when on a handshake is kept.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Thresholds {
    /// Taken as a whole.
    pub total: Option<Duration>,
    /// By phase.
    pub phases: BTreeMap<Phase, Duration>,
    /// By how often it is the 99th percentile of its server, whole or in a phase.
    pub times_p99: Option<f64>,
}

/// What is usual at each server: at most [`WIRE_SERVERS_MAX`] of them are known; others are judged
/// by thresholds alone.
#[derive(Debug)]
pub struct Usual {
    servers: SeededMap<SocketAddr, Server>,
}

/// One server's last hours.
#[derive(Debug)]
struct Server {
    /// When the newer of the two began.
    since: Wall,
    newer: [Histogram; PARTS],
    older: [Histogram; PARTS],
    /// Observed since the percentiles were worked out.
    fresh: u32,
    /// In milliseconds.
    p99: [Option<f64>; PARTS],
}

/// The phases, and the whole.
const PARTS: usize = Phase::ALL.len() + 1;
/// For how long a histogram is filled before the next one is; two of them count.
const HOUR: Duration = Duration::from_hours(1);
/// Handshakes without which a percentile says nothing.
const HANDSHAKES_MIN: u64 = 200;
/// Percentiles are worked out anew after so many.
const EVERY: u32 = 100;
/// What is shorter than this is nobody's trouble, however unusual: in milliseconds.
const UNUSUAL_MS_MIN: f64 = 100.0;

impl Usual {
    /// Nothing is known yet; `seed` keeps strangers from choosing servers that collide.
    pub fn new(seed: Seed) -> Self {
        Self { servers: seed.map() }
    }

    /// Why a handshake is to be kept, if it is; and learns from it.
    pub fn handle_handshake(&mut self, handshake: &Handshake, by: &Thresholds) -> Option<String> {
        if !handshake.is_tls() {
            return None;
        }
        let above = above(handshake, by);
        let server = self.server(handshake)?;
        let unusual = by.times_p99.and_then(|times| server.unusual(handshake, times));
        server.learn(handshake);
        above.or(unusual)
    }

    fn server(&mut self, handshake: &Handshake) -> Option<&mut Server> {
        let (address, at) = (handshake.opening.flow.server, handshake.opening.last);
        if self.servers.len() >= WIRE_SERVERS_MAX && !self.servers.contains_key(&address) {
            // Servers that nobody has asked for hours make room.
            self.servers.retain(|_, server| at.since(server.since) < 2 * HOUR);
            if self.servers.len() >= WIRE_SERVERS_MAX {
                return None;
            }
        }
        Some(self.servers.entry(address).or_insert_with(|| Server::new(at)))
    }
}

fn above(handshake: &Handshake, by: &Thresholds) -> Option<String> {
    for (phase, limit) in &by.phases {
        let limit_ms = limit.as_secs_f64() * 1e3;
        if let Some(ms) = handshake.phases.of(*phase).filter(|ms| *ms >= limit_ms) {
            let name = phase.as_str();
            return Some(format!("{name} took {ms:.1} ms, {limit_ms:.0} ms or more are kept"));
        }
    }
    let limit_ms = by.total?.as_secs_f64() * 1e3;
    let ms = handshake.total_ms;
    (ms >= limit_ms)
        .then(|| format!("the handshake took {ms:.1} ms, {limit_ms:.0} ms or more are kept"))
}

/// What each part took, in milliseconds, the whole last.
fn parts(handshake: &Handshake) -> [Option<f64>; PARTS] {
    let mut parts = [None; PARTS];
    for (part, phase) in parts.iter_mut().zip(Phase::ALL) {
        *part = handshake.phases.of(phase);
    }
    parts[PARTS - 1] = Some(handshake.total_ms);
    parts
}

impl Server {
    fn new(since: Wall) -> Self {
        let empty = || std::array::from_fn(|_| Histogram::default());
        Self { since, newer: empty(), older: empty(), fresh: 0, p99: [None; PARTS] }
    }

    fn unusual(&self, handshake: &Handshake, times: f64) -> Option<String> {
        let names = Phase::ALL.map(Phase::as_str).into_iter().chain(["the handshake"]);
        let mut all = names.zip(parts(handshake)).zip(self.p99);
        all.find_map(|((name, ms), p99)| {
            let (ms, p99) = (ms?, p99?);
            let unusual = ms >= UNUSUAL_MS_MIN && ms > times * p99;
            unusual.then(|| format!("{name} took {ms:.1} ms, where 99 of 100 take {p99:.1} ms"))
        })
    }

    fn learn(&mut self, handshake: &Handshake) {
        let at = handshake.opening.last;
        if at.since(self.since) >= HOUR {
            let empty = std::array::from_fn(|_| Histogram::default());
            self.older = std::mem::replace(&mut self.newer, empty);
            self.since = at;
        }
        for (histogram, ms) in self.newer.iter_mut().zip(parts(handshake)) {
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
            let enough = both.count() >= HANDSHAKES_MIN;
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
    use crate::anatomy::{Judge, Vantage, judge};
    use crate::evidence::tests::{handshake_of, opening_of};

    fn of(server_think_ms: i64) -> Handshake {
        let opening = opening_of(&handshake_of(server_think_ms, 5));
        judge(
            opening,
            Vantage::default().point(&opening_of(&handshake_of(1, 5))),
            &Judge::default(),
        )
    }

    #[test]
    fn thresholds_are_for_the_whole_and_for_phases() {
        let mut usual = Usual::new(Seed(3));
        let total =
            |ms| Thresholds { total: Some(Duration::from_millis(ms)), ..Default::default() };
        let slow = of(400);
        assert_eq!(usual.handle_handshake(&slow, &Thresholds::default()), None);
        assert_eq!(usual.handle_handshake(&slow, &total(900)), None);
        let text = usual.handle_handshake(&slow, &total(400)).unwrap();
        assert!(text.ends_with("400 ms or more are kept"), "{text}");
        let phases = [(Phase::ServerThink, Duration::from_millis(350))].into();
        let text = usual.handle_handshake(&slow, &Thresholds { phases, ..total(400) }).unwrap();
        assert_eq!(text, "server_think took 400.0 ms, 350 ms or more are kept");
    }

    #[test]
    fn what_is_unusual_at_a_server_is_kept_once_enough_is_known() {
        let mut usual = Usual::new(Seed(3));
        let by = Thresholds { times_p99: Some(4.0), ..Default::default() };
        let (quick, slow) = (of(20), of(150));
        for n in 0..250 {
            assert_eq!(usual.handle_handshake(&quick, &by), None, "{n}");
        }
        let text = usual.handle_handshake(&slow, &by).unwrap();
        assert!(text.starts_with("server_think took 150.0 ms, where 99 of 100 take 20."), "{text}");
        assert_eq!(usual.handle_handshake(&of(90), &by), None, "too short to matter");
    }
}
