//! What an earlier process told of windows that may still be revised.

use whyslow_edge::grouping::Grouping;

use super::Outputs;
use crate::config::Config;
use crate::edge::settled_before_s;
use crate::storage::{Db, EdgeQuery};

/// How far around the newest windows others may be revised, in seconds.
const RESUMED_S: i64 = 900;

/// Lets the outputs know the windows that are stored, so that none is counted twice. Call it
/// before any source is read.
pub async fn resume(config: &Config, db: &Db, outputs: &Outputs) {
    let now_s = whyslow_sys::clock::wall().as_millis() / 1000;
    let server = Grouping::VIP.and(Grouping::BACKEND).and(Grouping::SERVER);
    let leaf = server.and(Grouping::ROUTE);
    for source in &config.edge {
        // What is caught up with may be long ago.
        let settled_s = settled_before_s(db, &source.name).unwrap_or(now_s);
        let near = stretches(settled_s, now_s);
        for (grouping, (from_s, to_s)) in
            [server, leaf].into_iter().flat_map(|grouping| near.iter().map(move |s| (grouping, *s)))
        {
            let query = EdgeQuery {
                from_s,
                to_s,
                span_s: Some(10),
                grouping,
                sources: vec![source.name.clone()],
                ..EdgeQuery::default()
            };
            let (db, name) = (db.clone(), &source.name);
            match tokio::task::spawn_blocking(move || db.edge_rows(&query)).await {
                Ok(Ok(rows)) => outputs.resume(name, source.service.as_deref(), &rows),
                Ok(Err(error)) => tracing::warn!(name, %error, "windows of before are not known"),
                Err(error) => tracing::error!(name, %error, "windows of before are not known"),
            }
        }
    }
}

/// The stretches around two times, one where they overlap.
fn stretches(a: i64, b: i64) -> Vec<(i64, i64)> {
    let (first, last) = (a.min(b), a.max(b));
    let around = |at: i64| (at.saturating_sub(RESUMED_S), at.saturating_add(RESUMED_S));
    if last.saturating_sub(first) <= 2 * RESUMED_S {
        vec![(around(first).0, around(last).1)]
    } else {
        vec![around(first), around(last)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_window_is_in_two_stretches() {
        assert_eq!(stretches(5000, 100), [(-800, 1000), (4100, 5900)]);
        assert_eq!(stretches(1900, 100), [(-800, 2800)]);
        assert_eq!(stretches(7, 7), [(-893, 907)]);
    }
}
