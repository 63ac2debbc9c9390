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
    /// `names[n]` is number `n`'s, empty where it is free; never empty, `names[0]` is [`OTHER`].
    names: Vec<Arc<str>>,
    /// Numbers that were let go of and wait for another name.
    free: Vec<u32>,
    max: usize,
    overflowed: u64,
    /// Short names looked up lately, by a part of their bits: most logs have few names.
    recent: Box<[(Short, u32); RECENT]>,
    /// The numbers of longer ones.
    recent_long: Box<[u32; RECENT_LONG]>,
}

/// Names remembered in [`Names::recent`]; a power of two.
const RECENT: usize = 128;

/// Numbers remembered in [`Names::recent_long`]; a power of two.
const RECENT_LONG: usize = 1024;

/// Where a name of more than 16 bytes is remembered.
#[expect(clippy::cast_possible_truncation, reason = "ten bits")]
#[inline]
fn long_place(name: &[u8]) -> usize {
    let (words, _) = name.as_chunks::<8>();
    let end = name.last_chunk().map_or(0, |end| u64::from_le_bytes(*end));
    let mixed = words.iter().fold(end ^ name.len() as u64, |mixed, word| {
        (mixed ^ u64::from_le_bytes(*word)).wrapping_mul(ODD).rotate_left(29)
    });
    (mixed.wrapping_mul(ODD) >> (64 - RECENT_LONG.trailing_zeros())) as usize
}

/// Spreads bits over the high ones of a product.
const ODD: u64 = 0x9e37_79b9_7f4a_7c15;

/// A name of at most 16 bytes as a number, and its length: equal names alone have equal ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Short {
    low: u64,
    high: u64,
    length: u32,
}

impl Short {
    /// Equal to no name's.
    const NONE: Self = Self { low: 0, high: 0, length: u32::MAX };

    #[inline(always)]
    fn of(name: &[u8]) -> Option<Self> {
        let (low, high) = match (name.first_chunk::<8>(), name.last_chunk::<8>()) {
            (Some(first), Some(last)) => (u64::from_le_bytes(*first), u64::from_le_bytes(*last)),
            _ => match (name.first_chunk::<4>(), name.last_chunk::<4>()) {
                (Some(first), Some(last)) => {
                    (u32::from_le_bytes(*first).into(), u32::from_le_bytes(*last).into())
                }
                _ => {
                    let at = |i: usize| u64::from(name.get(i).copied().unwrap_or(0));
                    (at(0) | at(1) << 8 | at(2) << 16, 0)
                }
            },
        };
        let length = u32::try_from(name.len()).ok().filter(|length| *length <= 16)?;
        Some(Self { low, high, length })
    }

    /// Where it is remembered: the high bits of a product depend on all bits.
    #[expect(clippy::cast_possible_truncation, reason = "seven bits")]
    #[inline(always)]
    const fn place(self) -> usize {
        let mixed = (self.low ^ self.high.rotate_left(29)).wrapping_add(self.length as u64);
        (mixed.wrapping_mul(ODD) >> (64 - RECENT.trailing_zeros())) as usize
    }
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
            free: Vec::new(),
            max,
            overflowed: 0,
            recent: Box::new([(Short::NONE, OTHER_NUMBER); RECENT]),
            recent_long: Box::new([OTHER_NUMBER; RECENT_LONG]),
        }
    }

    /// The number of a name. An empty one is called [`EMPTY`]; one longer than
    /// [`EDGE_NAME_BYTES_MAX`] is cut; bytes that are not UTF-8 are replaced.
    #[inline]
    pub fn number(&mut self, name: &[u8]) -> u32 {
        let Some(short) = Short::of(name) else { return self.long_number(name) };
        let (known, number) = self.recent[short.place()];
        if known == short {
            return number;
        }
        let number = self.look_up(name);
        // What goes to `other` for want of room is counted each time.
        if number != OTHER_NUMBER {
            self.recent[short.place()] = (short, number);
        }
        number
    }

    fn long_number(&mut self, name: &[u8]) -> u32 {
        let place = long_place(name);
        let number = self.recent_long[place];
        let known = self.names.get(number as usize);
        if known.is_some_and(|known| known.as_bytes() == name) {
            return number;
        }
        let number = self.look_up(name);
        self.recent_long[place] = number;
        number
    }

    fn look_up(&mut self, name: &[u8]) -> u32 {
        match self.numbers.get(name) {
            Some(number) => *number,
            None => self.admit(name),
        }
    }

    /// The name of a number that this table gave.
    pub fn name(&self, number: u32) -> Arc<str> {
        Arc::clone(self.names.get(number as usize).unwrap_or(&self.names[0]))
    }

    /// How many names there are, [`OTHER`] not counted.
    pub const fn len(&self) -> usize {
        self.names.len() - 1 - self.free.len()
    }

    /// Whether there is no name beside [`OTHER`].
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Lets go of every name but those for which `stays` is true; their numbers may be given to
    /// other names.
    pub fn keep(&mut self, mut stays: impl FnMut(u32) -> bool) {
        let mut gone = vec![false; self.names.len()];
        for number in (1..).take(self.names.len() - 1) {
            let at = number as usize;
            if self.names[at].is_empty() || stays(number) {
                continue;
            }
            gone[at] = true;
            self.names[at] = "".into();
            self.free.push(number);
        }
        self.numbers.retain(|_, number| !gone[*number as usize]);
        self.recent.fill((Short::NONE, OTHER_NUMBER));
    }

    /// How many times a name found no place.
    pub const fn overflowed(&self) -> u64 {
        self.overflowed
    }

    #[cold]
    fn admit(&mut self, name: &[u8]) -> u32 {
        let kept = &name[..name.len().min(EDGE_NAME_BYTES_MAX)];
        let kept = if kept.is_empty() { EMPTY.as_bytes() } else { kept };
        let text = String::from_utf8_lossy(kept);
        // What stands for a byte that is no text is longer than it.
        let text = &text[..text.floor_char_boundary(EDGE_NAME_BYTES_MAX)];
        // Two names that differ in bytes that are no text show alike, so they are one.
        let number = match self.numbers.get(text.as_bytes()) {
            Some(number) => *number,
            None if self.len() >= self.max => {
                self.overflowed += 1;
                return OTHER_NUMBER;
            }
            None => {
                let number = self.free.pop().unwrap_or_else(|| {
                    self.names.push("".into());
                    u32::try_from(self.names.len() - 1).unwrap_or(OTHER_NUMBER)
                });
                self.names[number as usize] = text.into();
                self.numbers.insert(text.as_bytes().into(), number);
                number
            }
        };
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
    fn a_name_that_is_let_go_of_leaves_its_number_to_another() {
        let mut names = Names::new(3, Seed(1));
        let (a, b, c) = (names.number(b"a"), names.number(b"b"), names.number(b"c"));
        assert_eq!((names.number(b"d"), names.len()), (OTHER_NUMBER, 3));
        names.keep(|number| number == b);
        assert_eq!((names.number(b"b"), names.len()), (b, 1));
        let (d, e) = (names.number(b"d"), names.number(b"e"));
        assert_eq!([a, c].map(|n| n == d || n == e), [true, true]);
        assert_eq!((&*names.name(d), &*names.name(e), &*names.name(b)), ("d", "e", "b"));
        assert_eq!((names.number(b"a"), names.len()), (OTHER_NUMBER, 3));
        names.keep(|_| false);
        names.keep(|_| false);
        assert!(names.is_empty());
        assert_eq!(names.free.len(), 3);
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

    #[test]
    fn a_name_that_was_made_fit_is_called_so_by_every_table() {
        let mut names = Names::new(10, Seed(1));
        let mut other = Names::new(1, Seed(2));
        let broken = names.number(&[[0xff; 300].as_slice(), b"x"].concat());
        let name = names.name(broken);
        assert!(name.len() <= EDGE_NAME_BYTES_MAX);
        let again = other.number(name.as_bytes());
        assert_eq!(other.name(again), name);
        // There is room for no other one, and this is none.
        assert_eq!((other.number(&[0xfe; 301]), other.overflowed()), (again, 0));
    }
}
