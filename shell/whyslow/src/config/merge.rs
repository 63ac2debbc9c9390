//! Joins the files of a configuration directory: mappings deeply, lists by appending; two different
//! files saying the same key is a mistake, since nobody could tell which one counts.

use super::node::{Entry, Node, Value, push_key};
use super::problem::Problem;

/// Joins the trees in order. `None` where there is none.
pub fn merge(trees: Vec<Node>, problems: &mut Vec<Problem>) -> Option<Node> {
    let mut trees = trees.into_iter();
    let mut whole = trees.next()?;
    for tree in trees {
        join(&mut whole, tree, &mut String::new(), problems);
    }
    Some(whole)
}

fn join(into: &mut Node, from: Node, path: &mut String, problems: &mut Vec<Problem>) {
    match (&mut into.value, from.value) {
        (Value::Map(mine), Value::Map(theirs)) => {
            for entry in theirs {
                join_entry(mine, entry, path, problems);
            }
        }
        (Value::List(mine), Value::List(theirs)) => mine.extend(theirs),
        (_, Value::Broken) => {}
        (Value::Broken, value) => *into = Node { at: from.at, value },
        (Value::Scalar { .. } | Value::List(_) | Value::Map(_), _) => {
            let mut problem = Problem::new(from.at, path.clone(), "another file says this already")
                .hint("keep one of the two; only mappings and lists are joined");
            problem.also = Some((into.at, "the other".to_owned()));
            problems.push(problem);
        }
    }
}

fn join_entry(mine: &mut Vec<Entry>, entry: Entry, path: &mut String, problems: &mut Vec<Problem>) {
    let length = path.len();
    push_key(path, &entry.key);
    match mine.iter_mut().find(|e| e.key == entry.key) {
        Some(known) => join(&mut known.node, entry.node, path, problems),
        None => mine.push(entry),
    }
    path.truncate(length);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::node::read;

    fn merged(texts: &[&str]) -> (Node, Vec<Problem>) {
        let mut problems = Vec::new();
        let trees =
            texts.iter().enumerate().map(|(f, t)| read(f, t, &mut problems).unwrap()).collect();
        (merge(trees, &mut problems).unwrap(), problems)
    }

    #[test]
    fn mappings_join_deeply_and_lists_append() {
        let (whole, problems) =
            merged(&["a: {x: 1}\nl: [1]\n", "a: {y: 2}\nl: [2, 3]\n", "b: 1\n"]);
        assert_eq!(problems, Vec::new());
        assert!(whole.child(&"a".into()).unwrap().child(&"y".into()).is_some());
        assert!(whole.child(&"l".into()).unwrap().child(&2.into()).is_some());
    }

    #[test]
    fn two_files_saying_the_same_key_is_told_with_both_places() {
        let (_, problems) = merged(&["a: {x: 1}\n", "\na: {x: 1}\n"]);
        assert_eq!(problems.len(), 1);
        assert_eq!(
            (problems[0].path.as_str(), problems[0].at.file, problems[0].at.line),
            ("a.x", 1, 2)
        );
        assert_eq!(problems[0].also.as_ref().unwrap().0.file, 0);
    }

    #[test]
    fn a_list_and_a_mapping_under_one_key_do_not_join() {
        assert_eq!(merged(&["a: [1]\n", "a: {x: 1}\n"]).1.len(), 1);
    }
}
