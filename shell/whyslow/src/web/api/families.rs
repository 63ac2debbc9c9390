//! What the names of series mean: our own, and what senders told about theirs.

use std::collections::BTreeMap;
use std::sync::{PoisonError, RwLock};

use whyslow_model::limits::{FAMILIES_MAX, LABEL_VALUE_BYTES_MAX};
use whyslow_store::remote_write;

/// What is known about one metric family.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Family {
    /// `counter`, `gauge`, `histogram`, …
    pub kind: &'static str,
    /// What it means.
    pub help: String,
    /// Its unit, empty where the name says it.
    pub unit: String,
}

/// Families by name; at most [`FAMILIES_MAX`], further ones are not remembered.
#[derive(Debug, Default)]
pub struct Families {
    told: RwLock<BTreeMap<String, Family>>,
}

impl Families {
    /// Remembers what a sender says; the last word counts.
    pub fn learn(&self, told: &remote_write::Family<'_>) {
        if told.name.len() + told.help.len() + told.unit.len() > LABEL_VALUE_BYTES_MAX {
            return;
        }
        let family =
            Family { kind: told.kind, help: told.help.to_owned(), unit: told.unit.to_owned() };
        let known = self.told.read().unwrap_or_else(PoisonError::into_inner);
        let is_new = known.get(told.name) != Some(&family);
        let fits = known.len() < FAMILIES_MAX || known.contains_key(told.name);
        drop(known);
        if is_new && fits {
            let mut known = self.told.write().unwrap_or_else(PoisonError::into_inner);
            known.insert(told.name.to_owned(), family);
        }
    }

    /// Everything known, by name; where a sender and we name the same, ours counts.
    pub fn all(&self) -> BTreeMap<String, Family> {
        let mut all = self.told.read().unwrap_or_else(PoisonError::into_inner).clone();
        for metric in whyslow_probe::metrics::ALL {
            let (help, unit) = (metric.help.to_owned(), String::new());
            all.insert(metric.name.to_owned(), Family { kind: "gauge", help, unit });
        }
        for (name, kind, help) in crate::wire::series::FAMILIES {
            let (help, unit) = (help.to_owned(), String::new());
            all.insert(name.to_owned(), Family { kind, help, unit });
        }
        all
    }
}
