//! The tree of paths, a level at a time, as `/metrics/find` shows it.

use std::collections::BTreeMap;

/// One node below a pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// The path down to it.
    pub path: String,
    /// Its last node.
    pub text: String,
    /// Whether a series ends here.
    pub leaf: bool,
    /// Whether there is more below.
    pub branch: bool,
}

/// The nodes `depth` deep on these paths, ascending, each once.
pub fn nodes<'a>(paths: impl IntoIterator<Item = &'a str>, depth: usize) -> Vec<Node> {
    let mut found: BTreeMap<&str, (bool, bool)> = BTreeMap::new();
    for path in paths {
        let Some((head, has_more)) = cut(path, depth) else { continue };
        let (leaf, branch) = found.entry(head).or_default();
        *leaf |= !has_more;
        *branch |= has_more;
    }
    let node = |(path, (leaf, branch)): (&str, (bool, bool))| Node {
        path: path.to_owned(),
        text: path.rsplit('.').next().unwrap_or(path).to_owned(),
        leaf,
        branch,
    };
    found.into_iter().map(node).collect()
}

/// The first `depth` nodes of a path, and whether more follow. `None` of a shorter path.
fn cut(path: &str, depth: usize) -> Option<(&str, bool)> {
    let mut dots = path.match_indices('.').map(|(at, _)| at);
    match dots.nth(depth.checked_sub(1)?) {
        Some(at) => Some((&path[..at], true)),
        None => (path.split('.').count() == depth).then_some((path, false)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_of_the_tree_names_each_node_once() {
        let paths = ["a.b", "a.b.c", "a.d.e", "a.f", "x"];
        let got: Vec<_> =
            nodes(paths, 2).into_iter().map(|n| (n.path, n.text, n.leaf, n.branch)).collect();
        let of = |p: &str, t: &str, l, b| (p.to_owned(), t.to_owned(), l, b);
        assert_eq!(
            got,
            [of("a.b", "b", true, true), of("a.d", "d", false, true), of("a.f", "f", true, false)]
        );
        assert_eq!(nodes(paths, 1).len(), 2);
        assert!(nodes(paths, 0).is_empty());
    }
}
