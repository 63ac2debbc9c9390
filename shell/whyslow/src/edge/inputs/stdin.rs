//! The standard input, until it ends.

use std::io::{ErrorKind, Read};
use std::os::fd::AsFd;
use std::time::Duration;

use whyslow_edge::framing::{Framer, Framing};
use whyslow_sys::poll;

use super::super::run::{Ended, Place};
use super::super::worker::Worker;

const WAIT: Duration = Duration::from_millis(200);

pub(super) fn read(place: &Place, worker: &mut Worker) -> Result<Ended, String> {
    let stdin = std::io::stdin();
    let mut framer = Framer::new(Framing::Detect);
    let mut ready = Vec::new();
    loop {
        worker.tick();
        if place.stop.is_told() {
            return Ok(Ended::Stopped);
        }
        let n = poll::readable(&[stdin.as_fd()], WAIT, &mut ready);
        if n.map_err(|e| format!("cannot wait for the standard input: {e}"))? == 0 {
            continue;
        }
        match stdin.lock().read(framer.room()) {
            Ok(0) => break,
            Ok(n) => {
                framer.handle_read(n);
                worker.count(|t| t.bytes += n as u64);
            }
            Err(e) if matches!(e.kind(), ErrorKind::Interrupted | ErrorKind::WouldBlock) => {}
            Err(e) => return Err(format!("cannot read the standard input: {e}")),
        }
        while let Some(frame) = framer.poll_frame() {
            if !worker.handle_frame(frame) {
                return Ok(Ended::Exhausted);
            }
        }
    }
    if let Some(frame) = framer.poll_rest() {
        worker.handle_frame(frame);
    }
    Ok(Ended::Exhausted)
}
