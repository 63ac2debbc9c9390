//! The virtual wire, made so that every frame travels alone and ends behind the taps.

use std::process::Command;

use anyhow::{Context, Result};
use whyslow_lab::namespace::Pair;
use whyslow_lab::world::{must, words};

/// Where frames are dropped once every tap has seen them: delivering them is not measured here.
const HOOK: &str = "{ type filter hook ingress device w0 priority 0 ; policy accept ; }";
/// The port that frames are sent to, which nobody listens on.
const PORT: u16 = 9;

/// Two namespaces and the wire between them.
#[derive(Debug)]
pub(crate) struct Wire {
    pub(crate) pair: Pair,
    itself: String,
    /// Whether sender and recorder each get a processor of their own.
    apart: bool,
}

impl Wire {
    /// Lays it.
    ///
    /// # Errors
    /// Where the kernel or the rights do not allow it, or ethtool or nft is not there.
    pub(crate) fn new() -> Result<Self> {
        let pair = Pair::new()?;
        for end in [Pair::client, Pair::server] {
            // Else frames are cut apart where they arrive, or not at all: the taps would see fewer
            // and larger ones.
            must(&mut end(&pair, "ethtool -K w0 tx-udp-segmentation off tso off gro off"))
                .context("hint: apt-get install ethtool")?;
            must(&mut end(&pair, "nft add table netdev lab"))?;
            must(&mut end(&pair, &format!("nft add chain netdev lab in {HOOK}")))?;
            for of in [
                format!("udp dport {PORT}"),
                format!("ip saddr {REPLAYED}"),
                format!("ip daddr {REPLAYED}"),
            ] {
                must(&mut end(&pair, &format!("nft add rule netdev lab in {of} drop")))?;
            }
        }
        let itself = std::env::current_exe()?.display().to_string();
        let apart = std::thread::available_parallelism()?.get() > 1;
        Ok(Self { pair, itself, apart })
    }

    /// Sends frames for so long, at `rate` a second or as fast as can be; gives what the sender
    /// said.
    ///
    /// # Errors
    /// Where it fails.
    pub(crate) fn blast(&self, seconds: u64, rate: Option<u64>) -> Result<String> {
        let rate = rate.map(|rate| rate.to_string()).unwrap_or_default();
        let (pin, itself) = (self.sends(), &self.itself);
        let line = format!("{pin}{itself} blast {}:{PORT} {seconds} {rate}", Pair::SERVER);
        must(&mut self.pair.client(&line))
    }

    /// Sends the handshakes of a capture again; gives what the sender said.
    ///
    /// # Errors
    /// Where it fails.
    pub(crate) fn replay(&self, capture: &str, seconds: u64, rate: u64) -> Result<String> {
        let (client, server) = (self.pair.client_file(), self.pair.server_file());
        let (pin, itself) = (self.sends(), &self.itself);
        let line = format!("{pin}{itself} replay {client} {server} {capture} {seconds} {rate}");
        must(&mut words(&line))
    }

    /// A recorder's command, at the server's end.
    pub(crate) fn recorder(&self, line: &str) -> Command {
        let pin = if self.apart { "taskset -c 1 " } else { "" };
        self.pair.server(&format!("{pin}{line}"))
    }

    const fn sends(&self) -> &'static str {
        if self.apart { "taskset -c 0 " } else { "" }
    }
}

/// The network whose clients exist in replayed handshakes only.
pub(crate) const REPLAYED: &str = "10.98.0.0/16";
