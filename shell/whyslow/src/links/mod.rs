//! Links to other systems: Graphite's plaintext in and out, remote write out.
//!
//! ```text
//! Graphite senders ── lines_in ── store ── tap ── write_out ── receivers of remote write
//!                     window rows ── edge_out ── lines_out ── a Graphite
//! ```

pub mod counters;
mod lines_in;
pub mod lines_out;
mod post;
mod queue;
mod write_out;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::config::secret::reveal;
use crate::config::{Config, Graphite, RemoteWrite};
use crate::edge_out::{GraphiteOut, Outputs};
use crate::storage::{Columns, Db, Tap};
use counters::{ByPeer, LinesIn};
use lines_in::Intake;
use lines_out::LinesOut;
use post::Post;
use queue::Queue;
use write_out::WriteOut;

/// How long what waits may still be sent once the process is told to end.
const FAREWELL: Duration = Duration::from_secs(3);
/// Graphite's own port for plaintext.
const GRAPHITE_PORT: u16 = 2003;

/// All links.
#[derive(Debug, Default)]
pub struct Links {
    /// What came in by Graphite's plaintext.
    pub lines_in: Arc<LinesIn>,
    running: Mutex<Running>,
    /// Read for every batch that is stored.
    write: RwLock<Vec<Arc<WriteOut>>>,
}

#[derive(Debug, Default)]
struct Running {
    graphite: Option<GraphiteLink>,
    remote_write: Vec<WriteLink>,
}

#[derive(Debug)]
struct GraphiteLink {
    config: Graphite,
    /// Where lines are taken, once they are.
    address: Option<SocketAddr>,
    out: Option<(String, Arc<Queue>)>,
    roles: Roles,
}

#[derive(Debug)]
struct WriteLink {
    config: RemoteWrite,
    out: Arc<WriteOut>,
    roles: Roles,
}

/// Tasks, and what ends them.
#[derive(Debug)]
struct Roles {
    stop: watch::Sender<bool>,
    tasks: Vec<JoinHandle<()>>,
}

impl Roles {
    fn new() -> Self {
        Self { stop: watch::Sender::new(false), tasks: Vec::new() }
    }

    async fn end(self) {
        self.stop.send_replace(true);
        for task in self.tasks {
            // Late means: what waits is lost with the process, as it is counted to wait.
            let _ = timeout(2 * FAREWELL, task).await;
        }
    }
}

impl Links {
    /// Lets a configuration take effect: links that did not change go on with what they hold.
    pub async fn reload(&self, config: &Config, db: &Db, outputs: &Outputs) {
        let gone = self.take_gone(config);
        for roles in gone {
            roles.end().await;
        }
        let wants_graphite = { config.graphite.clone().filter(|_| self.lock().graphite.is_none()) };
        if let Some(wanted) = wants_graphite {
            let link = self.start_graphite(wanted, db).await;
            self.lock().graphite = Some(link);
        }
        let mut running = self.lock();
        for wanted in &config.remote_write {
            if running.remote_write.iter().all(|link| link.config != *wanted) {
                running.remote_write.push(WriteLink::start(wanted.clone()));
            }
        }
        let write = running.remote_write.iter().map(|link| Arc::clone(&link.out)).collect();
        *self.write.write().unwrap_or_else(PoisonError::into_inner) = write;
        outputs.set_graphite(running.graphite.as_ref().map(GraphiteLink::out));
    }

    /// Ends all links; what waits is sent if that takes no time.
    pub async fn stop(&self) {
        let all = {
            let mut running = self.lock();
            let graphite = running.graphite.take().map(|link| link.roles);
            let write = std::mem::take(&mut running.remote_write);
            graphite.into_iter().chain(write.into_iter().map(|link| link.roles)).collect::<Vec<_>>()
        };
        for roles in all {
            roles.end().await;
        }
    }

    /// Where lines are taken.
    pub fn graphite_address(&self) -> Option<SocketAddr> {
        self.lock().graphite.as_ref().and_then(|link| link.address)
    }

    /// Lines sent, by Graphite.
    pub fn lines_out(&self) -> ByPeer {
        let running = self.lock();
        let out = running.graphite.iter().filter_map(|link| link.out.as_ref());
        out.map(|(peer, queue)| (peer.clone(), queue.sent.read())).collect()
    }

    /// Samples sent, by receiver.
    pub fn samples_out(&self) -> ByPeer {
        let running = self.lock();
        let links = running.remote_write.iter();
        links.map(|link| (link.config.url.shown(), link.out.queue.sent.read())).collect()
    }

    fn take_gone(&self, config: &Config) -> Vec<Roles> {
        let mut running = self.lock();
        let mut gone = Vec::new();
        let changed =
            running.graphite.as_ref().is_some_and(|l| config.graphite.as_ref() != Some(&l.config));
        if changed {
            gone.extend(running.graphite.take().map(|link| link.roles));
        }
        let (stay, go): (Vec<_>, Vec<_>) = std::mem::take(&mut running.remote_write)
            .into_iter()
            .partition(|link| config.remote_write.contains(&link.config));
        running.remote_write = stay;
        gone.extend(go.into_iter().map(|link| link.roles));
        gone
    }

    async fn start_graphite(&self, config: Graphite, db: &Db) -> GraphiteLink {
        let mut roles = Roles::new();
        let mut address = None;
        if let Some(listen) = config.listen {
            match TcpListener::bind(listen).await {
                Ok(listener) => {
                    address = listener.local_addr().ok();
                    let from = config.from.iter().map(|network| network.0).collect();
                    let counters = Arc::clone(&self.lines_in);
                    let intake = Intake { db: db.clone(), from, counters };
                    let stopping = roles.stop.subscribe();
                    roles.tasks.push(tokio::spawn(lines_in::listen(listener, intake, stopping)));
                }
                Err(error) => tracing::error!(%listen, %error, "no Graphite lines are taken"),
            }
        }
        let out = config.send_to.as_ref().map(|to| {
            let port = to.port.unwrap_or(GRAPHITE_PORT);
            let host =
                if to.host.contains(':') { format!("[{}]", to.host) } else { to.host.clone() };
            let peer = format!("{host}:{port}");
            let queue = Arc::new(Queue::new(config.queue_bytes()));
            let stopping = roles.stop.subscribe();
            let sending = lines_out::send(peer.clone(), Arc::clone(&queue), stopping);
            roles.tasks.push(tokio::spawn(sending));
            (peer, queue)
        });
        GraphiteLink { config, address, out, roles }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Running> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl GraphiteLink {
    fn out(&self) -> GraphiteOut {
        GraphiteOut {
            template: self.config.template.clone(),
            lines: self.out.as_ref().map(|(_, queue)| LinesOut::new(Arc::clone(queue))),
            keep: self.config.keep,
        }
    }
}

impl WriteLink {
    fn start(config: RemoteWrite) -> Self {
        let queue = Arc::new(Queue::new(config.queue_bytes()));
        let select = config.select.iter().map(|s| s.matchers()).collect();
        let out = Arc::new(WriteOut::new(queue, select));
        let mut roles = Roles::new();
        let token = match config.token.as_ref().map(reveal).transpose() {
            Ok(token) => token.map(|t| t.expose().to_owned()),
            Err(error) => {
                tracing::error!(%error, "samples are sent without their token");
                None
            }
        };
        let post = Post::new(config.url.0.clone());
        let (name, stopping) = (config.url.shown(), roles.stop.subscribe());
        let sending = write_out::send(Arc::clone(&out), post, name, token, stopping);
        roles.tasks.push(tokio::spawn(sending));
        Self { config, out, roles }
    }
}

impl Tap for Links {
    fn wants(&self) -> bool {
        !self.write.read().unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    fn stored(&self, columns: &Columns) {
        let write = self.write.read().unwrap_or_else(PoisonError::into_inner);
        write.iter().for_each(|out| out.take(columns));
    }
}

/// Pauses between attempts: a second at first, half a minute at last.
#[derive(Debug)]
struct Backoff(Duration);

impl Default for Backoff {
    fn default() -> Self {
        Self(Duration::from_secs(1))
    }
}

impl Backoff {
    fn next(&mut self) -> Duration {
        let pause = self.0;
        self.0 = (pause * 2).min(Duration::from_secs(30));
        pause
    }
}
