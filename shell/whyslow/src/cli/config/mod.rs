//! `whyslow config …`: what a configuration says, before anything runs on it.

mod check;
mod diff;
mod schema;
mod show;

use std::path::Path;

use super::{Exit, Output, Stop};
use crate::config::{Config, LoadError, load};

/// Checks, shows and compares configurations, and prints their schema.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Tells everything that is wrong with a configuration.
    Check(check::Args),
    /// Prints the JSON Schema of the configuration, for editors.
    Schema(schema::Args),
    /// Prints a configuration as whyslow understands it, defaults filled in.
    Show(show::Args),
    /// Tells what differs between two configurations.
    Diff(diff::Args),
}

pub(super) fn run(args: &Args, out: &mut Output) -> Result<Exit, Stop> {
    match &args.command {
        Command::Check(args) => check::run(args, out),
        Command::Schema(args) => schema::run(args, out),
        Command::Show(args) => show::run(args, out),
        Command::Diff(args) => diff::run(args, out),
    }
}

/// Reads a configuration, or stops with everything that is wrong with it on stderr.
pub(super) fn loaded(path: &Path, out: &mut Output) -> Result<Config, Stop> {
    match load(path) {
        Ok(config) => Ok(config),
        Err(error @ LoadError::Unreadable { .. }) => Err(Stop::unreadable(error)),
        Err(LoadError::Wrong(problems)) => {
            out.note_always(problems.to_string().trim_end());
            Err(Stop::config(format_args!("{} in {}", problems.counted(), path.display())))
        }
    }
}
