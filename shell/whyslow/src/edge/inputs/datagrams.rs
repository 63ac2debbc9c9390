//! Datagram sockets, UDP and unix: one message each.

use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::path::Path;
use std::time::Duration;

use whyslow_edge::framing::datagram;
use whyslow_model::limits::EDGE_LINE_BYTES_MAX;
use whyslow_sys::datagrams::{Batch, Datagrams};
use whyslow_sys::{poll, unix};

use super::super::run::{Ended, Place};
use super::super::worker::Worker;
use super::stream::{MODE, allowed};
use super::{kernel, told};

const WAIT: Duration = Duration::from_millis(200);
/// Batches that are taken before the clocks are looked at.
const BATCHES_PER_TURN: usize = 64;

pub(super) fn read_udp(
    address: SocketAddr,
    place: &Place,
    worker: &mut Worker,
) -> Result<Ended, String> {
    if let Some(bound) = place.inherited.take::<Bound>(place.number) {
        return serve(bound, place, worker);
    }
    let socket = Datagrams::udp(address)
        .map_err(|e| format!("cannot receive at {address}: {}", told(&e)))?;
    if place.number == 0 {
        kernel::warn_small_buffer(&place.config.name, socket.buffer_bytes());
    }
    serve(Bound { socket, _file: None, lost: Lost::default() }, place, worker)
}

pub(super) fn read_unix(path: &Path, place: &Place, worker: &mut Worker) -> Result<Ended, String> {
    if let Some(bound) = place.inherited.take::<Bound>(place.number) {
        return serve(bound, place, worker);
    }
    let mode = place.config.mode.map_or(MODE, |mode| mode.0);
    let bound = unix::bind_datagram(path, mode).and_then(|(socket, file)| {
        let socket = Datagrams::of(socket)?;
        Ok((socket, file))
    });
    let (socket, file) = bound.map_err(|e| format!("{}: {}", path.display(), told(&e)))?;
    kernel::warn_short_queue(&place.config.name);
    serve(Bound { socket, _file: Some(file), lost: Lost::default() }, place, worker)
}

/// A socket that is bound, and what was counted of it.
struct Bound {
    socket: Datagrams,
    /// Removes the socket's file.
    _file: Option<unix::SocketFile>,
    lost: Lost,
}

fn serve(mut bound: Bound, place: &Place, worker: &mut Worker) -> Result<Ended, String> {
    let Bound { socket, lost, .. } = &mut bound;
    let mut batch = Batch::default();
    let mut ready = Vec::new();
    let buffer_bytes = socket.buffer_bytes() as u64;
    worker.gauge(|g| (g.problem, g.buffer_bytes) = (None, buffer_bytes));
    loop {
        worker.tick();
        lost.count(socket, &batch, worker);
        let stopping = place.stop.is_told();
        if stopping && place.left.is_wanted() {
            place.left.leave(place.number, bound);
            return Ok(Ended::Stopped);
        }
        let n = poll::readable(
            &[socket.as_fd()],
            if stopping { Duration::ZERO } else { WAIT },
            &mut ready,
        );
        if n.map_err(|e| format!("cannot wait for datagrams: {e}"))? == 0 {
            if stopping {
                return Ok(Ended::Stopped);
            }
            continue;
        }
        for _ in 0..BATCHES_PER_TURN {
            // An error that is not "nothing there" concerns one datagram; the next poll tells more.
            if socket.receive(&mut batch).is_err() {
                break;
            }
            take(&batch, place, worker);
        }
    }
}

fn take(batch: &Batch, place: &Place, worker: &mut Worker) {
    for (bytes, from) in batch.datagrams() {
        worker.count(|t| t.bytes += bytes.len() as u64);
        if !place.config.from.is_empty() && !allowed(&place.config.from, from) {
            worker.count(|t| t.refused += 1);
            continue;
        }
        let message = datagram(bytes);
        if message.len() > EDGE_LINE_BYTES_MAX {
            worker.count(|t| t.too_long += 1);
        } else {
            worker.handle_line(message);
        }
    }
}

/// What was already counted as lost.
#[derive(Debug, Default)]
struct Lost {
    dropped: u32,
}

impl Lost {
    /// Counts what the kernel has dropped since the last time.
    fn count(&mut self, socket: &Datagrams, batch: &Batch, worker: &mut Worker) {
        let dropped = socket.memory().map_or(batch.dropped(), |memory| memory.dropped);
        let new = dropped.wrapping_sub(self.dropped);
        self.dropped = dropped;
        if new > 0 {
            worker.count(|t| t.kernel_dropped += u64::from(new));
        }
    }
}
