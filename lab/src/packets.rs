//! A capture read by the wire plane's own parts, for what its report does not tell.

use anyhow::{Result, bail};
use whyslow_wire::capture::{Reader, Step};
use whyslow_wire::engine::{Engine, Options};
use whyslow_wire::event::Event;
use whyslow_wire::opening::Opening;
use whyslow_wire::packet::{Decoded, Decoder};
use whyslow_wire::segment::Segment;

/// Hands every TCP segment of the capture in `bytes` to `each`, in its order.
///
/// # Errors
/// Where it is no capture, or broken.
pub fn segments(bytes: &[u8], mut each: impl FnMut(&Segment<'_>)) -> Result<()> {
    let (mut reader, mut decoder, mut at) = (Reader::new(), Decoder::new(), 0);
    while at < bytes.len() {
        at += match reader.next(&bytes[at..])? {
            Step::Packet { packet, consumed, .. } => {
                if let Decoded::Tcp(segment) = decoder.decode(&packet) {
                    each(&segment);
                }
                consumed
            }
            Step::Statistics { consumed, .. } | Step::Other { consumed } => consumed,
            Step::Need(_) => bail!("the capture is cut"),
        };
    }
    Ok(())
}

/// Every opening in the capture in `bytes`, in the order in which they were decided.
///
/// # Errors
/// Where it is no capture, or broken.
pub fn openings(bytes: &[u8]) -> Result<Vec<Opening>> {
    let mut engine = Engine::new(Options::default(), 0);
    let mut last = None;
    segments(bytes, |segment| {
        engine.segment(segment);
        last = Some(segment.at);
    })?;
    if let Some(last) = last {
        engine.finish(last);
    }
    let events = std::iter::from_fn(|| engine.poll());
    Ok(events.filter_map(opening).collect())
}

fn opening(event: Event) -> Option<Opening> {
    match event {
        Event::Opening(opening) => Some(*opening),
        Event::Unanswered(_) | Event::Ending(_) => None,
    }
}
