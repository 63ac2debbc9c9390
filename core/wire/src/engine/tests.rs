//! Scenarios: scripts of two ends, and what the engine tells of them.

use super::*;
use crate::made::Wire;
use crate::opening::Opening;
use crate::tls::made::{
    ccs, client_hello, extension, message, record, sealed, server_hello, server_hello_1_3, versions,
};

mod endings;
mod handshakes;
mod limits;
mod loss;
mod shuffled;

/// What the engine tells of a script, to the end of the capture.
fn told(wire: &Wire) -> Vec<Event> {
    let mut engine = Engine::new(Options::default(), 7);
    for segment in wire.segments() {
        engine.segment(&segment);
    }
    engine.finish(wire.now());
    std::iter::from_fn(|| engine.poll()).collect()
}

/// The one opening of a script.
fn opening(wire: &Wire) -> Opening {
    let openings: Vec<Opening> = told(wire)
        .into_iter()
        .filter_map(|e| if let Event::Opening(o) = e { Some(*o) } else { None })
        .collect();
    assert_eq!(openings.len(), 1, "{openings:#?}");
    openings.into_iter().next().unwrap()
}

fn endings(wire: &Wire) -> Vec<Ending> {
    told(wire)
        .into_iter()
        .filter_map(|e| if let Event::Ending(e) = e { Some(e) } else { None })
        .collect()
}

/// Milliseconds between the two.
fn ms(from: Wall, to: Wall) -> f64 {
    (to.as_nanos() - from.as_nanos()) as f64 / 1e6
}

fn near(value: f64, expected: f64) {
    assert!((value - expected).abs() < 0.2, "{value} is not about {expected}");
}
