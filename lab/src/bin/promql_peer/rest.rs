//! Bytes that the same samples take on disk, once both have put them away.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use whyslow_lab::up::Up;
use whyslow_lab::world::World;

use crate::server::Server;

/// How long whyslow may take to put everything away when it is told to end.
const END_MAX: Duration = Duration::from_secs(60);

/// Bytes of Prometheus's own snapshot: every block it has, and its head packed as one more.
///
/// # Errors
/// Where it makes none.
pub fn of_prometheus(server: &mut Server, dir: &Path) -> Result<u64> {
    server.snapshot()?;
    bytes_under(&dir.join("tsdb/snapshots"))
}

/// Bytes of the whole data directory of a whyslow that was asked to end.
///
/// # Errors
/// Where it does not end well.
pub fn of_whyslow(mut running: Up, world: &World) -> Result<u64> {
    running.peer.signal("TERM")?;
    let code = running.peer.ended(END_MAX)?;
    ensure!(code == Some(0), "whyslow ended with {code:?}:\n{}", running.peer.output());
    bytes_under(&world.dir().join("data"))
}

fn bytes_under(dir: &Path) -> Result<u64> {
    let mut bytes = 0;
    for entry in std::fs::read_dir(dir).with_context(|| format!("reading {}", dir.display()))? {
        let (entry, path) = entry.map(|e| (e.metadata(), e.path()))?;
        let entry = entry?;
        bytes += if entry.is_dir() { bytes_under(&path)? } else { entry.len() };
    }
    Ok(bytes)
}
