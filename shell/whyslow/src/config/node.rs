//! A YAML file as a tree of values that know where they stand, aliases expanded within bounds.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde_saphyr::granit_parser::{self, Event, Parser, ScalarStyle, Span};
use whyslow_model::limits::{CONFIG_DEPTH_MAX, CONFIG_NODES_MAX};

use super::problem::{At, Problem};

/// One value and its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// Where it begins.
    pub at: At,
    /// What it is.
    pub value: Value,
}

/// A value as YAML has it, before anybody asks what type it should have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// A text; `plain` when it may also be read as a number, a truth value or nothing.
    Scalar {
        /// The text, escapes undone.
        text: String,
        /// Whether it stood without quotes.
        plain: bool,
    },
    /// A list.
    List(Vec<Node>),
    /// A mapping in the order written, every key once.
    Map(Vec<Entry>),
    /// Something already told to be wrong; it stands for no value.
    Broken,
}

/// One key of a mapping.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The key's text.
    pub key: String,
    /// Where the key stands.
    pub at: At,
    /// Its value.
    pub node: Node,
}

/// One step down a tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step<'a> {
    /// Into a mapping.
    Key(Cow<'a, str>),
    /// Into a list.
    Index(usize),
}

impl<'a> From<&'a str> for Step<'a> {
    fn from(key: &'a str) -> Self {
        Self::Key(Cow::Borrowed(key))
    }
}

impl From<usize> for Step<'_> {
    fn from(index: usize) -> Self {
        Self::Index(index)
    }
}

impl Node {
    /// The value one step down.
    pub fn child(&self, step: &Step<'_>) -> Option<&Self> {
        match (&self.value, step) {
            (Value::Map(entries), Step::Key(key)) => {
                entries.iter().find(|e| e.key == *key).map(|e| &e.node)
            }
            (Value::List(items), Step::Index(index)) => items.get(*index),
            (Value::Scalar { .. } | Value::List(_) | Value::Map(_) | Value::Broken, _) => None,
        }
    }

    /// The value one step down, to be changed.
    pub fn child_mut(&mut self, step: &Step<'_>) -> Option<&mut Self> {
        match (&mut self.value, step) {
            (Value::Map(entries), Step::Key(key)) => {
                entries.iter_mut().find(|e| e.key == *key).map(|e| &mut e.node)
            }
            (Value::List(items), Step::Index(index)) => items.get_mut(*index),
            (Value::Scalar { .. } | Value::List(_) | Value::Map(_) | Value::Broken, _) => None,
        }
    }

    /// Takes the value one step down out of the tree.
    pub fn remove(&mut self, step: &Step<'_>) {
        match (&mut self.value, step) {
            (Value::Map(entries), Step::Key(key)) => entries.retain(|e| e.key != *key),
            (Value::List(items), Step::Index(index)) if *index < items.len() => {
                items.remove(*index);
            }
            (Value::Scalar { .. } | Value::List(_) | Value::Map(_) | Value::Broken, _) => {}
        }
    }

    /// The place of the value at `steps`, or of the nearest one above it that was written.
    pub fn place(&self, steps: &[Step<'_>]) -> At {
        let mut node = self;
        for step in steps {
            let Some(child) = node.child(step) else { break };
            node = child;
        }
        node.at
    }

    /// The place of the key that `steps` ends in, or else of the nearest value above it.
    pub fn key_place(&self, steps: &[Step<'_>]) -> At {
        let Some((Step::Key(key), above)) = steps.split_last() else { return self.place(steps) };
        let mut node = self;
        for step in above {
            let Some(child) = node.child(step) else { return node.at };
            node = child;
        }
        match &node.value {
            Value::Map(entries) => {
                entries.iter().find(|e| e.key == *key).map_or(node.at, |entry| entry.at)
            }
            Value::Scalar { .. } | Value::List(_) | Value::Broken => node.at,
        }
    }

    /// The key path of what stands at `at`, as people write it: `services.shop.checks[0]`.
    pub fn path_to(&self, at: At) -> Option<String> {
        let mut path = String::new();
        self.find(at, &mut path).then_some(path)
    }

    fn find(&self, at: At, path: &mut String) -> bool {
        if self.at == at && !path.is_empty() {
            return true;
        }
        let length = path.len();
        match &self.value {
            Value::Scalar { .. } | Value::Broken => {}
            Value::List(items) => {
                for (index, item) in items.iter().enumerate() {
                    path.push_str(&format!("[{index}]"));
                    if item.find(at, path) {
                        return true;
                    }
                    path.truncate(length);
                }
            }
            Value::Map(entries) => {
                for entry in entries {
                    push_key(path, &entry.key);
                    if entry.at == at || entry.node.find(at, path) {
                        return true;
                    }
                    path.truncate(length);
                }
            }
        }
        false
    }
}

/// Adds one key to a key path.
pub fn push_key(path: &mut String, key: &str) {
    if !path.is_empty() {
        path.push('.');
    }
    path.push_str(key);
}

/// Reads one YAML document. Every problem found is added to `problems`; the tree holds the rest.
/// `None` where the text is no YAML at all. An empty file is an empty mapping.
pub fn read(file: usize, text: &str, problems: &mut Vec<Problem>) -> Option<Node> {
    let options = granit_parser::options! { emit_comments: false };
    let mut reader =
        Reader { file, problems, open: Vec::new(), anchors: BTreeMap::new(), nodes: 0, root: None };
    for event in Parser::new_from_str_with_options(text, options) {
        let took = match event {
            Ok((event, span)) => reader.take(event, span),
            Err(error) => {
                let at = reader.at_marker(*error.marker());
                let tab = text
                    .lines()
                    .nth(at.line.saturating_sub(1))
                    .is_some_and(|l| l.trim_start_matches(' ').starts_with('\t'));
                let mut told = stop(at, format!("not YAML: {}", error.info()));
                told.hint = tab.then(|| "indent with spaces; YAML allows no tabs there".to_owned());
                Err(told)
            }
        };
        if let Err(stop) = took {
            reader.problems.push(*stop);
            return None;
        }
    }
    let empty =
        Node { at: At { file, line: 1, column: 1, width: 1 }, value: Value::Map(Vec::new()) };
    match reader.root {
        Some(Node { value: Value::Scalar { text, plain: true }, .. }) if is_null(&text) => {
            Some(empty)
        }
        Some(root) => Some(root),
        None => Some(empty),
    }
}

/// Whether a text without quotes says "nothing" (YAML 1.2.2 section 10.3.2).
pub fn is_null(text: &str) -> bool {
    matches!(text, "" | "~" | "null" | "Null" | "NULL")
}

/// A collection whose end has not come yet.
struct Open {
    at: At,
    anchor: usize,
    inside: Inside,
}

enum Inside {
    List(Vec<Node>),
    Map { entries: Vec<Entry>, key: Option<(String, At)> },
}

struct Reader<'a> {
    file: usize,
    problems: &'a mut Vec<Problem>,
    open: Vec<Open>,
    anchors: BTreeMap<usize, Node>,
    nodes: usize,
    root: Option<Node>,
}

impl Reader<'_> {
    fn take(&mut self, event: Event<'_>, span: Span) -> Result<(), Box<Problem>> {
        let at = self.at_span(span);
        match event {
            Event::DocumentStart(..) if self.root.is_some() => {
                Err(stop(at, "a second document begins here; one file holds one"))
            }
            Event::Scalar(text, style, anchor, _) => {
                let plain = style == ScalarStyle::Plain;
                self.done(
                    Node { at, value: Value::Scalar { text: text.into_owned(), plain } },
                    anchor,
                )
            }
            Event::SequenceStart(_, anchor, _) => self.begin(at, anchor, Inside::List(Vec::new())),
            Event::MappingStart(_, anchor, _) => {
                self.begin(at, anchor, Inside::Map { entries: Vec::new(), key: None })
            }
            Event::SequenceEnd | Event::MappingEnd => self.end(),
            Event::Alias(anchor) => self.alias(at, anchor),
            // Starts and ends of stream and document; the parser may learn further kinds.
            Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentStart(..)
            | Event::DocumentEnd
            | _ => Ok(()),
        }
    }

    fn begin(&mut self, at: At, anchor: usize, inside: Inside) -> Result<(), Box<Problem>> {
        if self.open.len() >= CONFIG_DEPTH_MAX {
            return Err(stop(
                at,
                format!("more than {CONFIG_DEPTH_MAX} collections one inside another"),
            ));
        }
        self.open.push(Open { at, anchor, inside });
        Ok(())
    }

    fn end(&mut self) -> Result<(), Box<Problem>> {
        let Some(Open { at, anchor, inside }) = self.open.pop() else { return Ok(()) };
        let value = match inside {
            Inside::List(items) => Value::List(items),
            Inside::Map { entries, .. } => Value::Map(self.merged(entries)),
        };
        self.done(Node { at, value }, anchor)
    }

    fn alias(&mut self, at: At, anchor: usize) -> Result<(), Box<Problem>> {
        let Some(node) = self.anchors.get(&anchor).cloned() else {
            return Err(stop(at, "an alias inside the very thing it stands for"));
        };
        let (nodes, depth) = (size(&node), depth(&node));
        if self.open.len() + depth > CONFIG_DEPTH_MAX {
            return Err(stop(
                at,
                format!("more than {CONFIG_DEPTH_MAX} collections one inside another"),
            ));
        }
        self.nodes += nodes;
        self.done(node, 0)
    }

    /// A value is complete: it becomes the root, an item, a key, or a key's value.
    fn done(&mut self, node: Node, anchor: usize) -> Result<(), Box<Problem>> {
        self.nodes += 1;
        if self.nodes > CONFIG_NODES_MAX {
            let what = format!("more than {CONFIG_NODES_MAX} values in one file, aliases expanded");
            return Err(stop(node.at, what));
        }
        if anchor != 0 {
            self.anchors.insert(anchor, node.clone());
        }
        match self.open.last_mut().map(|o| &mut o.inside) {
            None => self.root = Some(node),
            Some(Inside::List(items)) => items.push(node),
            Some(Inside::Map { entries, key }) => match key.take() {
                Some((key, at)) => {
                    let first = entries.iter().find(|e| e.key == key && key != MERGE).map(|e| e.at);
                    match first {
                        Some(first) => self.problems.push(twice(&key, at, first)),
                        None => entries.push(Entry { key, at, node }),
                    }
                }
                None => match node.value {
                    Value::Scalar { text, .. } => *key = Some((text, node.at)),
                    Value::List(_) | Value::Map(_) | Value::Broken => {
                        return Err(stop(node.at, "a key must be a text"));
                    }
                },
            },
        }
        Ok(())
    }

    /// Undoes `<<: *base`: keys of the base that are not written here (YAML 1.1 merge key).
    fn merged(&mut self, entries: Vec<Entry>) -> Vec<Entry> {
        let (bases, mut own): (Vec<Entry>, Vec<Entry>) =
            entries.into_iter().partition(|e| e.key == MERGE);
        for base in bases {
            let maps = match base.node.value {
                Value::List(items) => items,
                Value::Map(_) | Value::Scalar { .. } | Value::Broken => vec![base.node],
            };
            for map in maps {
                let Value::Map(inherited) = map.value else {
                    self.problems.push(problem(map.at, "'<<' takes a mapping, or a list of them"));
                    continue;
                };
                for entry in inherited {
                    if own.iter().all(|e| e.key != entry.key) {
                        own.push(entry);
                    }
                }
            }
        }
        own
    }

    fn at_span(&self, span: Span) -> At {
        let mut at = self.at_marker(span.start);
        if span.end.line() == span.start.line() {
            at.width = span.end.col().saturating_sub(span.start.col()).max(1);
        }
        at
    }

    fn at_marker(&self, marker: granit_parser::Marker) -> At {
        At { file: self.file, line: marker.line(), column: marker.col() + 1, width: 1 }
    }
}

const MERGE: &str = "<<";

fn twice(key: &str, at: At, first: At) -> Problem {
    let mut problem = problem(at, format!("'{key}' is written twice"));
    problem.also = Some((first, "first".to_owned()));
    problem
}

fn stop(at: At, what: impl Into<String>) -> Box<Problem> {
    Box::new(problem(at, what))
}

fn problem(at: At, what: impl Into<String>) -> Problem {
    Problem::new(at, String::new(), what)
}

fn size(node: &Node) -> usize {
    1 + match &node.value {
        Value::Scalar { .. } | Value::Broken => 0,
        Value::List(items) => items.iter().map(size).sum(),
        Value::Map(entries) => entries.iter().map(|e| size(&e.node)).sum(),
    }
}

fn depth(node: &Node) -> usize {
    match &node.value {
        Value::Scalar { .. } | Value::Broken => 0,
        Value::List(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        Value::Map(entries) => 1 + entries.iter().map(|e| depth(&e.node)).max().unwrap_or(0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(text: &str) -> Node {
        let mut problems = Vec::new();
        let node = read(0, text, &mut problems);
        assert_eq!(problems, Vec::new());
        node.unwrap()
    }

    fn first_problem(text: &str) -> String {
        let mut problems = Vec::new();
        read(0, text, &mut problems);
        format!("{}:{} {}", problems[0].at.line, problems[0].at.column, problems[0].what)
    }

    #[test]
    fn every_value_knows_its_place_and_its_key_path() {
        let root = tree("a:\n  - {b: one}\n  - {b: two}\n");
        let steps = ["a".into(), 1.into(), "b".into()];
        let at = root.place(&steps);
        assert_eq!((at.line, at.column, at.width), (3, 9, 3));
        assert_eq!(root.path_to(at).as_deref(), Some("a[1].b"));
    }

    #[test]
    fn an_empty_file_is_an_empty_mapping() {
        for text in ["", "# only words\n", "---\n"] {
            assert_eq!(tree(text).value, Value::Map(Vec::new()), "{text}");
        }
    }

    #[test]
    fn an_alias_stands_for_its_anchor_and_a_merge_key_for_what_is_not_written() {
        let root = tree("base: &b {x: 1, y: 2}\nuse: {<<: *b, y: 3}\n");
        let used = root.child(&"use".into()).unwrap();
        let text = |key: &str| used.child(&key.into()).map(|n| n.value.clone());
        assert_eq!(text("x"), Some(Value::Scalar { text: "1".into(), plain: true }));
        assert_eq!(text("y"), Some(Value::Scalar { text: "3".into(), plain: true }));
    }

    #[test]
    fn a_key_written_twice_is_told_with_both_places() {
        assert_eq!(first_problem("a: 1\nb: 2\na: 3\n"), "3:1 'a' is written twice");
    }

    #[test]
    fn an_alias_bomb_is_stopped() {
        let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
        for i in 1..12 {
            let refs = vec![format!("*a{}", i - 1); 9].join(", ");
            text.push_str(&format!("a{i}: &a{i} [{refs}]\n"));
        }
        assert!(first_problem(&text).contains("values in one file, aliases expanded"));
    }

    #[test]
    fn depth_cannot_be_piled_up_through_aliases() {
        let open = "[".repeat(40);
        let close = "]".repeat(40);
        let text = format!("a: &a {open}x{close}\nb: {open}*a{close}\n");
        assert!(first_problem(&text).contains("one inside another"));
        assert!(first_problem(&"[".repeat(10_000)).contains("not YAML"));
    }

    #[test]
    fn two_documents_in_one_file_are_refused() {
        assert!(first_problem("a: 1\n---\nb: 2\n").contains("second document"));
    }
}
