//! `whyslow asn import FILE`.

use std::path::PathBuf;

use super::{Exit, Output, Stop};
use crate::asn;
use crate::config::default_data;

/// Keeps tables that tell an address's network and country.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Reads a .mmdb file, or a list of ranges (first,last,asn,name or first,last,country).
    Import {
        /// The file; its licence stays yours to keep.
        file: PathBuf,
        /// The data directory of the whyslow that is to use it, as `whyslow up` has it.
        #[arg(long, value_name = "DIR")]
        data: Option<PathBuf>,
    },
}

pub(super) fn run(args: &Args, out: &mut Output) -> Result<Exit, Stop> {
    let Command::Import { file, data } = &args.command;
    let data = data.clone().or_else(default_data).ok_or_else(|| {
        Stop::usage("there is no data directory").hint("give one with --data DIR")
    })?;
    let done = asn::import(file, &data).map_err(|e| {
        // What is wrong with our own copy is no fault of the input.
        let own = matches!(&e, asn::AsnError::Io { file: of, .. } if of != file);
        let stop = if own { Stop::operation(&e) } else { Stop::unreadable(&e) };
        stop.hint(e.hint())
    })?;
    out.line(format!("{} ranges kept in {}", done.ranges, done.file.display()))?;
    out.note("a whyslow that runs uses them once its configuration is reloaded (SIGHUP)");
    if let Some((number, reason)) = done.first_refused {
        out.note_always(format!("{} refused, the first on line {number}: {reason}", done.refused));
    }
    Ok(Exit::Ok)
}
