//! `whyslow up [URL…]`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::{Exit, Output, Stop};
use crate::config::difference::{differences, in_a_line};
use crate::config::{Current, LoadError, NotInForce, Origin};
use crate::pipeline::{Running, StartError};
use crate::prober::sockets::{self, Opener, Sockets};

/// Watches services: measures, stores, answers, shows.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// What to watch, as for `check`; added to what the configuration says.
    #[arg(value_name = "TARGET")]
    targets: Vec<String>,
    /// The configuration: a file, or a directory of *.yaml files.
    #[arg(long, value_name = "FILE", env = "WHYSLOW_CONFIG")]
    config: Option<PathBuf>,
    /// Where data is kept; $XDG_STATE_HOME/whyslow where nothing says otherwise.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// The address of the pages and the API.
    #[arg(long, value_name = "ADDR")]
    listen: Option<SocketAddr>,
}

/// Threads that answer requests; measuring and storing have their own.
const WEB_THREADS: usize = 2;
/// Threads on which queries and reads of the store may block.
const BLOCKING_THREADS: usize = 32;

pub(super) fn run(args: &Args, out: &mut Output) -> Result<Exit, Stop> {
    log_to_stderr();
    let origin = Origin {
        file: args.config.clone(),
        data: args.data.clone(),
        listen: args.listen,
        targets: args.targets.clone(),
    };
    let current = Arc::new(Current::open(origin).map_err(|e| stopped(&e.into(), out))?);
    let sockets = open_sockets(current.config().wire.len(), out)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(WEB_THREADS)
        .max_blocking_threads(BLOCKING_THREADS)
        .thread_name("web")
        .enable_all()
        .build()
        .map_err(|e| Stop::operation(format!("cannot start threads: {e}")))?;
    runtime.block_on(async {
        let signals = Signals::new()
            .map_err(|e| Stop::operation(format!("cannot listen for signals: {e}")))?;
        let running =
            Running::start(Arc::clone(&current), sockets).await.map_err(|e| stopped(&e, out))?;
        greet(&running, &current, out);
        let ended = running.run_until(signals.end(Arc::clone(&current))).await;
        out.note("whyslow is ending; what is stored is safe. A second signal ends it at once.");
        running.stop().await;
        ended.map(|()| Exit::Ok).map_err(|e| {
            Stop::operation(e).hint("start it again, as a unit with Restart=on-failure does")
        })
    })
}

/// While there is one thread only: opens what needs a privilege, then gives the privileges up.
fn open_sockets(packet: usize, out: &mut Output) -> Result<Sockets, Stop> {
    let program = std::env::current_exe()
        .map_err(|e| Stop::operation(format!("cannot find our own program: {e}")))?;
    let sockets = Sockets::open(Opener::Child(&program), packet);
    sockets::give_up_privileges()
        .map_err(|e| Stop::operation(format!("cannot give up privileges: {e}")))?;
    if let Err(error) = whyslow_sys::process::raise_open_files() {
        out.note(format_args!("the limit of open files stays as it is: {error}"));
    }
    Ok(sockets)
}

fn greet(running: &Running, current: &Current, out: &mut Output) {
    let checks = match current.config().planned_checks().len() {
        0 => "no checks yet".to_owned(),
        1 => "1 check".to_owned(),
        n => format!("{n} checks"),
    };
    out.note(format_args!(
        "whyslow is up with {checks}: http://{}/\ndata is kept in {}",
        running.address(),
        current.data().display()
    ));
}

/// SIGHUP reads the configuration anew; SIGINT and SIGTERM end the process, a second one at once.
struct Signals {
    hang_up: Signal,
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self {
            hang_up: signal(SignalKind::hangup())?,
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    async fn end(mut self, current: Arc<Current>) {
        loop {
            tokio::select! {
                _ = self.interrupt.recv() => break,
                _ = self.terminate.recv() => break,
                _ = self.hang_up.recv() => reload(Arc::clone(&current)).await,
            }
        }
        tokio::spawn(async move {
            tokio::select! {
                _ = self.interrupt.recv() => {}
                _ = self.terminate.recv() => {}
            }
            std::process::exit(Exit::Degraded as i32);
        });
    }
}

async fn reload(current: Arc<Current>) {
    let before = current.config();
    match tokio::task::spawn_blocking(move || current.reload()).await {
        Ok(Ok(snapshot)) => {
            let restart = snapshot.needs_restart.join(", ");
            let changed = in_a_line(&differences(&before, &snapshot.config));
            if restart.is_empty() {
                tracing::info!("the configuration is in force: {changed}");
            } else {
                tracing::warn!(
                    "the configuration is in force ({changed}), but for what needs a restart: \
                     {restart}"
                );
            }
        }
        Ok(Err(error)) => tracing::error!("the old configuration stays in force: {error}"),
        Err(error) => tracing::error!("the configuration could not be read: {error}"),
    }
}

/// Why `up` did not start, with the status scripts expect.
fn stopped(error: &StartError, out: &mut Output) -> Stop {
    if let StartError::Config(NotInForce::Load(LoadError::Wrong(problems))) = error {
        out.note_always(problems.to_string().trim_end());
    }
    let stop = match error {
        StartError::Config(NotInForce::Load(LoadError::Unreadable { .. })) => {
            Stop::unreadable(error)
        }
        StartError::Config(NotInForce::Target(_)) => Stop::usage(error),
        StartError::Config(_)
        | StartError::Open(_)
        | StartError::Secret(_)
        | StartError::Retention(_) => Stop::config(error),
        StartError::Listen { .. }
        | StartError::Storage(_)
        | StartError::Prober(_)
        | StartError::Storing(_) => Stop::operation(error),
    };
    match error.hint() {
        Some(hint) => stop.hint(hint),
        None => stop,
    }
}

/// What happens while nobody asks goes to stderr; WHYSLOW_LOG chooses how much.
fn log_to_stderr() {
    let filter = tracing_subscriber::EnvFilter::try_from_env("WHYSLOW_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info"));
    // Fails only where a log is set up already, as in tests.
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_target(false)
        .try_init();
}
