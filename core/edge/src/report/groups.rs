//! The cells of one composite key, found by small numbers.

use std::hash::Hash;

use whyslow_model::limits::EDGE_REPORT_GROUPS_MAX;
use whyslow_model::seeded::{Seed, SeededMap};

use super::cell::Request;
use super::{Cell, Field};
use crate::record::Phases;

/// A number per [`Field`]; 0 where the key is not by it.
pub(super) type Key = [u16; Field::ALL.len()];

/// The number of every field in the key of what found no place; codes have [`OTHER_CODE`].
const OTHER: u16 = 0;
/// Stands for other codes: no status code is as large.
pub(super) const OTHER_CODE: u16 = u16::MAX;

/// The fields that a record's place stands for.
const TOGETHER: [Field; 3] = [Field::Vip, Field::Backend, Field::Server];

/// Keys remembered in [`Groups::recent`]; a power of two.
const RECENT: usize = 1024;
/// No packed key: they have 112 bits.
const NO_KEY: u128 = u128::MAX;

/// The cells by one composite key.
#[derive(Debug)]
pub(super) struct Groups {
    pub(super) by: Vec<Field>,
    /// Requests that went to `other` because there was no place for their key.
    pub(super) overflowed: u64,
    places: SeededMap<u128, usize>,
    /// As long as `cells`.
    keys: Vec<Key>,
    cells: Vec<Cell>,
    /// The key is of fields alone that a record's place stands for.
    is_together: bool,
    /// Where the cell of a [`crate::record::Record::place`] is, one more than that; 0 where it is
    /// not known.
    by_place: Vec<u32>,
    /// The cells of requests that are not counted yet.
    chosen: Vec<usize>,
    /// Keys looked up lately, by a part of their bits.
    recent: Box<[(u128, usize); RECENT]>,
}

impl Groups {
    pub(super) fn new(by: Vec<Field>, seed: Seed) -> Self {
        Self {
            is_together: by.iter().all(|field| TOGETHER.contains(field)),
            by,
            overflowed: 0,
            places: seed.map(),
            keys: Vec::new(),
            cells: Vec::new(),
            by_place: Vec::new(),
            chosen: Vec::new(),
            recent: Box::new([(NO_KEY, 0); RECENT]),
        }
    }

    /// Chooses the cell of the next request; `together` is its record's place.
    #[inline]
    pub(super) fn choose(&mut self, numbers: &Key, together: u32) {
        let place = self.place(numbers);
        self.chosen.push(place);
        if together > 0 && self.is_together {
            self.remember_place(numbers, together, place);
        }
    }

    /// The cell of requests with a frontend, backend and server that were chosen for together
    /// before.
    #[inline(always)]
    pub(super) fn cell_again(&mut self, together: u32) -> Option<&mut Cell> {
        let place = self.by_place.get(together as usize)?.checked_sub(1)?;
        self.cells.get_mut(place as usize)
    }

    #[cold]
    fn remember_place(&mut self, numbers: &Key, together: u32, place: usize) {
        // What goes to `other` for want of room is counted each time.
        if self.by.iter().any(|field| numbers[*field as usize] == OTHER)
            || self.keys.len() >= EDGE_REPORT_GROUPS_MAX
        {
            return;
        }
        let together = together as usize;
        if self.by_place.len() <= together {
            self.by_place.resize(together + 1, 0);
        }
        self.by_place[together] = u32::try_from(place + 1).unwrap_or(0);
    }

    /// Counts the requests in the cells that were chosen for them, and their phases where there
    /// are any.
    pub(super) fn count(&mut self, requests: &[Request], phases: &[Phases]) {
        for (request, place) in requests.iter().zip(&self.chosen) {
            self.cells[*place].observe(request);
        }
        for (phases, place) in phases.iter().zip(&self.chosen) {
            self.cells[*place].observe_phases(phases);
        }
        self.chosen.clear();
    }

    /// Adds what was counted elsewhere.
    pub(super) fn merge(&mut self, numbers: &Key, cell: &Cell) {
        let place = self.place(numbers);
        self.cells[place].merge(cell);
    }

    /// Where the cell of a key is; only this grouping's fields of it matter.
    #[inline]
    fn place(&mut self, numbers: &Key) -> usize {
        let packed = self
            .by
            .iter()
            .fold(0, |packed, field| packed << 16 | u128::from(numbers[*field as usize]));
        let recent = &mut self.recent[recent_place(packed)];
        if recent.0 == packed {
            return recent.1;
        }
        match self.places.get(&packed) {
            Some(place) => {
                *recent = (packed, *place);
                *place
            }
            // Not remembered: what goes to `other` is counted each time.
            None => self.admit(packed, numbers),
        }
    }

    /// Keys and cells.
    pub(super) fn cells(&self) -> impl Iterator<Item = (&Key, &Cell)> {
        self.keys.iter().zip(&self.cells)
    }

    pub(super) fn into_cells(self) -> impl Iterator<Item = (Key, Cell)> {
        self.keys.into_iter().zip(self.cells)
    }

    #[cold]
    fn admit(&mut self, packed: u128, numbers: &Key) -> usize {
        let full = self.keys.len() >= EDGE_REPORT_GROUPS_MAX;
        let mut key = [OTHER; Field::ALL.len()];
        for field in &self.by {
            key[*field as usize] = match (full, field) {
                (false, _) => numbers[*field as usize],
                (true, Field::Code) => OTHER_CODE,
                (true, _) => OTHER,
            };
        }
        let mut packed = packed;
        if full {
            self.overflowed += 1;
            packed = self.by.iter().fold(0, |p, f| p << 16 | u128::from(key[*f as usize]));
            if let Some(place) = self.places.get(&packed) {
                return *place;
            }
        }
        self.keys.push(key);
        self.cells.push(Cell::default());
        self.places.insert(packed, self.keys.len() - 1);
        self.keys.len() - 1
    }
}

/// Where a key is remembered.
#[expect(clippy::cast_possible_truncation, reason = "both halves are taken, and ten bits kept")]
#[inline(always)]
const fn recent_place(packed: u128) -> usize {
    const ODD: u64 = 0x9e37_79b9_7f4a_7c15;
    let mixed = packed as u64 ^ ((packed >> 64) as u64).rotate_left(31);
    (mixed.wrapping_mul(ODD) >> (64 - RECENT.trailing_zeros())) as usize
}

/// Values that are no names as small numbers, no more of them than a limit; 0 is the value given
/// for all others.
#[derive(Debug)]
pub(super) struct Numbers<T> {
    numbers: SeededMap<T, u16>,
    /// `values[n]` is number `n`'s; never empty.
    values: Vec<T>,
    max: usize,
    pub(super) overflowed: u64,
}

impl<T: Copy + Eq + Hash> Numbers<T> {
    pub(super) fn new(other: T, max: u16, seed: Seed) -> Self {
        let mut numbers = seed.map();
        numbers.insert(other, 0);
        Self { numbers, values: vec![other], max: usize::from(max), overflowed: 0 }
    }

    pub(super) fn number(&mut self, value: T) -> u16 {
        if let Some(number) = self.numbers.get(&value) {
            return *number;
        }
        match u16::try_from(self.values.len()) {
            Ok(number) if self.values.len() <= self.max => {
                self.values.push(value);
                self.numbers.insert(value, number);
                number
            }
            Ok(_) | Err(_) => {
                self.overflowed += 1;
                0
            }
        }
    }

    pub(super) fn value(&self, number: u16) -> T {
        self.values.get(usize::from(number)).copied().unwrap_or(self.values[0])
    }
}
