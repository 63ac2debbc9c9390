//! One server's times held against those of its twins, which do the same work.

use std::collections::BTreeMap;

use whyslow_model::Histogram;
use whyslow_model::notice::interval::{Quantile, quantile};

/// Requests on either side that a median needs.
pub(crate) const REQUESTS_MIN: u64 = 30;
/// Requests on either side that a p90 needs.
pub(crate) const REQUESTS_P90_MIN: u64 = 50;
/// How much slower is slower.
const RATIO: f64 = 1.5;
/// Seconds below which no difference counts.
const DIFFERENCE_S: f64 = 0.002;
/// How much more load makes servers unlike.
const LOAD_RATIO: u64 = 3;
const LOAD_RATIO_OF: u64 = 2;

/// What a comparison says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Contrast {
    /// Too few requests on either side.
    TooFew,
    /// No slower than the twin.
    Alike,
    /// Slower, but it serves more than its twins do, which says nothing of the server.
    Busier,
    /// Slower at comparable load.
    Slower(Slower),
}

/// By how much a server is slower than its twin.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Slower {
    /// Which figure tells: `p90` or `median`.
    pub(crate) figure: &'static str,
    /// The server's, in seconds.
    pub(crate) here_s: f64,
    /// The twin's, in seconds.
    pub(crate) there_s: f64,
}

/// Servers that do the same work and served enough to be held against.
#[derive(Debug)]
pub(crate) struct Peers<'a, K> {
    by_p90: Vec<&'a Histogram>,
    /// Where in `by_p90` each one is.
    ranks: BTreeMap<K, usize>,
}

impl<'a, K: Ord> Peers<'a, K> {
    /// Of all servers; no two have the same key.
    pub(crate) fn of(servers: impl IntoIterator<Item = (K, &'a Histogram)>) -> Self {
        let served = servers.into_iter().filter(|(_, h)| h.count() >= REQUESTS_MIN);
        let p90 = |h: &Histogram| h.quantile(0.9).unwrap_or(0.0);
        let mut sorted: Vec<_> = served.map(|(key, h)| (p90(h), key, h)).collect();
        sorted.sort_by(|(a, ..), (b, ..)| a.total_cmp(b));
        let by_p90 = sorted.iter().map(|(_, _, h)| *h).collect();
        let ranks = sorted.into_iter().enumerate().map(|(rank, (_, key, _))| (key, rank));
        Self { by_p90, ranks: ranks.collect() }
    }

    /// How many others `key` has.
    pub(crate) fn others(&self, key: &K) -> usize {
        self.by_p90.len() - usize::from(self.ranks.contains_key(key))
    }

    /// Of the others, the one in the middle by its p90; the slower of two.
    pub(crate) fn typical(&self, key: &K) -> Option<&'a Histogram> {
        let mine = self.ranks.get(key).copied().unwrap_or(usize::MAX);
        let middle = self.others(key) / 2;
        self.by_p90.get(middle + usize::from(mine <= middle)).copied()
    }
}

/// Holds a server's times against those of its typical twin.
pub(crate) fn contrast(here: &Histogram, there: &Histogram) -> Contrast {
    if here.count() < REQUESTS_MIN || there.count() < REQUESTS_MIN {
        return Contrast::TooFew;
    }
    let enough_for_p90 = here.count().min(there.count()) >= REQUESTS_P90_MIN;
    let slower = [(0.9, "p90"), (0.5, "median")].into_iter().find_map(|(q, figure)| {
        let (a, b) = (quantile(here, q)?, quantile(there, q)?);
        let counts = (enough_for_p90 || q <= 0.5) && is_slower(a, b);
        counts.then_some(Slower { figure, here_s: a.at, there_s: b.at })
    });
    match slower {
        None => Contrast::Alike,
        Some(_) if here.count() * LOAD_RATIO_OF > there.count() * LOAD_RATIO => Contrast::Busier,
        Some(slower) => Contrast::Slower(slower),
    }
}

impl Slower {
    /// How many times slower.
    pub(crate) fn times(&self) -> f64 {
        self.here_s / self.there_s.max(1e-6)
    }
}

fn is_slower(here: Quantile, there: Quantile) -> bool {
    here.lo > there.hi && here.at >= there.at * RATIO && here.at - there.at >= DIFFERENCE_S
}

/// Whether a name is a server's, not a stand-in for none or many.
pub(crate) fn is_server(name: &str) -> bool {
    !name.starts_with('<') && name != crate::row::OTHER && name != crate::names::EMPTY
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(n: u64, micros: u64) -> Histogram {
        let mut histogram = Histogram::default();
        (0..n).for_each(|i| histogram.observe(micros + i * micros / n));
        histogram
    }

    #[test]
    fn a_server_is_held_against_the_one_in_the_middle_of_the_others() {
        let all: Vec<Histogram> = [4, 1, 3, 2].map(|ms| of(50, ms * 1000)).into();
        let few = of(REQUESTS_MIN - 1, 9000);
        let peers = Peers::of(all.iter().chain([&few]).enumerate());
        let typical = |key| peers.typical(&key).map(|h| all.iter().position(|a| a == h));
        // In order: 1, 3, 2, 0. Of an even number of others the slower one.
        assert_eq!([0, 1, 2, 3].map(typical), [3, 2, 3, 2].map(|n| Some(Some(n))));
        assert_eq!((typical(4), peers.others(&4), peers.others(&0)), (Some(Some(2)), 4, 3));
        assert!(Peers::of([(0, &all[0])]).typical(&0).is_none());
    }

    #[test]
    fn load_and_number_decide_what_slower_means() {
        assert_eq!(contrast(&of(29, 9000), &of(300, 3000)), Contrast::TooFew);
        assert_eq!(contrast(&of(300, 3000), &of(300, 3000)), Contrast::Alike);
        assert_eq!(contrast(&of(460, 9000), &of(300, 3000)), Contrast::Busier);
        let Contrast::Slower(slower) = contrast(&of(300, 9000), &of(300, 3000)) else {
            panic!("it is slower");
        };
        assert_eq!(slower.figure, "p90");
        assert!((slower.times() - 3.0).abs() < 0.1, "{slower:?}");
    }
}
