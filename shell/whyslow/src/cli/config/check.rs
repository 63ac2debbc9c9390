//! `whyslow config check`.

use std::path::PathBuf;

use serde::Serialize;

use super::super::{Exit, Output, Stop};
use crate::config::problem::Listed;
use crate::config::{Config, LoadError, load};

/// The document `--json` prints.
const SCHEMA: &str = "whyslow.config-check/1";

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// A file, or a directory of *.yaml files.
    path: PathBuf,
    /// Prints one JSON document.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &Args, out: &mut Output) -> Result<Exit, Stop> {
    if args.json {
        return as_json(args, out);
    }
    let config = super::loaded(&args.path, out)?;
    out.line(format_args!("{}: ok, {}", args.path.display(), counted(&config)))?;
    Ok(Exit::Ok)
}

/// What `--json` prints.
#[derive(Serialize)]
struct Document<'a> {
    schema: &'static str,
    ok: bool,
    services: Option<usize>,
    checks: Option<usize>,
    errors_in_all: usize,
    errors: Vec<Listed<'a>>,
}

fn as_json(args: &Args, out: &mut Output) -> Result<Exit, Stop> {
    let schema = SCHEMA;
    match load(&args.path) {
        Ok(config) => {
            let checks = Some(config.planned_checks().len());
            let services = Some(config.services.len());
            let errors = Vec::new();
            out.json(&Document { schema, ok: true, services, checks, errors_in_all: 0, errors })?;
            Ok(Exit::Ok)
        }
        Err(error @ LoadError::Unreadable { .. }) => Err(Stop::unreadable(error)),
        Err(LoadError::Wrong(problems)) => {
            let (errors_in_all, errors) = (problems.count(), problems.listed());
            let (services, checks) = (None, None);
            out.json(&Document { schema, ok: false, services, checks, errors_in_all, errors })?;
            Ok(Exit::Config)
        }
    }
}

fn counted(config: &Config) -> String {
    let of = |n: usize, one: &str| format!("{n} {one}{}", if n == 1 { "" } else { "s" });
    let planned = config.planned_checks().len();
    let checks: usize = config.services.values().map(|s| s.checks.len()).sum();
    format!(
        "{}, {} ({planned} with their paths)",
        of(config.services.len(), "service"),
        of(checks, "check")
    )
}
