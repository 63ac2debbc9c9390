//! `whyslow completions SHELL`.

use clap_complete::Shell;

use super::{Exit, Output, Stop};

/// Prints a completion script for a shell.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The shell to complete for.
    shell: Shell,
}

pub(super) fn run(args: &Args, out: &mut Output) -> Result<Exit, Stop> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut super::command(), "whyslow", &mut script);
    out.line(String::from_utf8_lossy(&script).trim_end())?;
    Ok(Exit::Ok)
}
