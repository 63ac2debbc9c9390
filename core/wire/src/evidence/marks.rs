//! What single packets of an opening begin or end, as comments to stand beside them.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use whyslow_model::Wall;

use super::judged;
use crate::event::Event;
use crate::handshake::{Phase, Phases};
use crate::opening::{Opening, Outcome};
use crate::segment::{FlowKey, Segment};

/// Comments that wait for their packets.
#[derive(Debug, Default)]
pub(super) struct Marks(BTreeMap<(Wall, SocketAddr, SocketAddr), Vec<String>>);

/// Who sends the packet that is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum By {
    Client,
    Server,
}

impl Marks {
    /// Learns what is to be said of a connection.
    pub(super) fn handle_event(&mut self, event: &Event) {
        match event {
            Event::Opening(opening) => Opened { marks: self, flow: opening.flow }.tell(opening),
            Event::Unanswered(syns) => {
                let mut told = Opened { marks: self, flow: syns.flow };
                told.at(Some(syns.first), By::Client, "SYN");
                if syns.retries > 0 {
                    let text = format!("SYN, the last of {}, unanswered", syns.retries + 1);
                    told.at(Some(syns.last), By::Client, &text);
                }
                let answer = if syns.refused { "refused by a reset" } else { "SYN-ACK, late" };
                told.at(syns.answered, By::Server, answer);
            }
            Event::Ending(ending) => {
                let by = if ending.by_client { By::Client } else { By::Server };
                let how = if ending.reset { "reset" } else { "FIN" };
                let text = format!("{how} in phase {}", ending.phase);
                Opened { marks: self, flow: ending.flow }.at(Some(ending.at), by, &text);
            }
        }
    }

    /// What is said of a packet; each comment is given once.
    pub(super) fn take(&mut self, segment: &Segment<'_>) -> Vec<String> {
        self.0.remove(&(segment.at, segment.from, segment.to)).unwrap_or_default()
    }
}

/// One connection's marks as they are made.
struct Opened<'a> {
    marks: &'a mut Marks,
    flow: FlowKey,
}

impl Opened<'_> {
    fn at(&mut self, at: Option<Wall>, by: By, text: &str) {
        let Some(at) = at else { return };
        let FlowKey { client, server } = self.flow;
        let (from, to) = match by {
            By::Client => (client, server),
            By::Server => (server, client),
        };
        let texts = self.marks.0.entry((at, from, to)).or_default();
        if !texts.iter().any(|known| known == text) {
            texts.push(text.to_owned());
        }
    }

    fn tell(&mut self, opening: &Opening) {
        let phases = judged(opening).phases;
        self.connect(opening, &phases);
        self.hello(opening, &phases);
        self.flights(opening, &phases);
        self.at(opening.client_data, By::Client, "the first byte of a request");
        self.at(opening.server_data, By::Server, "the first byte of a response");
        if let Some(by) = ended_by(opening.outcome) {
            let text = format!("the opening ends: {}", opening.outcome.word());
            self.at(Some(opening.last), by, &text);
        }
    }

    fn connect(&mut self, opening: &Opening, phases: &Phases) {
        let Opening { syns, syn_acks, .. } = opening;
        self.at(syns.first, By::Client, "SYN");
        if syns.count > 1 {
            let text = format!("SYN, the last of {}", syns.count);
            self.at(syns.last, By::Client, &ends(&text, phases, Phase::SynWait));
        }
        self.at(syn_acks.last, By::Server, &ends("SYN-ACK", phases, Phase::SynAck));
        let acked = ends("the SYN-ACK is acknowledged", phases, Phase::Network);
        self.at(opening.acked, By::Client, &acked);
    }

    fn hello(&mut self, opening: &Opening, phases: &Phases) {
        if let Some(retry) = opening.retry {
            self.at(Some(retry.hello.last), By::Client, "ClientHello, the first");
            self.at(Some(retry.request.last), By::Server, "HelloRetryRequest");
        }
        let Some(hello) = opening.hello else { return };
        if hello.first != hello.last {
            self.at(Some(hello.first), By::Client, "ClientHello begins");
        }
        let whole = ends("ClientHello: server think begins", phases, Phase::HelloWait);
        self.at(Some(hello.last), By::Client, &whole);
    }

    fn flights(&mut self, opening: &Opening, phases: &Phases) {
        if let Some(flight) = opening.flight {
            let begins = ends("ServerHello: server think ends", phases, Phase::ServerThink);
            self.at(Some(flight.span.first), By::Server, &begins);
            let whole = ends("the server's flight ends", phases, Phase::ServerFlight);
            self.at(Some(flight.span.last), By::Server, &whole);
            if flight.acked_alone {
                let acked = "the server's flight is acknowledged: client think begins";
                self.at(flight.acked, By::Client, &ends(acked, phases, Phase::Ack));
            } else if opening.reply.is_some() {
                let about = "client think begins about a round trip later: its acknowledgment \
                             came with the answer";
                self.at(Some(flight.span.last), By::Server, about);
            }
        }
        let Some(reply) = opening.reply else { return };
        let begins = ends("client think ends: its answer begins", phases, Phase::ClientThink);
        self.at(Some(reply.span.first), By::Client, &begins);
        let Some(closing) = opening.closing else {
            let whole = ends("the client's Finished", phases, Phase::Finish);
            return self.at(Some(reply.span.last), By::Client, &whole);
        };
        self.at(Some(reply.span.last), By::Client, "the client's Finished");
        let whole = ends("the server's Finished", phases, Phase::Finish);
        self.at(Some(closing.last), By::Server, &whole);
    }
}

/// A comment at a packet that ends a phase, with how long that took.
fn ends(text: &str, phases: &Phases, phase: Phase) -> String {
    match phases.of(phase) {
        Some(ms) => format!("{text} ({} {ms:.3} ms)", phase.as_str()),
        None => text.to_owned(),
    }
}

/// Who sent the packet that ended an opening before its end.
const fn ended_by(outcome: Outcome) -> Option<By> {
    match outcome {
        Outcome::Reset { by_client }
        | Outcome::Closed { by_client }
        | Outcome::Alert { by_client } => Some(if by_client { By::Client } else { By::Server }),
        Outcome::Complete | Outcome::TimedOut | Outcome::Plain | Outcome::CutOff => None,
    }
}
