//! Retention and the store's limits.

use std::time::Duration;

use whyslow_model::limits;
use whyslow_store::Retention;

use super::super::types::Config;
use super::super::world::World;
use super::Findings;

pub(super) fn apply(config: &Config, _: &World<'_>, findings: &mut Findings<'_, '_>) {
    retention(config, findings);
    let storage = &config.storage;
    if storage.series_max == 0 || storage.series_max > limits::SERIES_MAX {
        let what = format!(
            "{} series; between 1 and {} can be kept",
            storage.series_max,
            limits::SERIES_MAX
        );
        findings.add(&["storage".into(), "series_max".into()], what);
    }
    if storage.out_of_order.std() > limits::OUT_OF_ORDER_WINDOW {
        let limit = whyslow_model::Duration::from(limits::OUT_OF_ORDER_WINDOW);
        let what =
            format!("{} is more than the {limit} a late sample may be late", storage.out_of_order);
        findings.add(&["storage".into(), "out_of_order".into()], what);
    }
    for (key, kept) in [
        ("observations", storage.observations),
        ("transcripts", storage.transcripts),
        ("runs", storage.runs),
    ] {
        if kept.std() < Duration::from_hours(1) {
            findings.add(&["storage".into(), key.into()], format!("{kept} is less than an hour"));
        }
    }
}

/// Each step is coarser than the one before, a multiple of it, and kept longer; and the store can
/// keep it.
fn retention(config: &Config, findings: &mut Findings<'_, '_>) {
    let before = findings.len();
    order(config, findings);
    if findings.len() > before {
        return;
    }
    let steps: Vec<_> =
        config.retention.iter().map(|s| (s.resolution.std(), s.keep.std())).collect();
    if let Err(error) = Retention::new(&steps) {
        let step = error.step().saturating_sub(1);
        findings.add(&["retention".into(), step.into()], error.to_string());
    }
}

/// Each step follows from the one before.
fn order(config: &Config, findings: &mut Findings<'_, '_>) {
    if config.retention.is_empty() {
        findings.add(&["retention".into()], "nothing would be kept").hint =
            Some("write at least one step, such as [10s:24h]".to_owned());
    }
    for (index, step) in config.retention.iter().enumerate() {
        let at = ["retention".into(), index.into()];
        if step.resolution.std() < Duration::from_secs(1) {
            findings.add(&at, format!("{} is finer than one second", step.resolution));
        } else if step.keep < step.resolution {
            findings.add(&at, format!("{} is kept no longer than one point", step.resolution));
        }
        let Some(finer) = index.checked_sub(1).and_then(|i| config.retention.get(i)) else {
            continue;
        };
        let (mine, below) = (step.resolution.std().as_nanos(), finer.resolution.std().as_nanos());
        if mine <= below || step.keep <= finer.keep {
            findings
                .add(&at, format!("{step} after {finer}: each step is coarser and kept longer"));
        } else if below != 0 && mine % below != 0 {
            let what = format!("{} is not a multiple of {}", step.resolution, finer.resolution);
            findings.add(&at, what).hint =
                Some("points of the finer step must fill it evenly".to_owned());
        }
    }
}
