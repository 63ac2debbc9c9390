//! One server against the others of its backend, route by route.

use std::collections::{BTreeMap, BTreeSet};

use whyslow_edge::row::Row;

use super::filter::{Field, Filter};
use super::kept;
use super::sum::{Sum, quantile_ms};
use super::tree::NO_SERVER;

/// Routes compared one by one: those with most requests on the server.
const ROUTES_LISTED: usize = 20;

/// One server and its twins.
#[derive(Clone, Debug, PartialEq)]
pub struct Twins {
    /// The server.
    pub server: String,
    /// How many others share its work.
    pub twins: usize,
    /// The routes it served, most requests first.
    pub routes: Vec<Compared>,
}

/// One route on the server and on its twins.
#[derive(Clone, Debug, PartialEq)]
pub struct Compared {
    /// The route.
    pub route: String,
    /// On the server.
    pub here: Sum,
    /// On all twins together.
    pub there: Sum,
}

impl Compared {
    /// The server's p90 by its twins'; `None` where either has too few requests.
    pub fn p90_ratio(&self) -> Option<f64> {
        let of = |sum: &Sum| quantile_ms(&sum.totals.latency, 0.9);
        let there = of(&self.there).filter(|ms| *ms > 0.0)?;
        Some(of(&self.here)? / there)
    }
}

/// Compares `server` with the others that serve the same routes; `None` where rows do not tell
/// server and route apart together, or the server has no twin.
pub fn twins(rows: &[Row], filter: &Filter, server: &str) -> Option<Twins> {
    let filter = filter.without(Field::Server);
    let rows = kept(rows, &filter, &[Field::Server, Field::Route]);
    let of = |row: &&Row| Field::Server.of(&row.key);
    // The pools it works in; another pool's servers do other work.
    let own = rows.iter().filter(|row| of(row).as_deref() == Some(server));
    let pools: BTreeSet<Option<String>> = own.map(|row| Field::Backend.of(&row.key)).collect();
    let mut names: BTreeSet<String> = BTreeSet::new();
    let mut routes: BTreeMap<String, (Sum, Sum)> = BTreeMap::new();
    for row in rows.iter().filter(|row| pools.contains(&Field::Backend.of(&row.key))) {
        let Some((name, route)) = of(row).zip(Field::Route.of(&row.key)) else { continue };
        if name == NO_SERVER {
            continue;
        }
        let (here, there) = routes.entry(route).or_default();
        if name == server {
            here.add(row);
        } else {
            there.add(row);
            names.insert(name);
        }
    }
    let compared = |(route, (here, there))| Compared { route, here, there };
    let mut routes: Vec<Compared> =
        routes.into_iter().map(compared).filter(|c| !c.here.is_empty()).collect();
    routes.sort_by_key(|route| std::cmp::Reverse(route.here.totals.hits));
    routes.truncate(ROUTES_LISTED);
    let told = !names.is_empty() && !routes.is_empty();
    told.then(|| Twins { server: server.to_owned(), twins: names.len(), routes })
}

#[cfg(test)]
mod tests {
    use super::super::tests::{key, row};
    use super::*;

    #[test]
    fn a_server_is_held_against_the_others_of_its_pool_only() {
        let rows = [
            row(0, key("shop", "app", "app1", "/bid"), &[40; 30]),
            row(0, key("shop", "app", "app2", "/bid"), &[20; 30]),
            row(0, key("shop", "app", "app3", "/bid"), &[20; 30]),
            row(0, key("shop", "app", NO_SERVER, "/bid"), &[1; 30]),
            row(0, key("shop", "static", "s1", "/bid"), &[1; 30]),
            row(0, key("shop", "app", "app1", "/win"), &[4; 30]),
        ];
        let found = twins(&rows, &Filter::default(), "app1").unwrap();
        assert_eq!((found.twins, found.routes.len()), (2, 2));
        let ratio = found.routes[0].p90_ratio().unwrap();
        assert!((ratio - 2.0).abs() < 0.05, "{ratio}");
        assert_eq!(found.routes[1].p90_ratio(), None, "no twin served it");
        assert_eq!(twins(&rows, &Filter::default(), "s1"), None);
        assert_eq!(twins(&rows, &Filter::default(), "nobody"), None);
    }
}
