//! Telling a slow target from a machine too busy to watch it.
//!
//! The shell measures for how long, during a run, its thread was ready and not let, or its loop
//! came late. Where that is a good part of the run's time, the run says more about the vantage
//! than about the target, and must not be held against the target.
//!
//! Pings are left out: the kernel answers and stamps them whether we are there or not.

use std::time::Duration;

use whyslow_model::Segment;

use crate::run::{Outcome, Run};
use crate::spec::Kind;

/// A wait shorter than this is noise on any machine.
pub const STARVED_MIN: Duration = Duration::from_millis(5);
/// The part of a run's time, in percent, from which on it is doubtful.
const DOUBTFUL_PERCENT: f64 = 20.0;
/// The part of a run's time, in percent, from which on a timeout is our own.
const OWN_TIMEOUT_PERCENT: f64 = 50.0;
/// The name under which the wait is kept in [`Run::belongs`].
pub const STARVED_MS: &str = "starved_ms";

/// Marks `run`, during which the vantage was held up for `starved` in all, and takes back what
/// that put on the target: `warn` is the check's threshold. Returns whether the run is doubtful.
pub fn mark(run: &mut Run, starved: Duration, warn: Option<Duration>) -> bool {
    let starved_ms = starved.as_secs_f64() * 1000.0;
    if run.kind == Kind::Ping.as_str() {
        return false;
    }
    if starved < STARVED_MIN || starved_ms < run.total_ms * DOUBTFUL_PERCENT / 100.0 {
        return false;
    }
    let without_ms = (run.total_ms - starved_ms).max(0.0);
    let mut text = format!(
        "this machine was too busy: it held the run up for up to {starved_ms:.0} ms of its {:.0} ms",
        run.total_ms
    );
    if run.outcome == Outcome::Slow
        && warn.is_some_and(|warn| without_ms <= warn.as_secs_f64() * 1000.0)
    {
        run.outcome = Outcome::Ok;
        text.push_str(", so it does not count as slow");
    }
    if let Some(failure) = &mut run.failure
        && failure.code.ends_with("_timeout")
        && starved_ms >= run.total_ms * OWN_TIMEOUT_PERCENT / 100.0
    {
        failure.segment_hint = Some(Segment::Vantage);
        failure.message.push_str("; but this machine was too busy to tell");
    }
    run.warnings.push(text);
    run.belongs.insert(STARVED_MS.to_owned(), format!("{starved_ms:.3}"));
    true
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use whyslow_model::{Phase, Wall};

    use super::*;
    use crate::run::{Failure, PhasesMs, SCHEMA};

    fn run(outcome: Outcome, total_ms: f64, code: Option<&str>) -> Run {
        Run {
            schema: SCHEMA.to_owned(),
            target: String::new(),
            kind: "http".to_owned(),
            vantage: "lon1".to_owned(),
            started: Wall::from_millis(0),
            outcome,
            warnings: Vec::new(),
            failure: code.map(|code| Failure {
                phase: Some(Phase::Wait),
                code: code.to_owned(),
                segment_hint: Some(Segment::Backend),
                message: "no answer".to_owned(),
            }),
            phases_ms: PhasesMs::default(),
            warn_ms: None,
            timeout_ms: None,
            total_ms,
            exchanges: Vec::new(),
            ping: None,
            dns: None,
            transcript: None,
            belongs: BTreeMap::new(),
        }
    }

    fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    #[test]
    fn a_run_on_a_quiet_machine_is_left_alone() {
        let mut quiet = run(Outcome::Slow, 3000.0, None);
        assert!(!mark(&mut quiet, ms(4), Some(ms(2000))));
        assert!(!mark(&mut quiet, ms(400), Some(ms(2000))));
        assert_eq!(quiet, run(Outcome::Slow, 3000.0, None));
    }

    #[test]
    fn slowness_of_our_own_making_is_not_the_targets() {
        let mut ours = run(Outcome::Slow, 3000.0, None);
        assert!(mark(&mut ours, ms(1500), Some(ms(2000))));
        assert_eq!(ours.outcome, Outcome::Ok);
        assert_eq!(
            ours.warnings,
            ["this machine was too busy: it held the run up for up to 1500 ms of its 3000 ms, \
              so it does not count as slow"]
        );
        let mut both = run(Outcome::Slow, 5000.0, None);
        assert!(mark(&mut both, ms(1500), Some(ms(2000))));
        assert_eq!(both.outcome, Outcome::Slow);
    }

    #[test]
    fn a_timeout_of_our_own_making_points_at_the_vantage() {
        let mut ours = run(Outcome::Failed, 5000.0, Some("wait_timeout"));
        assert!(mark(&mut ours, ms(4000), None));
        let failure = ours.failure.expect("still a failure");
        assert_eq!(failure.segment_hint, Some(Segment::Vantage));
        let mut refused = run(Outcome::Failed, 50.0, Some("connect_refused"));
        assert!(mark(&mut refused, ms(40), None));
        assert_eq!(refused.failure.expect("one").segment_hint, Some(Segment::Backend));
    }
}
