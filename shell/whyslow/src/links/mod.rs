//! Links to other systems: Graphite's plaintext in and out, remote write out.
//!
//! ```text
//! Graphite senders ── lines_in ── store ─┬─ commits ── write_out ── receivers of remote write
//!                                        └─ windows ─┬─ lines_out ── a Graphite
//!                                                    └─ kept ── store, under Graphite's names
//! ```
//!
//! What goes out is read from the store, each output from the place up to which it has sent, and
//! that place is stored too: a restart, or a kill, goes on where it was.

pub mod counters;
mod kept;
mod lines_in;
mod lines_out;
mod named;
mod post;
mod write_out;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::config::secret::reveal;
use crate::config::{Config, Graphite, RemoteWrite};
use crate::storage::{Batch, Db, Opened, Output, Stream, Waiting};
use counters::{ByPeer, LinesIn, Sent, SentNow};
use lines_in::Intake;
use lines_out::LinesOut;
use named::Named;
use post::Post;
use write_out::WriteOut;

/// How long what waits may still be sent once the process is told to end.
const FAREWELL: Duration = Duration::from_secs(3);
/// How often an output's place is stored at most.
const SAVE_EVERY: Duration = Duration::from_secs(1);
/// The output that keeps values here.
const KEPT: &str = "kept";
/// Graphite's own port for plaintext.
const GRAPHITE_PORT: u16 = 2003;

/// All links.
#[derive(Debug, Default)]
pub struct Links {
    /// What came in by Graphite's plaintext.
    pub lines_in: Arc<LinesIn>,
    running: Mutex<Running>,
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
    out: Option<Out>,
    named: Arc<Named>,
    roles: Roles,
}

#[derive(Debug)]
struct WriteLink {
    config: RemoteWrite,
    out: Out,
    roles: Roles,
}

/// How an output fares.
#[derive(Clone, Debug)]
struct Out {
    peer: String,
    sent: Arc<Sent>,
    waiting: Arc<Waiting>,
}

/// What an output sends with.
struct Sending {
    /// Whom it sends to.
    name: String,
    db: Db,
    opened: Opened,
    sent: Arc<Sent>,
}

impl Sending {
    fn new(name: String, db: &Db, opened: &Opened) -> Self {
        Self { name, db: db.clone(), opened: opened.clone(), sent: Arc::default() }
    }

    /// Stores that everything up to a place was sent.
    async fn save(&self, place: i64) {
        let sent = vec![(Arc::clone(&self.opened.name), place)];
        // What is not stored is sent again after a restart.
        if let Err(error) = self.db.append(Batch { sent, ..Batch::default() }).await {
            tracing::warn!(name = self.name, %error, "it is not stored how much was sent");
        }
    }

    fn out(&self) -> Out {
        let (sent, waiting) = (Arc::clone(&self.sent), Arc::clone(&self.opened.waiting));
        Out { peer: self.name.clone(), sent, waiting }
    }
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
            // Late means: what waits is sent after the next start.
            let _ = timeout(2 * FAREWELL, task).await;
        }
    }
}

impl Links {
    /// Lets a configuration take effect: links that did not change go on.
    pub async fn reload(&self, config: &Config, db: &Db) {
        let gone = self.take_gone(config);
        for roles in gone {
            roles.end().await;
        }
        let opened = db.set_outputs(outputs(config)).await.unwrap_or_else(|error| {
            tracing::error!(%error, "nothing is sent: how much was is not known");
            Vec::new()
        });
        let opened: BTreeMap<_, _> =
            opened.into_iter().map(|one| (Arc::clone(&one.name), one)).collect();
        let wants_graphite = { config.graphite.clone().filter(|_| self.lock().graphite.is_none()) };
        if let Some(wanted) = wants_graphite {
            let link = self.start_graphite(wanted, db, &opened).await;
            self.lock().graphite = Some(link);
        }
        let mut running = self.lock();
        running.graphite.iter().for_each(|link| link.named.reload(config));
        for (wanted, name) in config.remote_write.iter().zip(write_names(config)) {
            if running.remote_write.iter().all(|link| link.config != *wanted) {
                let link = opened.get(&*name).map(|opened| WriteLink::start(wanted, db, opened));
                running.remote_write.extend(link);
            }
        }
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

    /// Lines sent, by Graphite; what waits and is dropped are windows.
    pub fn lines_out(&self) -> ByPeer {
        let running = self.lock();
        let out = running.graphite.iter().filter_map(|link| link.out.as_ref());
        out.map(|out| (out.peer.clone(), out.now(out.sent.pending.read()))).collect()
    }

    /// Samples sent, by receiver.
    pub fn samples_out(&self) -> ByPeer {
        let running = self.lock();
        let out = running.remote_write.iter().map(|link| &link.out);
        out.map(|out| (out.peer.clone(), out.now(out.waiting.samples()))).collect()
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

    async fn start_graphite(
        &self,
        config: Graphite,
        db: &Db,
        opened: &BTreeMap<Arc<str>, Opened>,
    ) -> GraphiteLink {
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
        let named = Arc::new(Named::new(config.template.clone()));
        let mut out = None;
        if let Some(peer) = peer(&config)
            && let Some(opened) = opened.get(&*lines_name(&peer))
        {
            let sending = Sending::new(peer, db, opened);
            out = Some(sending.out());
            let lines = LinesOut::new(Arc::clone(&named), sending, roles.stop.subscribe());
            roles.tasks.push(tokio::spawn(lines.run()));
        }
        if let Some(opened) = opened.get(KEPT) {
            let sending = Sending::new(KEPT.to_owned(), db, opened);
            let stopping = roles.stop.subscribe();
            roles.tasks.push(tokio::spawn(kept::keep(Arc::clone(&named), sending, stopping)));
        }
        GraphiteLink { config, address, out, named, roles }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Running> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Out {
    fn now(&self, pending: u64) -> SentNow {
        let now = self.sent.read();
        SentNow { pending, dropped: now.dropped + self.waiting.dropped(), ..now }
    }
}

impl WriteLink {
    fn start(config: &RemoteWrite, db: &Db, opened: &Opened) -> Self {
        let mut roles = Roles::new();
        let token = match config.token.as_ref().map(reveal).transpose() {
            Ok(token) => token.map(|t| t.expose().to_owned()),
            Err(error) => {
                tracing::error!(%error, "samples are sent without their token");
                None
            }
        };
        let sending = Sending::new(config.url.shown(), db, opened);
        let out = sending.out();
        let write = WriteOut {
            post: Post::new(config.url.0.clone()),
            headers: write_out::headers(token.as_deref()),
            select: config.select.iter().map(|s| s.matchers()).collect(),
            sending,
            stopping: roles.stop.subscribe(),
        };
        roles.tasks.push(tokio::spawn(write.run()));
        Self { config: config.clone(), out, roles }
    }
}

/// The outputs that a configuration asks for.
fn outputs(config: &Config) -> Vec<Output> {
    let windows =
        |name: String| Output { name: name.into(), stream: Stream::Windows, bytes_max: 0 };
    let graphite = config.graphite.as_ref();
    let lines = graphite.and_then(peer).map(|peer| windows(lines_name(&peer)));
    let kept = graphite.filter(|graphite| graphite.keep).map(|_| windows(KEPT.to_owned()));
    let write = config.remote_write.iter().zip(write_names(config)).map(|(remote, name)| Output {
        name: name.into(),
        stream: Stream::Samples,
        bytes_max: remote.queue_bytes(),
    });
    lines.into_iter().chain(kept).chain(write).collect()
}

/// Where lines are sent.
fn peer(config: &Graphite) -> Option<String> {
    let to = config.send_to.as_ref()?;
    let port = to.port.unwrap_or(GRAPHITE_PORT);
    Some(if to.host.contains(':') {
        format!("[{}]:{port}", to.host)
    } else {
        format!("{}:{port}", to.host)
    })
}

fn lines_name(peer: &str) -> String {
    format!("graphite {peer}")
}

/// What receivers are known by. A query, in which secrets may stand, is no part of it; receivers
/// that differ in nothing else are numbered.
fn write_names(config: &Config) -> Vec<String> {
    let mut seen: BTreeMap<String, u32> = BTreeMap::new();
    let name = |remote: &RemoteWrite| {
        let shown = remote.url.shown();
        let n = seen.entry(shown.clone()).or_default();
        *n += 1;
        if *n == 1 { format!("remote_write {shown}") } else { format!("remote_write {shown} {n}") }
    };
    config.remote_write.iter().map(name).collect()
}

/// Resolves once told to stop; a sender that is gone means the same.
async fn stopped(stopping: &mut watch::Receiver<bool>) {
    let _ = stopping.wait_for(|stop| *stop).await.is_ok();
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
