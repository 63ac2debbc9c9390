//! The life of one worker's thread: open the input, read it until told to stop, and begin anew
//! after whatever stands in the way.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use super::counters::Counted;
use super::inputs;
use super::stop::Stop;
use super::worker::Worker;
use crate::config::{EdgeSource, Input};

/// How long a thread waits before it tries again what failed.
const RETRY_AFTER: Duration = Duration::from_secs(2);
/// Threads that share the connections of one socket.
const STREAM_WORKERS: usize = 2;

/// Where a worker stands.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) config: Arc<EdgeSource>,
    /// Among the workers of its source, from 0.
    pub(super) number: usize,
    pub(super) counted: Arc<Counted>,
    pub(super) stop: Stop,
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
        Input::SyslogUdp(_) => config.shards.unwrap_or(STREAM_WORKERS),
        Input::Files(_)
        | Input::Stdin
        | Input::SyslogTcp(_)
        | Input::UnixDgram(_)
        | Input::UnixStream(_)
        | Input::Journald(_) => 1,
    }
}

/// Reads until told to stop.
pub(super) fn until_stopped(place: &Place) {
    let mut told = None;
    while !place.stop.is_told() {
        let reading = AssertUnwindSafe(|| {
            let mut worker = Worker::new(place.number, &place.config, Arc::clone(&place.counted));
            let ended = inputs::read(place, &mut worker);
            worker.settle();
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
