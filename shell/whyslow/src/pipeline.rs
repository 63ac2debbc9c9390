//! `whyslow up`: the planes, the store and the pages, wired together.
//!
//! ```text
//! probe ─ observations, samples ─┬─ store ─┬─ pages, API
//! edge ── windows, slow requests ┤         └─ PromQL
//! wire ── openings, samples ─────┘
//!   ▲
//!   └──────── configuration ◄─ file, SIGHUP, pages
//! ```

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use whyslow_edge::detect;

use crate::config::secret::{SecretError, reveal};
use crate::config::{Config, Current, NotInForce, Snapshot};
use crate::edge::{Edge, Notices, World};
use crate::edge_out;
use crate::live::Live;
use crate::prober::sockets::Sockets;
use crate::prober::{Plan, Prober};
use crate::storage::{BadRetention, Db, Limits, Retention, StorageError, StoreOptions};
use crate::web::access::{Access, NeedsToken};
use crate::web::state::AppState;
use crate::web::{server, socket};
use crate::wire::evidence::Evidence;
use crate::wire::evidence::checks::follow;
use crate::wire::store::{self, Storing};
use crate::wire::{Keeping, Wire};

/// How long a role waits before it begins anew after a mistake of ours.
const RESTART_AFTER: Duration = Duration::from_secs(1);

/// How windows are judged.
#[derive(Clone, Debug, Default)]
pub struct Judging {
    /// Those of balancers' logs.
    pub edge: detect::Options,
    /// Those of the wire, and how long they are.
    pub wire: store::Options,
}

/// Everything that runs, until it is told to stop.
#[derive(Debug)]
pub struct Running {
    state: Arc<AppState>,
    prober: Prober,
    web: JoinHandle<()>,
    socket: JoinHandle<()>,
    kept: Keeping,
    stop: watch::Sender<bool>,
    address: SocketAddr,
}

/// Why nothing runs.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The configuration cannot come into force.
    #[error(transparent)]
    Config(#[from] NotInForce),
    /// The listener's address cannot be had.
    #[error("cannot listen on {address}: {error}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        error: io::Error,
    },
    /// The data directory cannot be used.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// Nothing can be kept so.
    #[error(transparent)]
    Retention(#[from] BadRetention),
    /// Strangers could reach the listener.
    #[error(transparent)]
    Open(#[from] NeedsToken),
    /// A token cannot be read.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// The system gives no thread.
    #[error("cannot start the prober: {0}")]
    Prober(io::Error),
    /// The system gives no thread.
    #[error("cannot start keeping what the wire tells: {0}")]
    Storing(io::Error),
}

/// The store's writer ended in a mistake of ours. What it held in memory is part of what a new
/// process reads from disk, so ending is the safe way on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the store ended in a mistake of whyslow's own; what was acknowledged is safe")]
pub struct StoreEnded;

impl StartError {
    /// What the operator can do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Config(error) => error.hint().map(str::to_owned),
            Self::Listen { error, .. } if error.kind() == io::ErrorKind::AddrInUse => Some(
                "another program, perhaps another whyslow, listens there; choose with --listen"
                    .to_owned(),
            ),
            Self::Listen { .. } => Some("choose another address with --listen".to_owned()),
            Self::Storage(error) => error.hint(),
            Self::Retention(_) => Some("see `retention` in the configuration".to_owned()),
            Self::Open(_) => Some(NeedsToken::HINT.to_owned()),
            Self::Secret(error) => Some(error.hint().to_owned()),
            Self::Prober(_) | Self::Storing(_) => None,
        }
    }
}

impl Running {
    /// Starts everything a configuration asks for.
    ///
    /// # Errors
    /// [`StartError`]; then nothing is left running.
    pub async fn start(current: Arc<Current>, sockets: Sockets) -> Result<Self, StartError> {
        Self::start_judging(current, sockets, Judging::default()).await
    }

    /// The same, with windows judged otherwise than usual.
    ///
    /// # Errors
    /// As [`Running::start`].
    pub async fn start_judging(
        current: Arc<Current>,
        mut sockets: Sockets,
        judging: Judging,
    ) -> Result<Self, StartError> {
        let config = current.config();
        let listener = listen(config.listen).await?;
        let address = listener
            .local_addr()
            .map_err(|error| StartError::Listen { address: config.listen, error })?;
        let access = access(&config, address)?;
        let db = Db::open(current.data(), store_options(&config)?)?;
        let live = Live::default();
        let (packet, problem) = sockets.take_packet();
        let (stop, stopping) = watch::channel(false);
        let prober = Prober::start(Plan::of(&config), db.clone(), live.clone(), sockets)
            .map_err(StartError::Prober)?;
        let probing = prober.counter_source();
        let mut state = AppState::new(db, live, current, probing, access, stopping.clone());
        state.read_asn();
        state.links.reload(&config, &state.db).await;
        edge_out::resume(&config, &state.db, &state.outputs).await;
        state.edge = Arc::new(Edge::start(&config, edge_world(&state, judging.edge)));
        state.wire = Arc::new(Wire::start(&config, packet, problem, state.db.seed()));
        state.evidence = Arc::new(evidence(&state, &config));
        state.storing = Some(storing(&config, &state, judging.wire)?);
        let state = Arc::new(state);
        let kept = Keeping::start(Arc::clone(&state.wire), state.db.clone());
        let (live, db, kept_of) =
            (state.live.clone(), state.db.clone(), Arc::clone(&state.evidence));
        tokio::spawn(follow(live, db, kept_of, stopping.clone()));
        let socket = tokio::spawn(socket::until_stopped(Arc::clone(&state), stopping.clone()));
        let web = tokio::spawn(web_role(listener, Arc::clone(&state), stopping));
        Ok(Self { state, prober, web, socket, kept, stop, address })
    }

    /// The address that answers.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// What every request may use: the store, the live events, the configuration.
    pub const fn state(&self) -> &Arc<AppState> {
        &self.state
    }

    /// Applies every new configuration until `end` resolves.
    ///
    /// # Errors
    /// [`StoreEnded`] where the store's writer ended before; then [`Running::stop`] is all that is
    /// left to do.
    pub async fn run_until(&self, end: impl Future<Output = ()>) -> Result<(), StoreEnded> {
        let mut changes = self.state.current.watch();
        tokio::pin!(end);
        loop {
            tokio::select! {
                () = &mut end => return Ok(()),
                () = self.state.db.ended() => return Err(StoreEnded),
                Ok(()) = changes.changed() => {
                    let snapshot = changes.borrow_and_update().clone();
                    self.adopt(&snapshot).await;
                }
            }
        }
    }

    /// Lets answers and runs under way end, and everything stored be safe.
    pub async fn stop(self) {
        self.stop.send_replace(true);
        self.prober.stop().await;
        let edge = Arc::clone(&self.state.edge);
        blocking("the logs that are read", move || edge.stop()).await;
        let (wire, evidence) = (Arc::clone(&self.state.wire), Arc::clone(&self.state.evidence));
        blocking("the packets that are recorded", move || {
            evidence.stop();
            wire.stop();
        })
        .await;
        let state = Arc::clone(&self.state);
        blocking("what the wire tells", move || {
            state.storing.iter().for_each(Storing::stop);
        })
        .await;
        self.kept.finish().await;
        // They fail only where the role is gone already.
        let _ = tokio::join!(self.web, self.socket);
        self.state.links.stop().await;
        self.state.db.clone().close().await;
    }

    /// Lets a configuration take effect everywhere.
    async fn adopt(&self, snapshot: &Snapshot) {
        self.prober.reload(Plan::of(&snapshot.config));
        self.state.read_asn();
        let (edge, config) = (Arc::clone(&self.state.edge), Arc::clone(&snapshot.config));
        blocking("the logs that are read", move || edge.reload(&config)).await;
        let (wire, config) = (Arc::clone(&self.state.wire), Arc::clone(&snapshot.config));
        let evidence = Arc::clone(&self.state.evidence);
        blocking("the packets that are recorded", move || {
            wire.reload(&config);
            evidence.reload(&config);
        })
        .await;
        self.state.storing.iter().for_each(|storing| storing.reload(&snapshot.config));
        self.state.links.reload(&snapshot.config, &self.state.db).await;
        match access(&snapshot.config, self.address) {
            Ok(access) => self.state.replace_access(access),
            Err(error) => tracing::error!("callers are judged by the old tokens: {error}"),
        }
    }
}

/// The role that keeps packets of what recorders notice.
fn evidence(state: &AppState, config: &Config) -> Evidence {
    let (wire, data) = (Arc::clone(&state.wire), state.current.data());
    Evidence::start(config, wire, data, state.db.seed())
}

/// Where the windows of balancers' logs go, and how they are judged.
pub fn edge_world(state: &AppState, judging: detect::Options) -> World {
    let networks = Arc::clone(&state.asn().networks);
    World {
        agent: state.config().vantage.name.clone(),
        db: state.db.clone(),
        runtime: tokio::runtime::Handle::current(),
        asn: (!networks.is_empty()).then_some(networks),
        notices: Arc::new(Notices::of(&state.db, judging)),
        outputs: Arc::clone(&state.outputs),
    }
}

/// Starts keeping what recorders tell.
fn storing(
    config: &Config,
    state: &AppState,
    options: store::Options,
) -> Result<Storing, StartError> {
    let networks = Arc::clone(&state.asn().networks);
    let asn = (!networks.is_empty()).then_some(networks);
    let options = store::Options { agent: config.vantage.name.clone(), ..options };
    let (wire, evidence) = (Arc::clone(&state.wire), Arc::clone(&state.evidence));
    Storing::start(wire, evidence, state.db.clone(), asn, config, options)
        .map_err(StartError::Storing)
}

/// Does what may wait for threads, where waiting is allowed.
async fn blocking(what: &str, work: impl FnOnce() + Send + 'static) {
    if let Err(error) = tokio::task::spawn_blocking(work).await {
        tracing::error!("{what} ended in a mistake of whyslow's own: {error}");
    }
}

async fn listen(address: SocketAddr) -> Result<TcpListener, StartError> {
    TcpListener::bind(address).await.map_err(|error| StartError::Listen { address, error })
}

/// Who may talk to the listener at `address`; reads secrets.
fn access(config: &Config, address: SocketAddr) -> Result<Access, StartError> {
    let token = config.token.as_ref().map(reveal).transpose()?;
    let agents = config
        .agents
        .iter()
        .map(|(name, agent)| Ok((name.clone(), reveal(&agent.token)?.expose().to_owned())));
    let agents = agents.collect::<Result<Vec<_>, SecretError>>()?;
    let token = token.as_ref().map(|t| t.expose());
    Ok(Access::new(address, &config.hosts, token, &agents)?)
}

fn store_options(config: &Config) -> Result<StoreOptions, BadRetention> {
    let steps: Vec<(Duration, Duration)> =
        config.retention.iter().map(|s| (s.resolution.std(), s.keep.std())).collect();
    let storage = &config.storage;
    let late_ms = i64::try_from(storage.out_of_order.as_millis()).unwrap_or(i64::MAX);
    Ok(StoreOptions {
        retention: Retention::new(&steps)?,
        limits: Limits { series_max: storage.series_max, late_ms },
        observations_for: storage.observations.std(),
        transcripts_for: storage.transcripts.std(),
        ok_runs_for: storage.runs.std(),
    })
}

/// Answers requests; begins anew after a mistake of ours, and says so.
async fn web_role(listener: TcpListener, state: Arc<AppState>, stopping: watch::Receiver<bool>) {
    let listener = Arc::new(listener);
    loop {
        let router = server::router(&state);
        let role = tokio::spawn(server::serve(Arc::clone(&listener), router, stopping.clone()));
        match role.await {
            Ok(()) => return,
            Err(error) => {
                tracing::error!("the listener ended in a mistake of whyslow's own: {error}")
            }
        }
        tokio::time::sleep(RESTART_AFTER).await;
    }
}
