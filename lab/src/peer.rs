//! Programs at the other end: started by hand on loopback, stopped when dropped.

use std::fs::File;
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// How long a peer may take until it answers.
pub const START_MAX: Duration = Duration::from_secs(30);
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// A running program; killed when dropped.
#[derive(Debug)]
pub struct Peer {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Peer {
    /// Starts `command` with both outputs in `dir/name.log`.
    ///
    /// # Errors
    /// Where it cannot be started.
    pub fn start(name: &str, dir: &Path, command: &mut Command) -> Result<Self> {
        let log = dir.join(format!("{name}.log"));
        let out = File::create(&log).with_context(|| format!("creating {}", log.display()))?;
        let child = command
            .stdin(Stdio::null())
            .stdout(out.try_clone()?)
            .stderr(out)
            .spawn()
            .with_context(|| format!("starting {name}"))?;
        Ok(Self { name: name.to_owned(), child, log })
    }

    /// Waits until something accepts TCP connections at `address`.
    ///
    /// # Errors
    /// Where the program ends or takes longer than [`START_MAX`].
    pub fn until_listening(mut self, address: SocketAddr) -> Result<Self> {
        self.until(|| Ok(TcpStream::connect(address).is_ok()))?;
        Ok(self)
    }

    /// Waits until `ready` says so.
    ///
    /// # Errors
    /// Where the program ends or takes longer than [`START_MAX`], or `ready` fails.
    pub fn until(&mut self, mut ready: impl FnMut() -> Result<bool>) -> Result<()> {
        let began = Instant::now();
        while !ready()? {
            if let Some(status) = self.child.try_wait()? {
                bail!("{} ended with {status}:\n{}", self.name, self.output());
            }
            if began.elapsed() > START_MAX {
                bail!("{} is not ready after {START_MAX:?}:\n{}", self.name, self.output());
            }
            std::thread::sleep(LOOK_EVERY);
        }
        Ok(())
    }

    /// The process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it has written so far; the last 4 KiB.
    pub fn output(&self) -> String {
        let text = std::fs::read(&self.log).unwrap_or_default();
        let tail = &text[text.len().saturating_sub(4096)..];
        String::from_utf8_lossy(tail).into_owned()
    }

    /// Sends a signal by name (`HUP`, `TERM`, `KILL`).
    ///
    /// # Errors
    /// Where it cannot be sent.
    pub fn signal(&self, name: &str) -> Result<()> {
        let pid = self.pid().to_string();
        let status = Command::new("kill").args(["-s", name, &pid]).status()?;
        anyhow::ensure!(status.success(), "kill -s {name} {pid} ended with {status}");
        Ok(())
    }

    /// Waits for its end for at most `limit` and says with which code; `None` after a signal.
    ///
    /// # Errors
    /// Where it runs on.
    pub fn ended(&mut self, limit: Duration) -> Result<Option<i32>> {
        let began = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status.code());
            }
            if began.elapsed() > limit {
                bail!("{} still runs after {limit:?}", self.name);
            }
            std::thread::sleep(LOOK_EVERY);
        }
    }

    /// Processor time it and its threads used so far, in seconds.
    ///
    /// # Errors
    /// Where it is gone.
    pub fn cpu_s(&self) -> Result<f64> {
        let mut total_ns = 0.0;
        for thread in std::fs::read_dir(format!("/proc/{}/task", self.pid()))? {
            let text = std::fs::read_to_string(thread?.path().join("schedstat"))?;
            let ns = text.split_whitespace().next().context("an empty schedstat")?;
            total_ns += ns.parse::<f64>()?;
        }
        Ok(total_ns / 1e9)
    }

    /// Memory it holds now, in MB (10⁶ bytes).
    ///
    /// # Errors
    /// Where it is gone.
    pub fn rss_mb(&self) -> Result<f64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid()))?;
        let line = status.lines().find(|l| l.starts_with("VmRSS:")).context("no VmRSS")?;
        let kib = line.split_whitespace().nth(1).context("an empty VmRSS")?;
        Ok(kib.parse::<f64>()? * 1024.0 / 1e6)
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // It may have ended by itself, which is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A loopback port free for TCP and UDP just now.
///
/// # Errors
/// Where none is.
pub fn free_port() -> Result<u16> {
    for _ in 0..64 {
        let tcp = TcpListener::bind(("127.0.0.1", 0))?;
        let port = tcp.local_addr()?.port();
        if UdpSocket::bind(("127.0.0.1", port)).is_ok() {
            return Ok(port);
        }
    }
    bail!("no loopback port is free for TCP and UDP")
}

/// `127.0.0.1:port`.
pub fn loopback(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}
