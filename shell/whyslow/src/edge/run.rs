//! The life of one worker's thread: open the input, read it until told to stop, and begin anew
//! after whatever stands in the way.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::mpsc::SyncSender;
use std::time::Duration;

use whyslow_edge::completeness::Numbers;
use whyslow_edge::routes::Routes;
use whyslow_edge::slow::{self, SlowKeeper};
use whyslow_edge::windows::{Options, Windows};

use super::counters::Counted;
use super::handover::Handover;
use super::inputs;
use super::keeper::Harvest;
use super::reading::Reading;
use super::resume::{Resume, SPAN_S};
use super::stop::Stop;
use super::worker::{Parts, Worker};
use super::zone::Zoned;
use super::{World, stored_place};
use crate::config::{EdgeSource, Input};

/// How long a thread waits before it tries again what failed.
const RETRY_AFTER: Duration = Duration::from_secs(2);
/// Sockets that share a UDP address where the configuration says nothing.
const SHARDS: usize = 2;
/// How many times its route's own p99 a request may take where no limit is given.
const OWN_P99_FACTOR: f64 = 3.0;
/// Seconds for which late requests change a window: longer than most balancers' timeouts.
const LATENESS_S: u32 = 120;

/// Where a worker stands.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) config: Arc<EdgeSource>,
    /// Among the workers of its source, from 0.
    pub(super) number: usize,
    pub(super) counted: Arc<Counted>,
    pub(super) stop: Stop,
    /// What the source before left, and what this one leaves when it is told to stop.
    pub(super) inherited: Handover,
    pub(super) left: Handover,
    pub(super) world: World,
    pub(super) outbox: SyncSender<Harvest>,
    /// Windows of this source that start before cannot change any more.
    pub(super) frontier: Arc<AtomicI64>,
}

/// How an input came to its end.
pub(super) enum Ended {
    /// It was told to stop.
    Stopped,
    /// There is nothing more to come.
    Exhausted,
}

/// How many workers a source has.
pub(super) fn workers(config: &EdgeSource) -> usize {
    match config.input {
        Input::SyslogUdp(_) => config.shards.unwrap_or(SHARDS),
        Input::Files(_)
        | Input::Stdin
        | Input::SyslogTcp(_)
        | Input::UnixDgram(_)
        | Input::UnixStream(_)
        | Input::Journald(_) => 1,
    }
}

/// Whether what was read since the last commit is read again after a restart.
pub(super) const fn rereads(config: &EdgeSource) -> bool {
    matches!(config.input, Input::Files(_) | Input::Journald(_))
}

/// Reads until told to stop.
pub(super) fn until_stopped(place: &Place) {
    let mut told = None;
    while !place.stop.is_told() {
        let reading = AssertUnwindSafe(|| {
            let mut worker = worker(place);
            let ended = inputs::read(place, &mut worker);
            worker.finish(|_| None);
            ended
        });
        let problem = match std::panic::catch_unwind(reading) {
            Ok(Ok(Ended::Stopped | Ended::Exhausted)) => return,
            Ok(Err(problem)) => problem,
            Err(_) => "reading ended in a mistake of whyslow's own and begins anew".to_owned(),
        };
        if told.as_ref() != Some(&problem) {
            tracing::error!("source {}: {problem}", place.config.name);
            told = Some(problem.clone());
        }
        place.counted.gauge(place.number, |g| g.problem = Some(problem));
        place.stop.rest(RETRY_AFTER);
    }
}

/// A worker at the beginning of a life.
pub(super) fn worker(place: &Place) -> Worker {
    static LIVES: AtomicU64 = AtomicU64::new(1);
    let config = &place.config;
    let reading = Reading::of(&config.format).unwrap_or_else(|error| {
        // The configuration was checked; a format that went since is no reason to end.
        tracing::error!("source {}: {error}; reading as auto", config.name);
        Reading::Searching(0)
    });
    let routes = Routes::new(&config.routes).unwrap_or_else(|error| {
        tracing::error!("source {}: {error}; all routes are templated", config.name);
        Routes::default()
    });
    let slow = slow::Options {
        routes: routes.clone(),
        asn: place.world.asn.clone(),
        route_limits: slow_limits(config),
        limit_us: config.slow.map(|limit| micros(limit.std())),
        own_p99_factor: config.slow.is_none().then_some(OWN_P99_FACTOR),
        ..slow::Options::new(Arc::from(&*config.name), place.world.db.seed())
    };
    let shares = workers(config);
    let slow = slow::Options {
        rows_per_window: slow.rows_per_window / shares,
        bytes_per_day: slow.bytes_per_day / shares as u64,
        ..slow
    };
    let resume: Option<Resume> = stored_place(&place.world.db, &config.name);
    let options = Options {
        span_s: SPAN_S,
        routes,
        asn: place.world.asn.clone(),
        seed: place.world.db.seed(),
        lateness_s: LATENESS_S,
    };
    Worker::new(Parts {
        number: place.number,
        name: Arc::from(&*config.name),
        part: if rereads(config) { 1 } else { LIVES.fetch_add(1, Ordering::Relaxed) + 1 },
        counted: Arc::clone(&place.counted),
        reading,
        zone: Zoned::of(&config.time_zone),
        windows: Windows::new(options),
        slow: SlowKeeper::new(slow),
        numbers: Numbers::new(place.world.db.seed()),
        outbox: place.outbox.clone(),
        rereads: rereads(config),
        frontier: Arc::clone(&place.frontier),
        resume,
        db: place.world.db.clone(),
    })
}

/// Limits by route, the longest glob first, so that the narrower one counts.
fn slow_limits(config: &EdgeSource) -> Vec<(String, u64)> {
    let limits = config.slow_routes.iter();
    let mut limits: Vec<(String, u64)> =
        limits.map(|(glob, limit)| (glob.clone(), micros(limit.std()))).collect();
    limits.sort_by_key(|(glob, _)| std::cmp::Reverse(glob.len()));
    limits
}

fn micros(of: Duration) -> u64 {
    u64::try_from(of.as_micros()).unwrap_or(u64::MAX)
}
