//! `whyslow config schema`.

use super::super::{Exit, Output, Stop};

#[derive(Debug, clap::Args)]
pub(super) struct Args {}

pub(super) fn run(_: &Args, out: &mut Output) -> Result<Exit, Stop> {
    out.json(&crate::config::schema())?;
    Ok(Exit::Ok)
}
