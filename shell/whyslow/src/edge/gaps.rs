//! Lines that were sent and never seen, as a fact that other planes can weigh.

use std::collections::BTreeMap;

use whyslow_edge::completeness::Stretch;
use whyslow_model::observation::{Cohort, Locus, Plane};
use whyslow_model::{Observation, Wall};

/// What `agent` did not see of a source from `from` to `to`; `None` where nothing is known to be
/// missing. The same stretch of the same source is the same fact.
pub(super) fn observation(
    source: &str,
    service: Option<&str>,
    agent: &str,
    from: Wall,
    to: Wall,
    stretch: Stretch,
) -> Option<Observation> {
    let Stretch { completeness, gaps } = stretch;
    if gaps.is_empty() {
        return None;
    }
    #[expect(clippy::cast_precision_loss, reason = "counts of lines are far below 2^53")]
    let values = completeness.map_or_else(BTreeMap::new, |told| {
        let counts = [("expected_lines", told.expected), ("seen_lines", told.seen)];
        counts.into_iter().map(|(name, n)| (name.to_owned(), n as f64)).collect()
    });
    Some(Observation {
        id: format!("edge-gap/{source}/{}", from.as_nanos()),
        at: to,
        clock_error_ms: None,
        plane: Plane::Edge,
        agent: agent.to_owned(),
        cohort: Cohort { service: service.map(str::to_owned), ..Cohort::default() },
        locus: Locus { edge: Some(source.to_owned()), ..Locus::default() },
        values,
        words: BTreeMap::from([("outcome".to_owned(), "blind".to_owned())]),
        evidence: Vec::new(),
        gaps,
    })
}

#[cfg(test)]
mod tests {
    use whyslow_edge::completeness::{Ledger, Loss};
    use whyslow_model::seeded::Seed;

    use super::*;

    #[test]
    fn what_is_missing_is_a_fact_and_a_whole_stretch_is_none() {
        let (from, to) = (Wall::from_millis(1000), Wall::from_millis(11_000));
        let mut ledger = Ledger::new(Seed(1), true);
        let tell = |ledger: &mut Ledger| {
            observation("lb1", Some("shop"), "lon1", from, to, ledger.handle_window(from, to))
        };
        assert_eq!(tell(&mut ledger), None);
        (0..90).for_each(|_| ledger.handle_line(b"web", None));
        ledger.handle_lost(7, Loss::Kernel);
        ledger.handle_lost(3, Loss::Limit);
        let told = tell(&mut ledger).unwrap();
        let values: Vec<_> = told.values.into_iter().collect();
        let wanted = [("expected_lines".to_owned(), 100.0), ("seen_lines".to_owned(), 90.0)];
        assert_eq!(values, wanted);
        let gaps: Vec<_> = told.gaps.iter().map(|gap| (gap.from, gap.to, gap.lost)).collect();
        assert_eq!(gaps, [(from, to, Some(7)), (from, to, Some(3))]);
        assert_eq!(
            (told.locus.edge.as_deref(), told.id.as_str()),
            (Some("lb1"), "edge-gap/lb1/1000000000")
        );
    }
}
