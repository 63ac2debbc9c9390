//! How many incidents of each cause are kept, so that one cause does not push all others out.

use std::collections::BTreeMap;
use std::time::Duration;

use whyslow_model::Wall;
use whyslow_model::limits::WIRE_CAUSES_MAX;

/// Lets through at most so many incidents of each cause in a minute.
#[derive(Clone, Debug, Default)]
pub struct Rates(BTreeMap<Box<str>, Rate>);

#[derive(Clone, Debug)]
struct Rate {
    /// When the minute that counts began.
    since: Wall,
    /// Incidents let through since.
    let_through: u32,
    /// Incidents not let through since the last one that was.
    left_out: u64,
}

const MINUTE: Duration = Duration::from_mins(1);

impl Rates {
    /// Whether an incident of this cause is kept where `per_minute` are: then how many before it
    /// were not since the last that was.
    pub fn handle(&mut self, cause: &str, per_minute: u32, now: Wall) -> Option<u64> {
        if !self.0.contains_key(cause) {
            self.make_room(now);
            self.0.insert(cause.into(), Rate { since: now, let_through: 0, left_out: 0 });
        }
        let rate = self.0.get_mut(cause)?;
        // A clock that was set back begins a minute anew.
        if now < rate.since || now.since(rate.since) >= MINUTE {
            (rate.since, rate.let_through) = (now, 0);
        }
        if rate.let_through >= per_minute {
            rate.left_out += 1;
            return None;
        }
        rate.let_through += 1;
        Some(std::mem::take(&mut rate.left_out))
    }

    /// Forgets causes that an earlier configuration named.
    fn make_room(&mut self, now: Wall) {
        if self.0.len() >= WIRE_CAUSES_MAX {
            self.0.retain(|_, rate| now >= rate.since && now.since(rate.since) < MINUTE);
        }
        while self.0.len() >= WIRE_CAUSES_MAX {
            self.0.pop_first();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_cause_has_its_own_minute_and_says_what_was_left_out() {
        let mut rates = Rates::default();
        let at = |s: i64| Wall::from_millis(1000 * s);
        let mut handle = |cause, s| rates.handle(cause, 2, at(s));
        let slow = "slow_handshake";
        let told: Vec<_> = [0, 1, 2, 59].into_iter().map(|s| handle(slow, s)).collect();
        assert_eq!(told, [Some(0), Some(0), None, None]);
        assert_eq!(handle("check", 59), Some(0));
        assert_eq!(
            (handle(slow, 60), handle(slow, 61), handle(slow, 62)),
            (Some(2), Some(0), None)
        );
        assert_eq!(handle(slow, -100), Some(1), "the clock was set back");
    }

    #[test]
    fn causes_are_not_remembered_without_end() {
        let mut rates = Rates::default();
        for n in 0..2 * WIRE_CAUSES_MAX {
            assert_eq!(rates.handle(&n.to_string(), 1, Wall::from_millis(0)), Some(0));
        }
        assert_eq!(rates.0.len(), WIRE_CAUSES_MAX);
    }
}
