//! Pages under `docs/` are written from the definitions they describe.
//!
//! `UPDATE_REFERENCE=1 cargo test -p whyslow --test it` writes them anew.

use std::fmt::Write;
use std::path::PathBuf;

use serde_json::Value;
use whyslow_probe::checks;

#[test]
fn the_reference_says_what_the_definitions_say() {
    let pages = [
        ("checks.md", kinds()),
        ("commands.md", commands()),
        ("configuration.md", configuration()),
        ("formats/edge.md", crate::formats::page()),
    ];
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs");
    let update = std::env::var_os("UPDATE_REFERENCE").is_some();
    let mut stale = Vec::new();
    for (name, text) in pages {
        let file = folder.join(name);
        if update {
            std::fs::write(&file, &text).expect("the page is writable");
        }
        if std::fs::read_to_string(&file).unwrap_or_default() != text {
            stale.push(name);
        }
    }
    assert!(stale.is_empty(), "{stale:?} are stale; run this test with UPDATE_REFERENCE=1");
}

pub(crate) fn title(name: &str, lead: &str) -> String {
    format!(
        "# {name}\n\n<!-- Written from the definitions by a test; do not edit. -->\n\n{lead}\n\n"
    )
}

fn kinds() -> String {
    let lead = "What each kind of check measures, the options that mean something to it, and the \
                metrics it gives. Every option is explained in [configuration](configuration.md).";
    let mut page = title("Kinds of checks", lead);
    let common = list(checks::COMMON_FIELDS);
    writeln!(page, "Options of every kind: {common}.").expect("a string takes all");
    for kind in checks::ALL {
        let segments: Vec<&str> = kind.segments.iter().map(|s| s.as_str()).collect();
        writeln!(page, "\n## `{}`\n\n{}\n", kind.kind.as_str(), kind.summary)
            .expect("a string takes all");
        writeln!(page, "- target: {}", kind.target).expect("a string takes all");
        for (what, names) in [
            ("options", kind.fields),
            ("under `expect`", kind.expects),
            ("segments a failure can point at", &segments),
            ("metrics", kind.metrics),
        ] {
            writeln!(page, "- {what}: {}", list(names)).expect("a string takes all");
        }
    }
    page
}

fn list(names: &[&str]) -> String {
    if names.is_empty() {
        return "none".to_owned();
    }
    names.iter().map(|n| format!("`{n}`")).collect::<Vec<_>>().join(", ")
}

fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}

fn commands() -> String {
    let mut page = title("Commands", "What `whyslow COMMAND --help` prints.");
    let mut whole = whyslow::cli::command().term_width(100);
    whole.build();
    for sub in whole.get_subcommands_mut().filter(|c| !c.is_hide_set()) {
        command(sub, &mut page);
    }
    page
}

fn command(command: &mut clap::Command, page: &mut String) {
    if command.get_name() == "help" {
        return;
    }
    let name = command.get_bin_name().unwrap_or(command.get_name()).to_owned();
    let help = command.render_long_help().to_string();
    let help: Vec<&str> = help.lines().map(str::trim_end).collect();
    writeln!(page, "## `{name}`\n\n```text\n{}\n```\n", help.join("\n").trim_end())
        .expect("a string takes all");
    for sub in command.get_subcommands_mut().filter(|c| !c.is_hide_set()) {
        self::command(sub, page);
    }
}

fn configuration() -> String {
    let lead = "Every key of the YAML file. `whyslow config schema` prints the same as JSON Schema; \
                `whyslow config check` says what is wrong with a file, all of it at once.";
    let mut page = title("Configuration", lead);
    let schema = serde_json::to_value(whyslow::config::schema()).expect("a schema is JSON");
    section("The file", &schema, &mut page);
    let parts = schema["$defs"].as_object().cloned().unwrap_or_default();
    for (name, part) in &parts {
        section(&format!("`{name}`"), part, &mut page);
    }
    page
}

fn section(heading: &str, part: &Value, page: &mut String) {
    writeln!(page, "## {heading}\n").expect("a string takes all");
    if let Some(text) = part["description"].as_str() {
        writeln!(page, "{text}\n").expect("a string takes all");
    }
    let alternatives = part["oneOf"].as_array().or(part["anyOf"].as_array());
    for alternative in alternatives.into_iter().flatten() {
        let said = alternative["description"].as_str().unwrap_or("");
        writeln!(page, "- {}: {said}", shape(alternative)).expect("a string takes all");
    }
    if alternatives.is_some() {
        page.push('\n');
    }
    let Some(keys) = part["properties"].as_object() else { return };
    let required: Vec<&str> =
        part["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    page.push_str("| key | holds | meaning |\n|---|---|---|\n");
    for (key, value) in keys {
        let must = if required.contains(&key.as_str()) { ", needed" } else { "" };
        let said = cell(value["description"].as_str().unwrap_or(""));
        writeln!(page, "| `{key}` | {}{must} | {said} |", cell(&shape(value)))
            .expect("a string takes all");
    }
    page.push('\n');
}

/// What a value may be, in a few words.
fn shape(value: &Value) -> String {
    if let Some(name) = value["$ref"].as_str().and_then(|r| r.rsplit('/').next()) {
        return format!("`{name}`");
    }
    if let Some(only) = value.get("const") {
        return format!("`{}`", only.as_str().map_or_else(|| only.to_string(), str::to_owned));
    }
    if let Some(words) = value["enum"].as_array() {
        let words: Vec<&str> = words.iter().filter_map(Value::as_str).collect();
        return list(&words);
    }
    if let Some(parts) = value["anyOf"].as_array().or(value["oneOf"].as_array()) {
        let words: Vec<String> = parts.iter().filter(|p| p["type"] != "null").map(shape).collect();
        return words.join(" or ");
    }
    let kinds = value["type"].as_array();
    let kind = value["type"]
        .as_str()
        .or_else(|| kinds?.iter().filter_map(Value::as_str).find(|kind| *kind != "null"));
    match kind {
        Some("array") => format!("list of {}", shape(&value["items"])),
        Some("object") if value["additionalProperties"].is_object() => {
            format!("map of name to {}", shape(&value["additionalProperties"]))
        }
        Some("object") => {
            let keys: Vec<&str> = value["properties"]
                .as_object()
                .into_iter()
                .flatten()
                .map(|(k, _)| k.as_str())
                .collect();
            format!("map with {}", list(&keys))
        }
        Some(other) => other.to_owned(),
        None => "anything".to_owned(),
    }
}
