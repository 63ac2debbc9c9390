//! What is noticed in the windows of all sources, and the series made of them.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use whyslow_edge::detect::{self, Detectors, Options, WindowOf};
use whyslow_model::reading::Finding;
use whyslow_model::{Sample, Wall};

use crate::edge_out::Outputs;
use crate::storage::{Db, EdgeBatch, FindingQuery};

/// How often series are told again while no windows come.
const TELL_AGAIN: Duration = Duration::from_secs(5);

/// The detectors of each service, over all its sources; those of sources without a service are one
/// more.
#[derive(Debug, Default)]
pub struct Notices {
    options: Options,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    services: BTreeMap<Option<String>, Detectors>,
    /// Findings that were open when the process began, until their service has its detectors.
    open: Vec<Finding>,
    told: Option<Wall>,
}

impl Notices {
    /// Nothing noticed yet but the findings that are open in the store; windows are judged by
    /// `options`, whose service is left aside.
    pub fn of(db: &Db, options: Options) -> Self {
        let query =
            FindingQuery { codes: detect::codes(), open_only: true, ..FindingQuery::default() };
        let open = db.findings(&query).unwrap_or_else(|error| {
            tracing::error!("findings that are open cannot be read: {error}");
            Vec::new()
        });
        Self { options, inner: Mutex::new(Inner { open, ..Inner::default() }) }
    }

    /// Takes a window of a source of this service.
    pub(super) fn handle_window(&self, service: Option<&str>, window: &WindowOf<'_>, now: Wall) {
        let mut inner = self.lock();
        let Inner { services, open, .. } = &mut *inner;
        let name = service.map(str::to_owned);
        let detectors = services.entry(name.clone()).or_insert_with(|| {
            let of_it = |finding: &Finding| finding.cohort.service.as_deref() == service;
            let (mine, others) = std::mem::take(open).into_iter().partition(of_it);
            *open = others;
            let mut detectors = Detectors::new(Options { service: name, ..self.options.clone() });
            let mine: Vec<Finding> = mine;
            detectors.restore(mine);
            detectors
        });
        detectors.handle_window(window, now);
    }

    /// Lets time pass.
    pub(super) fn handle_timeout(&self, now: Wall) {
        self.lock().services.values_mut().for_each(|detectors| detectors.handle_timeout(now));
    }

    /// Gives out readings and findings.
    pub(super) fn drain(&self, into: &mut EdgeBatch) {
        for detectors in self.lock().services.values_mut() {
            into.readings.extend(std::iter::from_fn(|| detectors.poll_reading()));
            into.findings.extend(std::iter::from_fn(|| detectors.poll_finding()));
        }
    }

    /// The series of all sources again, if it is time for that.
    pub(super) fn counters_again(&self, outputs: &Outputs, now: Wall) -> Vec<Sample> {
        let mut inner = self.lock();
        if inner.told.is_some_and(|told| now.since(told) < TELL_AGAIN) {
            return Vec::new();
        }
        inner.told = Some(now);
        drop(inner);
        outputs.handle_timeout(now)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
