//! Which handshakes are slow enough to be kept: by thresholds, and by what is usual at their server.

use std::collections::BTreeMap;
use std::time::Duration;

use whyslow_model::seeded::Seed;

use crate::handshake::{Handshake, Phase};
use crate::usual::Usual;

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

/// Which handshakes are kept, and what is usual at their servers; those of servers of which that is
/// not known are judged by thresholds alone.
#[derive(Debug)]
pub struct Slow {
    usual: Usual<PARTS>,
}

/// The phases, and the whole.
const PARTS: usize = Phase::ALL.len() + 1;
/// What is shorter than this is nobody's trouble, however unusual: in milliseconds.
const UNUSUAL_MS_MIN: f64 = 100.0;

impl Slow {
    /// Nothing is known yet; `seed` keeps strangers from choosing servers that collide.
    pub fn new(seed: Seed) -> Self {
        Self { usual: Usual::new(seed) }
    }

    /// Why a handshake is to be kept, if it is; and learns from it.
    pub fn handle_handshake(&mut self, handshake: &Handshake, by: &Thresholds) -> Option<String> {
        if !handshake.is_tls() {
            return None;
        }
        let (server, at) = (handshake.opening.flow.server, handshake.opening.last);
        let p99 = self.usual.p99(server);
        let unusual = by.times_p99.and_then(|times| unusual(handshake, p99, times));
        self.usual.learn(server, at, parts(handshake));
        above(handshake, by).or(unusual)
    }
}

fn unusual(handshake: &Handshake, p99: [Option<f64>; PARTS], times: f64) -> Option<String> {
    let names = Phase::ALL.map(Phase::as_str).into_iter().chain(["the handshake"]);
    let mut all = names.zip(parts(handshake)).zip(p99);
    all.find_map(|((name, ms), p99)| {
        let (ms, p99) = (ms?, p99?);
        let unusual = ms >= UNUSUAL_MS_MIN && ms > times * p99;
        unusual.then(|| format!("{name} took {ms:.1} ms, where 99 of 100 take {p99:.1} ms"))
    })
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
        let mut slow_ones = Slow::new(Seed(3));
        let total =
            |ms| Thresholds { total: Some(Duration::from_millis(ms)), ..Default::default() };
        let slow = of(400);
        assert_eq!(slow_ones.handle_handshake(&slow, &Thresholds::default()), None);
        assert_eq!(slow_ones.handle_handshake(&slow, &total(900)), None);
        let text = slow_ones.handle_handshake(&slow, &total(400)).unwrap();
        assert!(text.ends_with("400 ms or more are kept"), "{text}");
        let phases = [(Phase::ServerThink, Duration::from_millis(350))].into();
        let text = slow_ones.handle_handshake(&slow, &Thresholds { phases, ..total(400) }).unwrap();
        assert_eq!(text, "server_think took 400.0 ms, 350 ms or more are kept");
    }

    #[test]
    fn what_is_unusual_at_a_server_is_kept_once_enough_is_known() {
        let mut slow_ones = Slow::new(Seed(3));
        let by = Thresholds { times_p99: Some(4.0), ..Default::default() };
        let (quick, slow) = (of(20), of(150));
        for n in 0..250 {
            assert_eq!(slow_ones.handle_handshake(&quick, &by), None, "{n}");
        }
        let text = slow_ones.handle_handshake(&slow, &by).unwrap();
        assert!(text.starts_with("server_think took 150.0 ms, where 99 of 100 take 20."), "{text}");
        assert_eq!(slow_ones.handle_handshake(&of(90), &by), None, "too short to matter");
    }
}
