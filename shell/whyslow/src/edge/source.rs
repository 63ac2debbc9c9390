//! One source: its threads, from start to stop.

use std::sync::Arc;
use std::thread::JoinHandle;

use whyslow_model::Wall;
use whyslow_sys::clock;

use super::counters::{Counted, SourceStatus};
use super::run;
use super::stop::Stop;
use crate::config::EdgeSource;

/// A source that is read.
#[derive(Debug)]
pub(super) struct Source {
    config: Arc<EdgeSource>,
    counted: Arc<Counted>,
    since: Wall,
    stop: Stop,
    threads: Vec<JoinHandle<()>>,
}

impl Source {
    /// Starts its threads.
    pub(super) fn start(config: EdgeSource) -> Self {
        let config = Arc::new(config);
        let (counted, stop) = (Arc::new(Counted::default()), Stop::default());
        let mut threads = Vec::new();
        for number in 0..run::workers(&config) {
            let place = run::Place {
                config: Arc::clone(&config),
                number,
                counted: Arc::clone(&counted),
                stop: stop.clone(),
            };
            let spawned = std::thread::Builder::new()
                .name(format!("edge-{number}"))
                .spawn(move || run::until_stopped(&place));
            match spawned {
                Ok(thread) => threads.push(thread),
                Err(error) => {
                    let told = format!("the system gives no thread: {error}");
                    counted.gauge(number, |g| g.problem = Some(told));
                }
            }
        }
        Self { config, counted, since: clock::wall(), stop, threads }
    }

    /// What it was started with.
    pub(super) fn config(&self) -> &EdgeSource {
        &self.config
    }

    /// Tells its threads to end, without waiting.
    pub(super) fn tell_stop(&self) {
        self.stop.tell();
    }

    /// Tells its threads to end and waits for them.
    pub(super) fn stop(&mut self) {
        self.stop.tell();
        for thread in self.threads.drain(..) {
            // A mistake of ours was told when it happened.
            let _ = thread.join();
        }
    }

    /// How it fares.
    pub(super) fn status(&self) -> SourceStatus {
        let (tally, gauges) = self.counted.read();
        SourceStatus {
            name: self.config.name.clone(),
            input: self.config.input.to_string(),
            format: self.config.format.clone(),
            service: self.config.service.clone(),
            since: self.since,
            tally,
            gauges,
        }
    }
}
