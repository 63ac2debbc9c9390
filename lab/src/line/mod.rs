//! A client's and a server's namespace with a long wire between them: each frame arrives a set time
//! after it was sent, and chosen ones are lost or held. The wire is a program of ours between two
//! virtual ones, so that it works on kernels without netem and knows what it did.

mod carry;
mod rule;
mod tap;

use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use whyslow_sys::namespace;

use crate::world::{must, words};

use carry::Carrier;
pub use carry::Crossing;
pub use rule::{Fate, Pick, Rule};
pub use tap::Tap;

/// The two ends and the wire; all gone when dropped.
#[derive(Debug)]
pub struct Line {
    places: Places,
    stop: Arc<AtomicBool>,
    crossings: Arc<Mutex<Vec<Crossing>>>,
    carrier: Option<JoinHandle<Result<()>>>,
}

/// The three namespaces, removed when dropped.
#[derive(Debug)]
struct Places {
    client: String,
    middle: String,
    server: String,
}

/// Lines of this process, so that each has names of its own.
static LINES: AtomicU32 = AtomicU32::new(0);

impl Line {
    /// The client's address.
    pub const CLIENT: &'static str = "10.98.0.1";
    /// The server's address.
    pub const SERVER: &'static str = "10.98.0.2";
    /// The interface of both.
    pub const INTERFACE: &'static str = "w0";

    /// Makes it: `delay` each way, and what becomes of chosen frames.
    ///
    /// # Errors
    /// Where the kernel or the rights do not allow it.
    pub fn new(delay: Duration, rules: Vec<Rule>) -> Result<Self> {
        let places = Places::new()?;
        let stop = Arc::new(AtomicBool::new(false));
        let crossings = Arc::default();
        let (path, stopped, log) =
            (path(&places.middle), Arc::clone(&stop), Arc::clone(&crossings));
        let carrier = std::thread::spawn(move || {
            namespace::enter(&path)?;
            before_others();
            Carrier::new(delay, rules, log)?.run(&stopped)
        });
        Ok(Self { places, stop, crossings, carrier: Some(carrier) })
    }

    /// A command inside the client's namespace.
    pub fn client(&self, line: &str) -> Command {
        words(&format!("ip netns exec {} {line}", self.places.client))
    }

    /// A command inside the server's namespace.
    pub fn server(&self, line: &str) -> Command {
        words(&format!("ip netns exec {} {line}", self.places.server))
    }

    /// Runs `work` on a thread inside the client's namespace, before other programs.
    pub fn in_client<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T> + Send + 'static,
    ) -> JoinHandle<Result<T>> {
        inside(path(&self.places.client), work)
    }

    /// Runs `work` on a thread inside the server's namespace, before other programs.
    pub fn in_server<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T> + Send + 'static,
    ) -> JoinHandle<Result<T>> {
        inside(path(&self.places.server), work)
    }

    /// Stops carrying and tells what crossed, in the order of arrival.
    ///
    /// # Errors
    /// Where the wire broke while it was in use.
    pub fn stop(&mut self) -> Result<Vec<Crossing>> {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(carrier) = self.carrier.take() {
            joined(carrier).context("the wire between the namespaces")?;
        }
        Ok(std::mem::take(&mut *self.crossings.lock().unwrap_or_else(PoisonError::into_inner)))
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        // What it had to say was said by `stop`; the namespaces go when `places` does.
        let _ = self.stop();
    }
}

impl Places {
    fn new() -> Result<Self> {
        let id = format!("{}-{}", std::process::id(), LINES.fetch_add(1, Ordering::Relaxed));
        let this = Self {
            client: format!("wl-lc-{id}"),
            middle: format!("wl-lm-{id}"),
            server: format!("wl-ls-{id}"),
        };
        let (client, middle, server) = (&this.client, &this.middle, &this.server);
        for name in [client, middle, server] {
            must(&mut words(&format!("ip netns add {name}")))?;
            joined(inside(path(name), still))?;
        }
        let ends = [
            (client, "c0", Line::CLIENT, 1, Line::SERVER, 2),
            (server, "s0", Line::SERVER, 2, Line::CLIENT, 1),
        ];
        for (end, port, own, own_mac, other, other_mac) in ends {
            let device = Line::INTERFACE;
            for line in [
                format!("ip -n {middle} link add {port} type veth peer name {device} netns {end}"),
                format!("ip -n {end} link set {device} address 02:00:00:00:00:0{own_mac}"),
                format!("ip -n {end} addr add {own}/24 dev {device}"),
                // A frame on the wire must be one segment, whole, with its checksum.
                format!(
                    "ip netns exec {end} ethtool -K {device} tso off gso off gro off tx off rx off"
                ),
                format!("ip netns exec {middle} ethtool -K {port} gro off"),
                format!("ip -n {middle} link set {port} up"),
                format!("ip -n {end} link set {device} up"),
                format!("ip -n {end} link set lo up"),
                // No ARP: its round trip would be part of the first connection's.
                format!(
                    "ip -n {end} neigh add {other} lladdr 02:00:00:00:00:0{other_mac} dev {device} \
                     nud permanent"
                ),
            ] {
                must(&mut words(&line))?;
            }
        }
        Ok(this)
    }
}

impl Drop for Places {
    fn drop(&mut self) {
        for name in [&self.client, &self.middle, &self.server] {
            // What was never made cannot be taken away, which is fine.
            let _ = words(&format!("ip netns del {name}")).output();
        }
    }
}

/// Makes a new namespace behave alike on every machine: nothing speaks by itself, and no connection
/// learns from the one before it. Reno is the one congestion control that every kernel lets every
/// namespace have.
fn still() -> Result<()> {
    // Where there is no IPv6 nothing speaks it.
    let _ = std::fs::write("/proc/sys/net/ipv6/conf/all/disable_ipv6", "1");
    let _ = std::fs::write("/proc/sys/net/ipv6/conf/default/disable_ipv6", "1");
    for (name, value) in [("tcp_no_metrics_save", "1"), ("tcp_congestion_control", "reno")] {
        let path = format!("/proc/sys/net/ipv4/{name}");
        std::fs::write(&path, value).with_context(|| format!("writing {path}"))?;
    }
    Ok(())
}

fn inside<T: Send + 'static>(
    place: PathBuf,
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> JoinHandle<Result<T>> {
    std::thread::spawn(move || {
        namespace::enter(&place)?;
        before_others();
        work()
    })
}

/// What a thread of [`Line::in_client`] or [`Line::in_server`] came to.
///
/// # Errors
/// What it failed with.
pub fn joined<T>(thread: JoinHandle<Result<T>>) -> Result<T> {
    thread.join().map_err(|_| anyhow!("a thread of the lab panicked"))?
}

/// Lets this thread run before those of ordinary programs, where the machine allows it: what is
/// measured is the wire, not how busy the machine is.
fn before_others() {
    let Ok(link) = std::fs::read_link("/proc/thread-self") else { return };
    let Some(id) = link.file_name().and_then(|name| name.to_str()) else { return };
    // Where it may not be, times are only less exact.
    let _ = words(&format!("chrt -f -p 10 {id}")).output();
}

fn path(name: &str) -> PathBuf {
    PathBuf::from("/run/netns").join(name)
}
