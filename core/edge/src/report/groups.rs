//! The cells of one composite key, found by small numbers.

use std::hash::Hash;

use whyslow_model::limits::EDGE_REPORT_GROUPS_MAX;
use whyslow_model::seeded::{Seed, SeededMap};

use super::cell::Request;
use super::pending::Pending;
use super::{Cell, Field};
use crate::record::Phases;

/// A number of 16 bits per [`Field`]; 0 where the key is not by it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Key(u128);

impl Key {
    #[inline]
    pub(super) const fn with(self, field: Field, number: u16) -> Self {
        let shift = 16 * field as u32;
        Self(self.0 & !(0xffff << shift) | (number as u128) << shift)
    }

    #[expect(clippy::cast_possible_truncation, reason = "16 bits are meant")]
    pub(super) const fn of(self, field: Field) -> u16 {
        (self.0 >> (16 * field as u32)) as u16
    }

    /// Where a key is remembered: the high bits of a product depend on all bits.
    #[expect(clippy::cast_possible_truncation, reason = "both halves are taken")]
    #[inline]
    const fn mixed(self) -> u64 {
        const ODD: u64 = 0x9e37_79b9_7f4a_7c15;
        let halves = self.0 as u64 ^ ((self.0 >> 64) as u64).rotate_left(31);
        halves.wrapping_mul(ODD)
    }
}

/// The number of every field in the key of what found no place; codes have [`OTHER_CODE`].
const OTHER: u16 = 0;
/// Stands for other codes: no status code is as large.
pub(super) const OTHER_CODE: u16 = u16::MAX;

/// The fields that a record's place stands for.
const TOGETHER: [Field; 3] = [Field::Vip, Field::Backend, Field::Server];

/// Places of [`Groups::recent`] for each key, so that few keys share one; a power of two.
const RECENT_TIMES: usize = 4;
/// The fewest and the most there are; powers of two.
const RECENT_MIN: usize = 1 << 10;
const RECENT_MAX: usize = 1 << 16;

/// So few cells are in the processor's own caches, whatever is counted in them.
const FEW: usize = 128;

/// The cells by one composite key.
#[derive(Debug)]
pub(super) struct Groups {
    pub(super) by: Vec<Field>,
    /// The bits of `by` in a key.
    mask: u128,
    /// Requests that went to `other` because there was no place for their key.
    pub(super) overflowed: u64,
    places: SeededMap<Key, u32>,
    /// As long as `cells`.
    keys: Vec<Key>,
    /// As long as `cells`.
    pending: Vec<Pending>,
    cells: Vec<Cell>,
    /// The key is of fields alone that a record's place stands for.
    pub(super) is_together: bool,
    /// Where the cell of a [`crate::record::Record::place`] is, one more than that; 0 where it is
    /// not known.
    by_place: Vec<u32>,
    /// Room for the cells of requests that are being counted, for those of them with nearly as
    /// many requests as can wait, and for requests of a cell's earlier second.
    chosen: Vec<usize>,
    full: Vec<usize>,
    seconds: Vec<(usize, u32, u32)>,
    /// The place of the key looked up last of those that are remembered here; any number where
    /// there was none. A power of two in length.
    recent: Box<[u32]>,
}

impl Groups {
    pub(super) fn new(by: Vec<Field>, seed: Seed) -> Self {
        let mask = by.iter().fold(Key::default(), |mask, field| mask.with(*field, u16::MAX)).0;
        Self {
            is_together: by.iter().all(|field| TOGETHER.contains(field)),
            by,
            mask,
            overflowed: 0,
            places: seed.map(),
            keys: Vec::new(),
            pending: Vec::new(),
            cells: Vec::new(),
            by_place: Vec::new(),
            chosen: Vec::new(),
            full: Vec::new(),
            seconds: Vec::new(),
            recent: vec![0; RECENT_MIN].into(),
        }
    }

    /// Counts requests in the cells of their keys, and their phases where there are any; beside a
    /// key stands its record's place. Each pass over the requests does little, so that the
    /// processor fetches at once what many of them need.
    pub(super) fn count(&mut self, keys: &[(Key, u32)], requests: &[Request], phases: &[Phases]) {
        for (key, together) in keys {
            let place = self.place(*key);
            self.chosen.push(place);
            if *together > 0 && self.is_together {
                self.remember_place(*key, *together, place);
            }
        }
        if self.cells.len() > FEW {
            self.count_first(requests);
        } else {
            for (request, place) in requests.iter().zip(&self.chosen) {
                self.cells[*place].observe(request);
            }
        }
        for (phases, place) in phases.iter().zip(&self.chosen) {
            self.cells[*place].observe_phases(phases);
        }
        self.chosen.clear();
    }

    /// The cell of requests with a frontend, backend and server that were chosen for together
    /// before.
    #[inline(always)]
    pub(super) fn cell_again(&mut self, together: u32) -> Option<&mut Cell> {
        let place = self.by_place.get(together as usize)?.checked_sub(1)?;
        self.cells.get_mut(place as usize)
    }

    #[cold]
    fn remember_place(&mut self, key: Key, together: u32, place: usize) {
        // What goes to `other` for want of room is counted each time.
        if self.by.iter().any(|field| key.of(*field) == OTHER)
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

    /// Counts the requests in what their cells' requests wait in.
    fn count_first(&mut self, requests: &[Request]) {
        self.make_room();
        for (request, place) in requests.iter().zip(&self.chosen) {
            let before = self.pending[*place].observe(request, &mut self.cells[*place]);
            self.seconds.extend(before.map(|(second, n)| (*place, second, n)));
        }
        for (place, second, n) in self.seconds.drain(..) {
            self.cells[place].seconds.add(second, n);
        }
    }

    /// Moves into the cells what has hardly room for more of those that are chosen.
    fn make_room(&mut self) {
        let nearly_full = self.chosen.iter().filter(|place| self.pending[**place].is_nearly_full());
        self.full.extend(nearly_full);
        let touched = self.full.iter().fold(0, |all, place| all ^ self.cells[*place].touch());
        std::hint::black_box(touched);
        for place in self.full.drain(..) {
            self.pending[place].settle(&mut self.cells[place]);
        }
    }

    /// Moves into the cells what waits for them.
    pub(super) fn settle(&mut self) {
        let waiting = self.pending.iter_mut().zip(&mut self.cells);
        waiting.for_each(|(pending, cell)| pending.settle(cell));
    }

    /// Adds what was counted elsewhere.
    pub(super) fn merge(&mut self, key: Key, cell: &Cell) {
        let place = self.place(key);
        self.cells[place].merge(cell);
    }

    /// Keys and cells, which do not count yet what has not been settled.
    pub(super) fn cells(&self) -> impl Iterator<Item = (Key, &Cell)> {
        self.keys.iter().copied().zip(&self.cells)
    }

    pub(super) fn into_cells(self) -> impl Iterator<Item = (Key, Cell)> {
        self.keys.into_iter().zip(self.cells)
    }

    /// Where the cell of a key is; only this grouping's fields of it matter.
    #[inline]
    fn place(&mut self, key: Key) -> usize {
        let key = Key(key.0 & self.mask);
        let place = self.recent[self.remembered_at(key)] as usize;
        if self.keys.get(place) == Some(&key) { place } else { self.look_up(key) }
    }

    fn look_up(&mut self, key: Key) -> usize {
        let Some(place) = self.places.get(&key).copied() else {
            // Not remembered: what goes to `other` is counted each time.
            return self.admit(key);
        };
        let at = self.remembered_at(key);
        self.recent[at] = place;
        place as usize
    }

    #[expect(clippy::cast_possible_truncation, reason = "as many bits as an index has are kept")]
    #[inline]
    const fn remembered_at(&self, key: Key) -> usize {
        (key.mixed() >> (u64::BITS - self.recent.len().trailing_zeros())) as usize
    }

    #[cold]
    fn admit(&mut self, key: Key) -> usize {
        let mut key = key;
        if self.keys.len() >= EDGE_REPORT_GROUPS_MAX {
            self.overflowed += 1;
            for field in &self.by {
                key = key.with(*field, if *field == Field::Code { OTHER_CODE } else { OTHER });
            }
            if let Some(place) = self.places.get(&key) {
                return *place as usize;
            }
        }
        let place = self.keys.len();
        self.keys.push(key);
        self.pending.push(Pending::default());
        self.cells.push(Cell::default());
        self.places.insert(key, u32::try_from(place).unwrap_or(u32::MAX));
        if place * RECENT_TIMES > self.recent.len() && self.recent.len() < RECENT_MAX {
            self.recent = vec![0; 2 * self.recent.len()].into();
        }
        place
    }
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
