//! `whyslow config diff`.

use std::path::PathBuf;

use super::super::server::ServerArgs;
use super::super::{Exit, Output, Stop};
use crate::config::difference::{Change, differences};
use crate::config::{Config, redacted};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The configuration as it is to be: a file or a directory.
    path: PathBuf,
    /// The configuration as it was, instead of the one that a running whyslow has in force.
    #[arg(long, value_name = "FILE")]
    against: Option<PathBuf>,
    #[command(flatten)]
    server: ServerArgs,
}

pub(super) fn run(args: &Args, out: &mut Output) -> Result<Exit, Stop> {
    let after = redacted(&super::loaded(&args.path, out)?);
    let before = match &args.against {
        Some(path) => redacted(&super::loaded(path, out)?),
        None => in_force(args, &after)?,
    };
    let changes = differences(&before, &after);
    for change in &changes {
        out.line(whyslow_model::printable(&line(change)))?;
    }
    if changes.is_empty() {
        out.note("no difference");
    }
    Ok(Exit::Ok)
}

/// What the running whyslow has in force. Where the file leaves the data directory to a default or
/// to the command line, that is no difference.
fn in_force(args: &Args, after: &Config) -> Result<Config, Stop> {
    let answer = args.server.ask(async |client| client.get("/api/v1/config").await)?;
    let mut running: Config = serde_json::from_value(answer["data"]["config"].clone())
        .map_err(|e| Stop::operation(format!("the running whyslow is of another version: {e}")))?;
    if after.data.is_none() {
        running.data = None;
    }
    Ok(running)
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
