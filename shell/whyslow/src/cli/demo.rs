//! `whyslow demo`.

use std::net::SocketAddr;

use tokio::signal::unix::{SignalKind, signal};

use super::{Exit, Output, Stop};
use crate::demo::play::Change;
use crate::demo::run::Demo;

/// Shows whyslow at work on a sample shop with faults on purpose; no root, no internet.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The address of the pages and the API.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:7070")]
    listen: SocketAddr,
    /// How many times faster than in real life the script is played.
    #[arg(long, value_name = "TIMES", default_value_t = 1.0, hide = true, value_parser = pace)]
    pace: f64,
}

fn pace(text: &str) -> Result<f64, String> {
    let pace: f64 = text.parse().map_err(|_| "not a number".to_owned())?;
    if (0.1..=20.0).contains(&pace) { Ok(pace) } else { Err("from 0.1 to 20".to_owned()) }
}

pub(super) fn run(args: &Args, out: &mut Output) -> Result<Exit, Stop> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .thread_name("demo")
        .enable_all()
        .build()
        .map_err(|e| Stop::operation(format!("cannot start threads: {e}")))?;
    runtime.block_on(async {
        let failed = |e: anyhow::Error| Stop::with_causes(Exit::Degraded, &e);
        let end = ended().map_err(|e| Stop::operation(format!("cannot listen for signals: {e}")))?;
        let mut demo = Demo::start(args.listen, args.pace).await.map_err(failed)?;
        out.note_always(format_args!(
            "A sample shop runs on loopback, and a script makes faults in it; all of it is a demo.\n\
             The pages:          http://{}/\n\
             Its configuration:  {}/demo.yaml\n\
             All is well for 20 s; then six faults in three and a half minutes, again and again. \
             Ctrl-C ends it and leaves nothing behind.",
            demo.address(),
            demo.dir().display(),
        ));
        let told = demo
            .run_until(end, |change| match change {
                Change::Begins(f) => out.note(format_args!("{}\n  look: {}", f.mark, f.look)),
                Change::Ends(f) => out.note(format_args!("over: {}", f.mark)),
            })
            .await;
        demo.stop().await.map_err(failed)?;
        told.map_err(failed)?;
        Ok(Exit::Ok)
    })
}

/// Resolves at the first Ctrl-C, or the first request to end.
fn ended() -> std::io::Result<impl Future<Output = ()>> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}
