//! How many incidents of each cause are kept, so that one cause does not push all others out.

use std::collections::BTreeMap;
use std::time::Duration;

use whyslow_model::Wall;

use super::Trigger;

/// Lets through at most so many incidents of each cause in a minute.
#[derive(Clone, Debug, Default)]
pub struct Rates(BTreeMap<Trigger, Rate>);

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
    pub fn handle(&mut self, trigger: Trigger, per_minute: u32, now: Wall) -> Option<u64> {
        let rate =
            self.0.entry(trigger).or_insert(Rate { since: now, let_through: 0, left_out: 0 });
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
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_cause_has_its_own_minute_and_says_what_was_left_out() {
        let mut rates = Rates::default();
        let at = |s: i64| Wall::from_millis(1000 * s);
        let mut handle = |trigger, s| rates.handle(trigger, 2, at(s));
        let slow = Trigger::SlowHandshake;
        let told: Vec<_> = [0, 1, 2, 59].into_iter().map(|s| handle(slow, s)).collect();
        assert_eq!(told, [Some(0), Some(0), None, None]);
        assert_eq!(handle(Trigger::Check, 59), Some(0));
        assert_eq!(
            (handle(slow, 60), handle(slow, 61), handle(slow, 62)),
            (Some(2), Some(0), None)
        );
        assert_eq!(handle(slow, -100), Some(1), "the clock was set back");
    }
}
