//! What is done to a handshake, and what must be found.

use std::time::Duration;

use crate::line::{Fate, Pick};
use crate::slow_tls::Manner;

/// One row of the table.
#[derive(Clone, Copy, Debug)]
pub(super) struct Row {
    /// What is done.
    pub(super) name: &'static str,
    /// What both ends do; for TLS 1.2 the same with [`Manner::old`].
    pub(super) manner: Manner,
    /// What the wire does.
    pub(super) fault: Option<(Pick, Fate)>,
    /// Which TLS versions know it.
    pub(super) versions: &'static [bool],
    /// The phase the time went to.
    pub(super) phase: &'static str,
    /// Whose time most of it was.
    pub(super) blame: &'static str,
}

const PAUSE: Duration = Duration::from_millis(300);
/// TLS 1.2 and 1.3, as [`Manner::old`].
const BOTH: &[bool] = &[true, false];
const NEW: &[bool] = &[false];
const PROMPT: Manner = Manner::PROMPT;

const PLAIN: Row = Row {
    name: "nothing",
    manner: PROMPT,
    fault: None,
    versions: BOTH,
    phase: "network",
    blame: "network",
};

/// The table. The first rows are those of a slow handshake, the others its kinds.
pub(super) const ROWS: &[Row] = &[
    PLAIN,
    Row {
        name: "server thinks 300 ms",
        manner: Manner { server_think: PAUSE, ..PROMPT },
        phase: "server_think",
        blame: "server",
        ..PLAIN
    },
    Row {
        name: "client thinks 300 ms",
        manner: Manner { client_think: PAUSE, ..PROMPT },
        phase: "client_think",
        blame: "client",
        ..PLAIN
    },
    Row {
        name: "client does not read for 300 ms",
        manner: Manner { unread: PAUSE, ..PROMPT },
        phase: "client_think",
        blame: "client",
        ..PLAIN
    },
    Row {
        name: "client thinks 300 ms, its acknowledgment waits",
        manner: Manner { client_think: PAUSE, lazy_ack: true, ..PROMPT },
        phase: "ack",
        blame: "client",
        ..PLAIN
    },
    Row {
        name: "hello lost once",
        fault: Some((Pick::Hello, Fate::Lost(1))),
        phase: "hello_wait",
        blame: "network",
        ..PLAIN
    },
    Row {
        name: "client's flight lost once",
        fault: Some((Pick::ClientFlight, Fate::Lost(1))),
        phase: "client_think",
        blame: "network",
        ..PLAIN
    },
    Row {
        name: "client's flight lost twice",
        fault: Some((Pick::ClientFlight, Fate::Lost(2))),
        phase: "client_think",
        blame: "network",
        ..PLAIN
    },
    Row {
        name: "server's flight lost once",
        fault: Some((Pick::ServerFlight, Fate::Lost(1))),
        phase: "ack",
        blame: "network",
        ..PLAIN
    },
    Row {
        name: "client's flight held 300 ms",
        fault: Some((Pick::ClientFlight, Fate::Held(PAUSE))),
        phase: "client_think",
        blame: "network",
        ..PLAIN
    },
    Row {
        name: "certificate of 25 kB",
        manner: Manner { long_certificate: true, ..PROMPT },
        phase: "server_flight",
        blame: "network",
        ..PLAIN
    },
    Row {
        name: "retry, server thinks 300 ms",
        manner: Manner { retry: true, server_think: PAUSE, ..PROMPT },
        versions: NEW,
        phase: "server_think",
        blame: "server",
        ..PLAIN
    },
    Row {
        name: "client certificate, client thinks 300 ms",
        manner: Manner { client_auth: true, client_think: PAUSE, ..PROMPT },
        phase: "client_think",
        blame: "client",
        ..PLAIN
    },
    Row {
        name: "resumed, client thinks 300 ms",
        manner: Manner { resume: true, client_think: PAUSE, ..PROMPT },
        phase: "client_think",
        blame: "client",
        ..PLAIN
    },
    Row {
        name: "resumed, server thinks 300 ms",
        manner: Manner { resume: true, server_think: PAUSE, ..PROMPT },
        phase: "server_think",
        blame: "server",
        ..PLAIN
    },
    Row {
        name: "early data, server thinks 300 ms",
        manner: Manner { resume: true, early_data: true, server_think: PAUSE, ..PROMPT },
        versions: NEW,
        phase: "server_think",
        blame: "server",
        ..PLAIN
    },
];
