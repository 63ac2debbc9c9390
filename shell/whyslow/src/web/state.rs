//! What every request may use.

use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use http::StatusCode;
use tokio::sync::{Semaphore, watch};
use whyslow_model::Wall;
use whyslow_model::limits::LIVE_STREAMS_MAX;

use crate::asn::Tables;
use crate::config::{Config, Current};
use crate::edge::Edge;
use crate::edge_out::Outputs;
use crate::links::Links;
use crate::live::Live;
use crate::prober::ProberCounters;
use crate::storage::{Db, StorageError};
use crate::web::access::Access;
use crate::web::api::families::Families;
use crate::web::api::prometheus::gate::Gate;
use crate::web::counts::WebCounts;
use crate::web::problem::Problem;
use crate::web::socket::Status;
use crate::wire::Wire;
use crate::wire::evidence::Evidence;
use crate::wire::store::Storing;

/// Shared by all requests behind an `Arc`.
#[derive(Debug)]
pub struct AppState {
    /// The store.
    pub db: Db,
    /// What happens, as it happens.
    pub live: Live,
    /// What series' names mean.
    pub families: Families,
    /// What the prober counts of itself.
    pub probing: Probing,
    /// The balancers' logs that are read.
    pub edge: Arc<Edge>,
    /// The interfaces that are recorded.
    pub wire: Arc<Wire>,
    /// The packets of what was noticed on them.
    pub evidence: Arc<Evidence>,
    /// What keeps what they tell.
    pub storing: Option<Storing>,
    /// What windows of balancers' logs become.
    pub outputs: Arc<Outputs>,
    /// What comes from and goes to other systems.
    pub links: Arc<Links>,
    /// What the listener counts of itself.
    pub web: WebCounts,
    /// How the local socket fares.
    pub keep_socket: Status,
    /// Where queries take their turn.
    pub queries: Gate,
    /// When the process started.
    pub started: Wall,
    /// Becomes true when the process is about to end, so that endless answers end too.
    pub stopping: watch::Receiver<bool>,
    /// One place for each browser that may follow live.
    pub live_places: Arc<Semaphore>,
    /// The configuration in force.
    pub current: Arc<Current>,
    /// What every page says about all it shows, where something must be said: a demo's label.
    pub label: OnceLock<&'static str>,
    asn: RwLock<Arc<Tables>>,
    access: RwLock<Arc<Access>>,
}

/// Gives the prober's counters as they are now.
pub struct Probing(pub Box<dyn Fn() -> ProberCounters + Send + Sync>);

impl std::fmt::Debug for Probing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Probing").field(&(self.0)()).finish()
    }
}

/// How long a sender should wait before it tries again while the store takes nothing.
const RETRY_S: u32 = 10;

impl AppState {
    /// The state of a process that has just begun.
    pub fn new(
        db: Db,
        live: Live,
        current: Arc<Current>,
        probing: impl Fn() -> ProberCounters + Send + Sync + 'static,
        access: Access,
        stopping: watch::Receiver<bool>,
    ) -> Self {
        Self {
            db,
            live,
            families: Families::default(),
            probing: Probing(Box::new(probing)),
            edge: Arc::default(),
            wire: Arc::default(),
            evidence: Arc::default(),
            storing: None,
            outputs: Arc::default(),
            links: Arc::default(),
            web: WebCounts::default(),
            keep_socket: Status::default(),
            queries: Gate::default(),
            started: whyslow_sys::clock::wall(),
            stopping,
            live_places: Arc::new(Semaphore::new(LIVE_STREAMS_MAX)),
            current,
            label: OnceLock::new(),
            asn: RwLock::default(),
            access: RwLock::new(Arc::new(access)),
        }
    }

    /// The time.
    pub fn now(&self) -> Wall {
        whyslow_sys::clock::wall()
    }

    /// The configuration as it is now.
    pub fn config(&self) -> Arc<Config> {
        self.current.config()
    }

    /// Whose addresses are.
    pub fn asn(&self) -> Arc<Tables> {
        Arc::clone(&self.asn.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Reads the address tables that were imported or configured. Where one cannot be read the
    /// old ones stay: pages without names are better than none.
    pub fn read_asn(&self) {
        match Tables::load(self.current.data(), &self.config().asn) {
            Ok(tables) => {
                *self.asn.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(tables);
            }
            Err(error) => tracing::error!(%error, "address tables were not read: {}", error.hint()),
        }
    }

    /// The rules for callers as they are now.
    pub fn access(&self) -> Arc<Access> {
        Arc::clone(&self.access.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Lets other rules for callers take effect with the next request.
    pub fn replace_access(&self, access: Access) {
        *self.access.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(access);
    }

    /// Reads the store where blocking is allowed.
    ///
    /// # Errors
    /// [`Problem`] fit for the client.
    pub async fn read_store<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Db) -> Result<T, StorageError> + Send + 'static,
    ) -> Result<T, Problem> {
        let db = self.db.clone();
        let done = tokio::task::spawn_blocking(move || read(&db)).await;
        let done = done.map_err(|_| Problem::internal("the store could not be read"))?;
        done.map_err(|error| storage_problem(&error))
    }
}

/// What the store's trouble is to a client.
pub fn storage_problem(error: &StorageError) -> Problem {
    let problem = match error {
        StorageError::Full { .. } => {
            Problem::unavailable(format!("the disk is full: {error}")).retry_after(RETRY_S)
        }
        StorageError::Closed => Problem::unavailable("whyslow is ending").retry_after(RETRY_S),
        StorageError::Cursor { .. } | StorageError::TooMuch { .. } => {
            Problem::bad_data(error.to_string())
        }
        StorageError::InUse { .. }
        | StorageError::Foreign { .. }
        | StorageError::Newer { .. }
        | StorageError::Damaged { .. }
        | StorageError::Failed { .. } => {
            tracing::error!(%error, "the store failed");
            Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", error.to_string())
        }
    };
    match error.hint() {
        Some(hint) => problem.hint(hint),
        None => problem,
    }
}
