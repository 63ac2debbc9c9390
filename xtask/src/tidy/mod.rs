//! The house rules that no compiler knows, as an ordinary program with friendly failures.

mod locked;
mod sources;
mod star;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

/// One broken rule: where, and what to do.
#[derive(Debug)]
pub struct Complaint {
    /// The file, relative to the root.
    pub file: String,
    /// The line, from 1; 0 for the whole file.
    pub line: usize,
    /// What is wrong, and the way out.
    pub what: String,
}

/// Checks every rule and prints all complaints.
///
/// # Errors
/// Where a rule is broken, or the tree cannot be read.
pub fn run() -> Result<()> {
    let root = root()?;
    let files = tracked_files(&root)?;
    let mut complaints = Vec::new();
    complaints.extend(star::check(&root)?);
    complaints.extend(sources::check(&root, &files)?);
    complaints.extend(locked::check(&root)?);
    for c in &complaints {
        println!("{}:{}: {}", c.file, c.line, c.what);
    }
    if !complaints.is_empty() {
        bail!("{} house rules are broken", complaints.len());
    }
    Ok(())
}

/// The repository's root, two levels above this crate's manifest.
fn root() -> Result<PathBuf> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    Ok(here.parent().context("xtask has no parent folder")?.to_path_buf())
}

/// Files git knows or would add, relative to the root.
fn tracked_files(root: &Path) -> Result<Vec<String>> {
    let listed = std::process::Command::new("git")
        .args(["ls-files", "--cached", "--others", "--exclude-standard"])
        .current_dir(root)
        .output()
        .context("git could not be started")?;
    let text = String::from_utf8(listed.stdout).context("git listed a name that is no UTF-8")?;
    Ok(text.lines().filter(|f| root.join(f).is_file()).map(str::to_owned).collect())
}
