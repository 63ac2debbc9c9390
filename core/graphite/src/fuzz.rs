//! What a fuzzer drives: text to target to answer, over a few odd series.

use std::cell::Cell;

use whyslow_model::limits::{GRAPHITE_ANSWER_NAME_BYTES_MAX, GRAPHITE_POINTS_MAX};
use whyslow_model::read::OddSeries;

use crate::{Render, Window, path, render};

/// The time at which is asked.
const NOW_S: i64 = 1_700_000_000;
/// Windows that are asked for, in seconds.
const WINDOWS_S: [i64; 4] = [1, 60, 3600, 86_400];
/// How often the evaluation may ask whether to go on before it is told to stop.
const CHECKS_MAX: u32 = 200;

/// The first byte picks a window, the others are a target. Its answer must keep within the limits.
///
/// # Panics
/// Where it does not.
pub fn fuzz_graphite_render(data: &[u8]) {
    let Some((first, rest)) = data.split_first() else { return };
    let Ok(target) = std::str::from_utf8(rest) else { return };
    let checks = Cell::new(0);
    let stop = || {
        checks.set(checks.get() + 1);
        checks.get() > CHECKS_MAX
    };
    let from_s = NOW_S - WINDOWS_S[usize::from(*first) % WINDOWS_S.len()];
    let window = Window { from_s, until_s: NOW_S };
    // Errors are answers too.
    let render = render(Render { reader: &series(), window, stop: &stop }, target);
    let Ok(series) = render else { return };
    assert!(series.iter().map(|s| s.values.len()).sum::<usize>() <= GRAPHITE_POINTS_MAX);
    for one in series {
        assert!(one.name.len() <= GRAPHITE_ANSWER_NAME_BYTES_MAX, "a name of {}", one.name.len());
        assert!(one.step_s > 0 && one.end_s() >= one.start_s);
        let (points, end_s) = (one.values.len(), one.end_s());
        let coarse = one.coarser(7);
        assert_eq!(coarse.values.len(), points.div_ceil(7));
        assert!(coarse.end_s() >= end_s, "its last value stands for all that were left");
    }
}

/// What is there to be asked for.
fn series() -> OddSeries {
    let labels = [
        path::labels("web.a1.hits", []),
        path::labels("web.a2.hits", []),
        path::labels("web.b", []),
        path::labels("cpu", [("host", "a"), ("core", "1")]),
    ];
    let times_ms = [-90_000, -3600, -60, -30, 0].map(|s| (NOW_S + s) * 1000);
    OddSeries { labels, times_ms }
}
