//! The demo as a whole: the shop, the ordinary pipeline that watches it, and the script.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, Result};
use tempfile::TempDir;
use tokio::sync::{mpsc, watch};
use tokio::task::{AbortHandle, JoinSet};
use whyslow_sys::clock;

use super::config;
use super::log::Log;
use super::networks::{self, NETWORKS};
use super::play::{Change, play};
use super::script::Conditions;
use super::shop::Shop;
use super::traffic;
use super::wire::told;
use crate::asn;
use crate::config::{Current, Origin, load};
use crate::pipeline::{Judging, Running};
use crate::prober::sockets::{Opener, Sockets};
use crate::prober::{Plan, Prober};
use crate::storage::Batch;
use crate::web::api::marks;

/// The service's name in the demo's configuration.
const SERVICE: &str = "shop";
/// What every page says.
const LABEL: &str = "Demo: a sample shop on this machine, with simulated client networks and \
                     faults made on purpose. Nothing here is real.";
/// Changes that may wait to be told; the script has two a half minute.
const CHANGES_WAITING_MAX: usize = 16;

/// A running demo. [`Demo::stop`] ends it and takes away all it made.
#[derive(Debug)]
pub struct Demo {
    running: Running,
    clients: Vec<Prober>,
    player: AbortHandle,
    /// The clients' requests, and what carries the balancer's lines.
    beside: JoinSet<()>,
    changes: mpsc::Receiver<Change>,
    _shop: Shop,
    dir: TempDir,
}

impl Demo {
    /// Opens the shop, starts watching it and begins the script, `pace` times as fast as written.
    ///
    /// # Errors
    /// Where a port, a directory or the pipeline cannot be had.
    pub async fn start(listen: SocketAddr, pace: f64) -> Result<Self> {
        let (shop_conditions, conditions) = watch::channel(Conditions::default());
        let dir = tempfile::Builder::new().prefix("whyslow-demo-").tempdir();
        let dir = dir.context("making a directory for the demo's data")?;
        let (log, carrying) = Log::to(dir.path().join(config::LOG_SOCKET));
        let shop = Shop::open(&conditions, log).await.context("opening the demo's shop")?;
        let file = write_files(dir.path(), &shop, listen)?;
        let origin = Origin { file: Some(file), ..Origin::default() };
        let current = Arc::new(Current::open(origin).context("reading the demo's configuration")?);
        let sockets = Sockets::open(Opener::Here, 0);
        let judging = Judging { edge: config::judging(), wire: config::judging_of_wire() };
        let running = Running::start_judging(current, sockets, judging).await?;
        // Nothing else sets it.
        let _ = running.state().label.set(LABEL);
        let clients = clients(dir.path(), &running)?;
        let mut beside = JoinSet::new();
        beside.spawn(carrying);
        beside.spawn(traffic::visit(shop.balancer, shop.client.clone()));
        let wire = Arc::clone(&running.state().wire);
        beside.spawn(told::tell(wire, SERVICE, shop.balancer, conditions));
        let (tell, changes) = mpsc::channel(CHANGES_WAITING_MAX);
        let player = tokio::spawn(play(shop_conditions, pace, tell)).abort_handle();
        Ok(Self { running, clients, player, beside, changes, _shop: shop, dir })
    }

    /// Where the pages are.
    pub const fn address(&self) -> SocketAddr {
        self.running.address()
    }

    /// Where the demo keeps its files while it runs.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Marks the beginning of each fault on the charts and tells every change, until `end`.
    ///
    /// # Errors
    /// Where a mark cannot be stored.
    pub async fn run_until(
        &mut self,
        end: impl Future<Output = ()>,
        mut tell: impl FnMut(Change),
    ) -> Result<()> {
        let (running, changes) = (&self.running, &mut self.changes);
        let telling = async {
            while let Some(change) = changes.recv().await {
                if let Change::Begins(fault) = change {
                    mark(running, fault.mark).await?;
                }
                tell(change);
            }
            Ok(())
        };
        tokio::select! {
            ended = running.run_until(end) => Ok(ended?),
            told = telling => told,
        }
    }

    /// Ends everything and removes the demo's directory.
    ///
    /// # Errors
    /// Where the directory cannot be removed.
    pub async fn stop(self) -> Result<()> {
        self.player.abort();
        drop(self.beside);
        for client in self.clients {
            client.stop().await;
        }
        self.running.stop().await;
        let path = self.dir.path().to_owned();
        self.dir.close().with_context(|| format!("removing {}", path.display()))
    }
}

/// Writes what the pipeline reads: the configurations, the authority, the tables of networks.
fn write_files(dir: &Path, shop: &Shop, listen: SocketAddr) -> Result<PathBuf> {
    let write = |name: &str, text: &str| -> Result<PathBuf> {
        let path = dir.join(name);
        std::fs::write(&path, text).with_context(|| format!("writing {}", path.display()))?;
        Ok(path)
    };
    let data = dir.join("data");
    std::fs::create_dir(&data).with_context(|| format!("making {}", data.display()))?;
    let ca = write("authority.pem", &shop.authority_pem)?;
    for (name, text) in [
        ("demo-networks.csv", networks::asn_csv()),
        ("demo-countries.csv", networks::country_csv()),
    ] {
        asn::import(&write(name, &text)?, &data).context("importing the demo's networks")?;
    }
    for network in &NETWORKS {
        let text = config::client(shop, network, &data, &ca);
        write(&client_file(network.vantage), &text)?;
    }
    write("demo.yaml", &config::inside(shop, &data, listen, &ca, &dir.join(config::LOG_SOCKET)))
}

fn client_file(vantage: &str) -> String {
    format!("{vantage}.yaml")
}

/// A prober inside each simulated network, storing into the same store.
fn clients(dir: &Path, running: &Running) -> Result<Vec<Prober>> {
    let state = running.state();
    let client = |vantage: &str| {
        let config = load(&dir.join(client_file(vantage)))
            .with_context(|| format!("reading the configuration of {vantage}"))?;
        let sockets = Sockets::without("the demo's clients do not ping");
        Prober::start(Plan::of(&config), state.db.clone(), state.live.clone(), sockets)
            .with_context(|| format!("starting {vantage}"))
    };
    NETWORKS.iter().map(|n| client(n.vantage)).collect()
}

async fn mark(running: &Running, text: &str) -> Result<()> {
    let state = running.state();
    let service = Some(SERVICE.to_owned());
    let mark = marks::observation(text, service, clock::wall(), config::INSIDE);
    let batch = Batch { observations: vec![mark], ..Batch::default() };
    state.db.append(batch).await.context("storing a mark")?;
    Ok(())
}
