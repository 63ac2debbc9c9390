//! A real journald in a mount namespace of its own: what is written to it is nobody else's.

use std::path::Path;
use std::process::Command;

use anyhow::Result;

use crate::peer::Peer;
use crate::world::{World, words};

/// Files of the Debian package.
pub const JOURNALD: &str = "/lib/systemd/systemd-journald";
/// What reads it.
pub const JOURNALCTL: &str = "/usr/bin/journalctl";

/// A running journald.
#[derive(Debug)]
pub struct Journald {
    /// The process.
    pub peer: Peer,
}

impl Journald {
    /// Starts it; `before` are commands of a shell that change what else is mounted.
    ///
    /// # Errors
    /// Where it does not start.
    pub fn start(world: &World, before: &str) -> Result<Self> {
        let script = format!(
            "set -e; {before} mount -t tmpfs tmpfs /run; mount -t tmpfs tmpfs /var/log/journal; \
             mkdir -p /run/systemd/journal /run/log/journal; exec {JOURNALD}"
        );
        let mut command = Command::new("unshare");
        command.args(["--mount", "--propagation", "private", "sh", "-c", &script]);
        let mut peer = Peer::start("journald", world.dir(), &mut command)?;
        let socket = socket(&peer);
        peer.until(|| Ok(Path::new(&socket).exists()))?;
        Ok(Self { peer })
    }

    /// The socket for syslog(3), as it is seen from outside.
    pub fn socket(&self) -> String {
        socket(&self.peer)
    }

    /// A command inside.
    pub fn inside(&self, line: &str) -> Command {
        words(&format!("nsenter --mount=/proc/{}/ns/mnt {line}", self.peer.pid()))
    }

    /// A command inside, and inside the network namespace of this file.
    pub fn inside_with(&self, network: &str, line: &str) -> Command {
        words(&format!("nsenter --mount=/proc/{}/ns/mnt --net={network} {line}", self.peer.pid()))
    }
}

fn socket(peer: &Peer) -> String {
    format!("/proc/{}/root/run/systemd/journal/dev-log", peer.pid())
}
