//! Tells what becomes known of the replayed connections on the very way on which recorders tell it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use whyslow_sys::clock;

use super::replay::{Replay, Stall};
use crate::demo::script::Conditions;
use crate::wire::{What, Wire, WireEvent};

/// What stands where an interface's name would: the packets are made, and no page may hide it.
const TAP: &str = "replayed";
/// How often packets are made.
const TICK: Duration = Duration::from_millis(200);

/// Lets simulated clients open connections to `server`, until the task is dropped.
pub async fn tell(
    wire: Arc<Wire>,
    service: &'static str,
    server: SocketAddr,
    conditions: watch::Receiver<Conditions>,
) {
    let mut replay = Replay::new(server, 1, clock::wall());
    let (interface, service): (Arc<str>, Arc<str>) = (TAP.into(), service.into());
    let mut ticks = tokio::time::interval(TICK);
    loop {
        ticks.tick().await;
        let stall = conditions.borrow().client_stall.map(|(network, by)| Stall { network, by });
        replay.handle_timeout(clock::wall(), stall);
        while let Some(told) = replay.poll() {
            let (interface, service) = (Arc::clone(&interface), Some(Arc::clone(&service)));
            wire.tell(WireEvent { interface, service, what: What::from(told) });
        }
    }
}
