//! Carries a check's steps out on the network, one after the other.

use std::future::Future;
use std::sync::Arc;

use whyslow_dial::{Connection, Dial};
use whyslow_model::conversation::{
    ConnectAsk, Connected, HttpDone, HttpFault, PingAsk, PingDone, TlsDone, TlsFault,
};
use whyslow_probe::checks::{self, CheckRun, Context, Step, Told};
use whyslow_probe::run::Run;
use whyslow_probe::spec::CheckSpec;
use whyslow_sys::clock::{mono, wall};

use super::secrets;

/// Runs `spec`, which is the check as it runs on its path, once, from `vantage`. `ping` makes
/// one round of echoes.
pub async fn run_once<F, P>(spec: Arc<CheckSpec>, vantage: &str, dial: &Dial, ping: F) -> Run
where
    F: Fn(PingAsk) -> P,
    P: Future<Output = PingDone>,
{
    // What takes time and belongs to us is done before the clock starts.
    let secrets = secrets::read(&spec);
    if let Some((trust, alpn)) = checks::handshake(&spec) {
        dial.prepare(&trust, &alpn);
    }
    let vantage = vantage.to_owned();
    let context = Context { vantage, started: wall(), began: mono(), secrets };
    let mut run = CheckRun::begin(spec, context);
    let mut line = None;
    while let Some(step) = run.poll_step() {
        let told = match step {
            Step::Resolve(ask) => Told::Resolved(dial.resolve(&ask).await),
            Step::Connect(ask) => Told::Connected(connect(&ask, dial, &mut line).await),
            Step::Tls(ask) => Told::Tls(match &mut line {
                Some(line) => line.tls(dial, &ask).await,
                None => TlsDone::failed(mono(), TlsFault::Closed),
            }),
            Step::Http(ask) => Told::Http(match &mut line {
                Some(line) => line.http(&ask).await,
                None => HttpDone::failed(mono(), HttpFault::Closed),
            }),
            Step::Dns(ask) => Told::Dns(dial.dns(&ask).await),
            Step::Ping(ask) => Told::Ping(ping(ask).await),
        };
        run.handle(told);
    }
    if let Some(line) = line {
        line.close().await;
    }
    run.finish()
}

/// Leaves the connection there is, and opens the next.
async fn connect(ask: &ConnectAsk, dial: &Dial, line: &mut Option<Connection>) -> Connected {
    *line = None;
    let (connected, connection) = dial.connect(ask).await;
    *line = connection;
    connected
}
