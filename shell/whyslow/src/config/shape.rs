//! Holds a tree against the JSON Schema of the configuration: unknown keys, wrong types, words
//! outside a list, keys that are missing. Everything wrong is told at once; what is right goes on
//! as JSON, each scalar read as the type its place asks for.

use serde_json::{Map, Value as Json};

use super::node::{Entry, Node, Value, is_null, push_key};
use super::problem::{Problem, did_you_mean, enumerated};
use super::scalar::{found, hint_for, type_words, typed};

/// What is left of a tree once the wrong parts are taken out, as JSON and with its places. The two
/// have the same keys and the same indices.
#[derive(Debug)]
pub struct Shaped {
    /// The values.
    pub json: Json,
    /// Their places.
    pub tree: Node,
}

/// Holds `tree` against `schema`. `None` where nothing of it can be used.
pub fn shape(tree: &Node, schema: &Json, problems: &mut Vec<Problem>) -> Option<Shaped> {
    let mut walk = Walk { root: schema, path: String::new(), problems };
    walk.value(tree, schema)
}

struct Walk<'a, 'p> {
    root: &'a Json,
    path: String,
    problems: &'p mut Vec<Problem>,
}

impl<'a> Walk<'a, '_> {
    fn value(&mut self, node: &Node, schema: &'a Json) -> Option<Shaped> {
        let schema = self.resolved(schema);
        if let Some(choices) = choices(schema) {
            return self.one_of(node, &choices);
        }
        let wanted = types(schema);
        match &node.value {
            Value::Broken => None,
            Value::Scalar { text, plain: true } if is_null(text) => self.nothing(node, &wanted),
            Value::Scalar { text, plain } => self.scalar(node, text, *plain, &wanted, schema),
            Value::List(items) if accepts(&wanted, "array") => self.list(node, items, schema),
            Value::Map(entries) if accepts(&wanted, "object") => self.map(node, entries, schema),
            Value::List(_) | Value::Map(_) => self.wrong_type(node, &wanted),
        }
    }

    /// A key without a value is an empty mapping or list where one belongs there.
    fn nothing(&mut self, node: &Node, wanted: &[&str]) -> Option<Shaped> {
        let (json, value) = if wanted.contains(&"null") || wanted.is_empty() {
            (Json::Null, node.value.clone())
        } else if wanted.contains(&"object") {
            (Json::Object(Map::new()), Value::Map(Vec::new()))
        } else if wanted.contains(&"array") {
            (Json::Array(Vec::new()), Value::List(Vec::new()))
        } else {
            return self.wrong_type(node, wanted);
        };
        Some(Shaped { json, tree: Node { at: node.at, value } })
    }

    fn scalar(
        &mut self,
        node: &Node,
        text: &str,
        plain: bool,
        wanted: &[&str],
        schema: &'a Json,
    ) -> Option<Shaped> {
        let words: Vec<&str> =
            schema["enum"].as_array().into_iter().flatten().filter_map(Json::as_str).collect();
        if !words.is_empty() {
            return self.word(node, text, &words);
        }
        let Some(json) = typed(text, plain, wanted) else {
            return self.wrong_type(node, wanted);
        };
        if schema["format"] == "regex"
            && let Err(error) = text.parse::<whyslow_probe::spec::Pattern>()
        {
            let words = error.to_string();
            let last = words.lines().last().unwrap_or_default().trim_start_matches("error: ");
            let what = format!("not a regular expression: {last}");
            self.problems.push(Problem::new(node.at, self.path.clone(), what));
            return None;
        }
        Some(Shaped { json, tree: node.clone() })
    }

    fn list(&mut self, node: &Node, items: &[Node], schema: &'a Json) -> Option<Shaped> {
        let (mut json, mut kept) = (Vec::new(), Vec::new());
        let of = schema.get("items").unwrap_or(&ANY);
        for (index, item) in items.iter().enumerate() {
            let length = self.path.len();
            self.path.push_str(&format!("[{index}]"));
            if let Some(shaped) = self.value(item, of) {
                json.push(shaped.json);
                kept.push(shaped.tree);
            }
            self.path.truncate(length);
        }
        Some(Shaped {
            json: Json::Array(json),
            tree: Node { at: node.at, value: Value::List(kept) },
        })
    }

    fn map(&mut self, node: &Node, entries: &[Entry], schema: &'a Json) -> Option<Shaped> {
        let (mut json, mut kept) = (Map::new(), Vec::new());
        let mut excused = Vec::new();
        for entry in entries {
            let known = schema["properties"].get(&entry.key);
            let Some(of) = known.or_else(|| additional(schema)) else {
                excused.extend(self.unknown_key(entry, &property_names(schema)));
                continue;
            };
            let length = self.path.len();
            push_key(&mut self.path, &entry.key);
            if let Some(shaped) = self.value(&entry.node, of) {
                json.insert(entry.key.clone(), shaped.json);
                kept.push(Entry { key: entry.key.clone(), at: entry.at, node: shaped.tree });
            }
            self.path.truncate(length);
        }
        for name in required(schema) {
            if entries.iter().all(|e| e.key != name) && !excused.iter().any(|e| e == name) {
                self.missing(node, name, schema);
            }
        }
        // A mapping without what it must have is of no use; the reason has been told.
        let whole = required(schema).all(|name| json.contains_key(name));
        let tree = Node { at: node.at, value: Value::Map(kept) };
        whole.then_some(Shaped { json: Json::Object(json), tree })
    }

    /// Tells of an unknown key and gives the known one that was probably meant.
    fn unknown_key(&mut self, entry: &Entry, known: &[&str]) -> Option<String> {
        let meant = synonym(&entry.key, known)
            .or_else(|| did_you_mean(&entry.key, known.iter().copied()))
            .map(str::to_owned);
        let hint = match &meant {
            Some(meant) => format!("did you mean '{meant}'?"),
            None => format!("known here: {}", enumerated(known.iter().copied())),
        };
        let mut path = self.path.clone();
        push_key(&mut path, &entry.key);
        let what = format!("unknown key '{}'", entry.key);
        self.problems.push(Problem::new(entry.at, path, what).hint(hint));
        meant
    }

    fn missing(&mut self, node: &Node, name: &str, schema: &'a Json) {
        let own = &schema["properties"][name];
        let named = self.resolved(own);
        let about = own["description"].as_str().or_else(|| named["description"].as_str());
        let words: Vec<&str> = choices(named)
            .into_iter()
            .flatten()
            .filter_map(|choice| choice["const"].as_str())
            .collect();
        let mut hint = format!("{name}: {}", about.unwrap_or("must be given"));
        if !words.is_empty() {
            hint.push_str(&format!(" One of {}.", enumerated(words)));
        }
        let what = format!("'{name}' is missing");
        self.problems.push(Problem::new(node.at, self.path.clone(), what).hint(hint));
    }

    fn wrong_type(&mut self, node: &Node, wanted: &[&str]) -> Option<Shaped> {
        let names: Vec<&str> =
            wanted.iter().filter(|t| **t != "null").map(|t| type_words(t)).collect();
        let what = format!("expected {}, found {}", names.join(" or "), found(node));
        let problem = Problem::new(node.at, self.path.clone(), what);
        let hint = hint_for(node, wanted);
        self.problems.push(match hint {
            Some(hint) => problem.hint(hint),
            None => problem,
        });
        None
    }

    /// One word of a closed list.
    fn word(&mut self, node: &Node, text: &str, words: &[&str]) -> Option<Shaped> {
        if words.contains(&text) {
            return Some(Shaped { json: Json::String(text.to_owned()), tree: node.clone() });
        }
        let what = format!("'{text}' is not one of {}", enumerated(words.iter().copied()));
        let problem = Problem::new(node.at, self.path.clone(), what);
        self.problems.push(match did_you_mean(text, words.iter().copied()) {
            Some(meant) => problem.hint(format!("did you mean '{meant}'?")),
            None => problem,
        });
        None
    }

    /// A place that takes one of several shapes.
    fn one_of(&mut self, node: &Node, choices: &[&'a Json]) -> Option<Shaped> {
        let choices: Vec<&'a Json> = choices.iter().map(|c| self.resolved(c)).collect();
        let nullable = choices.iter().any(|c| types(c) == ["null"]);
        let real: Vec<&Json> = choices.into_iter().filter(|c| types(c) != ["null"]).collect();
        let is_nothing =
            matches!(&node.value, Value::Scalar { text, plain: true } if is_null(text));
        if nullable && is_nothing {
            return Some(Shaped { json: Json::Null, tree: node.clone() });
        }
        if let [only] = real[..] {
            return self.value(node, only);
        }
        let words: Vec<&str> = real.iter().filter_map(|c| c["const"].as_str()).collect();
        if !words.is_empty() && words.len() == real.len() {
            return match &node.value {
                Value::Scalar { text, .. } => self.word(node, text, &words),
                Value::Broken => None,
                Value::List(_) | Value::Map(_) => self.wrong_type(node, &["string"]),
            };
        }
        match (&node.value, tags(&real)) {
            (Value::Broken, _) => None,
            (Value::Map(entries), Some(tags)) => self.tagged(node, entries, &tags),
            (Value::Scalar { .. } | Value::List(_), Some(tags)) => self.untagged(node, &tags),
            (_, None) => self.best_of(node, &real),
        }
    }

    /// A mapping of exactly one key, which says what the value is.
    fn tagged(
        &mut self,
        node: &Node,
        entries: &[Entry],
        tags: &[(&str, &'a Json)],
    ) -> Option<Shaped> {
        let names: Vec<&str> = tags.iter().map(|(name, _)| *name).collect();
        let [entry] = entries else {
            let what = format!("expected exactly one of the keys {}", enumerated(names));
            self.problems.push(Problem::new(node.at, self.path.clone(), what));
            return None;
        };
        match tags.iter().find(|(name, _)| *name == entry.key) {
            Some((_, schema)) => self.map(node, entries, schema),
            None => {
                self.unknown_key(entry, &names);
                None
            }
        }
    }

    /// Something else where a mapping of one key belongs. Where that key tells of a secret's
    /// place, the secret itself was probably written, and is not shown.
    fn untagged(&mut self, node: &Node, tags: &[(&str, &'a Json)]) -> Option<Shaped> {
        let forms: Vec<String> = tags.iter().map(|(name, _)| format!("{{{name}: …}}")).collect();
        let masked = tags.iter().any(|(name, _)| *name == "file");
        let found = if masked { "the text itself".to_owned() } else { found(node) };
        let what = format!("expected {}, found {found}", forms.join(" or "));
        let mut problem = Problem::new(node.at, self.path.clone(), what);
        if masked {
            problem =
                problem.hint("secrets are kept outside the configuration, in a file or a variable");
        }
        self.problems.push(Problem { masked, ..problem });
        None
    }

    /// The choice that fits, or else the one that fits best, with what is wrong about it.
    fn best_of(&mut self, node: &Node, choices: &[&'a Json]) -> Option<Shaped> {
        let kind = kind_of(node);
        let fitting: Vec<&Json> =
            choices.iter().copied().filter(|c| self.takes(c, kind, 0)).collect();
        if fitting.is_empty() {
            let wanted: Vec<&str> = choices.iter().flat_map(|c| types(c)).collect();
            return self.wrong_type(node, &wanted);
        }
        let mut best: Option<Vec<Problem>> = None;
        for choice in fitting {
            let mut told = Vec::new();
            let mut walk = Walk { root: self.root, path: self.path.clone(), problems: &mut told };
            let shaped = walk.value(node, choice);
            if told.is_empty() {
                return shaped;
            }
            if best.as_ref().is_none_or(|b| told.len() < b.len()) {
                best = Some(told);
            }
        }
        self.problems.extend(best.into_iter().flatten());
        None
    }

    /// Whether a choice takes a value of this kind at all.
    fn takes(&self, schema: &'a Json, kind: &str, depth: usize) -> bool {
        let schema = self.resolved(schema);
        if let (Some(choices), true) = (choices(schema), depth < 8) {
            return choices.iter().any(|c| self.takes(c, kind, depth + 1));
        }
        let wanted = types(schema);
        wanted.is_empty()
            || wanted.iter().any(|t| match *t {
                "array" | "object" => *t == kind,
                _ => kind == "scalar",
            })
    }

    /// Follows `$ref` into `$defs`.
    fn resolved(&self, schema: &'a Json) -> &'a Json {
        let named = schema["$ref"].as_str().and_then(|r| r.strip_prefix("#/$defs/"));
        named.map_or(schema, |name| &self.root["$defs"][name])
    }
}

/// What a value must satisfy one of.
fn choices(schema: &Json) -> Option<Vec<&Json>> {
    let list = schema["anyOf"].as_array().or_else(|| schema["oneOf"].as_array())?;
    Some(list.iter().collect())
}

/// The types a schema names; none means any.
fn types(schema: &Json) -> Vec<&str> {
    match &schema["type"] {
        Json::String(one) => vec![one],
        Json::Array(several) => several.iter().filter_map(Json::as_str).collect(),
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::Object(_) => Vec::new(),
    }
}

fn accepts(wanted: &[&str], kind: &str) -> bool {
    wanted.is_empty() || wanted.contains(&kind)
}

fn additional(schema: &Json) -> Option<&Json> {
    match schema.get("additionalProperties") {
        Some(Json::Bool(false)) => None,
        Some(of) => Some(of),
        None => Some(&ANY),
    }
}

static ANY: Json = Json::Bool(true);

fn property_names(schema: &Json) -> Vec<&str> {
    schema["properties"].as_object().into_iter().flat_map(Map::keys).map(String::as_str).collect()
}

fn required(schema: &Json) -> impl Iterator<Item = &str> {
    schema["required"].as_array().into_iter().flatten().filter_map(Json::as_str)
}

/// The key of each choice where every one is a mapping of a single key.
fn tags<'a>(choices: &[&'a Json]) -> Option<Vec<(&'a str, &'a Json)>> {
    let tag = |choice: &'a Json| {
        let closed = choice["additionalProperties"] == Json::Bool(false);
        let mut names = required(choice);
        match (closed, names.next(), names.next()) {
            (true, Some(name), None) if property_names(choice) == [name] => Some((name, choice)),
            _ => None,
        }
    };
    if choices.len() < 2 {
        return None;
    }
    choices.iter().map(|c| tag(c)).collect()
}

fn kind_of(node: &Node) -> &'static str {
    match node.value {
        Value::Scalar { .. } | Value::Broken => "scalar",
        Value::List(_) => "array",
        Value::Map(_) => "object",
    }
}

/// Words other tools use for the same thing.
fn synonym<'a>(typed: &str, known: &[&'a str]) -> Option<&'a str> {
    const SAME: &[(&str, &[&str])] = &[
        ("every", &["interval", "period", "frequency", "schedule", "scrape_interval"]),
        ("target", &["url", "address", "endpoint", "uri"]),
        ("kind", &["type", "module", "prober", "protocol"]),
        ("warn", &["threshold", "slow", "warning"]),
        ("insecure", &["skip_verify", "insecure_skip_verify", "verify", "ignore_tls"]),
        ("data", &["data_dir", "datadir", "storage_path"]),
        ("listen", &["bind", "port", "web", "http"]),
        ("expect", &["assert", "conditions", "expected"]),
        ("connect_to", &["connect", "ip"]),
        ("ca_file", &["ca", "cacert", "ca_cert"]),
        ("record", &["query_type", "qtype", "rrtype"]),
        ("packets", &["count"]),
        ("family", &["ip_version", "ip_protocol"]),
        ("source", &["source_ip_address", "source_address", "bind_address"]),
    ];
    let lower = typed.to_ascii_lowercase();
    let (name, _) = SAME.iter().find(|(_, others)| others.contains(&lower.as_str()))?;
    known.iter().copied().find(|k| k == name)
}
