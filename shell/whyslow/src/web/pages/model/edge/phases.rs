//! Where the requests' time went, phase by phase, and how well the source knows it.

use whyslow_edge::record::{EdgePhase, Mark};

use super::bins::Bin;
use super::sum::{Sum, float, quantile_ms};

/// One phase over many requests.
#[derive(Clone, Debug, PartialEq)]
pub struct Phase {
    /// Which one.
    pub phase: EdgePhase,
    /// How well it is known.
    pub mark: Mark,
    /// Requests whose source tells it.
    pub told: u64,
    /// Its part of all phases' time, 0 to 1; `None` where it is not told.
    pub share: Option<f64>,
    /// Half of the requests spend less in it, in milliseconds.
    pub p50_ms: Option<f64>,
    /// 90 of 100 spend less.
    pub p90_ms: Option<f64>,
    /// 99 of 100 spend less.
    pub p99_ms: Option<f64>,
}

/// The six phases of a sum, in their order.
pub fn phases(sum: &Sum) -> Vec<Phase> {
    let all: u64 = sum.totals.phases.iter().map(|p| p.timing.sum_us).sum();
    let of = |phase: EdgePhase| {
        let told = sum.totals.phase(phase);
        let timing = &told.timing;
        let absent = told.mark == Mark::Absent;
        Phase {
            phase,
            mark: told.mark,
            told: timing.histogram.count(),
            share: (!absent && all > 0).then(|| float(timing.sum_us) / float(all)),
            p50_ms: quantile_ms(timing, 0.5),
            p90_ms: quantile_ms(timing, 0.9),
            p99_ms: quantile_ms(timing, 0.99),
        }
    };
    EdgePhase::ALL.into_iter().map(of).collect()
}

/// What a mark means, said of a phase.
pub const fn mark_words(mark: Mark) -> &'static str {
    match mark {
        Mark::Exact => "exact",
        Mark::Mixed => "mixed: holds time of another owner too",
        Mark::Bound => "a bound: at most this long",
        Mark::Absent => "not told by the source",
    }
}

/// What a phase is, in a few words.
pub const fn phase_words(phase: EdgePhase) -> &'static str {
    match phase {
        EdgePhase::ClientIn => "request from the client",
        EdgePhase::Queue => "queue at the balancer",
        EdgePhase::Connect => "connect to the server",
        EdgePhase::Wait => "wait for the server",
        EdgePhase::Body => "body from the server",
        EdgePhase::ClientOut => "rest to the client",
    }
}

/// How many requests were in each phase at once, on average over a bin: its time, summed, by the
/// bin's seconds (Little's law). Unlike percentiles these add up.
pub fn under_way(bin: &Bin) -> [f64; 6] {
    let seconds = float(u64::try_from((bin.to_ms - bin.start_ms).max(1)).unwrap_or(1)) / 1000.0;
    EdgePhase::ALL.map(|phase| float(bin.sum.totals.phase(phase).timing.sum_us) / 1e6 / seconds)
}

#[cfg(test)]
mod tests {
    use super::super::tests::{key, row};
    use super::*;

    #[test]
    fn shares_are_of_what_is_told_and_an_absent_phase_has_none() {
        let mut one = row(0, key("shop", "", "", ""), &[100; 30]);
        let queue = &mut one.totals.phases[EdgePhase::Queue as usize];
        queue.mark = Mark::Exact;
        (0..30).for_each(|_| queue.timing.observe(10_000));
        let found = phases(&Sum::of([&one]));
        let share = |p: EdgePhase| found[p as usize].share;
        assert!((share(EdgePhase::Wait).unwrap() - 0.9).abs() < 1e-9);
        assert!((share(EdgePhase::Queue).unwrap() - 0.1).abs() < 1e-9);
        assert_eq!((share(EdgePhase::Body), found[4].told), (None, 0));
        let bin = Bin { start_ms: 0, from_ms: 0, to_ms: 10_000, sum: Sum::of([&one]) };
        assert!((under_way(&bin)[EdgePhase::Wait as usize] - 0.27).abs() < 1e-9);
    }
}
