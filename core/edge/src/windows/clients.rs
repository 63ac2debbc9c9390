//! The clients of one backend in one window, by network or by prefix.

use std::collections::BTreeMap;
use std::hash::Hash;

use whyslow_model::seeded::Seed;

use crate::record::Record;
use crate::row::{Key, Totals};
use crate::top::Top;

/// The most frequent ones, and all others together.
#[derive(Debug)]
pub(super) struct Clients<K> {
    /// How many have rows.
    max: usize,
    top: Top<K, Totals>,
    other: Totals,
}

/// What has rows.
#[derive(Debug)]
pub(super) struct Told<K> {
    /// Those that have a row.
    pub(super) own: Vec<K>,
    /// All others.
    pub(super) other: Totals,
    /// How many requests of any one key may be among the others.
    pub(super) hidden_at_most: u64,
}

impl<K: Copy + Ord + Hash> Clients<K> {
    pub(super) fn new(max: usize, seed: Seed) -> Self {
        Self { max, top: Top::new(max, seed), other: Totals::default() }
    }

    pub(super) fn observe(&mut self, key: K, record: &Record<'_>, second: usize, span_s: usize) {
        let empty = || Totals { by_second: vec![0; span_s], ..Totals::default() };
        let other = &mut self.other;
        self.top.count(key, empty, |_, cell| other.merge(&cell.value)).observe(record, second);
    }

    /// What has rows; `astray` requests are in none.
    pub(super) fn told(&self, astray: u64) -> Told<K> {
        let (beyond, hidden_at_most) = self.top.beyond(self.max);
        let mut other = self.other.clone();
        for key in &beyond {
            if let Some(cell) = self.top.get(key) {
                other.merge(&cell.value);
            }
        }
        let mut own: Vec<K> = self.top.cells().map(|(key, _)| *key).collect();
        if !beyond.is_empty() {
            let beyond: std::collections::BTreeSet<K> = beyond.into_iter().collect();
            own.retain(|key| !beyond.contains(key));
        }
        let hidden_at_most = hidden_at_most.min(other.hits).saturating_add(astray);
        Told { own, other, hidden_at_most }
    }

    /// Adds a row for each that has one, and one for `others` where there are any.
    pub(super) fn add_to(
        &self,
        sums: &mut BTreeMap<Key, Totals>,
        astray: u64,
        others: K,
        key_of: impl Fn(K) -> Key,
    ) {
        let Told { own, mut other, hidden_at_most } = self.told(astray);
        for key in own {
            let Some(cell) = self.top.get(&key) else { continue };
            let into = sums.entry(key_of(key)).or_default();
            into.merge(&cell.value);
            let missed = cell.missed_at_most.saturating_add(astray);
            into.spared = into.spared.saturating_add(hidden_at_most.saturating_sub(missed));
        }
        if hidden_at_most > 0 {
            other.hidden_at_most = hidden_at_most;
            sums.entry(key_of(others)).or_default().merge(&other);
        }
    }
}
