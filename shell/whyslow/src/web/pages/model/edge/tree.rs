//! The table by vip, backend and server: every line a sum, and all lines of a level the whole.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use whyslow_edge::row::Row;

use super::bins::{bins, width_s};
use super::filter::{Field, Fields, Filter};
use super::sum::{Sum, quantile_ms};
use super::{kept, telling};
use crate::web::pages::when::Span;

/// Servers listed one by one under a backend that was not asked for; the rest share a line.
const SERVERS_LISTED: usize = 12;
/// Servers listed one by one under a backend that was asked for.
const SERVERS_LISTED_OF_ONE: usize = 400;
/// Backends listed one by one under a vip; the rest share a line.
const BACKENDS_LISTED: usize = 40;
/// Vips listed one by one.
const VIPS_LISTED: usize = 40;
/// How a server is named where the balancer chose none.
pub const NO_SERVER: &str = "<NOSRV>";

/// What a line stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// A frontend.
    Vip,
    /// A pool.
    Backend,
    /// A server.
    Server,
}

impl Level {
    const ALL: [Self; 3] = [Self::Vip, Self::Backend, Self::Server];

    /// The field that tells lines of this level apart.
    pub const fn field(self) -> Field {
        match self {
            Self::Vip => Field::Vip,
            Self::Backend => Field::Backend,
            Self::Server => Field::Server,
        }
    }
}

/// One line.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    /// What it stands for.
    pub level: Level,
    /// Its name as the balancer writes it; `None` where the source does not tell, or for a line
    /// that stands for several.
    pub name: Option<String>,
    /// The names that share the line, where several do.
    pub others: Vec<String>,
    /// What narrows the page to it; `None` where that is not one thing.
    pub filter: Option<Filter>,
    /// What was counted.
    pub sum: Sum,
    /// The most requests of any one second; `None` where it is not told.
    pub peak_per_s: Option<u32>,
    /// The p99 of each bin, in milliseconds; `None` where a bin holds too few requests.
    pub p99_ms: Vec<Option<f64>>,
    /// Whether an open finding names it.
    pub hot: bool,
}

/// The whole table.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tree {
    /// Vips, under each its backends, under each its servers.
    pub lines: Vec<Line>,
    /// All requests of the table together.
    pub all: Sum,
    /// Their most of any one second; `None` where it is not told.
    pub peak_per_s: Option<u32>,
    /// The p99 of all of them, bin by bin.
    pub all_p99_ms: Vec<Option<f64>>,
    /// The seconds that the table covers: from the first window's start to the last one's end.
    pub seconds: i64,
}

/// A name that an open finding points at: field and value.
pub type Hot = (Field, String);

/// Builds the table of all rows that pass `filter`.
///
/// Lines come from the finest rows that are there, so that a vip is exactly the sum of its
/// backends and a backend that of its servers. `coarse` are rows of vips, backends and the whole,
/// whose peaks cannot be had from those of their parts.
pub fn tree(rows: &[Row], coarse: &[Row], filter: &Filter, hot: &[Hot], span: &Span) -> Tree {
    let leaves = leaves(rows, filter);
    if leaves.is_empty() {
        return Tree::default();
    }
    let width = width_s(span, &leaves);
    let p99s = |rows: &[&Row]| -> Vec<Option<f64>> {
        let bins = bins(rows.iter().copied(), span, width);
        bins.iter().map(|bin| quantile_ms(&bin.sum.totals.latency, 0.99)).collect()
    };
    let mut grow = Grow { lines: Vec::new(), coarse, filter, hot, p99s: &p99s };
    grow.level(&leaves, Level::Vip, filter, 0);
    let lines = grow.lines;
    let from = leaves.iter().map(|row| row.start_s).min().unwrap_or(0);
    let to = leaves.iter().map(|row| row.start_s + i64::from(row.span_s)).max().unwrap_or(0);
    let all = Sum::of(leaves.iter().copied());
    Tree {
        lines,
        peak_per_s: peak(coarse, filter).or_else(|| all.peak_per_s()),
        all,
        all_p99_ms: p99s(&leaves),
        seconds: (to - from).max(1),
    }
}

/// The rows that tell vip, backend and server apart; where none does, the most that are told.
fn leaves<'a>(rows: &'a [Row], filter: &Filter) -> Vec<&'a Row> {
    let wanted: [&[Field]; 6] = [
        &[Field::Vip, Field::Backend, Field::Server],
        &[Field::Backend, Field::Server],
        &[Field::Server],
        &[Field::Vip, Field::Backend],
        &[Field::Vip],
        &[Field::Backend],
    ];
    let found = wanted.into_iter().map(|fields| kept(rows, filter, fields));
    let found = found.into_iter().find(|rows| !rows.is_empty());
    // A source that names nothing still has requests.
    found.unwrap_or_else(|| {
        telling(rows, filter.fields()).into_iter().filter(|r| filter.takes(&r.key)).collect()
    })
}

/// The peak of the rows that tell just what a filter asks for.
fn peak(coarse: &[Row], filter: &Filter) -> Option<u32> {
    let exactly = |row: &&Row| Fields::of(&row.key) == filter.fields() && filter.takes(&row.key);
    coarse.iter().filter(exactly).map(|row| row.totals.peak_per_s).max()
}

/// Whether a name stands for one that the source does not tell.
fn is_untold(name: Option<&str>) -> bool {
    name.is_none_or(|name| name.is_empty() || name == whyslow_edge::names::EMPTY)
}

/// Whether a name stands for no single thing; such lines come last and are never folded away.
fn is_special(name: &str) -> bool {
    name == NO_SERVER || name == whyslow_edge::row::OTHER
}

struct Grow<'a> {
    lines: Vec<Line>,
    coarse: &'a [Row],
    filter: &'a Filter,
    hot: &'a [Hot],
    p99s: &'a dyn Fn(&[&Row]) -> Vec<Option<f64>>,
}

impl Grow<'_> {
    /// Adds the lines of one level, and under each its own.
    fn level(&mut self, rows: &[&Row], level: Level, above: &Filter, depth: usize) {
        let mut named: BTreeMap<Option<String>, Vec<&Row>> = BTreeMap::new();
        for row in rows {
            named.entry(level.field().of(&row.key)).or_default().push(row);
        }
        let mut groups: Vec<(Option<String>, Vec<&Row>)> = named.into_iter().collect();
        groups.sort_by(|a, b| self.order(level, a.0.as_deref(), b.0.as_deref()));
        let rest = self.rest(level, &mut groups);
        let below = Level::ALL.get(depth + 1).copied();
        let alone = groups.len() == 1 && rest.is_empty();
        for (name, rows) in groups {
            // A level that the source does not tell has no line of its own.
            let filter = name.as_deref().map(|name| above.with(level.field(), name));
            if name.is_some() && !(alone && is_untold(name.as_deref())) {
                self.line(level, name.clone(), Vec::new(), filter.clone(), &rows);
            }
            if let Some(below) = below {
                self.level(&rows, below, filter.as_ref().unwrap_or(above), depth + 1);
            }
        }
        if !rest.is_empty() {
            let names = rest.iter().filter_map(|(name, _)| name.clone()).collect();
            let rows: Vec<&Row> = rest.into_iter().flat_map(|(_, rows)| rows).collect();
            self.line(level, None, names, None, &rows);
        }
    }

    fn line(
        &mut self,
        level: Level,
        name: Option<String>,
        others: Vec<String>,
        filter: Option<Filter>,
        rows: &[&Row],
    ) {
        let hot = name.as_deref().is_some_and(|name| self.is_hot(level, name));
        let sum = Sum::of(rows.iter().copied());
        let exact = filter.as_ref().and_then(|filter| peak(self.coarse, filter));
        let peak_per_s = exact.or_else(|| sum.peak_per_s());
        let p99_ms = (self.p99s)(rows);
        self.lines.push(Line { level, name, others, filter, sum, peak_per_s, p99_ms, hot });
    }

    fn is_hot(&self, level: Level, name: &str) -> bool {
        self.hot.iter().any(|(field, value)| *field == level.field() && value == name)
    }

    /// Takes those away that share a line: ordinary names beyond the limit, at least two.
    fn rest<T>(
        &self,
        level: Level,
        groups: &mut Vec<(Option<String>, T)>,
    ) -> Vec<(Option<String>, T)> {
        let special = |name: &Option<String>| name.as_deref().is_none_or(is_special);
        let ordinary = groups.iter().filter(|(name, _)| !special(name)).count();
        let listed = self.listed(level);
        if ordinary <= listed + 1 {
            return Vec::new();
        }
        groups.drain(listed..ordinary).collect()
    }

    fn listed(&self, level: Level) -> usize {
        match level {
            Level::Vip => VIPS_LISTED,
            Level::Backend => BACKENDS_LISTED,
            Level::Server if self.filter.get(Field::Backend).is_some() => SERVERS_LISTED_OF_ONE,
            Level::Server => SERVERS_LISTED,
        }
    }

    /// What a finding names first, then by name with numbers as numbers, no server last.
    fn order(&self, level: Level, a: Option<&str>, b: Option<&str>) -> Ordering {
        let rank = |name: Option<&str>| {
            let hot = name.is_some_and(|name| self.is_hot(level, name));
            (name.is_none_or(is_special), !hot)
        };
        rank(a).cmp(&rank(b)).then_with(|| by_name(a.unwrap_or(""), b.unwrap_or("")))
    }
}

/// By name, with a number at the end taken as a number: `app2` before `app10`.
fn by_name(a: &str, b: &str) -> Ordering {
    let split = |text: &str| {
        let head = text.trim_end_matches(|c: char| c.is_ascii_digit()).len();
        let number: u64 = text[head..].parse().unwrap_or(0);
        (text[..head].to_owned(), number)
    };
    split(a).cmp(&split(b)).then_with(|| a.cmp(b))
}

#[cfg(test)]
mod tests {
    use super::super::tests::{key, row};
    use super::*;
    use crate::web::pages::when::Asked;

    fn span() -> Span {
        let asked = Asked { from: Some("0".into()), to: Some("600000".into()), ..Asked::default() };
        Span::new(&asked, 600_000)
    }

    fn shop(servers: usize) -> Vec<Row> {
        let mut rows = Vec::new();
        for window in 0..6 {
            for server in 0..servers {
                let name = format!("app{}", server + 1);
                rows.push(row(window * 10, key("shop", "app", &name, ""), &[5; 30]));
                rows.push(row(window * 10, key("shop", "app", &name, "/"), &[5; 30]));
            }
            rows.push(row(window * 10, key("shop", "app", NO_SERVER, ""), &[1; 2]));
            rows.push(row(window * 10, key("sync", "sync", "s1", ""), &[9; 3]));
            rows.push(row(window * 10, key("shop", "", "", ""), &[5; 999]));
        }
        rows
    }

    fn hits(tree: &Tree, level: Level) -> u64 {
        tree.lines.iter().filter(|l| l.level == level).map(|l| l.sum.totals.hits).sum()
    }

    #[test]
    fn every_level_sums_to_all() {
        let tree = tree(&shop(20), &[], &Filter::default(), &[], &span());
        assert_eq!(tree.all.totals.hits, 6 * (20 * 30 + 2 + 3));
        for level in Level::ALL {
            assert_eq!(hits(&tree, level), tree.all.totals.hits, "{level:?}");
        }
        assert_eq!(tree.seconds, 60);
        let rest = tree.lines.iter().find(|l| !l.others.is_empty()).unwrap();
        assert_eq!((rest.others.len(), rest.filter.is_none()), (8, true));
        assert_eq!(tree.lines.iter().filter(|l| l.name.as_deref() == Some(NO_SERVER)).count(), 1);
    }

    #[test]
    fn what_a_finding_names_stands_first_and_no_server_last() {
        let hot = [(Field::Server, "app12".to_owned())];
        let filter = Filter::default().with(Field::Backend, "app");
        let tree = tree(&shop(20), &[], &filter, &hot, &span());
        let names: Vec<&str> = tree
            .lines
            .iter()
            .filter(|l| l.level == Level::Server)
            .filter_map(|l| l.name.as_deref())
            .collect();
        assert_eq!((names[0], names[1], names[2], names[20]), ("app12", "app1", "app2", NO_SERVER));
        assert!(tree.lines.iter().filter(|l| l.hot).count() == 1);
    }

    #[test]
    fn a_source_that_names_no_server_still_has_its_lines() {
        let rows = [row(0, key("", "", "", "/"), &[5; 30]), row(0, key("", "", "", "/a"), &[5; 9])];
        let tree = tree(&rows, &[], &Filter::default(), &[], &span());
        assert_eq!((tree.lines.len(), tree.all.totals.hits), (0, 39));
    }

    #[test]
    fn a_route_narrows_the_table_where_rows_tell_both() {
        let filter = Filter::default().with(Field::Route, "/");
        let tree = tree(&shop(3), &[], &filter, &[], &span());
        assert_eq!(tree.all.totals.hits, 6 * 3 * 30);
        let web = tree.lines.iter().find(|l| l.level == Level::Server).unwrap();
        assert_eq!(
            web.filter.as_ref().unwrap().query(),
            "vip=shop&backend=app&server=app1&route=%2F"
        );
    }

    #[test]
    fn the_peak_of_a_backend_is_that_of_its_own_rows_and_else_not_told() {
        let mut backend = row(0, key("shop", "app", "", ""), &[5]);
        backend.totals.peak_per_s = 77;
        let none = tree(&shop(3), &[], &Filter::default(), &[], &span());
        let told = tree(&shop(3), &[backend], &Filter::default(), &[], &span());
        let of = |tree: &Tree| {
            let line = tree.lines.iter().find(|l| l.level == Level::Backend);
            line.and_then(|l| l.peak_per_s)
        };
        assert_eq!((of(&none), of(&told)), (None, Some(77)));
    }
}
