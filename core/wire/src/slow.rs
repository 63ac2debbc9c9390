//! From when on a handshake is slow: as a whole, by whose time it was, and against what is usual
//! at its server.

use std::borrow::Cow;
use std::time::Duration;

use whyslow_model::seeded::Seed;

use crate::anatomy::{Judge, judge};
use crate::handshake::{Blame, Handshake, VantagePoint};
use crate::opening::{Opening, Outcome};
use crate::usual::Usual;

/// Judges openings, each by what the watch goes by or by what is usual at its server, whichever is
/// less.
#[derive(Debug)]
pub(crate) struct Slow {
    judge: Judge,
    /// By how often it is the 99th percentile of its server that a handshake, or somebody's part
    /// of it, is slow.
    times_p99: Option<f64>,
    usual: Usual<4>,
}

/// What is shorter than this is nobody's trouble, however unusual.
const UNUSUAL_MIN: Duration = Duration::from_millis(100);

impl Slow {
    pub(crate) fn new(judge: Judge, times_p99: Option<f64>, seed: Seed) -> Self {
        Self { judge, times_p99, usual: Usual::new(seed) }
    }

    /// From now on this is gone by; what is usual stays known.
    pub(crate) const fn handle_options(&mut self, judge: Judge, times_p99: Option<f64>) {
        (self.judge, self.times_p99) = (judge, times_p99);
    }

    /// Judges an opening, and learns from it.
    pub(crate) fn judge(&mut self, opening: Box<Opening>, point: VantagePoint) -> Handshake {
        let Some(times) = self.times_p99 else { return judge(opening, point, &self.judge) };
        let (server, at) = (opening.flow.server, opening.last);
        let usual = self.usual.p99(server);
        let mut handshake = judge(opening, point, &by(&self.judge, usual, times));
        if handshake.blame != Blame::None && judged_slow_by(&handshake, &self.judge).is_none() {
            let said = unusual(&handshake, usual, times);
            handshake.evidence.extend(said.map(Cow::Owned));
        }
        if handshake.is_tls() && handshake.opening.outcome == Outcome::Complete {
            self.usual.learn(server, at, figures(&handshake).map(Some));
        }
        handshake
    }
}

/// The whole, and the server's, the network's and the client's part of it, in milliseconds.
fn figures(of: &Handshake) -> [f64; 4] {
    let shares = of.shares;
    [1.0, shares.server, shares.network, shares.client].map(|share| of.total_ms * share)
}

const NAMES: [&str; 4] = ["the handshake", "the server's part", "the network's", "the client's"];

/// The thresholds of a server of which it is known what is usual.
fn by(judge: &Judge, usual: [Option<f64>; 4], times: f64) -> Judge {
    let limit = |p99: Option<f64>| {
        let limit = Duration::try_from_secs_f64(p99? * times / 1e3).ok()?;
        Some(limit.max(UNUSUAL_MIN))
    };
    let [total, server, network, client] = usual.map(limit);
    let least = |own: Option<Duration>, usual: Option<Duration>| match (own, usual) {
        (Some(own), Some(usual)) => Some(own.min(usual)),
        (own, usual) => own.or(usual),
    };
    Judge {
        slow: total.map_or(judge.slow, |usual| judge.slow.min(usual)),
        server: least(judge.server, server),
        network: least(judge.network, network),
        client: least(judge.client, client),
        ..*judge
    }
}

/// The first of [`NAMES`] that took as long as a judge allows, by its place.
fn judged_slow_by(handshake: &Handshake, judge: &Judge) -> Option<usize> {
    let limits = [Some(judge.slow), judge.server, judge.network, judge.client];
    let mut all = limits.into_iter().zip(figures(handshake));
    all.position(|(limit, ms)| limit.is_some_and(|limit| ms >= limit.as_secs_f64() * 1e3))
}

/// What was unusual, in a sentence.
fn unusual(handshake: &Handshake, usual: [Option<f64>; 4], times: f64) -> Option<String> {
    let nothing = Judge {
        slow: Duration::MAX,
        server: None,
        network: None,
        client: None,
        ..Judge::default()
    };
    let place = judged_slow_by(handshake, &by(&nothing, usual, times))?;
    let (name, ms, p99) = (NAMES[place], figures(handshake)[place], usual[place]?);
    Some(format!(
        "Unusual at this server: {name} took {ms:.1} ms, where 99 of 100 take {p99:.1} ms."
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::anatomy::Vantage;
    use crate::evidence::tests::{handshake_of, opening_of};

    /// The verdict on a handshake in which the server thinks so long, and the client 5 ms.
    fn told(slow: &mut Slow, server_think_ms: i64) -> Handshake {
        let opening = opening_of(&handshake_of(server_think_ms, 5));
        let point = Vantage::default().point(&opening_of(&handshake_of(1, 5)));
        slow.judge(opening.into(), point)
    }

    fn slow(judge: Judge, times_p99: Option<f64>) -> Slow {
        Slow::new(Judge { evidence_of_all: false, ..judge }, times_p99, Seed(3))
    }

    #[test]
    fn a_part_may_be_long_where_the_whole_is_not() {
        let ms = |ms| Some(Duration::from_millis(ms));
        let mut by_server = slow(Judge { server: ms(100), ..Judge::default() }, None);
        assert_eq!(told(&mut by_server, 90).blame, Blame::None);
        let long = told(&mut by_server, 120);
        assert_eq!(long.blame, Blame::Server);
        assert!(!long.evidence.is_empty() && long.total_ms < 300.0);
        let mut by_client = slow(Judge { client: ms(100), ..Judge::default() }, None);
        assert_eq!(told(&mut by_client, 120).blame, Blame::None, "it is not the client's time");
        let both = Judge { server: ms(100), client: ms(1), ..Judge::default() };
        assert_ne!(told(&mut slow(both, None), 120).blame, Blame::Server, "it is 5 of 1 ms");
        assert_eq!(told(&mut slow(both, None), 1000).blame, Blame::Server, "slow as a whole");
    }

    #[test]
    fn what_is_unusual_at_a_server_is_slow_once_enough_is_known() {
        let mut own = slow(Judge::default(), Some(4.0));
        for n in 0..200 {
            assert_eq!(told(&mut own, 20).blame, Blame::None, "{n}");
        }
        assert_eq!(told(&mut own, 70).blame, Blame::None, "too short to matter");
        let long = told(&mut own, 150);
        assert_eq!(long.blame, Blame::Server);
        let said = long.evidence.last().unwrap();
        assert!(said.starts_with("Unusual at this server: "), "{said}");
        assert!(said.contains("where 99 of 100 take 2"), "{said}");
        assert_eq!(told(&mut slow(Judge::default(), Some(4.0)), 150).blame, Blame::None);
        own.handle_options(Judge { evidence_of_all: false, ..Judge::default() }, None);
        assert_eq!(told(&mut own, 150).blame, Blame::None, "nobody looks at it any more");
    }
}
