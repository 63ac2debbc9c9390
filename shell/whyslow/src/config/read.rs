//! From text to a [`Config`], or to everything that is wrong with it.
//!
//! The steps: read each file into a tree that knows its places; join the trees of a directory;
//! fill in variables; hold the tree against the schema; let serde judge what the schema cannot
//! say (durations, addresses, patterns), taking out what it refuses until nothing is refused; and
//! check what only the whole can tell. Every step adds to one list of problems.

use serde_json::Value as Json;
use whyslow_model::limits::CONFIG_PROBLEMS_MAX;

use super::node::{self, Node, Step};
use super::problem::{Problem, Problems, Source};
use super::rules;
use super::shape::{Shaped, shape};
use super::substitute::substitute;
use super::types::Config;
use super::{merge, world::World};

/// Reads a configuration from the texts of its files.
pub fn read(sources: Vec<Source>, world: &World<'_>) -> Result<Config, Problems> {
    let mut problems = Vec::new();
    let config = judged(&sources, world, &mut problems);
    match config {
        Some(config) if problems.is_empty() => Ok(config),
        _ => Err(Problems::new(sources, problems)),
    }
}

/// For the fuzzer: no text breaks the reader, and what is wrong can be told.
pub fn fuzz_config(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let source = Source { name: "fuzz.yaml".to_owned(), text: text.to_owned() };
    match read(vec![source], &World::nowhere()) {
        Ok(config) => drop(config.planned_checks()),
        Err(problems) => assert!(!problems.to_string().is_empty(), "refused without a reason"),
    }
}

fn judged(sources: &[Source], world: &World<'_>, problems: &mut Vec<Problem>) -> Option<Config> {
    let mut trees = Vec::new();
    for (file, source) in sources.iter().enumerate() {
        trees.extend(node::read(file, &source.text, problems));
    }
    let mut tree = merge::merge(trees, problems)?;
    for problem in problems.iter_mut().filter(|p| p.path.is_empty()).take(CONFIG_PROBLEMS_MAX) {
        let also = problem.also.as_ref().map(|(at, _)| *at);
        let known = tree.path_to(problem.at).or_else(|| tree.path_to(also?));
        problem.path = known.unwrap_or_default();
    }
    substitute(&mut tree, world.environment, problems);
    let schema = Json::from(super::schema());
    let shaped = shape(&tree, &schema, problems)?;
    let (config, shaped) = deserialized(shaped, &tree, problems)?;
    rules::apply(&config, &rules::Places { whole: &tree, kept: &shaped.tree }, world, problems);
    Some(config)
}

/// Lets serde judge, and takes out what it refuses until it takes the rest.
fn deserialized(
    mut shaped: Shaped,
    whole: &Node,
    problems: &mut Vec<Problem>,
) -> Option<(Config, Shaped)> {
    loop {
        let error = match serde_path_to_error::deserialize::<_, Config>(&shaped.json) {
            Ok(config) => return Some((config, shaped)),
            Err(error) => error,
        };
        let steps = steps_of(error.path());
        let at = shaped.tree.place(&steps);
        let words = error.inner().to_string();
        // What the schema asks for was there; it is missing now because its value was refused.
        if !words.starts_with("missing field") {
            let path = whole.path_to(at).unwrap_or_default();
            problems.push(refused(at, path, &words));
        }
        if problems.len() > CONFIG_PROBLEMS_MAX {
            return None;
        }
        let (last, above) = steps.split_last()?;
        take_out(&mut shaped, above, last);
    }
}

/// Splits serde's sentence into what is wrong and what to write.
fn refused(at: super::problem::At, path: String, words: &str) -> Problem {
    match words {
        "invalid socket address syntax" => Problem::new(at, path, "not an address with a port")
            .hint("write IP:PORT, such as 127.0.0.1:7070 or [::1]:7070"),
        "invalid IP address syntax" => Problem::new(at, path, "not an IP address"),
        _ => match words.split_once("; ") {
            Some((what, hint)) => Problem::new(at, path, what).hint(hint),
            None => Problem::new(at, path, words),
        },
    }
}

fn steps_of(path: &serde_path_to_error::Path) -> Vec<Step<'static>> {
    use serde_path_to_error::Segment;
    let mut steps = Vec::new();
    for segment in path.iter() {
        steps.push(match segment {
            Segment::Seq { index } => Step::Index(*index),
            Segment::Map { key } => Step::Key(key.clone().into()),
            Segment::Enum { variant } => Step::Key(variant.clone().into()),
            Segment::Unknown => break,
        });
    }
    steps
}

fn take_out(shaped: &mut Shaped, above: &[Step<'_>], last: &Step<'_>) {
    let (mut json, mut tree) = (&mut shaped.json, &mut shaped.tree);
    for step in above {
        let (Some(next_json), Some(next_tree)) = (below(json, step), tree.child_mut(step)) else {
            return;
        };
        (json, tree) = (next_json, next_tree);
    }
    tree.remove(last);
    match (json, last) {
        (Json::Object(map), Step::Key(key)) => drop(map.remove(key.as_ref())),
        (Json::Array(list), Step::Index(index)) if *index < list.len() => drop(list.remove(*index)),
        _ => {}
    }
}

fn below<'j>(json: &'j mut Json, step: &Step<'_>) -> Option<&'j mut Json> {
    match step {
        Step::Key(key) => json.get_mut(key.as_ref()),
        Step::Index(index) => json.get_mut(*index),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every broken file in `fixtures/broken` against its snapshot.
    #[test]
    fn each_broken_file_is_told_in_full() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/config/fixtures/broken");
        let mut files: Vec<_> =
            std::fs::read_dir(folder).unwrap().map(|f| f.unwrap().path()).collect();
        files.sort();
        assert!(files.len() >= 15);
        for file in files {
            let name = file.file_name().unwrap().to_string_lossy().into_owned();
            let text = std::fs::read_to_string(&file).unwrap();
            let source = Source { name: name.clone(), text };
            let problems = read(vec![source], &World::nowhere()).expect_err(&name);
            insta::with_settings!({ prepend_module_to_snapshot => false, snapshot_path => "fixtures/told", omit_expression => true }, {
                insta::assert_snapshot!(name, problems.to_string());
            });
        }
    }

    #[test]
    fn half_a_file_is_never_a_panic() {
        let whole = include_str!("fixtures/whole.yaml");
        for end in (0..whole.len()).filter(|i| whole.is_char_boundary(*i)) {
            fuzz_config(&whole.as_bytes()[..end]);
        }
    }

    #[test]
    fn a_whole_file_is_read() {
        let text = include_str!("fixtures/whole.yaml").to_owned();
        let source = Source { name: "whole.yaml".to_owned(), text };
        let config = read(vec![source], &World::nowhere()).map_err(|p| p.to_string()).unwrap();
        assert_eq!(config.planned_checks().len(), 9);
    }
}
