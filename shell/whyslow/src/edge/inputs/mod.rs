//! The inputs there are, one file each.

mod datagrams;
pub(crate) mod files;
pub(crate) mod journald;
pub mod kernel;
mod stdin;
mod stream;

use super::run::{Ended, Place};
use super::worker::Worker;
use crate::config::Input;
use journald::Wanted;

/// Reads an input until told to stop.
///
/// # Errors
/// In words, why nothing is read; it is tried again.
pub(super) fn read(place: &Place, worker: &mut Worker) -> Result<Ended, String> {
    match &place.config.input {
        Input::Files(pattern) => {
            let from = place.config.read_from;
            files::read(pattern, from, &place.stop, worker).map(|()| Ended::Stopped)
        }
        Input::Stdin => stdin::read(place, worker),
        Input::SyslogTcp(address) => stream::read_tcp(*address, place, worker),
        Input::UnixStream(path) => stream::read_unix(path, place, worker),
        Input::SyslogUdp(address) => datagrams::read_udp(*address, place, worker),
        Input::UnixDgram(path) => datagrams::read_unix(path, place, worker),
        Input::Journald(unit) => {
            journald::read(Wanted::Unit(unit), &place.stop, worker).map(|()| Ended::Stopped)
        }
    }
}

/// An error of ours with its hint, in one line.
fn told(error: &whyslow_sys::Error) -> String {
    match error.hint {
        Some(hint) => format!("{error} ({hint})"),
        None => error.to_string(),
    }
}
