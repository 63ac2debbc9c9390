//! The label index: from a label and its value to the series that bear it.

use std::sync::Arc;

use whyslow_model::matcher::{MatchOp, Matcher};
use whyslow_model::seeded::{Seed, SeededMap};

/// A series' place in the head.
pub type Slot = u32;

/// Which slots bear which label; label texts are shared by all series.
#[derive(Debug)]
pub struct LabelIndex {
    seed: Seed,
    names: SeededMap<Arc<str>, Values>,
}

/// The values of one name, and for each the slots bearing it, ascending.
type Values = SeededMap<Arc<str>, Vec<Slot>>;

impl LabelIndex {
    /// An index of nothing.
    pub fn new(seed: Seed) -> Self {
        Self { seed, names: seed.map() }
    }

    /// Notes that `slot` bears the label, and answers its texts to be shared.
    pub fn add(&mut self, slot: Slot, name: &str, value: &str) -> (Arc<str>, Arc<str>) {
        if !self.names.contains_key(name) {
            self.names.insert(Arc::from(name), self.seed.map());
        }
        let Some((name, values)) = self.names.get_key_value_mut(name) else {
            unreachable!("the name was just put there")
        };
        if let Some((value, slots)) = values.get_key_value_mut(value) {
            insert_ascending(slots, slot);
            return (Arc::clone(name), Arc::clone(value));
        }
        let value: Arc<str> = Arc::from(value);
        values.insert(Arc::clone(&value), vec![slot]);
        (Arc::clone(name), value)
    }

    /// Forgets that `slot` bears the label.
    pub fn remove(&mut self, slot: Slot, name: &str, value: &str) {
        let Some(values) = self.names.get_mut(name) else { return };
        if let Some(slots) = values.get_mut(value) {
            if let Ok(at) = slots.binary_search(&slot) {
                slots.remove(at);
            }
            if slots.is_empty() {
                values.remove(value);
            }
        }
        if values.is_empty() {
            self.names.remove(name);
        }
    }

    /// The slots that satisfy all matchers, ascending, or `None` where every slot may: then no
    /// matcher asks for a label to be there.
    pub fn candidates(&self, matchers: &[Matcher]) -> Option<Vec<Slot>> {
        let mut found: Option<Vec<Slot>> = None;
        for m in matchers.iter().filter(|m| !m.matches_absent()) {
            let own = self.slots_of(m, |v| m.matches(v));
            let both = found.map_or_else(|| own.clone(), |f| intersection(&f, &own));
            if both.is_empty() {
                return Some(both);
            }
            found = Some(both);
        }
        found
    }

    /// The slots that a matcher content with an absent label rules out, ascending.
    pub fn ruled_out(&self, matcher: &Matcher) -> Vec<Slot> {
        self.slots_of(matcher, |v| !matcher.matches(v))
    }

    /// The names of all labels, in no order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.names.keys().map(|n| &**n)
    }

    /// The values of one label, in no order.
    pub fn values<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a str> + use<'a> {
        self.names.get(name).into_iter().flat_map(|v| v.keys().map(|v| &**v))
    }

    /// The slots bearing a value of the matcher's label for which `wanted` says yes.
    fn slots_of(&self, matcher: &Matcher, wanted: impl Fn(&str) -> bool) -> Vec<Slot> {
        let Some(values) = self.names.get(matcher.name.as_str()) else { return Vec::new() };
        if matcher.op == MatchOp::Equal && !matcher.value.is_empty() {
            return values.get(matcher.value.as_str()).cloned().unwrap_or_default();
        }
        let lists: Vec<&Vec<Slot>> =
            values.iter().filter(|(v, _)| wanted(v)).map(|(_, slots)| slots).collect();
        let mut all = Vec::with_capacity(lists.iter().map(|l| l.len()).sum());
        for list in lists {
            all.extend_from_slice(list);
        }
        // A series has one value of a label, so no slot stands in two lists.
        all.sort_unstable();
        all
    }
}

/// What both ascending lists hold.
fn intersection(a: &[Slot], b: &[Slot]) -> Vec<Slot> {
    let (few, many) = if a.len() <= b.len() { (a, b) } else { (b, a) };
    let mut rest = many;
    let mut both = Vec::new();
    for slot in few {
        let skip = rest.partition_point(|s| s < slot);
        rest = &rest[skip..];
        if rest.first() == Some(slot) {
            both.push(*slot);
        }
    }
    both
}

fn insert_ascending(slots: &mut Vec<Slot>, slot: Slot) {
    match slots.last() {
        Some(last) if *last >= slot => {
            if let Err(at) = slots.binary_search(&slot) {
                slots.insert(at, slot);
            }
        }
        _ => slots.push(slot),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn index() -> LabelIndex {
        let mut index = LabelIndex::new(Seed(7));
        for (slot, job, zone) in [(0, "a", "x"), (1, "b", "x"), (2, "a", "y"), (3, "c", "")] {
            index.add(slot, "job", job);
            if !zone.is_empty() {
                index.add(slot, "zone", zone);
            }
        }
        index
    }

    #[test]
    fn all_matchers_must_hold() {
        let m = [
            Matcher::new("job", MatchOp::Regex, "a|b").unwrap(),
            Matcher::new("zone", MatchOp::Equal, "x").unwrap(),
        ];
        assert_eq!(index().candidates(&m), Some(vec![0, 1]));
        assert_eq!(index().candidates(&[Matcher::equal("job", "none")]), Some(vec![]));
    }

    #[test]
    fn a_matcher_content_with_absence_rules_out_and_never_picks() {
        let m = Matcher::new("zone", MatchOp::NotEqual, "x").unwrap();
        assert_eq!(index().candidates(std::slice::from_ref(&m)), None);
        assert_eq!(index().ruled_out(&m), vec![0, 1]);
        assert_eq!(index().ruled_out(&Matcher::equal("zone", "")), vec![0, 1, 2]);
    }

    #[test]
    fn what_is_removed_leaves_nothing_behind() {
        let mut i = index();
        i.remove(3, "job", "c");
        assert_eq!(i.candidates(&[Matcher::equal("job", "c")]), Some(vec![]));
        assert!(!i.values("job").any(|v| v == "c"));
    }
}
