//! What a tap did not see, as an observation: silence clears nobody, so a gap is a fact.

use std::collections::BTreeMap;

use whyslow_model::observation::{Cohort, Gap, Locus, Plane};
use whyslow_model::{Observation, Wall};
use whyslow_wire::plan::Losses;
use whyslow_wire::row::Window;

/// The gaps that became known until a window was closed; `None` where there are none.
pub(super) fn observation(
    tap: &str,
    service: Option<&str>,
    agent: &str,
    window: &Window,
    losses: &Losses,
) -> Option<Observation> {
    let ever = (Wall::from_nanos(i64::MIN), Wall::from_nanos(i64::MAX));
    let gap = |loss: &whyslow_wire::plan::Loss| Gap {
        from: loss.from,
        to: loss.to,
        lost: loss.lost,
        reason: loss.why.as_str().to_owned(),
    };
    let gaps: Vec<Gap> = losses.between(ever.0, ever.1).map(gap).collect();
    // A window that a restart cut in two has gaps of either process.
    let first = gaps.first()?.from.as_nanos();
    let figures = [
        ("completeness_share", window.completeness()),
        ("packets_count", float(window.packets)),
        ("drops_count", float(window.drops)),
    ];
    Some(Observation {
        id: format!("{agent}/wire/{tap}/{first}/{}", window.from.as_nanos()),
        at: window.from,
        clock_error_ms: None,
        plane: Plane::Wire,
        agent: agent.to_owned(),
        cohort: Cohort { service: service.map(str::to_owned), ..Cohort::default() },
        locus: Locus::default(),
        values: figures.map(|(name, value)| (name.to_owned(), value)).into(),
        words: BTreeMap::from([("interface".to_owned(), tap.to_owned())]),
        evidence: Vec::new(),
        gaps,
    })
}

fn float(n: u64) -> f64 {
    whyslow_model::notice::interval::float(n)
}
