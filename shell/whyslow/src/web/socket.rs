//! The local socket on which programs of this machine ask for packets to be kept: a JSON line is a
//! request, and a JSON line answers it, both as of `POST /api/v1/wire/keep`.

use std::collections::BTreeMap;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::StatusCode;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::unix::OwnedReadHalf;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;
use whyslow_model::limits::{
    WIRE_SOCKET_CONNECTIONS_MAX, WIRE_SOCKET_LINE_BYTES_MAX, WIRE_SOCKET_WAIT_S_MAX,
};
use whyslow_sys::unix;

use crate::config::Config;
use crate::web::api::evidence;
use crate::web::problem::Problem;
use crate::web::state::AppState;

/// Its name in the data directory, where the configuration gives no other.
const FILE: &str = "keep.sock";
/// Only who runs whyslow may ask: packets hold what others said.
const MODE: u32 = 0o600;
/// How long to wait before a socket that could not be opened is tried again.
const RETRY_AFTER: Duration = Duration::from_secs(2);
/// How long to wait after a connection that could not be taken, as without a free descriptor.
const REST: Duration = Duration::from_millis(200);
const WAIT: Duration = Duration::from_secs(WIRE_SOCKET_WAIT_S_MAX);
/// What requests that left files are counted as.
const KEPT: &str = "kept";
/// What becomes of requests and connections: `kept`, or the type of the error.
const RESULTS: [&str; 9] = [
    KEPT,
    "bad_data",
    "forbidden",
    "internal",
    "not_found",
    "timeout",
    "too_long",
    "too_many",
    "unavailable",
];

/// How the socket fares.
#[derive(Debug, Default)]
pub struct Status(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    /// Why it is not open; `None` also where it is not wanted.
    problem: Option<String>,
    answers: BTreeMap<&'static str, u64>,
}

impl Status {
    /// Why nobody can ask, where somebody should be able to.
    pub fn problem(&self) -> Option<String> {
        self.lock().problem.clone()
    }

    /// Answers since the process started, by what they said, also those that nobody got yet.
    pub fn answers(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let answers = self.lock().answers.clone();
        RESULTS.into_iter().map(move |result| (result, answers.get(result).copied().unwrap_or(0)))
    }

    fn is(&self, problem: Option<String>) {
        let mut known = self.lock();
        if let Some(new) = problem.as_ref().filter(|new| known.problem.as_ref() != Some(*new)) {
            tracing::error!("the local socket is not open: {new}");
        }
        known.problem = problem;
    }

    fn count(&self, result: &'static str) {
        *self.lock().answers.entry(result).or_default() += 1;
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where it is; `None` where no interface is recorded.
pub fn path_of(config: &Config, data: &Path) -> Option<PathBuf> {
    let own = || config.keep_socket.clone().unwrap_or_else(|| data.join(FILE));
    (!config.wire.is_empty()).then(own)
}

/// Answers until told to stop, and moves with the configuration. What is being answered then is
/// answered.
pub async fn until_stopped(state: Arc<AppState>, mut stopping: watch::Receiver<bool>) {
    let mut changes = state.current.watch();
    let (mut talks, told) = (JoinSet::new(), stopping.clone());
    let mut path = path_of(&state.config(), state.current.data());
    loop {
        tokio::select! {
            _ = stopping.wait_for(|stop| *stop) => break,
            wanted = other_path(&mut changes, &state, path.as_deref()) => path = wanted,
            () = serve(&state, path.as_deref(), &mut talks, &told) => {}
        }
    }
    while talks.join_next().await.is_some() {}
}

/// Waits until another path is wanted than this.
async fn other_path(
    changes: &mut watch::Receiver<Arc<crate::config::Snapshot>>,
    state: &AppState,
    path: Option<&Path>,
) -> Option<PathBuf> {
    loop {
        let wanted = path_of(&changes.borrow_and_update().config, state.current.data());
        if wanted.as_deref() != path {
            return wanted;
        }
        if changes.changed().await.is_err() {
            // The process ends.
            return std::future::pending().await;
        }
    }
}

/// Takes connections; it never ends.
async fn serve(
    state: &Arc<AppState>,
    path: Option<&Path>,
    talks: &mut JoinSet<()>,
    stopping: &watch::Receiver<bool>,
) {
    let Some(path) = path else {
        state.keep_socket.is(None);
        return std::future::pending().await;
    };
    loop {
        let (listener, _file, owner) = match open(path.to_owned()).await {
            Ok(open) => open,
            Err(problem) => {
                state.keep_socket.is(Some(format!("{}: {problem}", path.display())));
                tokio::time::sleep(RETRY_AFTER).await;
                continue;
            }
        };
        state.keep_socket.is(None);
        loop {
            tokio::select! {
                accepted = listener.accept() => match accepted {
                    Ok((stream, _)) => take_in(stream, owner, state, talks, stopping),
                    Err(error) => {
                        tracing::warn!("a local connection could not be accepted: {error}");
                        tokio::time::sleep(REST).await;
                    }
                },
                Some(ended) = talks.join_next() => if let Err(error) = ended {
                    tracing::error!("a local request ended in a mistake of whyslow's own: {error}");
                },
            }
        }
    }
}

/// The listener, what removes its file, and whose it is.
async fn open(path: PathBuf) -> Result<(UnixListener, unix::SocketFile, u32), String> {
    let opened = tokio::task::spawn_blocking(move || {
        let (listener, file) = unix::listen(&path, MODE).map_err(|error| match error.hint {
            Some(hint) => format!("{error} ({hint})"),
            None => error.to_string(),
        })?;
        let owner = path.symlink_metadata().map_err(|error| error.to_string())?.uid();
        Ok::<_, String>((listener, file, owner))
    });
    let (listener, file, owner) = opened.await.map_err(|error| error.to_string())??;
    let listener = UnixListener::from_std(listener).map_err(|error| error.to_string())?;
    Ok((listener, file, owner))
}

/// Answers a connection, or says why it is not.
fn take_in(
    stream: UnixStream,
    owner: u32,
    state: &Arc<AppState>,
    talks: &mut JoinSet<()>,
    stopping: &watch::Receiver<bool>,
) {
    // A socket is made with the rights of the process' mask, and has its own a moment later.
    let user = stream.peer_cred().map(|peer| peer.uid());
    let refused = if !user.is_ok_and(|user| user == owner || user == 0) {
        Some(Problem::forbidden("only the user that whyslow runs as may ask"))
    } else if talks.len() >= WIRE_SOCKET_CONNECTIONS_MAX {
        let problem = format!("{WIRE_SOCKET_CONNECTIONS_MAX} connections are open");
        Some(Problem::unavailable(problem).hint("close one, or ask several things by one"))
    } else {
        None
    };
    match refused {
        None => {
            talks.spawn(talk(stream, Arc::clone(state), stopping.clone()));
        }
        Some(problem) => {
            state.keep_socket.count(problem.error_type);
            // A new connection has room for this much; one that is gone needs no answer.
            let _ = stream.try_write(&line_of(&problem.document()));
        }
    }
}

/// Answers one line after the other.
async fn talk(stream: UnixStream, state: Arc<AppState>, mut stopping: watch::Receiver<bool>) {
    let (reading, mut writing) = stream.into_split();
    let mut reading = BufReader::new(reading);
    loop {
        let asked = tokio::select! {
            _ = stopping.wait_for(|stop| *stop) => return,
            asked = timeout(WAIT, read_line(&mut reading)) => asked,
        };
        let (answer, is_last) = match asked {
            Ok(Ok(Line::End) | Err(_)) => return,
            Ok(Ok(Line::Whole(line))) => (answer(&state, &line).await, false),
            Ok(Ok(Line::TooLong)) => (Err(too_long()), true),
            Err(_) => (Err(too_late()), true),
        };
        let (result, answer) = match answer {
            Ok(document) => (KEPT, document),
            Err(problem) => (problem.error_type, problem.document()),
        };
        state.keep_socket.count(result);
        let written = timeout(WAIT, writing.write_all(&line_of(&answer))).await;
        if is_last || !matches!(written, Ok(Ok(()))) {
            return;
        }
    }
}

async fn answer(state: &Arc<AppState>, line: &[u8]) -> Result<Value, Problem> {
    evidence::keep_asked(state, &evidence::Wanted::of_line(line)?).await
}

fn too_long() -> Problem {
    let error = format!("a request is longer than {WIRE_SOCKET_LINE_BYTES_MAX} bytes");
    Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too_long", error).hint("end each with a line end")
}

fn too_late() -> Problem {
    let error = format!("nothing whole was asked for {WIRE_SOCKET_WAIT_S_MAX} s");
    Problem::new(StatusCode::REQUEST_TIMEOUT, "timeout", error).hint("end each with a line end")
}

fn line_of(document: &Value) -> Vec<u8> {
    format!("{document}\n").into_bytes()
}

/// What came before a line end, or before the end of all.
#[derive(Debug, PartialEq, Eq)]
enum Line {
    Whole(Vec<u8>),
    TooLong,
    End,
}

async fn read_line(reading: &mut BufReader<OwnedReadHalf>) -> io::Result<Line> {
    let mut line = Vec::new();
    let most = WIRE_SOCKET_LINE_BYTES_MAX + 1;
    reading.take(most as u64).read_until(b'\n', &mut line).await?;
    Ok(match line.last() {
        None => Line::End,
        Some(b'\n') => Line::Whole(line),
        Some(_) if line.len() < most => Line::Whole(line),
        Some(_) => Line::TooLong,
    })
}
