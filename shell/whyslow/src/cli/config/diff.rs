//! `whyslow config diff`.

use std::path::PathBuf;

use super::super::{Exit, Output, Stop};
use crate::config::difference::{Change, differences};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The configuration as it was: a file or a directory.
    before: PathBuf,
    /// The configuration as it is to be.
    after: PathBuf,
}

pub(super) fn run(args: &Args, out: &mut Output) -> Result<Exit, Stop> {
    let before = crate::config::redacted(&super::loaded(&args.before, out)?);
    let after = crate::config::redacted(&super::loaded(&args.after, out)?);
    let changes = differences(&before, &after);
    for change in &changes {
        out.line(line(change))?;
    }
    if changes.is_empty() {
        out.note("no difference");
    }
    Ok(Exit::Ok)
}

fn line(change: &Change) -> String {
    let Change { path, before, after } = change;
    match (before, after) {
        (None, Some(after)) => format!("+ {path}: {after}"),
        (Some(before), None) => format!("- {path}: {before}"),
        (before, after) => {
            let shown = |v: &Option<String>| v.clone().unwrap_or_default();
            format!("~ {path}: {} → {}", shown(before), shown(after))
        }
    }
}
