//! What the recorders of interfaces count, in `/metrics`.

use whyslow_model::Wall;

use super::exposition::{Exposition, Kind};
use crate::wire::TapStatus;
use crate::wire::series::{FAMILIES, samples};

/// The recorders' families.
pub(super) fn about_wire(out: &mut Exposition, taps: &[TapStatus], now: Wall) {
    if taps.is_empty() {
        return;
    }
    let samples = samples(taps, now, false);
    for (family, kind, help) in FAMILIES {
        let (kind, parts): (Kind, &[&str]) = match kind {
            "histogram" => (Kind::Histogram, &["_bucket", "_sum", "_count"]),
            "gauge" => (Kind::Gauge, &[""]),
            _ => (Kind::Counter, &[""]),
        };
        out.family(family, kind, help);
        let named = samples.iter().filter(|sample| {
            let rest = sample.labels.metric().and_then(|name| name.strip_prefix(family));
            rest.is_some_and(|rest| parts.contains(&rest))
        });
        named.for_each(|sample| out.series(&sample.labels, sample.value));
    }
}
