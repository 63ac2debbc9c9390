//! What stands in Cargo.lock and under which licence.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::Value;

use super::Complaint;

/// Licences whose terms a single shipped binary can keep; see deny.toml.
const LICENCES: &[&str] = &[
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "CDLA-Permissive-2.0",
    "ISC",
    "MIT",
    "MIT-0",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

/// Crates that must never enter, with the reason.
const BANNED: &[(&str, &str)] = &[
    ("openssl-sys", "rustls speaks TLS here; one stack is enough to audit"),
    ("aws-lc-sys", "the ring provider is the one that is built"),
    ("pcap", "capture is done without libpcap"),
];

/// Checks sources, bans and licences of every locked package.
pub fn check(root: &Path) -> Result<Vec<Complaint>> {
    let listed = Command::new("cargo")
        .args(["metadata", "--format-version", "1", "--locked"])
        .current_dir(root)
        .output()
        .context("cargo metadata could not be started")?;
    let metadata: Value = serde_json::from_slice(&listed.stdout).with_context(|| {
        format!("cargo metadata: {}", String::from_utf8_lossy(&listed.stderr).trim())
    })?;
    let packages = metadata["packages"].as_array().context("cargo metadata lists no packages")?;
    Ok(packages.iter().filter_map(complaint).collect())
}

fn complaint(package: &Value) -> Option<Complaint> {
    let name = package["name"].as_str()?;
    // Path packages, our own, have no source.
    let source = package["source"].as_str()?;
    let what = if let Some((_, why)) = BANNED.iter().find(|(banned, _)| *banned == name) {
        format!("{name} is banned: {why}")
    } else if !source.starts_with("registry+") {
        format!("{name} comes from {source}; only the crates.io registry is known")
    } else {
        let licence = package["license"].as_str().unwrap_or("none stated");
        if permitted(licence) {
            return None;
        }
        format!("{name} is under '{licence}', which the list does not hold")
    };
    Some(Complaint { file: "Cargo.lock".to_owned(), line: 0, what })
}

/// Whether an SPDX expression can be satisfied from the list.
///
/// Two shapes occur: alternatives of joint parts, and, with brackets, joint groups of alternatives.
fn permitted(expression: &str) -> bool {
    let listed = |part: &str| LICENCES.contains(&part.trim_matches(['(', ')', ' ']));
    let expression = expression.replace('/', " OR ");
    if expression.contains('(') {
        return expression.split(" AND ").all(|group| group.split(" OR ").any(listed));
    }
    expression.split(" OR ").any(|alternative| alternative.split(" AND ").all(listed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_permitted_alternative_is_enough_and_all_parts_are_needed() {
        assert!(permitted("MIT OR GPL-3.0"));
        assert!(permitted("MIT/Apache-2.0"));
        assert!(permitted("Apache-2.0 AND ISC"));
        assert!(permitted("(MIT OR GPL-3.0) AND Unicode-3.0"));
        assert!(!permitted("(MIT OR ISC) AND GPL-3.0"));
        assert!(!permitted("MIT AND GPL-3.0"));
        assert!(!permitted("none stated"));
    }
}
