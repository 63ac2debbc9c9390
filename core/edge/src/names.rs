//! Names from logs as small numbers: each is kept once, and no more of them than a limit.

use std::sync::Arc;

use whyslow_model::limits::EDGE_NAME_BYTES_MAX;
use whyslow_model::seeded::{Seed, SeededMap};

use crate::row::OTHER;

/// What stands for a field that the format has not or the line leaves empty.
pub const EMPTY: &str = "-";

/// Names of one kind. Number 0 is [`OTHER`], whom every name joins that comes after the limit.
#[derive(Debug)]
pub struct Names {
    numbers: SeededMap<Box<[u8]>, u32>,
    /// `names[n]` is number `n`'s; never empty, `names[0]` is [`OTHER`].
    names: Vec<Arc<str>>,
    max: usize,
    overflowed: u64,
    /// The name asked for last, since neighbouring lines repeat themselves.
    last: (Box<[u8]>, u32),
}

/// The number of [`OTHER`].
pub const OTHER_NUMBER: u32 = 0;

impl Names {
    /// Holds at most `max` names beside [`OTHER`].
    pub fn new(max: usize, seed: Seed) -> Self {
        let mut numbers = seed.map();
        numbers.insert(OTHER.as_bytes().into(), OTHER_NUMBER);
        Self {
            numbers,
            names: vec![OTHER.into()],
            max,
            overflowed: 0,
            last: (OTHER.as_bytes().into(), OTHER_NUMBER),
        }
    }

    /// The number of a name. An empty one is called [`EMPTY`]; one longer than
    /// [`EDGE_NAME_BYTES_MAX`] is cut; bytes that are not UTF-8 are replaced.
    pub fn number(&mut self, name: &[u8]) -> u32 {
        if *name == *self.last.0 {
            return self.last.1;
        }
        let number = match self.numbers.get(name) {
            Some(number) => *number,
            None => self.admit(name),
        };
        if number != OTHER_NUMBER {
            self.last = (name.into(), number);
        }
        number
    }

    /// The name of a number that this table gave.
    pub fn name(&self, number: u32) -> Arc<str> {
        Arc::clone(self.names.get(number as usize).unwrap_or(&self.names[0]))
    }

    /// How many times a name found no place.
    pub const fn overflowed(&self) -> u64 {
        self.overflowed
    }

    #[cold]
    fn admit(&mut self, name: &[u8]) -> u32 {
        let kept = &name[..name.len().min(EDGE_NAME_BYTES_MAX)];
        let kept = if kept.is_empty() { EMPTY.as_bytes() } else { kept };
        if let Some(number) = self.numbers.get(kept) {
            return *number;
        }
        if self.names.len() > self.max {
            self.overflowed += 1;
            return OTHER_NUMBER;
        }
        let text = String::from_utf8_lossy(kept);
        // Two names that differ in bytes that are no text show alike, so they are one.
        let number = self.numbers.get(text.as_bytes()).copied().unwrap_or_else(|| {
            let number = u32::try_from(self.names.len()).unwrap_or(OTHER_NUMBER);
            self.names.push(text.as_ref().into());
            self.numbers.insert(text.as_bytes().into(), number);
            number
        });
        if self.numbers.len() <= 2 * self.max {
            self.numbers.insert(kept.into(), number);
        }
        number
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_keeps_its_number_and_the_surplus_goes_to_other() {
        let mut names = Names::new(2, Seed(1));
        let (a, b) = (names.number(b"a"), names.number(b"b"));
        assert_eq!((names.number(b"a"), names.number(b"b")), (a, b));
        assert_eq!(names.number(b"c"), OTHER_NUMBER);
        assert_eq!(names.number(b"c"), OTHER_NUMBER);
        assert_eq!(names.overflowed(), 2);
        assert_eq!((&*names.name(a), &*names.name(b), &*names.name(0)), ("a", "b", "other"));
        assert_eq!(names.number(b"other"), OTHER_NUMBER);
    }

    #[test]
    fn an_empty_name_is_a_dash_and_a_long_or_broken_one_is_made_fit() {
        let mut names = Names::new(10, Seed(1));
        let (empty, dash) = (names.number(b""), names.number(b"-"));
        assert_eq!(empty, dash);
        assert_eq!(&*names.name(empty), "-");
        let long = names.number(&[b'x'; 1000]);
        assert_eq!(names.name(long).len(), EDGE_NAME_BYTES_MAX);
        let (one, two) = (names.number(b"\xff"), names.number(b"\xfe"));
        assert_eq!((one, &*names.name(one)), (two, "\u{fffd}"));
    }
}
