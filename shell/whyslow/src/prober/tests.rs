//! The role as a whole: real schedule, real store, real sockets on loopback.

use std::net::TcpListener;
use std::sync::atomic::{AtomicU32, Ordering};

use tokio::sync::broadcast::error::RecvError;
use whyslow_probe::run::Outcome;

use super::*;
use crate::config::Config;
use crate::live::{Event, RunEvent};
use crate::storage::{ObservationFilter, PageRequest, StoreOptions};

/// A plan of checks that run ten times a second.
fn plan(checks: &[(&str, &str, &str)]) -> Plan {
    let checks: Vec<_> = checks
        .iter()
        .map(|(name, kind, target)| {
            serde_json::json!({"name": name, "kind": kind, "target": target,
                               "every": "100ms", "timeout": "5s"})
        })
        .collect();
    let config: Config = serde_json::from_value(serde_json::json!({
        "vantage": {"name": "here"}, "services": {"shop": {"checks": checks}},
    }))
    .unwrap();
    Plan::of(&config)
}

struct World {
    _dir: tempfile::TempDir,
    db: Db,
    live: Live,
}

impl World {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let db = Db::open(dir.path(), StoreOptions::default()).unwrap();
        Self { _dir: dir, db, live: Live::default() }
    }

    fn prober(&self, plan: Plan) -> Prober {
        let sockets = Sockets::without("no sockets here");
        Prober::start(plan, self.db.clone(), self.live.clone(), sockets).unwrap()
    }

    /// Waits for the next run that `wanted` says yes to.
    async fn next_run(&self, wanted: impl Fn(&RunEvent) -> bool) -> RunEvent {
        let mut heard = self.live.listen();
        loop {
            match heard.recv().await {
                Ok(event) => {
                    if let Event::Run(run) = &*event
                        && wanted(run)
                    {
                        return (**run).clone();
                    }
                }
                Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => panic!("the prober is gone"),
            }
        }
    }
}

#[tokio::test]
async fn a_run_is_stored_before_it_is_told() {
    let world = World::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let target = listener.local_addr().unwrap().to_string();
    let prober = world.prober(plan(&[("open", "tcp", &target)]));
    let run = world.next_run(|_| true).await;
    assert_eq!(
        (run.outcome, run.service.as_str(), run.check.as_str()),
        (Outcome::Ok, "shop", "open")
    );
    let document = world.db.run(&run.id).unwrap().expect("the document is there");
    let document: Run = serde_json::from_str(&document).unwrap();
    assert!(document.phases_ms.connect.is_some());
    let page =
        world.db.observations(&ObservationFilter::default(), &PageRequest::default()).unwrap();
    assert!(page.observations.iter().any(|o| o.id == run.id));
    assert!(prober.counters().schedule.started > 0);
    prober.stop().await;
}

#[tokio::test]
async fn a_ping_without_a_socket_fails_with_its_own_code_and_the_rest_goes_on() {
    let world = World::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let target = listener.local_addr().unwrap().to_string();
    let prober = world.prober(plan(&[("echo", "ping", "127.0.0.1"), ("open", "tcp", &target)]));
    let echo = world.next_run(|run| run.check == "echo").await;
    assert_eq!(echo.code.as_deref(), Some("ping_not_permitted"));
    assert_eq!(world.next_run(|run| run.check == "open").await.outcome, Outcome::Ok);
    prober.stop().await;
}

#[tokio::test]
async fn a_reload_swaps_the_checks() {
    let world = World::new();
    let prober = world.prober(plan(&[("one", "tcp", "127.0.0.1:1")]));
    let one = world.next_run(|_| true).await;
    assert_eq!((one.check.as_str(), one.code.as_deref()), ("one", Some("connect_refused")));
    prober.reload(plan(&[("two", "tcp", "127.0.0.1:1")]));
    assert_eq!(world.next_run(|run| run.check != "one").await.check, "two");
    assert_eq!(prober.counters().checks, 1);
    prober.stop().await;
}

/// Makes runs; its first copy, which the role takes itself, breaks the role.
#[derive(Debug)]
struct Fragile(Arc<AtomicU32>);

impl Clone for Fragile {
    fn clone(&self) -> Self {
        assert!(self.0.fetch_add(1, Ordering::Relaxed) > 0, "the first copy breaks");
        Self(Arc::clone(&self.0))
    }
}

#[tokio::test]
async fn a_role_that_breaks_begins_anew_and_counts_it() {
    let world = World::new();
    let copies = Arc::new(AtomicU32::new(0));
    let dial = Dial::new();
    let prober = Prober::start_with(
        plan(&[("one", "tcp", "127.0.0.1:1")]),
        world.db.clone(),
        world.live.clone(),
        move || {
            let (fragile, dial) = (Fragile(Arc::clone(&copies)), dial.clone());
            move |spec, plan: Arc<Plan>| {
                let (_kept, dial) = (&fragile, dial.clone());
                async move {
                    let ping = |_| async { unreachable!("there is no ping check") };
                    carry::run_once(spec, &plan.vantage.name, &dial, ping).await
                }
            }
        },
    )
    .unwrap();
    assert_eq!(world.next_run(|_| true).await.check, "one");
    assert_eq!(prober.counters().restarts, 1);
    prober.stop().await;
}

#[tokio::test]
async fn a_run_that_breaks_is_counted_and_the_next_one_goes_on() {
    let world = World::new();
    let dial = Dial::new();
    let runs = Arc::new(AtomicU32::new(0));
    let begin = move || {
        let (dial, runs) = (dial.clone(), Arc::clone(&runs));
        move |spec, plan: Arc<Plan>| {
            let (dial, runs) = (dial.clone(), Arc::clone(&runs));
            async move {
                assert!(runs.fetch_add(1, Ordering::Relaxed) > 0, "the first run breaks");
                let ping = |_| async { unreachable!("there is no ping check") };
                carry::run_once(spec, &plan.vantage.name, &dial, ping).await
            }
        }
    };
    let one = plan(&[("one", "tcp", "127.0.0.1:1")]);
    let prober = Prober::start_with(one, world.db.clone(), world.live.clone(), begin).unwrap();
    world.next_run(|_| true).await;
    let counted = prober.counters();
    assert_eq!((counted.panicked, counted.restarts), (1, 0));
    prober.stop().await;
}
