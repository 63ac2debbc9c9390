//! tcpdump at the server's end of the line.

use std::net::UdpSocket;
use std::time::Duration;

use anyhow::Result;

use super::{Line, joined};
use crate::peer::Peer;
use crate::world::World;

/// A running capture.
#[derive(Debug)]
pub struct Tap {
    peer: Peer,
    file: String,
}

/// A packet that is sent after all others.
const LAST: &[u8] = b"that was all of it";
const PATIENCE: Duration = Duration::from_secs(30);

impl Tap {
    /// Begins to write to `file`, a pcap with nanoseconds.
    ///
    /// # Errors
    /// Where tcpdump does not begin.
    pub fn start(world: &World, line: &Line, file: &str) -> Result<Self> {
        let arguments = "-Z root -n -U --immediate-mode --time-stamp-precision=nano -B 8192";
        let mut command =
            line.server(&format!("tcpdump {arguments} -i {} -w {file}", Line::INTERFACE));
        let mut peer = Peer::start("tcpdump", world.dir(), &mut command)?;
        let log = world.path("tcpdump.log");
        peer.until(|| Ok(std::fs::read_to_string(&log)?.contains("listening on")))?;
        Ok(Self { peer, file: file.to_owned() })
    }

    /// Ends it, once all that went over the line before is written.
    ///
    /// # Errors
    /// Where tcpdump broke off.
    pub fn finish(mut self, line: &Line) -> Result<()> {
        joined(line.in_client(|| {
            let socket = UdpSocket::bind("0.0.0.0:0")?;
            socket.send_to(LAST, (Line::SERVER, 9))?;
            Ok(())
        }))?;
        let file = &self.file;
        let written = || Ok(std::fs::read(file)?.windows(LAST.len()).any(|bytes| bytes == LAST));
        self.peer.until(written)?;
        self.peer.signal("INT")?;
        self.peer.ended(PATIENCE)?;
        Ok(())
    }
}
