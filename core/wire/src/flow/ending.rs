//! How far a connection came, and what its end means there.

use super::open::Open;
use crate::event::EndingKind;
use crate::tls::Party;

/// How far a connection came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// No byte of payload.
    Unused,
    /// In the handshake, in this phase.
    Handshake(&'static str),
    /// The handshake is done, no request came.
    Request,
    /// A request came, no byte of a response.
    Response,
    /// The first byte of a response came after the client had closed its side: it may be wanted.
    Late,
    /// A response came.
    Served,
}

impl Stage {
    pub(crate) fn of(open: &Open) -> Self {
        let (asked, answered) =
            (open.client.first_data.is_some(), open.server.first_data.is_some());
        match &open.exchange {
            None if !asked && !answered => Self::Unused,
            None if answered => Self::Served,
            None => Self::Response,
            Some(e) if e.completed.is_none() => Self::Handshake(e.phase()),
            Some(e) if e.server_data.is_some() => Self::Served,
            Some(e) if e.client_data.is_some() => Self::Response,
            Some(_) => Self::Request,
        }
    }

    /// New bytes that are no goodbye.
    pub(crate) const fn data(&mut self, from: Party, client_closed: bool) {
        *self = match (*self, from) {
            (Self::Unused | Self::Request, Party::Client) => Self::Response,
            (Self::Response, Party::Server) if client_closed => Self::Late,
            (Self::Unused | Self::Response, Party::Server) => Self::Served,
            (stage, _) => stage,
        };
    }

    /// The client acknowledged something new.
    pub(crate) const fn acknowledged(&mut self) {
        if matches!(self, Self::Late) {
            *self = Self::Served;
        }
    }

    /// What it means that the connection ends here: by whom first, by a reset now, from both sides.
    pub(crate) fn ending(
        self,
        by: Party,
        reset: bool,
        both: bool,
        under_way: impl FnOnce() -> bool,
    ) -> Option<EndingKind> {
        match self {
            Self::Unused => Some(EndingKind::Unused),
            Self::Handshake(_) => Some(EndingKind::HandshakeUnfinished),
            Self::Request => Some(EndingKind::BeforeRequest),
            Self::Response | Self::Late if by == Party::Server => Some(EndingKind::RequestRefused),
            // A client may close its side and still wait for the response.
            Self::Response | Self::Late => (reset || both).then_some(EndingKind::RequestAbandoned),
            Self::Served => (reset && under_way()).then_some(EndingKind::ResetMidway),
        }
    }

    /// The word of [`crate::event::Ending::phase`].
    pub(crate) const fn phase(self) -> &'static str {
        match self {
            Self::Unused => "hello",
            Self::Handshake(phase) => phase,
            Self::Request => "request",
            Self::Response | Self::Late | Self::Served => "response",
        }
    }
}
