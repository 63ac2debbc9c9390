//! Logs that tell of connections that went wrong: each is followed by a thread of its own, and what
//! matches is noticed as an incident.
//!
//! Following begins at a log's end: of what was written before, the rings hold nothing. A log goes
//! on where it was left when journalctl ends or a file is rotated; what may be lost is counted.

mod taker;
mod told;

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use whyslow_edge::trigger::Pattern;
use whyslow_sys::clock;

pub use told::{Match, TriggerCounts, TriggerStatus};

use super::Shared;
use crate::config::{Config, Input, LogTrigger, ReadFrom};
use crate::edge::inputs::journald::Wanted;
use crate::edge::inputs::{files, journald};
use crate::edge::stop::Stop;
use crate::edge::taker::Taker;
use taker::LogTaker;
use told::Told;

/// How long to wait before what could not be followed is tried again.
const RETRY_AFTER: Duration = Duration::from_secs(2);
/// Ends of names of units; a name without one is a service's (systemd.unit(5)).
const UNIT_ENDS: [&str; 11] = [
    ".service",
    ".socket",
    ".target",
    ".timer",
    ".mount",
    ".automount",
    ".swap",
    ".path",
    ".slice",
    ".scope",
    ".device",
];

/// All logs that are followed for incidents.
#[derive(Debug, Default)]
pub(super) struct Logs(Mutex<BTreeMap<String, Running>>);

/// One of them.
#[derive(Debug)]
struct Running {
    config: Arc<LogTrigger>,
    told: Told,
    stop: Stop,
    thread: Option<JoinHandle<()>>,
}

impl Logs {
    /// Ends what is gone or changed, and starts what is new or changed. It waits for those that
    /// end.
    pub(super) fn reload(&self, config: &Config, shared: &Arc<Shared>) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|name, running| {
            let stays = config.triggers.iter().any(|t| t.name == *name && *t == *running.config);
            if !stays {
                running.stop();
            }
            stays
        });
        for trigger in &config.triggers {
            all.entry(trigger.name.clone())
                .or_insert_with(|| Running::start(trigger.clone(), Arc::clone(shared)));
        }
    }

    /// Ends all and waits for them.
    pub(super) fn stop(&self) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.values().for_each(|running| running.stop.tell());
        all.values_mut().for_each(Running::stop);
    }

    /// How each fares, in the order of their names.
    pub(super) fn status(&self) -> Vec<TriggerStatus> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.values().map(|running| running.told.status(&running.config)).collect()
    }
}

impl Running {
    fn start(config: LogTrigger, shared: Arc<Shared>) -> Self {
        let (config, told, stop) = (Arc::new(config), Told::new(clock::wall()), Stop::default());
        let place = (Arc::clone(&config), told.clone(), stop.clone());
        let spawned = std::thread::Builder::new().name("trigger".to_owned()).spawn(move || {
            let (config, told, stop) = place;
            until_stopped(&config, &told, &stop, shared);
        });
        let thread = spawned
            .inspect_err(|e| told.problem(Some(format!("the system gives no thread: {e}"))))
            .ok();
        Self { config, told, stop, thread }
    }

    fn stop(&mut self) {
        self.stop.tell();
        if let Some(thread) = self.thread.take() {
            // A mistake of ours was told when it happened.
            let _ = thread.join();
        }
    }
}

/// Follows one log until told to stop, and begins anew after whatever stands in the way.
fn until_stopped(config: &Arc<LogTrigger>, told: &Told, stop: &Stop, shared: Arc<Shared>) {
    let pattern = match Pattern::new(&config.regex) {
        Ok(pattern) => pattern,
        // The configuration was checked.
        Err(error) => return told.problem(Some(error.to_string())),
    };
    let mut taker = LogTaker::new(Arc::clone(config), pattern, told.clone(), shared);
    let mut said = None;
    while !stop.is_told() {
        let following = AssertUnwindSafe(|| follow(config, stop, &mut taker));
        let problem = match std::panic::catch_unwind(following) {
            Ok(Ok(())) => return,
            Ok(Err(problem)) => problem,
            Err(_) => "following ended in a mistake of whyslow's own and begins anew".to_owned(),
        };
        if said.as_ref() != Some(&problem) {
            tracing::error!("trigger {}: {problem}", config.name);
            said = Some(problem.clone());
        }
        told.problem(Some(problem));
        stop.rest(RETRY_AFTER);
    }
}

fn follow(config: &LogTrigger, stop: &Stop, taker: &mut dyn Taker) -> Result<(), String> {
    match &config.input {
        Input::Files(pattern) => files::read(pattern, ReadFrom::End, stop, taker),
        Input::Journald(unit) => {
            let unit = whole_name(unit);
            let wanted = Wanted::Fields { unit: &unit, fields: &config.fields };
            journald::read(wanted, stop, taker)
        }
        Input::Stdin
        | Input::SyslogUdp(_)
        | Input::SyslogTcp(_)
        | Input::UnixDgram(_)
        | Input::UnixStream(_) => Err(format!("{} cannot be followed", config.input)),
    }
}

fn whole_name(unit: &str) -> String {
    let is_whole = unit.is_empty() || UNIT_ENDS.iter().any(|end| unit.ends_with(end));
    if is_whole { unit.to_owned() } else { format!("{unit}.service") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_without_an_end_is_a_service() {
        assert_eq!(whole_name("nginx"), "nginx.service");
        assert_eq!(whole_name("lb@main.service"), "lb@main.service");
        assert_eq!(
            (whole_name("ssh.socket"), whole_name("")),
            ("ssh.socket".into(), String::new())
        );
    }
}
