//! What differs between two configurations, key by key.

use std::collections::BTreeSet;

use serde_json::Value as Json;

use super::node::push_key;
use super::types::Config;

/// One difference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The key path; checks are named, not counted: `services.shop.checks[home].warn`.
    pub path: String,
    /// What it was, as JSON; `None` where it is new.
    pub before: Option<String>,
    /// What it is, as JSON; `None` where it is gone.
    pub after: Option<String>,
}

/// Everything that differs, in the order of the keys.
pub fn differences(before: &Config, after: &Config) -> Vec<Change> {
    let json = |c: &Config| serde_json::to_value(c).unwrap_or(Json::Null);
    let mut changes = Vec::new();
    compare(Some(&json(before)), Some(&json(after)), &mut String::new(), &mut changes);
    changes
}

/// The keys of the changes, for the log: the first few, and how many more.
pub fn in_a_line(changes: &[Change]) -> String {
    const NAMED_MAX: usize = 5;
    if changes.is_empty() {
        return "nothing changed".to_owned();
    }
    let named: Vec<&str> = changes.iter().take(NAMED_MAX).map(|c| c.path.as_str()).collect();
    let more = match changes.len().saturating_sub(NAMED_MAX) {
        0 => String::new(),
        n => format!(" and {n} more"),
    };
    format!("changed {}{more}", named.join(", "))
}

fn compare(
    before: Option<&Json>,
    after: Option<&Json>,
    path: &mut String,
    changes: &mut Vec<Change>,
) {
    if before == after {
        return;
    }
    let length = path.len();
    if let (Some(Json::Object(was)), Some(Json::Object(is))) = (before, after) {
        let keys: BTreeSet<&String> = was.keys().chain(is.keys()).collect();
        for key in keys {
            push_key(path, key);
            compare(was.get(key), is.get(key), path, changes);
            path.truncate(length);
        }
        return;
    }
    if let (Some(was), Some(is)) = (before.and_then(named), after.and_then(named)) {
        let names: BTreeSet<&str> = was.iter().chain(&is).map(|(name, _)| *name).collect();
        for name in names {
            path.push_str(&format!("[{name}]"));
            let of = |list: &[(&str, &'_ Json)]| list.iter().position(|(n, _)| *n == name);
            let (a, b) = (of(&was).map(|i| was[i].1), of(&is).map(|i| is[i].1));
            compare(a, b, path, changes);
            path.truncate(length);
        }
        return;
    }
    let text = |v: Option<&Json>| v.map(Json::to_string);
    changes.push(Change { path: path.clone(), before: text(before), after: text(after) });
}

/// A list of things that each have a name.
fn named(list: &Json) -> Option<Vec<(&str, &Json)>> {
    let items = list.as_array()?;
    items.iter().map(|item| Some((item["name"].as_str()?, item))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(text: &str) -> Config {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn checks_are_compared_by_name() {
        let before = config(
            r#"{"services": {"shop": {"checks": [
                {"name": "home", "kind": "tcp", "target": "a:1", "warn": "1s"},
                {"name": "old", "kind": "tcp", "target": "a:2"}]}}}"#,
        );
        let after = config(
            r#"{"listen": "127.0.0.1:1", "services": {"shop": {"checks": [
                {"name": "new", "kind": "tcp", "target": "a:3"},
                {"name": "home", "kind": "tcp", "target": "a:1", "warn": "2s"}]}}}"#,
        );
        let changes = differences(&before, &after);
        let paths: Vec<&str> = changes.iter().map(|c| c.path.as_str()).collect();
        assert_eq!(
            paths,
            [
                "listen",
                "services.shop.checks[home].warn",
                "services.shop.checks[new]",
                "services.shop.checks[old]"
            ]
        );
        assert_eq!(changes[1].after.as_deref(), Some("\"2s\""));
        assert_eq!((changes[2].before.is_none(), changes[3].after.is_none()), (true, true));
        assert_eq!(differences(&after, &after), Vec::new());
        let line = in_a_line(&[changes.clone(), changes].concat());
        assert_eq!(
            line,
            "changed listen, services.shop.checks[home].warn, services.shop.checks[new], \
             services.shop.checks[old], listen and 3 more"
        );
        assert_eq!(in_a_line(&[]), "nothing changed");
    }
}
