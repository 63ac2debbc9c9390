//! `whyslow mark "TEXT"`.

use serde_json::json;

use super::server::ServerArgs;
use super::{Exit, Output, Stop};

/// Notes a change, so that before and after can be compared.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// What was changed, such as "timestamps on".
    text: String,
    /// The service it concerns; all of them where left out.
    #[arg(long, value_name = "NAME")]
    service: Option<String>,
    /// When it was changed, RFC 3339; now where left out.
    #[arg(long, value_name = "TIME")]
    at: Option<whyslow_model::Wall>,
    #[command(flatten)]
    server: ServerArgs,
}

pub(super) fn run(args: &Args, out: &mut Output) -> Result<Exit, Stop> {
    let mark = json!({"text": args.text, "service": args.service, "at": args.at});
    let answer = args.server.ask(async |client| client.post_json("/api/v1/marks", &mark).await)?;
    let at = answer["data"]["at"].as_str().unwrap_or_default();
    out.note(format_args!("marked at {at}"));
    Ok(Exit::Ok)
}
