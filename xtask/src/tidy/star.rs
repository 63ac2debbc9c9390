//! The dependency star: cores know `model` only, `dial` knows `sys`, the binary knows all.

use std::path::Path;

use anyhow::{Context, Result};

use super::Complaint;

/// Each crate folder and the crates of ours it may depend on.
const ALLOWED: &[(&str, &[&str])] = &[
    ("core/model", &[]),
    ("core/probe", &["whyslow-model"]),
    ("core/store", &["whyslow-model"]),
    ("core/promql", &["whyslow-model"]),
    ("core/edge", &["whyslow-model"]),
    ("core/graphite", &["whyslow-model"]),
    ("shell/sys", &["whyslow-model"]),
    ("shell/dial", &["whyslow-model", "whyslow-sys"]),
];

/// Crates that bring an executor, a socket or a clock into a core.
const WORLDLY: &[&str] = &[
    "tokio",
    "hyper",
    "axum",
    "mio",
    "async-std",
    "smol",
    "socket2",
    "libc",
    "rustix",
    "nix",
    "rusqlite",
    "rand",
    "getrandom",
    "chrono",
];

/// Checks each manifest's `[dependencies]`; dev-dependencies are free to use the lab.
pub fn check(root: &Path) -> Result<Vec<Complaint>> {
    let mut complaints = Vec::new();
    for (folder, allowed) in ALLOWED {
        let file = format!("{folder}/Cargo.toml");
        let text = std::fs::read_to_string(root.join(&file)).with_context(|| file.clone())?;
        for (line, name) in dependencies(&text) {
            if name.starts_with("whyslow") && !allowed.contains(&name) {
                let what = format!("{folder} may not depend on {name}: the star has no such edge");
                complaints.push(Complaint { file: file.clone(), line, what });
            }
            if folder.starts_with("core/") && WORLDLY.contains(&name) {
                let what = format!("{name} touches the world; a core takes bytes and `now`");
                complaints.push(Complaint { file: file.clone(), line, what });
            }
        }
    }
    Ok(complaints)
}

/// Line number and crate name of every entry under `[dependencies]`.
fn dependencies(manifest: &str) -> Vec<(usize, &str)> {
    let mut inside = false;
    let mut found = Vec::new();
    for (i, line) in manifest.lines().enumerate() {
        if line.starts_with('[') {
            inside = line.trim() == "[dependencies]";
        } else if inside
            && let Some(name) = line.split(['.', ' ', '=']).next()
            && !name.is_empty()
            && !name.starts_with('#')
        {
            found.push((i + 1, name));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_dependencies_are_listed() {
        let manifest = "[dependencies]\na.workspace = true\nb = \"1\"\n\n[dev-dependencies]\nc = 1";
        assert_eq!(dependencies(manifest), [(2, "a"), (3, "b")]);
    }
}
