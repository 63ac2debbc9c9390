//! One kind of check, in this process, against servers in processes of their own.

use std::net::SocketAddr;
use std::str::FromStr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use serde_json::{Value, json};
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::TryRecvError;
use whyslow::config::Config;
use whyslow::live::{Event, Live};
use whyslow::prober::sockets::{Opener, Sockets};
use whyslow::prober::{Plan, Prober};
use whyslow::storage::{Db, StoreOptions};
use whyslow_lab::certificates::{Authority, Valid};
use whyslow_lab::server::Nginx;
use whyslow_lab::world::World;
use whyslow_model::stats::quantile;
use whyslow_sys::process;

/// Runs that are left out of the figures, every check's first among them: trust is read, series
/// are made, pages are touched, code is warm.
const WARM_UP: Duration = Duration::from_secs(17);
/// How often results are gathered.
const GATHER_EVERY: Duration = Duration::from_millis(500);
/// Packets of a round of pings, and the time between them.
const PACKETS: u64 = 20;

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Https,
    Tcp,
    Ping,
}

impl Kind {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Https => "https",
            Self::Tcp => "tcp",
            Self::Ping => "ping",
        }
    }
}

impl FromStr for Kind {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        let all = [Self::Https, Self::Tcp, Self::Ping];
        match all.into_iter().find(|kind| kind.as_str() == text) {
            Some(kind) => Ok(kind),
            None => bail!("'{text}' is no kind: https, tcp or ping"),
        }
    }
}

/// What the checks aim at.
#[derive(Debug)]
pub(crate) struct Targets {
    pub(crate) tls: SocketAddr,
    pub(crate) plain: SocketAddr,
    ca_file: String,
    _nginx: Nginx,
}

impl Targets {
    pub(crate) fn start(world: &World) -> Result<Self> {
        let authority = Authority::new(world, "ca")?;
        let leaf = authority.sign("shop", "IP:127.0.0.1", Valid::Days(90))?;
        let nginx = Nginx::start(world, &leaf, "")?;
        Ok(Self { tls: nginx.tls, plain: nginx.plain, ca_file: authority.pem(), _nginx: nginx })
    }
}

/// How many checks of which kind, for how long.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load {
    kind: Kind,
    checks: u64,
    seconds: u64,
}

impl Load {
    /// The load of `kind`, with as many checks for as many seconds as `arguments` say.
    pub(crate) fn of(kind: Kind, arguments: &[String]) -> Result<Self> {
        let number = |n: usize, default| arguments.get(n).map_or(Ok(default), |text| text.parse());
        let checks = if kind == Kind::Ping { 200 } else { 2000 };
        Ok(Self { kind, checks: number(0, checks)?, seconds: number(1, 30)? })
    }

    /// Runs it and says what it cost.
    pub(crate) fn measure(self, world: &World, targets: &Targets) -> Result<Value> {
        let db = Db::open(&world.dir().join("data"), StoreOptions::default())?;
        let live = Live::default();
        let mut heard = live.listen();
        let sockets = Sockets::open(Opener::Here, 0);
        let prober = Prober::start(self.plan(targets)?, db.clone(), live, sockets)?;
        gather(&mut heard, WARM_UP);
        let (before, began) = (process::usage()?, Instant::now());
        let mut runs = gather(&mut heard, Duration::from_secs(self.seconds));
        let (after, took) = (process::usage()?, began.elapsed());
        let counted = prober.counters();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
        runtime.block_on(prober.stop());

        runs.late_ms.sort_by(f64::total_cmp);
        runs.total_ms.sort_by(f64::total_cmp);
        let units =
            runs.late_ms.len() as f64 * if self.kind == Kind::Ping { PACKETS as f64 } else { 1.0 };
        let cpu_ms = (after.cpu - before.cpu).as_secs_f64() * 1000.0;
        Ok(json!({
            "kind": self.kind.as_str(),
            "checks": self.checks,
            "runs": runs.late_ms.len(),
            "not_ok": runs.not_ok,
            "cpu_ms": cpu_ms / units,
            "core_share": cpu_ms / 1000.0 / took.as_secs_f64(),
            "late_p50_ms": quantile(&runs.late_ms, 0.5),
            "late_p99_ms": quantile(&runs.late_ms, 0.99),
            "late_max_ms": runs.late_ms.last(),
            "total_p50_ms": quantile(&runs.total_ms, 0.5),
            "total_p99_ms": quantile(&runs.total_ms, 0.99),
            "rss_mb": after.resident_bytes as f64 / 1e6,
            "missed": counted.schedule.missed,
            "skipped": counted.schedule.skipped_busy + counted.schedule.skipped_rate
                + counted.schedule.skipped_overlap,
            "starved": counted.starved,
            "unstored": counted.unstored,
        }))
    }

    fn plan(self, targets: &Targets) -> Result<Plan> {
        let check = |n: u64| match self.kind {
            Kind::Https => json!({"name": format!("c{n}"), "kind": "http", "every": "15s",
                "target": format!("https://{}/page?n={n}", targets.tls),
                "ca_file": targets.ca_file}),
            Kind::Tcp => json!({"name": format!("c{n}"), "kind": "tcp", "every": "15s",
                "target": targets.plain.to_string()}),
            Kind::Ping => json!({"name": format!("c{n}"), "kind": "ping", "every": "5s",
                "target": format!("127.0.{}.{}", n / 250, 1 + n % 250),
                "packets": PACKETS, "spacing": "100ms"}),
        };
        let checks: Vec<Value> = (0..self.checks).map(check).collect();
        let config: Config = serde_json::from_value(
            json!({"vantage": {"name": "lab"}, "services": {"load": {"checks": checks}}}),
        )?;
        Ok(Plan::of(&config))
    }
}

/// What the runs of a while told.
#[derive(Debug, Default)]
struct Runs {
    late_ms: Vec<f64>,
    total_ms: Vec<f64>,
    not_ok: u64,
}

fn gather(heard: &mut Receiver<Arc<Event>>, span: Duration) -> Runs {
    let (began, mut runs) = (Instant::now(), Runs::default());
    while began.elapsed() < span {
        std::thread::sleep(GATHER_EVERY.min(span.saturating_sub(began.elapsed())));
        loop {
            match heard.try_recv() {
                Ok(event) => {
                    if let Event::Run(run) = &*event {
                        runs.late_ms.push(run.late_ms);
                        runs.total_ms.push(run.total_ms);
                        runs.not_ok += u64::from(run.outcome.as_str() != "ok");
                    }
                }
                Err(TryRecvError::Lagged(_)) => {}
                Err(TryRecvError::Empty | TryRecvError::Closed) => break,
            }
        }
    }
    runs
}
