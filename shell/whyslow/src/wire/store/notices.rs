//! What is noticed in the windows of all taps of a service.

use std::collections::BTreeMap;
use std::sync::Arc;

use whyslow_model::reading::Finding;
use whyslow_wire::detect::{self, Detectors, Options};
use whyslow_wire::row::Window;

use crate::storage::{Db, EdgeBatch, FindingQuery};

/// The detectors of each service, over all its taps; those of taps without a service are one more.
#[derive(Debug)]
pub(super) struct Notices {
    options: Options,
    services: BTreeMap<Option<Arc<str>>, Detectors>,
    /// Findings that were open when the process began, until their service has its detectors.
    open: Vec<Finding>,
}

impl Notices {
    /// Nothing noticed yet but the findings that are open in the store.
    pub(super) fn of(db: &Db, options: Options) -> Self {
        let query =
            FindingQuery { codes: detect::codes(), open_only: true, ..FindingQuery::default() };
        let open = db.findings(&query).unwrap_or_else(|error| {
            tracing::error!("findings that are open cannot be read: {error}");
            Vec::new()
        });
        Self { options, services: BTreeMap::new(), open }
    }

    /// Takes a closed window of all taps of a service.
    pub(super) fn handle_window(&mut self, service: Option<&str>, window: &Window) {
        let Self { options, services, open } = self;
        let detectors = services.entry(service.map(Arc::from)).or_insert_with(|| {
            let of_it = |finding: &Finding| finding.cohort.service.as_deref() == service;
            let (mine, others): (Vec<_>, Vec<_>) =
                std::mem::take(open).into_iter().partition(of_it);
            *open = others;
            let service = service.map(str::to_owned);
            let mut detectors = Detectors::new(Options { service, ..options.clone() });
            detectors.restore(mine);
            detectors
        });
        detectors.handle_window(window);
    }

    /// Gives out readings and findings.
    pub(super) fn drain(&mut self, into: &mut EdgeBatch) {
        for detectors in self.services.values_mut() {
            into.readings.extend(std::iter::from_fn(|| detectors.poll_reading()));
            into.findings.extend(std::iter::from_fn(|| detectors.poll_finding()));
        }
    }
}
