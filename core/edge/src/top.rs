//! The most frequent keys of a stream that has more keys than there is room for.
//!
//! Space-Saving (Metwally, Agrawal, El Abbadi: "Efficient computation of frequent and top-k
//! elements in data streams", 2005) gives every key a place, in the stead of the least frequent
//! one, and says how much of it may have been missed before. Here the less frequent half goes at
//! once when there is no more room, so that a request costs one look into a map and, spread over
//! all, a fixed number of steps; the bounds are the same:
//!
//! - a key's count is exact from when it got in, and at most [`Cell::missed_at_most`] came before;
//! - of a key that is not in, at most [`Top::hidden_at_most`] came;
//! - of `n` requests, with room for `2·k` keys, neither is more than `n/k`, so a key with a share
//!   above `1/k` is in.
//!
//! Why `n/k`: say a key's *lead* is its count and what it may have missed, beyond `hidden_at_most`.
//! A request adds one to one lead, and a key enters with a lead of one. When `k` keys go, the
//! highest lead among them is added to `hidden_at_most`, and taken from the lead of each of the `k`
//! keys that stay. All leads together were given `n`, and each such step takes at least `k` times
//! what it adds.

use std::hash::Hash;

use whyslow_model::seeded::{Seed, SeededMap};

/// The most frequent keys, each with a value of the caller's.
#[derive(Debug)]
pub struct Top<K, V> {
    /// How many stay when there is no more room; half of the room, at least 1.
    kept: usize,
    cells: SeededMap<K, Cell<V>>,
    hidden_at_most: u64,
}

/// What is known of a key.
#[derive(Clone, Debug)]
pub struct Cell<V> {
    /// Requests since the key got in.
    pub hits: u64,
    /// Requests that may have come before.
    pub missed_at_most: u64,
    /// The caller's.
    pub value: V,
}

impl<V> Cell<V> {
    const fn at_most(&self) -> u64 {
        self.hits.saturating_add(self.missed_at_most)
    }
}

impl<K: Copy + Ord + Hash, V> Top<K, V> {
    /// Keeps `kept` keys, with room for twice as many.
    pub fn new(kept: usize, seed: Seed) -> Self {
        Self { kept: kept.max(1), cells: seed.map(), hidden_at_most: 0 }
    }

    /// Counts one request and gives the key's value. A key that was not in gets a new one; where
    /// that needs room, each key that goes is given to `gone` before.
    pub fn count(
        &mut self,
        key: K,
        new: impl FnOnce() -> V,
        gone: impl FnMut(K, Cell<V>),
    ) -> &mut V {
        if self.cells.len() >= 2 * self.kept && !self.cells.contains_key(&key) {
            self.keep(self.kept, gone);
        }
        let missed_at_most = self.hidden_at_most;
        let enter = || Cell { hits: 0, missed_at_most, value: new() };
        let cell = self.cells.entry(key).or_insert_with(enter);
        cell.hits += 1;
        &mut cell.value
    }

    /// Lets all keys but the `n` most frequent go.
    pub fn keep(&mut self, n: usize, mut gone: impl FnMut(K, Cell<V>)) {
        let (going, hidden_at_most) = self.beyond(n);
        for key in going {
            if let Some(cell) = self.cells.remove(&key) {
                gone(key, cell);
            }
        }
        self.hidden_at_most = hidden_at_most;
    }

    /// The keys beyond the `n` most frequent, and what [`Self::hidden_at_most`] would be without
    /// them. Which of equally frequent ones go does not depend on the seed.
    pub fn beyond(&self, n: usize) -> (Vec<K>, u64) {
        if self.cells.len() <= n {
            return (Vec::new(), self.hidden_at_most);
        }
        let mut all: Vec<(std::cmp::Reverse<u64>, K)> =
            self.cells.iter().map(|(key, c)| (std::cmp::Reverse(c.at_most()), *key)).collect();
        let (_, first, _) = all.select_nth_unstable(n);
        let hidden_at_most = self.hidden_at_most.max(first.0.0);
        (all.into_iter().skip(n).map(|(_, key)| key).collect(), hidden_at_most)
    }

    /// The most requests that one key can have had which is not in.
    pub const fn hidden_at_most(&self) -> u64 {
        self.hidden_at_most
    }

    /// How many keys are in.
    pub fn len(&self) -> usize {
        self.cells.len()
    }

    /// Whether no key is in.
    pub fn is_empty(&self) -> bool {
        self.cells.is_empty()
    }

    /// What is known of a key; `None` where it is not in.
    pub fn get(&self, key: &K) -> Option<&Cell<V>> {
        self.cells.get(key)
    }

    /// The keys that are in, in no order.
    pub fn cells(&self) -> impl Iterator<Item = (&K, &Cell<V>)> {
        self.cells.iter()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    /// Counts a stream both ways and holds the one against the other.
    fn check(stream: &[u16], kept: usize, seed: u64) -> Top<u16, u64> {
        let mut top = Top::new(kept, Seed(seed));
        let mut exact: BTreeMap<u16, u64> = BTreeMap::new();
        let mut other = 0;
        for (n, key) in (1_u64..).zip(stream) {
            *exact.entry(*key).or_default() += 1;
            *top.count(*key, || 0, |_, cell| other += cell.value) += 1;
            assert!(top.len() <= 2 * kept);
            assert!(top.hidden_at_most() <= n / kept as u64, "more than a share of 1/{kept}");
        }
        for (key, count) in &exact {
            match top.get(key) {
                Some(cell) => {
                    assert!(
                        (cell.hits..=cell.at_most()).contains(count),
                        "{key}: {count} {cell:?}"
                    );
                    assert!(cell.missed_at_most <= top.hidden_at_most());
                    assert_eq!(cell.value, cell.hits);
                }
                None => assert!(*count <= top.hidden_at_most(), "{key}: {count}"),
            }
        }
        let told: u64 = top.cells().map(|(_, cell)| cell.value).sum();
        assert_eq!(told + other, stream.len() as u64, "totals reconcile");
        top
    }

    proptest! {
        #[test]
        fn bounds_hold_of_any_stream(
            stream in proptest::collection::vec(prop_oneof![0..4_u16, 0..12_u16, any::<u16>()], 0..600),
            kept in 1..12_usize,
            n in 0..12_usize,
        ) {
            let mut top = check(&stream, kept, 1);
            let (beyond, hidden_at_most) = top.beyond(n);
            let mut gone: Vec<u16> = Vec::new();
            top.keep(n, |key, cell| {
                assert!(cell.at_most() <= hidden_at_most);
                gone.push(key);
            });
            prop_assert_eq!(gone, beyond);
            prop_assert_eq!(top.hidden_at_most(), hidden_at_most);
        }

        #[test]
        fn who_goes_does_not_depend_on_the_seed(
            stream in proptest::collection::vec(0..40_u16, 0..300),
        ) {
            let ordered = |top: &Top<u16, u64>| {
                top.cells().map(|(key, cell)| (*key, cell.hits)).collect::<BTreeMap<_, _>>()
            };
            prop_assert_eq!(ordered(&check(&stream, 5, 1)), ordered(&check(&stream, 5, 2)));
        }
    }

    #[test]
    fn who_comes_late_but_often_gets_in() {
        let mut stream: Vec<u16> = (0..5000).collect();
        // A share of one in twelve, above 1/16.
        stream.extend((5000..10_000_u16).flat_map(|n| if n % 4 == 0 { [7777, n] } else { [n, n] }));
        let top = check(&stream, 16, 3);
        let cell = top.get(&7777).unwrap();
        assert!(
            cell.hits >= 1250 && cell.hits + cell.missed_at_most < 1250 + 15_000 / 16,
            "{cell:?}"
        );
    }
}
