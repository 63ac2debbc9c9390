//! What the pages of the edge say, as plain data: window rows and slow requests come in, structs
//! go out, and nothing is read here.

pub mod bins;
pub mod filter;
pub mod lead;
pub mod phases;
pub mod shared_traits;
pub mod sources;
pub mod sum;
pub mod tree;
pub mod twins;

use std::collections::BTreeSet;

use whyslow_edge::row::Row;

use filter::{Field, Fields, Filter};

/// The rows that tell `needed` apart, one partition of all requests: of the groupings there are,
/// the coarsest that tells enough, so that nothing is counted twice.
///
/// Empty where no grouping tells all of `needed` apart.
pub fn telling(rows: &[Row], needed: Fields) -> Vec<&Row> {
    let there: BTreeSet<Fields> = rows.iter().map(|row| Fields::of(&row.key)).collect();
    let fitting = there.into_iter().filter(|fields| fields.hold(needed));
    let Some(chosen) = fitting.min_by_key(|fields| (fields.clients(), fields.count())) else {
        return Vec::new();
    };
    rows.iter().filter(|row| Fields::of(&row.key) == chosen).collect()
}

/// The rows that tell `fields` apart and pass `filter`.
pub fn kept<'a>(rows: &'a [Row], filter: &Filter, fields: &[Field]) -> Vec<&'a Row> {
    let needed = fields.iter().fold(filter.fields(), |all, field| all.with(*field));
    telling(rows, needed).into_iter().filter(|row| filter.takes(&row.key)).collect()
}

#[cfg(test)]
pub(crate) mod tests {
    use std::sync::Arc;

    use whyslow_edge::record::{EdgePhase, Mark};
    use whyslow_edge::row::{ClientAsn, Key, Totals};

    use super::*;

    /// A key of these fields in the order vip, backend, server, route; empty: not told apart.
    pub(crate) fn key(vip: &str, backend: &str, server: &str, route: &str) -> Key {
        let some = |text: &str| (!text.is_empty()).then(|| Arc::from(text));
        Key {
            vip: some(vip),
            backend: some(backend),
            server: some(server),
            route: some(route),
            ..Key::default()
        }
    }

    /// A 10-second window with one request of each of these milliseconds, code 200.
    pub(crate) fn row(start_s: i64, key: Key, millis: &[u64]) -> Row {
        let mut totals = Totals::default();
        for ms in millis {
            totals.hits += 1;
            totals.latency.observe(ms * 1000);
            totals.server.observe(ms * 900);
            let wait = &mut totals.phases[EdgePhase::Wait as usize];
            wait.timing.observe(ms * 900);
            wait.mark = Mark::Exact;
            *totals.codes.entry(200).or_default() += 1;
        }
        totals.peak_per_s = u32::try_from(millis.len()).unwrap_or(u32::MAX);
        Row { start_s, span_s: 10, key, totals }
    }

    #[test]
    fn the_coarsest_grouping_that_tells_enough_is_taken() {
        let of_network = Key { client_asn: Some(ClientAsn::As(64_500)), ..key("", "app", "", "") };
        let rows = [
            row(0, key("shop", "", "", ""), &[5; 3]),
            row(0, key("shop", "app", "web1", ""), &[5; 3]),
            row(0, key("shop", "app", "web1", "/"), &[5; 3]),
            row(0, of_network, &[5; 3]),
        ];
        let chosen = |fields: &[Field]| {
            let needed = fields.iter().fold(Fields::default(), |all, f| all.with(*f));
            telling(&rows, needed).iter().map(|r| Fields::of(&r.key).count()).collect::<Vec<_>>()
        };
        assert_eq!(chosen(&[Field::Vip]), [1]);
        assert_eq!(chosen(&[Field::Backend]), [3]);
        assert_eq!(chosen(&[Field::Route]), [4]);
        assert_eq!(chosen(&[Field::Asn]), [2]);
        assert_eq!(chosen(&[Field::Asn, Field::Route]), [0; 0]);
    }
}
