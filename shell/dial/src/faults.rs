//! What an error of the kernel says about the peer, the way, or ourselves.

use std::error::Error;
use std::io;

use whyslow_model::conversation::{ConnectFault, TcpState};

/// Why a connection could not be made.
#[expect(clippy::wildcard_enum_match_arm, reason = "a foreign enum that grows")]
pub(crate) fn of_connect(error: &io::Error) -> ConnectFault {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => ConnectFault::Refused,
        io::ErrorKind::TimedOut => ConnectFault::TimedOut,
        io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted => ConnectFault::Reset,
        io::ErrorKind::NetworkUnreachable
        | io::ErrorKind::HostUnreachable
        | io::ErrorKind::NetworkDown => ConnectFault::Unreachable(words(error)),
        _ => ConnectFault::Local(words(error)),
    }
}

/// Whether the peer cut the connection rather than closing it.
pub(crate) fn is_reset(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::BrokenPipe
    )
}

/// The kernel's words without its number.
pub(crate) fn words(error: &io::Error) -> String {
    let text = error.to_string();
    match text.split_once(" (os error") {
        Some((plain, _)) => plain.to_lowercase(),
        None => text,
    }
}

/// The kernel's error at the root of `error`, where there is one.
pub(crate) fn io_within<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a io::Error> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(io) = error.downcast_ref::<io::Error>() {
            return Some(io);
        }
        next = error.source();
    }
    None
}

/// What the kernel says of a socket; `None` where it says nothing.
pub(crate) fn tcp_state(socket: impl std::os::fd::AsFd) -> Option<TcpState> {
    let info = whyslow_sys::tcp_info::of(socket).ok()?;
    Some(TcpState {
        rtt: info.rtt,
        min_rtt: info.min_rtt,
        retransmits: info.total_retransmits.max(info.retransmits.into()),
    })
}
