//! `whyslow config show`.

use std::path::PathBuf;

use super::super::{Exit, Output, Stop};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// A file, or a directory of *.yaml files.
    path: PathBuf,
    /// Covers header values, bodies and the values in URLs.
    #[arg(long)]
    redacted: bool,
    /// Prints JSON instead of YAML.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &Args, out: &mut Output) -> Result<Exit, Stop> {
    let mut config = super::loaded(&args.path, out)?;
    if args.redacted {
        config = crate::config::redacted(&config);
    }
    if args.json {
        out.json(&config)?;
        return Ok(Exit::Ok);
    }
    let text = serde_saphyr::to_string(&config)
        .map_err(|e| Stop::operation(format!("cannot write the configuration as YAML: {e}")))?;
    out.line(text.trim_end())?;
    Ok(Exit::Ok)
}
