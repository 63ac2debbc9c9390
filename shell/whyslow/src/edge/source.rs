//! One source: its threads, from start to stop.

use std::sync::Arc;
use std::sync::atomic::AtomicI64;
use std::sync::mpsc::sync_channel;
use std::thread::JoinHandle;

use whyslow_model::Wall;
use whyslow_sys::clock;

use super::World;
use super::counters::{Counted, SourceStatus};
use super::handover::Handover;
use super::keeper::Keeper;
use super::run::{self, Place};
use super::stop::Stop;
use crate::config::{EdgeSource, Input};

/// Harvests that may wait for the keeper.
const INBOX: usize = 4;

/// A source that is read.
#[derive(Debug)]
pub(super) struct Source {
    config: Arc<EdgeSource>,
    counted: Arc<Counted>,
    since: Wall,
    stop: Stop,
    left: Handover,
    threads: Vec<JoinHandle<()>>,
}

impl Source {
    /// Starts its threads. It goes on with the sockets that the one before left, where there was
    /// one.
    pub(super) fn start(config: EdgeSource, world: &World, inherited: &Handover) -> Self {
        let config = Arc::new(config);
        let drops_are_told = matches!(config.input, Input::SyslogUdp(_));
        let (counted, stop) =
            (Arc::new(Counted::new(world.db.seed(), drops_are_told)), Stop::default());
        let workers = run::workers(&config);
        let (outbox, inbox) = sync_channel(INBOX);
        let frontier = Arc::new(AtomicI64::new(i64::MIN));
        let keeper = Keeper::new(
            Arc::clone(&config),
            world.clone(),
            Arc::clone(&counted),
            stop.clone(),
            inbox,
        );
        let mut source = Self {
            config,
            counted,
            since: clock::wall(),
            stop,
            left: Handover::default(),
            threads: Vec::new(),
        };
        source.spawn(0, "edge-keeper", move || keeper.run());
        for number in 0..workers {
            let place = Place {
                config: Arc::clone(&source.config),
                number,
                counted: Arc::clone(&source.counted),
                stop: source.stop.clone(),
                inherited: inherited.clone(),
                left: source.left.clone(),
                world: world.clone(),
                outbox: outbox.clone(),
                frontier: Arc::clone(&frontier),
            };
            source.spawn(number, "edge", move || run::until_stopped(&place));
        }
        source
    }

    fn spawn(&mut self, number: usize, name: &str, work: impl FnOnce() + Send + 'static) {
        match std::thread::Builder::new().name(name.to_owned()).spawn(work) {
            Ok(thread) => self.threads.push(thread),
            Err(error) => {
                let told = format!("the system gives no thread: {error}");
                self.counted.gauge(number, |g| g.problem = Some(told));
            }
        }
    }

    /// What it was started with.
    pub(super) fn config(&self) -> &EdgeSource {
        &self.config
    }

    /// Tells its threads to end, without waiting.
    pub(super) fn tell_stop(&self) {
        self.stop.tell();
    }

    /// Tells its threads to end and waits for them; the workers' last windows are stored then.
    pub(super) fn stop(&mut self) {
        self.stop.tell();
        for thread in self.threads.drain(..) {
            // A mistake of ours was told when it happened.
            let _ = thread.join();
        }
    }

    /// As [`Source::stop`], to go on as `next`: gives the sockets that it can go on with.
    pub(super) fn stop_for(&mut self, next: &EdgeSource) -> Handover {
        let now = &self.config;
        let same = now.input == next.input
            && now.from == next.from
            && now.shards == next.shards
            && now.mode == next.mode;
        if same {
            self.left.want();
        }
        self.stop();
        self.left.clone()
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
            completeness: self.counted.ledger(|ledger| ledger.total()),
            gauges,
        }
    }
}
