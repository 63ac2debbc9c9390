//! The figures this crate measures itself; `probe_load` and `promql_peer` have programs of their own.

use std::time::Duration;

use anyhow::Result;

use crate::figure::Figure;
use crate::scenarios::phases;
use crate::up::Up;
use crate::world::World;

/// Requests of each program.
const REQUESTS: usize = 200;
/// How long a process is left alone before its memory is read.
const IDLE: Duration = Duration::from_secs(10);

/// Measures phases against curl, and what an idle `up` holds in memory.
///
/// # Errors
/// Where a program cannot be run.
pub fn figures() -> Result<Vec<Figure>> {
    let mut figures = Vec::new();
    for row in phases::compare(&World::new("bench-phases")?, REQUESTS)? {
        figures.push(Figure {
            what: format!("{} on the same nginx, median of {REQUESTS}", row.phase),
            unit: "ms",
            whyslow: row.whyslow_ms,
            peer: Some(("curl", row.curl_ms)),
            wanted: "within 1 ms + 5 %".to_owned(),
            holds: row.agrees(),
        });
    }
    let up = Up::start(&World::new("bench-idle")?, "  {}\n")?;
    std::thread::sleep(IDLE);
    figures.push(Figure::at_most("memory of an idle `up`", "MB", up.peer.rss_mb()?, 20.0));
    Ok(figures)
}
