//! Series grouped by nodes of their paths or by tags, each group into one.

use super::Kind::{AggFunc, AggOrSeriesFunc, Node, NodeOrTag, SeriesList, Tag};
use super::call::NodeOrTag as Place;
use super::combine::combined;
use super::{Answer, Call, Function, needed};
use crate::consolidate::Reduction;
use crate::error::RenderError;
use crate::series::Series;
use crate::target;

const LIST: super::Parameter = needed("seriesList", SeriesList);

pub(super) const FUNCTIONS: &[Function] = &[
    Function {
        name: "groupByNode",
        group: "Combine",
        description: "One series for each value of a node or tag.",
        parameters: &[
            LIST,
            needed("nodeNum", NodeOrTag),
            needed("callback", AggOrSeriesFunc).or("\"average\""),
        ],
        run: |c| {
            let nodes = c.nodes(1)?;
            by_nodes(c, &nodes, 2)
        },
    },
    Function {
        name: "groupByNodes",
        group: "Combine",
        description: "One series for each combination of several nodes or tags.",
        parameters: &[
            LIST,
            needed("callback", AggOrSeriesFunc),
            needed("nodes", NodeOrTag).optional().many(),
        ],
        run: |c| {
            let nodes = c.nodes(2)?;
            by_nodes(c, &nodes, 1)
        },
    },
    Function {
        name: "groupByTags",
        group: "Combine",
        description: "One series for each combination of tags.",
        parameters: &[LIST, needed("callback", AggOrSeriesFunc), needed("tags", Tag).many()],
        run: by_tags,
    },
    Function {
        name: "sumSeriesWithWildcards",
        group: "Combine",
        description: "The sums of series that differ in no node but these.",
        parameters: &[LIST, needed("position", Node).optional().many()],
        run: |c| without_nodes(c, "sum", 1),
    },
    Function {
        name: "averageSeriesWithWildcards",
        group: "Combine",
        description: "The averages of series that differ in no node but these.",
        parameters: &[LIST, needed("position", Node).optional().many()],
        run: |c| without_nodes(c, "average", 1),
    },
    Function {
        name: "aggregateWithWildcards",
        group: "Combine",
        description: "Series that differ in no node but these into one by the function named.",
        parameters: &[LIST, needed("func", AggFunc), needed("position", Node).optional().many()],
        run: |c| {
            let (name, _) = c.reduction(1, Reduction::Average)?;
            without_nodes(c, &name, 2)
        },
    },
];

/// What nodes and tags of a series say, with dots between.
pub(super) fn key_of(series: &Series, nodes: &[Place]) -> String {
    // Of a name that a function gave, the path within counts.
    let within = series
        .name
        .ends_with(')')
        .then(|| target::parse(&series.name).ok()?.first_path().map(str::to_owned))
        .flatten();
    let path = within.as_deref().unwrap_or(&series.name);
    let path = path.split(';').next().unwrap_or(path);
    let part = |place: &Place| {
        let (node, tag) = match place {
            Place::Node(n) => (nth(path, *n), n.to_string()),
            Place::Tag(tag) => (None, tag.clone()),
        };
        node.map(str::to_owned).or_else(|| series.tags.get(&tag).cloned()).unwrap_or_default()
    };
    nodes.iter().map(part).collect::<Vec<_>>().join(".")
}

/// The n-th node; from the end where `n` is negative.
fn nth(path: &str, n: i64) -> Option<&str> {
    let place = usize::try_from(n.unsigned_abs()).ok()?;
    if n < 0 { path.rsplit('.').nth(place - 1) } else { path.split('.').nth(place) }
}

/// Groups in the order in which their first series come.
pub(super) fn grouped(
    series: Vec<Series>,
    key: impl Fn(&Series) -> String,
) -> Vec<(String, Vec<Series>)> {
    let mut groups: Vec<(String, Vec<Series>)> = Vec::new();
    let mut places = std::collections::BTreeMap::new();
    for one in series {
        let key = key(&one);
        let place = *places.entry(key.clone()).or_insert(groups.len());
        if place == groups.len() {
            groups.push((key, Vec::new()));
        }
        groups[place].1.push(one);
    }
    groups
}

fn by_nodes(call: &mut Call<'_, '_>, nodes: &[Place], callback: usize) -> Answer {
    let name = callback_of(call, callback)?;
    let groups = grouped(call.series(0)?, |s| key_of(s, nodes));
    Ok(groups.into_iter().filter_map(|(key, some)| named(some, &name, key)).collect())
}

fn callback_of(call: &Call<'_, '_>, place: usize) -> Result<String, RenderError> {
    let (name, _) = call.reduction(place, Reduction::Average)?;
    Ok(name.strip_suffix("Series").unwrap_or(&name).to_owned())
}

/// The group as one series of this name.
fn named(group: Vec<Series>, reduction: &str, name: String) -> Option<Series> {
    let mut one = combined(group, reduction)?;
    one.name = name;
    Some(one)
}

fn by_tags(call: &mut Call<'_, '_>) -> Answer {
    let callback = callback_of(call, 1)?;
    let mut wanted: Vec<String> = Vec::new();
    for place in call.nodes(2)? {
        match place {
            Place::Tag(tag) => wanted.push(tag),
            Place::Node(_) => return Err(call.bad("a tag is a text")),
        }
    }
    let series = call.series(0)?;
    let by_name = wanted.iter().any(|t| t == "name");
    wanted.retain(|t| t != "name");
    wanted.sort();
    let first = series.first().and_then(|s| s.tags.get("name")).cloned();
    let alike = series.iter().all(|s| s.tags.get("name") == first.as_ref());
    let whole = first.filter(|_| alike).unwrap_or_else(|| callback.clone());
    let tag = |s: &Series, t: &str| s.tags.get(t).cloned().unwrap_or_default();
    let key = |s: &Series| {
        let name = if by_name { tag(s, "name") } else { whole.clone() };
        let tags = wanted.iter().map(|t| format!(";{t}={}", tag(s, t)));
        std::iter::once(name).chain(tags).collect::<String>()
    };
    let one = |(key, group): (String, Vec<Series>)| {
        let mut one = named(group, &callback, key.clone())?;
        let mut parts = key.split(';');
        let name = parts.next().unwrap_or_default().to_owned();
        let tags = parts.filter_map(|p| p.split_once('='));
        one.tags = tags.map(|(t, v)| (t.to_owned(), v.to_owned())).collect();
        one.tags.insert("name".to_owned(), name);
        one.expression = key;
        Some(one)
    };
    Ok(grouped(series, key).into_iter().filter_map(one).collect())
}

fn without_nodes(call: &mut Call<'_, '_>, reduction: &str, place: usize) -> Answer {
    let places = call.nodes(place)?;
    let dropped = |i: usize| i64::try_from(i).is_ok_and(|i| places.contains(&Place::Node(i)));
    let key = |s: &Series| {
        let kept = s.name.split('.').enumerate().filter(|(i, _)| !dropped(*i));
        kept.map(|(_, node)| node).collect::<Vec<_>>().join(".")
    };
    let groups = grouped(call.series(0)?, key);
    Ok(groups.into_iter().filter_map(|(key, some)| named(some, reduction, key)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_made_of_nodes_and_tags() {
        let mut s = Series::of_values("a.b.c;dc=x".into(), 0, 1, vec![]);
        s.tags.insert("dc".into(), "x".into());
        let key = |nodes: &[Place]| key_of(&s, nodes);
        assert_eq!(key(&[Place::Node(0), Place::Node(-1)]), "a.c");
        assert_eq!(key(&[Place::Tag("dc".into()), Place::Node(1)]), "x.b");
        assert_eq!(key(&[Place::Node(9), Place::Node(-9)]), ".");
        let f = Series::of_values("scale(sumSeries(a.b.*, d),2)".into(), 0, 1, vec![]);
        assert_eq!(key_of(&f, &[Place::Node(1)]), "b");
    }
}
