//! One TLS handshake: takes both sides' bytes in their order, tells the flights apart.
//!
//! ```text
//!  Hello ── ClientHello ──▶ Answer ── ServerHello ──▶ Flight ── client's Finished ──▶ Done
//!    ▲                        │                          │ (1.2 full)                  ▲
//!    └── HelloRetryRequest ───┘                          └──────────▶ Closing ─────────┘
//! ```

mod client;
mod server;

use whyslow_model::Wall;

use super::flight::{Acked, Meter, Piece, Pieces};
use super::hello::TLS_1_3;
use super::message::Messages;
use super::record::{ALERT, APPLICATION_DATA, HANDSHAKE, Part, Record, Records};
use super::{Chunk, Party, sealed};
use crate::ja4::Looks;
use crate::opening::{Flight, Retry, Span, Tls};

/// Bytes of one side, and what is known of the moment.
#[derive(Clone, Copy, Debug)]
pub struct Input<'a> {
    /// Who sent them.
    pub from: Party,
    /// When they were there, in order.
    pub at: Wall,
    /// Where they are in the side's stream; the first byte is 1.
    pub offset: u32,
    /// The bytes.
    pub chunk: Chunk<'a>,
    /// The peer's last acknowledgment.
    pub acked: Option<Acked>,
    /// How many bytes may be kept.
    pub room: usize,
}

/// How far the handshake is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// A `ClientHello` is to come.
    #[default]
    Hello,
    /// A `ServerHello` is.
    Answer,
    /// The server's flight is under way, or the client is thinking or answering.
    Flight,
    /// TLS 1.2 full: the server's Finished is to come.
    Closing,
    /// Both Finished were seen.
    Done,
}

/// What came of it so far.
#[derive(Clone, Debug, Default)]
pub struct Exchange {
    /// How far it is.
    pub stage: Stage,
    /// It is no TLS.
    pub plain: bool,
    /// What the messages said; but for [`Tls::ja4`], which is made of `looks`.
    pub tls: Tls,
    /// How the first `ClientHello` looks, if it is all there.
    pub(crate) looks: Option<Looks>,
    /// The last `ClientHello`.
    pub hello: Option<Span>,
    /// The round of a `HelloRetryRequest`.
    pub retry: Option<Retry>,
    /// The server's first flight, once its end is known.
    pub flight: Option<Flight>,
    /// The client's second flight, once it ended.
    pub reply: Option<Flight>,
    /// The server's second flight (1.2 full).
    pub closing: Option<Span>,
    /// When both Finished had been seen.
    pub completed: Option<Wall>,
    /// Client's first application data after that.
    pub client_data: Option<Wall>,
    /// The server's.
    pub server_data: Option<Wall>,
    /// An alert ended the handshake; whether it was the client's.
    pub alert: Option<bool>,
    /// Who said after the handshake that it will write no more, or that something is wrong.
    pub farewell: Option<Party>,
    /// Headers that were none.
    pub malformed: u32,
    client: Half,
    server: Half,
    offer: Offer,
    tickets: Tickets,
    /// Which of the server's records ends its first flight.
    flight_end: Option<usize>,
    end_of_early_data: bool,
    /// The `ServerHello` was read as far as its version.
    version_is_known: bool,
}

/// One side.
#[derive(Clone, Debug, Default)]
struct Half {
    records: Records,
    messages: Messages,
    /// Handshake records are sealed: `ChangeCipherSpec` was seen, and this is not 1.3.
    is_sealed: bool,
    /// Of the flight that is under way.
    pieces: Pieces,
    meter: Meter,
    /// Messages that ended in the record that is being read.
    heard: Heard,
}

/// Messages that matter.
#[derive(Clone, Copy, Debug, Default)]
struct Heard {
    hello: bool,
    done: bool,
}

/// What of the `ClientHello` the answer is judged by.
#[derive(Clone, Copy, Debug, Default)]
struct Offer {
    seen: bool,
    early_data: bool,
}

/// Server's sealed records behind the handshake that may be session tickets.
#[derive(Clone, Copy, Debug, Default)]
struct Tickets {
    count: u32,
    len: u32,
    first: Option<Wall>,
}

impl Exchange {
    /// Takes bytes that follow those before.
    pub fn feed(&mut self, input: Input<'_>) {
        if self.plain {
            return;
        }
        let mut records = std::mem::take(&mut self.half(input.from).records);
        records.feed(input.at, input.offset, input.chunk, &mut |part| self.part(&input, part));
        self.half(input.from).records = records;
    }

    /// One more segment of a side that brings new bytes; to be told before they are fed.
    pub fn segment(&mut self, from: Party, pause_ns: u64, ended_by_ack: bool) {
        let half = self.half(from);
        if half.pieces.all().is_empty() && half.records.is_between() {
            half.meter = Meter::FIRST;
        } else {
            half.meter.segment(pause_ns, ended_by_ack);
        }
    }

    /// What of the peer's bytes `by` acknowledged for the first time.
    pub fn acknowledge(&mut self, by: Party, acked: Acked) {
        match by {
            Party::Client => self.server.pieces.acknowledge(acked),
            Party::Server => self.client.pieces.acknowledge(acked),
        }
        if let (Party::Server, Some(reply)) = (by, &mut self.reply)
            && reply.acked.is_none()
            && let Some(last) = self.client.pieces.all().last()
        {
            reply.acked = last.acked.map(|a| a.at);
            reply.acked_alone = last.acked.is_some_and(|a| a.alone);
        }
    }

    /// Bytes that are kept now.
    pub const fn held(&self) -> usize {
        let looks = match &self.looks {
            Some(looks) => looks.held(),
            None => 0,
        };
        self.client.messages.held() + self.server.messages.held() + looks
    }

    /// Nothing more comes: what can still be told is told.
    pub fn end(&mut self) {
        if self.flight.is_none() && self.stage == Stage::Flight {
            self.conclude_flight(None);
        }
        // One record alone may be a ticket or an answer: a server that answered is the safer guess.
        if self.server_data.is_none() && self.tickets.count == 1 {
            self.server_data = self.tickets.first;
        }
    }

    /// Whether the client's Finished is all that is still to come behind early data.
    pub fn may_have_answered_early(&self) -> bool {
        self.offer.early_data && self.stage == Stage::Flight
    }

    /// The phase it is in, in the words of [`crate::event::Ending::phase`].
    pub fn phase(&self) -> &'static str {
        let flight_acked = self.server.pieces.all().last().is_some_and(|p| p.acked.is_some());
        match self.stage {
            Stage::Flight if !flight_acked => "server_flight",
            Stage::Hello if self.retry.is_none() => "hello",
            Stage::Hello => "client_think",
            Stage::Answer | Stage::Closing => "server_flight",
            Stage::Flight => "client_think",
            Stage::Done if self.client_data.is_none() => "request",
            Stage::Done => "response",
        }
    }

    fn part(&mut self, input: &Input<'_>, part: Part<'_>) {
        match part {
            Part::Body { kind: HANDSHAKE, bytes, .. } if !self.half(input.from).is_sealed => {
                self.messages(input, bytes);
            }
            Part::Body { kind: ALERT, bytes: Chunk::Known(bytes), .. } => {
                self.alert_body(input.from, bytes);
            }
            Part::Body { .. } => {}
            Part::Malformed => {
                self.malformed += 1;
                self.plain |= !self.offer.seen && self.stage == Stage::Hello;
            }
            Part::End(record) => match input.from {
                Party::Client => self.client_record(input, record),
                Party::Server => self.server_record(input, record),
            },
        }
    }

    /// The number of an alert in the clear, if it comes before anything sealed.
    fn alert_body(&mut self, from: Party, bytes: &[u8]) {
        let clear = !self.half(from).is_sealed && self.stage != Stage::Done;
        if let (true, [_level, number]) = (clear, bytes) {
            self.tls.alert = Some((*number, from == Party::Client));
        }
    }

    fn messages(&mut self, input: &Input<'_>, bytes: Chunk<'_>) {
        let mut messages = std::mem::take(&mut self.half(input.from).messages);
        messages.feed(bytes, input.room, &mut |message| match input.from {
            Party::Client => self.client_message(message),
            Party::Server => self.server_message(message),
        });
        self.half(input.from).messages = messages;
    }

    /// Adds a record to the flight of its sender.
    fn push(&mut self, input: &Input<'_>, record: Record) {
        let half = self.half(input.from);
        // A flight's first record may have begun in this segment behind another one's end.
        if half.pieces.all().is_empty() && record.first == input.at {
            half.meter = Meter::FIRST;
        }
        let acked = input.acked.filter(|a| a.to >= record.to);
        let meter = half.meter;
        half.pieces.push(Piece { record, acked, meter });
    }

    /// Fixes where the server's first flight ended: at the record that is known to end it, at the
    /// Finished that sizes tell, else at the last record before the client's answer began.
    fn conclude_flight(&mut self, reply: Option<Wall>) {
        let pieces = self.server.pieces.all();
        let before = |p: &Piece| reply.is_none_or(|at| p.record.last <= at);
        let seen = pieces.iter().take_while(|p| before(p)).count();
        let by_size = || {
            if self.tls.version != TLS_1_3 {
                return None;
            }
            sealed::finished(&pieces[..seen], self.tls.cipher, self.tls.resumed)
        };
        let end = self.flight_end.or_else(by_size).or_else(|| seen.checked_sub(1));
        let Some(end) = end else { return };
        self.flight = self.server.pieces.flight(0, end);
        self.flight_end = Some(end);
        if self.tls.version == TLS_1_3 {
            let sealed = pieces[..=end].iter().filter(|p| p.record.kind != HANDSHAKE);
            let bytes = sealed.map(|p| p.record.to.wrapping_sub(p.record.from)).sum();
            self.tls.certificate_bytes = Some(bytes);
        }
    }

    /// A hello that was cut does not tell its version; a sealed record behind it does, for up to
    /// 1.2 there is none before both Finished.
    fn guess_version(&mut self, record: &Record) {
        if !self.version_is_known && record.kind == APPLICATION_DATA {
            self.tls.version = TLS_1_3;
        }
    }

    const fn half(&mut self, party: Party) -> &mut Half {
        match party {
            Party::Client => &mut self.client,
            Party::Server => &mut self.server,
        }
    }
}

/// The records from one to another as a span.
const fn span(first: &Record, last: &Record) -> Span {
    Span { first: first.first, last: last.last, bytes: last.to.wrapping_sub(first.from) }
}
