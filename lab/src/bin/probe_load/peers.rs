//! What the same costs elsewhere: blackbox_exporter a check, fping a packet.

use std::fmt::Write as _;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use whyslow_lab::peer::{Peer, free_port, loopback};
use whyslow_lab::world::World;

/// Checks asked of blackbox_exporter for one figure.
const CHECKS: u32 = 500;
/// Targets and packets each of fping.
const TARGETS: u32 = 200;
const PACKETS: u32 = 20;

const MODULES: &str = "\
modules:
  https:
    prober: http
    timeout: 5s
    http: {preferred_ip_protocol: ip4, tls_config: {insecure_skip_verify: true}}
  tcp:
    prober: tcp
    timeout: 5s
    tcp: {preferred_ip_protocol: ip4}
";

/// A running blackbox_exporter.
#[derive(Debug)]
pub(crate) struct Blackbox {
    address: SocketAddr,
    peer: Peer,
}

impl Blackbox {
    pub(crate) fn start(world: &World) -> Result<Self> {
        let address = loopback(free_port()?);
        let modules = world.write("blackbox.yml", MODULES)?;
        let mut command = Command::new("prometheus-blackbox-exporter");
        command.arg(format!("--config.file={modules}"));
        command.arg(format!("--web.listen-address={address}"));
        let peer = Peer::start("blackbox", world.dir(), &mut command)?.until_listening(address)?;
        Ok(Self { address, peer })
    }

    /// Processor time of one check, in milliseconds, the scrape that asks for it included.
    pub(crate) fn cpu_ms(&self, module: &str, target: &str) -> Result<f64> {
        self.probe(module, target)?;
        let before = self.cpu_ns()?;
        for _ in 0..CHECKS {
            self.probe(module, target)?;
        }
        Ok((self.cpu_ns()? - before) as f64 / 1e6 / f64::from(CHECKS))
    }

    fn probe(&self, module: &str, target: &str) -> Result<()> {
        let mut scrape = TcpStream::connect(self.address)?;
        write!(
            scrape,
            "GET /probe?module={module}&target={target} HTTP/1.1\r\nHost: b\r\n\
             Connection: close\r\n\r\n"
        )?;
        let mut answer = String::new();
        scrape.read_to_string(&mut answer)?;
        ensure!(answer.contains("\nprobe_success 1"), "blackbox_exporter could not: {answer}");
        Ok(())
    }

    /// Of all its threads together.
    fn cpu_ns(&self) -> Result<u64> {
        let mut sum = 0;
        for task in std::fs::read_dir(format!("/proc/{}/task", self.peer.pid()))? {
            let text = std::fs::read_to_string(task?.path().join("schedstat")).unwrap_or_default();
            sum += text.split(' ').next().and_then(|n| n.parse::<u64>().ok()).unwrap_or(0);
        }
        Ok(sum)
    }
}

/// Processor time of one of fping's packets, in milliseconds.
pub(crate) fn fping_cpu_ms(world: &World) -> Result<f64> {
    let mut hosts = String::new();
    for n in 0..TARGETS {
        writeln!(hosts, "127.0.{}.{}", n / 250, 1 + n % 250)?;
    }
    let hosts = world.write("hosts", &hosts)?;
    // The shell's `times` tells what its children used; 1 ms apart, as fping's own floor is.
    let script = format!("fping -q -c {PACKETS} -p 100 -i 1 -f {hosts} 2>/dev/null; times");
    let done = Command::new("bash").args(["-c", &script]).output().context("starting bash")?;
    let text = String::from_utf8_lossy(&done.stdout);
    let Some(children) = text.lines().nth(1) else { bail!("no times in {text:?}") };
    let used: Duration = children.split(' ').filter_map(minutes).sum();
    Ok(used.as_secs_f64() * 1000.0 / f64::from(TARGETS * PACKETS))
}

/// Reads `0m0.123s`.
fn minutes(text: &str) -> Option<Duration> {
    let (minutes, seconds) = text.trim_end_matches('s').split_once('m')?;
    let seconds: f64 = seconds.parse().ok()?;
    Some(Duration::from_secs_f64(minutes.parse::<f64>().ok()? * 60.0 + seconds))
}
