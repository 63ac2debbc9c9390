//! How many requests each second saw, for peaks that are exact whatever the order of lines and
//! however many files are added up.

use whyslow_model::limits::EDGE_REPORT_SECONDS_MAX;

/// Requests by second.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seconds {
    /// Ascending by second since the epoch, counts above zero.
    counts: Vec<(u32, u32)>,
    /// There was no place, or no number, for some second.
    incomplete: bool,
}

impl Seconds {
    /// Counts a request.
    #[inline]
    pub fn count(&mut self, second: i64) {
        match (u32::try_from(second), self.counts.last_mut()) {
            // Nearly all are of the second that the one before was of.
            (Ok(second), Some((last, n))) if *last == second => *n = n.saturating_add(1),
            (Ok(second), _) => self.add(second, 1),
            (Err(_), _) => self.incomplete = true,
        }
    }

    /// Adds another's requests, second by second.
    pub fn merge(&mut self, other: &Self) {
        self.incomplete |= other.incomplete;
        if self.counts.is_empty() {
            self.counts.clone_from(&other.counts);
            return;
        }
        other.counts.iter().for_each(|(second, n)| self.add(*second, *n));
    }

    /// The most requests of any one second; `None` where that is not known.
    pub fn most(&self) -> Option<u32> {
        let most = self.counts.iter().map(|(_, n)| *n).max();
        most.filter(|_| !self.incomplete)
    }

    /// Counts `n` requests of one second.
    #[inline(never)]
    pub(super) fn add(&mut self, second: u32, n: u32) {
        let place = match self.counts.last() {
            Some((last, _)) if *last == second => Ok(self.counts.len() - 1),
            Some((last, _)) if *last > second => {
                self.counts.binary_search_by_key(&second, |(at, _)| *at)
            }
            _ => Err(self.counts.len()),
        };
        match place {
            Ok(at) => self.counts[at].1 = self.counts[at].1.saturating_add(n),
            Err(at) if self.counts.len() < EDGE_REPORT_SECONDS_MAX => {
                self.counts.insert(at, (second, n));
            }
            Err(_) => self.incomplete = true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #[test]
        fn the_peak_is_exact_in_any_order_and_split(
            seconds in proptest::collection::vec((0_i64..50, proptest::bool::ANY), 1..300),
        ) {
            let (mut one, mut two) = (Seconds::default(), Seconds::default());
            let mut wanted = std::collections::BTreeMap::new();
            for (second, first) in seconds {
                if first { one.count(second) } else { two.count(second) }
                *wanted.entry(second).or_insert(0_u32) += 1;
            }
            one.merge(&two);
            proptest::prop_assert_eq!(one.most(), wanted.values().max().copied());
            let counted: Vec<_> = one.counts.iter().map(|(s, n)| (i64::from(*s), *n)).collect();
            proptest::prop_assert_eq!(counted, wanted.into_iter().collect::<Vec<_>>());
        }
    }

    #[test]
    fn a_time_before_the_epoch_makes_the_peak_unknown() {
        let mut seconds = Seconds::default();
        seconds.count(5);
        seconds.count(-1);
        assert_eq!(seconds.most(), None);
    }
}
