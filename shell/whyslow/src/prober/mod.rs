//! The probe role: runs checks when they are due and carries their conversations out.
//!
//! It has a thread and a runtime of its own, so that neither pages nor queries delay a run, and
//! so that it can measure how long it was itself held up.

pub mod carry;
pub mod counters;
mod keeper;
mod ping;
mod plan;
mod pulse;
mod record;
mod role;
mod secrets;
pub mod sockets;
mod timer;

use std::future::Future;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tokio::runtime::Builder;
use tokio::sync::watch;
use whyslow_dial::Dial;
use whyslow_probe::run::Run;
use whyslow_probe::spec::CheckSpec;

pub use counters::ProberCounters;
pub use ping::Pinger;
pub use plan::Plan;

use crate::live::Live;
use crate::storage::Db;
use counters::Counted;
use keeper::World;
use role::Role;
use sockets::Sockets;

/// How long a role that ended in a mistake of ours waits before it begins anew.
const RESTART_AFTER: Duration = Duration::from_secs(1);

/// The running role.
#[derive(Debug)]
pub struct Prober {
    plan: watch::Sender<Arc<Plan>>,
    stop: watch::Sender<bool>,
    counted: Counted,
    thread: JoinHandle<()>,
}

impl Prober {
    /// Starts running `plan`: results go to `db`, and what is stored is told to `live`.
    ///
    /// # Errors
    /// Where the system gives no thread.
    pub fn start(plan: Plan, db: Db, live: Live, sockets: Sockets) -> io::Result<Self> {
        let dial = Dial::new();
        Self::start_with(plan, db, live, move || {
            let pinger = Pinger::start(sockets.again());
            let dial = dial.clone();
            move |spec: Arc<CheckSpec>, plan: Arc<Plan>| {
                let (dial, pinger) = (dial.clone(), pinger.clone());
                async move {
                    let ping = |ask| pinger.round(ask);
                    carry::run_once(spec, &plan.vantage.name, &dial, ping).await
                }
            }
        })
    }

    /// Replaces the plan as a whole; checks that stay keep their phase and their runs.
    pub fn reload(&self, plan: Plan) {
        self.plan.send_if_modified(|current| {
            let differs = **current != plan;
            if differs {
                *current = Arc::new(plan);
            }
            differs
        });
    }

    /// What the prober counts of itself.
    pub fn counters(&self) -> ProberCounters {
        self.counted.read()
    }

    /// A handle on the counters that outlives this one.
    pub fn counter_source(&self) -> impl Fn() -> ProberCounters + Send + Sync + Clone + use<> {
        let counted = self.counted.clone();
        move || counted.read()
    }

    /// Starts no more runs, lets those under way end for a moment, and waits for the thread.
    pub async fn stop(self) {
        self.stop.send_replace(true);
        let thread = self.thread;
        // It only fails where the role's thread is gone, which is what is wanted.
        let _ = tokio::task::spawn_blocking(move || thread.join()).await;
    }

    /// `begin` makes, on the role's thread and runtime, what makes a run of a check.
    fn start_with<B, C, F>(plan: Plan, db: Db, live: Live, begin: B) -> io::Result<Self>
    where
        B: Fn() -> C + Send + 'static,
        C: Fn(Arc<CheckSpec>, Arc<Plan>) -> F + Clone + Send + 'static,
        F: Future<Output = Run> + Send + 'static,
    {
        let (plan, plans) = watch::channel(Arc::new(plan));
        let (stop, stops) = watch::channel(false);
        let counted = Counted::default();
        let world = World { db, live, counted: counted.clone(), storing_fails: Arc::default() };
        let thread = thread::Builder::new().name("prober".to_owned()).spawn(move || {
            supervise(&world.counted, &stops, || work(&begin, &world, &plans, &stops));
        })?;
        Ok(Self { plan, stop, counted, thread })
    }
}

/// Does the role's work until it is told to stop.
fn work<C, F>(
    begin: &impl Fn() -> C,
    world: &World,
    plans: &watch::Receiver<Arc<Plan>>,
    stops: &watch::Receiver<bool>,
) -> io::Result<()>
where
    C: Fn(Arc<CheckSpec>, Arc<Plan>) -> F + Clone + Send + 'static,
    F: Future<Output = Run> + Send + 'static,
{
    let runtime = Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut plans = plans.clone();
        let plan = plans.borrow_and_update().clone();
        Role::new(begin(), world.clone(), plan).run(plans, stops.clone()).await;
    });
    Ok(())
}

/// Begins `work` anew for as long as it ends in a mistake of ours, and says so.
fn supervise(counted: &Counted, stops: &watch::Receiver<bool>, work: impl Fn() -> io::Result<()>) {
    loop {
        // Whatever the role held is dropped with it; what it shared is locked for moments only.
        match catch_unwind(AssertUnwindSafe(&work)) {
            Ok(Ok(())) => return,
            Ok(Err(e)) => tracing::error!("the prober cannot run: {e}"),
            Err(_) => tracing::error!("the prober ended in a mistake of whyslow's own"),
        }
        counted.update(|c| c.restarts += 1);
        thread::sleep(RESTART_AFTER);
        if *stops.borrow() {
            return;
        }
        tracing::info!("the prober begins anew");
    }
}

#[cfg(test)]
mod tests;
