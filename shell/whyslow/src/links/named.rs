//! Windows under Graphite's names, to be sent and to be kept.

use std::collections::BTreeMap;
use std::sync::{PoisonError, RwLock};

use whyslow_edge::row::Row;

use crate::config::Config;
use crate::edge_out::{Template, graphite_lines};

/// How the values of windows are called.
#[derive(Debug)]
pub(super) struct Named {
    template: Template,
    /// Whose requests a source's are.
    services: RwLock<BTreeMap<String, String>>,
}

impl Named {
    pub(super) fn new(template: Template) -> Self {
        Self { template, services: RwLock::default() }
    }

    /// Takes the services of a configuration.
    pub(super) fn reload(&self, config: &Config) {
        let of = config.edge.iter().filter_map(|s| Some((s.name.clone(), s.service.clone()?)));
        *self.services.write().unwrap_or_else(PoisonError::into_inner) = of.collect();
    }

    /// The lines of a window's rows, as [`graphite_lines`] gives them.
    pub(super) fn lines(&self, source: &str, rows: &[Row], push: impl FnMut(&str)) {
        let services = self.services.read().unwrap_or_else(PoisonError::into_inner);
        let service = services.get(source).map(String::as_str);
        graphite_lines(&self.template, source, service, rows, push);
    }
}
