//! Which frame is lost or held, told by what the connection has said before.

use std::time::Duration;

use super::carry::Frame;

/// What becomes of one chosen segment of the first connection to a port.
#[derive(Clone, Copy, Debug)]
pub struct Rule {
    /// The server's port.
    pub port: u16,
    /// Which segment.
    pub pick: Pick,
    /// What becomes of it.
    pub fate: Fate,
}

/// A segment of a handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pick {
    /// The first with bytes of the client.
    Hello,
    /// The first with bytes of the server.
    ServerFlight,
    /// The first of the client after the server has spoken: its Finished, and what comes with it.
    ClientFlight,
}

/// What becomes of it.
#[derive(Clone, Copy, Debug)]
pub enum Fate {
    /// It and its first repeats are lost: this many in all.
    Lost(u32),
    /// It comes later by this much; its repeats do not.
    Held(Duration),
}

/// What becomes of one frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    On,
    Nowhere,
    Later(Duration),
}

/// A rule and what it has seen of its connection.
#[derive(Debug)]
pub(super) struct Watch {
    rule: Rule,
    /// The client's port: only the first connection is meant.
    client: Option<u16>,
    /// Where the segment begins, once it was seen.
    chosen: Option<u32>,
    answered: bool,
    copies: u32,
}

impl Watch {
    pub(super) const fn new(rule: Rule) -> Self {
        Self { rule, client: None, chosen: None, answered: false, copies: 0 }
    }

    pub(super) fn way(&mut self, frame: &Frame) -> Way {
        if frame.port != self.rule.port || frame.len == 0 {
            return Way::On;
        }
        if *self.client.get_or_insert(frame.client_port) != frame.client_port {
            return Way::On;
        }
        let fits = match self.rule.pick {
            Pick::Hello => frame.from_client,
            Pick::ServerFlight => !frame.from_client,
            Pick::ClientFlight => frame.from_client && self.answered,
        };
        self.answered |= !frame.from_client;
        if !fits || *self.chosen.get_or_insert(frame.seq) != frame.seq {
            return Way::On;
        }
        self.copies += 1;
        match self.rule.fate {
            Fate::Lost(copies) if self.copies <= copies => Way::Nowhere,
            Fate::Held(by) if self.copies == 1 => Way::Later(by),
            Fate::Lost(_) | Fate::Held(_) => Way::On,
        }
    }
}
