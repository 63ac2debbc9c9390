//! What slow requests have in common: for each value its share of the slow beside its share of
//! all, both counted from the histograms of the windows, so that nothing is sampled.

use std::collections::BTreeMap;

use whyslow_edge::row::{Row, Timing};
use whyslow_model::histogram::{bucket, upper_bound};

use super::filter::{Field, Filter};
use super::kept;
use super::sum::{Sum, float};
use crate::web::pages::model::RUNS_TO_JUDGE;

/// What is looked for in common, in the order of the page.
pub const DIMENSIONS: [Field; 7] = [
    Field::Server,
    Field::Route,
    Field::Asn,
    Field::Prefix,
    Field::Code,
    Field::Backend,
    Field::Vip,
];
/// Values listed one by one; the rest share a line.
const VALUES_LISTED: usize = 4;
/// The part of all requests that is called slow where nobody says from when on: those above the
/// 95th percentile.
const SLOW_FROM: f64 = 0.95;

/// The slow requests and what they share.
#[derive(Clone, Debug, PartialEq)]
pub struct Common {
    /// Above this they are slow, in milliseconds: a bound of the histogram, so the count is exact.
    pub over_ms: f64,
    /// Timed requests above it.
    pub slow: u64,
    /// All timed requests.
    pub all: u64,
    /// One list for each dimension that rows tell apart and that has more than one value.
    pub facets: Vec<Facet>,
}

/// One dimension.
#[derive(Clone, Debug, PartialEq)]
pub struct Facet {
    /// Which one.
    pub field: Field,
    /// Its values: those that stand out first, then by share of the slow.
    pub values: Vec<Value>,
    /// Values that share the last line, and how many they are.
    pub others: Option<(usize, Value)>,
    /// How many requests of any one value may be counted as `other`, since windows tell the most
    /// frequent apart.
    pub hidden_at_most: u64,
}

/// One value.
#[derive(Clone, Debug, PartialEq)]
pub struct Value {
    /// As it stands in addresses.
    pub value: String,
    /// Slow requests that have it.
    pub slow: u64,
    /// Its share of the slow, 0 to 1.
    pub of_slow: f64,
    /// Its share of all, 0 to 1.
    pub of_all: f64,
}

/// How a facet reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reads {
    /// One value has at least twice its share, and a fifth of the slow.
    StandsOut,
    /// One has noticeably more than its share.
    More,
    /// None has.
    Same,
    /// There are too few slow requests to tell.
    TooFew,
}

impl Facet {
    /// How it reads, and the value it speaks of.
    pub fn reads(&self, slow: u64) -> (Reads, Option<&Value>) {
        if slow < RUNS_TO_JUDGE as u64 {
            return (Reads::TooFew, None);
        }
        let out = self.values.iter().find(|v| v.stands_out());
        let more = self.values.iter().find(|v| v.of_slow >= 0.2 && v.of_slow > v.of_all * 1.1);
        match (out, more) {
            (Some(value), _) => (Reads::StandsOut, Some(value)),
            (None, Some(value)) => (Reads::More, Some(value)),
            (None, None) => (Reads::Same, None),
        }
    }
}

impl Value {
    /// Whether it has at least twice its share of all, and at least a fifth of the slow.
    pub fn stands_out(&self) -> bool {
        self.of_slow >= 0.2 && self.of_slow >= self.of_all * 2.0
    }
}

/// What the slow requests among those that pass `filter` have in common; `None` where none is
/// timed. `by` has the rows that tell each dimension apart.
pub fn common(rows: &[Row], by: &BTreeMap<Field, Vec<Row>>, filter: &Filter) -> Option<Common> {
    let sum = Sum::of(kept(rows, filter, &[]));
    let latency = &sum.totals.latency;
    let over = over(latency, filter.min_ms())?;
    let all = latency.histogram.count();
    let slow = all - latency.histogram.count_up_to(over);
    // A field that is asked for has one value only.
    let fields = DIMENSIONS.into_iter().filter(|field| filter.get(*field).is_none());
    let facets = fields.filter_map(|field| facet(by.get(&field)?, filter, field, over)).collect();
    Some(Common { over_ms: upper_bound(over) * 1000.0, slow, all, facets })
}

/// The bucket above which a request is slow.
fn over(latency: &Timing, min_ms: Option<f64>) -> Option<i32> {
    let seconds = min_ms.map(|ms| ms / 1000.0).or_else(|| latency.histogram.quantile(SLOW_FROM))?;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "microseconds of a latency are small and not negative"
    )]
    let micros = (seconds * 1e6).clamp(1.0, 1e15) as u64;
    bucket(micros)
}

fn facet(rows: &[Row], filter: &Filter, field: Field, over: i32) -> Option<Facet> {
    let mut counts: BTreeMap<String, (u64, u64)> = BTreeMap::new();
    let mut hidden_at_most = 0;
    for row in kept(rows, filter, &[field]) {
        hidden_at_most += row.totals.hidden_at_most;
        let histogram = &row.totals.latency.histogram;
        let all = histogram.count();
        let (slow, sum) = counts.entry(field.of(&row.key)?).or_default();
        *slow += all - histogram.count_up_to(over);
        *sum += all;
    }
    let (slow, all) = counts.values().fold((0, 0), |(s, a), (slow, all)| (s + slow, a + all));
    counts.retain(|_, (_, all)| *all > 0);
    if counts.len() < 2 || slow == 0 {
        return None;
    }
    let share = |n: u64, of: u64| float(n) / float(of);
    let mut values: Vec<Value> = counts
        .into_iter()
        .map(|(value, (s, a))| Value {
            value,
            slow: s,
            of_slow: share(s, slow),
            of_all: share(a, all),
        })
        .collect();
    values.sort_by(|a, b| {
        b.stands_out().cmp(&a.stands_out()).then(b.slow.cmp(&a.slow)).then(a.value.cmp(&b.value))
    });
    // One value alone needs no line for others.
    let listed = if values.len() == VALUES_LISTED + 1 { values.len() } else { VALUES_LISTED };
    let rest = values.split_off(values.len().min(listed));
    let others = (!rest.is_empty()).then(|| {
        let sum = |of: fn(&Value) -> f64| rest.iter().map(of).sum();
        let value = Value {
            value: String::new(),
            slow: rest.iter().map(|v| v.slow).sum(),
            of_slow: sum(|v| v.of_slow),
            of_all: sum(|v| v.of_all),
        };
        (rest.len(), value)
    });
    Some(Facet { field, values, others, hidden_at_most })
}

#[cfg(test)]
mod tests {
    use super::super::tests::{key, row};
    use super::*;

    fn of(filter: &Filter) -> Option<Common> {
        let by = DIMENSIONS.map(|field| (field, rows())).into();
        common(&rows(), &by, filter)
    }

    fn rows() -> Vec<Row> {
        (1..=6)
            .map(|i| {
                let (name, ms) = (format!("app{i}"), if i == 3 { 80 } else { 10 });
                row(0, key("shop", "app", &name, "/"), &[ms; 100])
            })
            .collect()
    }

    #[test]
    fn the_server_that_makes_the_slow_ones_stands_out_and_shares_reconcile() {
        let found = of(&Filter::default()).unwrap();
        assert_eq!(found.all, 600);
        let slow = of(&Filter::default().with(Field::MinMs, "40")).unwrap();
        assert_eq!(slow.slow, 100);
        let facet = &slow.facets[0];
        assert_eq!(facet.field, Field::Server);
        let (reads, value) = facet.reads(slow.slow);
        assert_eq!((reads, value.unwrap().value.as_str()), (Reads::StandsOut, "app3"));
        let others = facet.others.as_ref().unwrap();
        assert_eq!(others.0, 2);
        let sum: f64 = facet.values.iter().map(|v| v.of_all).sum::<f64>() + others.1.of_all;
        assert!((sum - 1.0).abs() < 1e-9);
        assert_eq!(slow.facets.len(), 1, "one route, one vip, one backend share nothing");
    }

    #[test]
    fn a_field_that_is_asked_for_is_no_facet_and_few_slow_ones_tell_nothing() {
        let filter = Filter::default().with(Field::Server, "app3").with(Field::MinMs, "40");
        assert!(of(&filter).unwrap().facets.is_empty());
        let facet = facet(&rows(), &Filter::default(), Field::Server, 0);
        assert_eq!(facet, None, "nothing takes longer than a second");
        assert_eq!(common(&[], &BTreeMap::new(), &Filter::default()), None);
    }
}
