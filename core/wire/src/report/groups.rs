//! Cells by one key, up to a limit.

use std::hash::Hash;

use whyslow_model::seeded::{Seed, SeededMap};

use super::{Cell, Table};

/// The cells.
#[derive(Debug)]
pub(super) struct Groups<K> {
    cells: SeededMap<K, Cell>,
    most: usize,
    other: Cell,
}

impl<K: Copy + Eq + Ord + Hash> Groups<K> {
    pub(super) fn new(most: usize, seed: Seed) -> Self {
        Self { cells: seed.map(), most, other: Cell::default() }
    }

    /// The key's cell, or that of all keys beyond the limit.
    pub(super) fn cell(&mut self, key: K) -> &mut Cell {
        if self.cells.len() >= self.most && !self.cells.contains_key(&key) {
            return &mut self.other;
        }
        self.cells.entry(key).or_default()
    }

    pub(super) fn table(self) -> Table<K> {
        let mut rows: Vec<(K, Cell)> = self.cells.into_iter().collect();
        rows.sort_by(|(a, x), (b, y)| {
            (y.slow, y.handshakes).cmp(&(x.slow, x.handshakes)).then(a.cmp(b))
        });
        Table { rows, other: self.other }
    }
}

impl<K> Table<K> {
    /// Keeps the first `top` rows and adds all others to [`Table::other`]; says how many those were.
    pub fn keep(&mut self, top: usize) -> usize {
        let rest = self.rows.split_off(top.min(self.rows.len()));
        rest.iter().for_each(|(_, cell)| self.other.merge(cell));
        rest.len()
    }
}
