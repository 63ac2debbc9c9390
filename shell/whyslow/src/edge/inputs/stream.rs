//! Stream sockets, TCP and unix: connections that lines come in by.

use std::io::{ErrorKind, Read};
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::time::Duration;

use whyslow_edge::framing::{Framer, Framing};
use whyslow_model::limits::EDGE_CONNECTIONS_MAX;
use whyslow_sys::{poll, unix};

use super::super::run::{Ended, Place};
use super::super::worker::Worker;
use super::told;
use crate::config::Network;

const WAIT: Duration = Duration::from_millis(200);
/// Reads of one connection before the next one's turn.
const READS_PER_TURN: usize = 4;
/// Access rights of a unix socket: whoever may log may write, as to /dev/log.
pub(super) const MODE: u32 = 0o666;

/// What connections are taken from.
enum Listener {
    Tcp(TcpListener),
    Unix(UnixListener),
}

/// A connection lines come in by.
struct Connection {
    stream: std::fs::File,
    framer: Framer,
}

pub(super) fn read_tcp(
    address: SocketAddr,
    place: &Place,
    worker: &mut Worker,
) -> Result<Ended, String> {
    if let Some(open) = place.inherited.take::<Open>(place.number) {
        return serve(open, place, worker);
    }
    let failed = |e| format!("cannot listen on {address}: {e}");
    let listener = TcpListener::bind(address).map_err(failed)?;
    listener.set_nonblocking(true).map_err(failed)?;
    let listener = Listener::Tcp(listener);
    serve(Open { listener, _file: None, connections: Vec::new() }, place, worker)
}

pub(super) fn read_unix(path: &Path, place: &Place, worker: &mut Worker) -> Result<Ended, String> {
    if let Some(open) = place.inherited.take::<Open>(place.number) {
        return serve(open, place, worker);
    }
    let mode = place.config.mode.map_or(MODE, |mode| mode.0);
    let (listener, file) = unix::listen(path, mode).map_err(|e| told(&e))?;
    let listener = Listener::Unix(listener);
    serve(Open { listener, _file: Some(file), connections: Vec::new() }, place, worker)
}

/// A listener and what came in by it.
struct Open {
    listener: Listener,
    /// Removes the socket's file.
    _file: Option<unix::SocketFile>,
    connections: Vec<Connection>,
}

fn serve(mut open: Open, place: &Place, worker: &mut Worker) -> Result<Ended, String> {
    let Open { listener, connections, .. } = &mut open;
    let mut ready = Vec::new();
    worker.gauge(|g| g.problem = None);
    loop {
        worker.tick();
        if place.stop.is_told() {
            if place.left.is_wanted() {
                place.left.leave(place.number, open);
            } else {
                accept(listener, &place.config.from, connections, worker);
                end_all(std::mem::take(connections), worker);
            }
            return Ok(Ended::Stopped);
        }
        let fds: Vec<BorrowedFd<'_>> = std::iter::once(listener.as_fd())
            .chain(connections.iter().map(|c| c.stream.as_fd()))
            .collect();
        let n = poll::readable(&fds, WAIT, &mut ready);
        if n.map_err(|e| format!("cannot wait for connections: {e}"))? == 0 {
            continue;
        }
        let mut turns = ready[1..].iter();
        connections.retain_mut(|connection| {
            !turns.next().is_some_and(|ready| *ready) || connection.turn(worker)
        });
        if ready[0] {
            accept(listener, &place.config.from, connections, worker);
        }
        worker.gauge(|g| g.connections = connections.len() as u64);
    }
}

/// Takes all connections that wait.
fn accept(
    listener: &Listener,
    from: &[Network],
    connections: &mut Vec<Connection>,
    worker: &mut Worker,
) {
    loop {
        let (stream, peer) = match listener.accept() {
            Ok(accepted) => accepted,
            Err(e) if e.kind() == ErrorKind::Interrupted => continue,
            Err(e) => {
                if e.kind() != ErrorKind::WouldBlock {
                    tracing::warn!("a log connection could not be accepted: {e}");
                }
                return;
            }
        };
        let welcome = peer.is_none_or(|peer| allowed(from, peer));
        if !welcome || connections.len() >= EDGE_CONNECTIONS_MAX {
            worker.count(|t| t.turned_away += 1);
            continue;
        }
        worker.count(|t| t.connected += 1);
        connections.push(Connection { stream, framer: Framer::new(Framing::Detect) });
    }
}

/// What a connection has sent before the end is read; what it has not is not waited for.
fn end_all(connections: Vec<Connection>, worker: &mut Worker) {
    for mut connection in connections {
        while connection.turn(worker) && connection.has_more() {}
        if let Some(frame) = connection.framer.poll_rest() {
            worker.handle_frame(frame);
        }
    }
    worker.gauge(|g| g.connections = 0);
}

/// Whether an address is in one of the networks that may send; everybody may where none is named.
pub(super) fn allowed(from: &[Network], address: IpAddr) -> bool {
    let address = address.to_canonical();
    from.is_empty() || from.iter().any(|network| network.0.contains(&address))
}

impl Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Tcp(listener) => listener.as_fd(),
            Self::Unix(listener) => listener.as_fd(),
        }
    }

    fn accept(&self) -> std::io::Result<(std::fs::File, Option<IpAddr>)> {
        let (fd, peer) = match self {
            Self::Tcp(listener) => {
                let (stream, peer) = listener.accept()?;
                stream.set_nonblocking(true)?;
                (OwnedFd::from(stream), Some(peer.ip()))
            }
            Self::Unix(listener) => {
                let (stream, _) = listener.accept()?;
                stream.set_nonblocking(true)?;
                (OwnedFd::from(stream), None)
            }
        };
        Ok((fd.into(), peer))
    }
}

impl Connection {
    /// Reads what is there, up to a bound. False once the connection is over.
    fn turn(&mut self, worker: &mut Worker) -> bool {
        for _ in 0..READS_PER_TURN {
            let room = self.framer.room();
            let room_bytes = room.len();
            let n = match self.stream.read(room) {
                Ok(n) => n,
                Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {
                    return true;
                }
                // A connection that broke has ended.
                Err(_) => 0,
            };
            self.framer.handle_read(n);
            worker.count(|t| t.bytes += n as u64);
            while let Some(frame) = self.framer.poll_frame() {
                if !worker.handle_frame(frame) {
                    return false;
                }
            }
            if n == 0 {
                if let Some(frame) = self.framer.poll_rest() {
                    worker.handle_frame(frame);
                }
                return false;
            }
            if n < room_bytes {
                return true;
            }
        }
        true
    }

    fn has_more(&self) -> bool {
        let mut ready = Vec::new();
        poll::readable(&[self.stream.as_fd()], Duration::ZERO, &mut ready).is_ok_and(|n| n > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_networks_that_may_send_are_all_or_those_named() {
        let named: Vec<Network> = vec!["10.0.0.0/8".parse().unwrap()];
        assert!(allowed(&[], "192.0.2.1".parse().unwrap()));
        assert!(allowed(&named, "10.1.2.3".parse().unwrap()));
        assert!(allowed(&named, "::ffff:10.1.2.3".parse().unwrap()));
        assert!(!allowed(&named, "192.0.2.1".parse().unwrap()));
    }
}
