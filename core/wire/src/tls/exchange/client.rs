//! What the client's records and messages mean.

use whyslow_model::Wall;

use super::{Exchange, Heard, Input, Stage, span};
use crate::ja4::Looks;
use crate::tls::hello::{ClientHello, TLS_1_3};
use crate::tls::message::{CERTIFICATE, CLIENT_HELLO, Message};
use crate::tls::record::{
    ALERT, APPLICATION_DATA, CHANGE_CIPHER_SPEC, HANDSHAKE, Record, UNFRAMED,
};
use crate::tls::sealed;

impl Exchange {
    pub(super) fn client_message(&mut self, message: Message<'_>) {
        match message.kind {
            CLIENT_HELLO if self.stage == Stage::Hello => self.client_hello(&message),
            CERTIFICATE => self.tls.client_auth = Some(message.len > EMPTY_LIST),
            // A handshake begins with the hello; anything else is not one, or its middle.
            _ if self.stage == Stage::Hello && !self.offer.seen => self.plain = true,
            _ => {}
        }
    }

    fn client_hello(&mut self, message: &Message<'_>) {
        self.client.heard.hello = true;
        if self.offer.seen {
            return;
        }
        let hello = ClientHello::read(message.body);
        self.offer.seen = true;
        self.offer.early_data = hello.early_data();
        self.tls.early_data = self.offer.early_data;
        self.tls.version = hello.version();
        self.tls.sni = hello.sni();
        self.tls.alpn = hello.alpn();
        self.looks = if message.whole { Looks::of(&hello) } else { None };
    }

    pub(super) fn client_record(&mut self, input: &Input<'_>, record: Record) {
        let heard = std::mem::take(&mut self.client.heard);
        match self.stage {
            Stage::Hello => self.client_hello_record(input, record, heard),
            Stage::Answer if self.answered_unseen(record) => self.reply_record(input, record),
            // Early data, and the ChangeCipherSpec before it.
            Stage::Answer => self.note_alert(record, true),
            Stage::Flight => self.reply_record(input, record),
            // In 1.2 a client may send before the server's Finished (false start, RFC 7918).
            Stage::Closing | Stage::Done => self.client_later(record),
        }
    }

    fn client_hello_record(&mut self, input: &Input<'_>, record: Record, heard: Heard) {
        if record.kind != HANDSHAKE {
            // A ChangeCipherSpec before the second hello, or early data that was refused.
            return self.note_alert(record, true);
        }
        self.push(input, record);
        if heard.hello {
            let first = self.client.pieces.all().first().map_or(record, |p| p.record);
            self.hello = Some(span(&first, &record));
            self.client.pieces.clear();
            self.stage = Stage::Answer;
        }
    }

    /// Whether a record tells that the server must have answered, unseen.
    fn answered_unseen(&self, record: Record) -> bool {
        let sealed = record.kind == APPLICATION_DATA && sealed::is_finished(record.len, None);
        let old = record.kind == HANDSHAKE || record.kind == CHANGE_CIPHER_SPEC;
        !self.offer.early_data && (sealed || (old && self.tls.version != TLS_1_3))
    }

    fn reply_record(&mut self, input: &Input<'_>, record: Record) {
        self.guess_version(&record);
        if self.tls.version == TLS_1_3 {
            self.sealed_reply(input, record);
        } else {
            self.clear_reply(input, record);
        }
    }

    fn clear_reply(&mut self, input: &Input<'_>, record: Record) {
        if record.kind == ALERT {
            return self.note_alert(record, true);
        }
        self.push(input, record);
        if record.kind == CHANGE_CIPHER_SPEC {
            self.client.is_sealed = true;
        } else if self.client.is_sealed || record.kind == UNFRAMED {
            self.reply_ended(input.at);
        }
    }

    fn sealed_reply(&mut self, input: &Input<'_>, record: Record) {
        match record.kind {
            ALERT => self.note_alert(record, true),
            CHANGE_CIPHER_SPEC => self.push(input, record),
            UNFRAMED => {
                self.push(input, record);
                self.reply_ended(input.at);
            }
            APPLICATION_DATA if !self.is_early(record) => self.sealed_reply_record(input, record),
            APPLICATION_DATA if record.len == sealed::END_OF_EARLY_DATA => {
                self.end_of_early_data = true;
                self.push(input, record);
            }
            _ => {}
        }
    }

    fn sealed_reply_record(&mut self, input: &Input<'_>, record: Record) {
        if record.len == sealed::ALERT && self.client_sealed().next().is_none() {
            self.alert = Some(true);
            return;
        }
        self.push(input, record);
        if sealed::is_finished(record.len, self.tls.cipher) {
            self.tls.client_auth = Some(self.client_sealed().count() > 1);
            self.reply_ended(input.at);
        }
    }

    /// Whether it is early data, or its end, instead of the reply.
    fn is_early(&self, record: Record) -> bool {
        if !self.offer.early_data || self.end_of_early_data {
            return false;
        }
        // Refused early data has no end; but a Finished comes after the server's whole flight only.
        let flight_acked = self.server.pieces.all().last().is_some_and(|p| p.acked.is_some());
        !(flight_acked && sealed::is_finished(record.len, self.tls.cipher))
    }

    /// The reply's sealed records other than the end of early data.
    fn client_sealed(&self) -> impl Iterator<Item = &Record> {
        let early = self.offer.early_data;
        self.client.pieces.all().iter().map(|p| &p.record).filter(move |r| {
            r.kind == APPLICATION_DATA && !(early && r.len == sealed::END_OF_EARLY_DATA)
        })
    }

    /// The server went on, so that what the client sent was its reply, whatever its sizes say: its
    /// messages stood in one record, or in several where one was too small. What came behind is no
    /// part of it.
    pub(super) fn reply_in_one(&mut self, at: Wall) {
        if self.client_sealed().next().is_none_or(|r| r.first >= at) {
            return;
        }
        let full = self.client_sealed().take_while(|r| r.len >= sealed::LEN_MAX).count();
        let bytes: u32 = self.client_sealed().take(full + 1).map(|r| r.len).sum();
        self.tls.client_auth = Some(bytes > COALESCED_WITHOUT_CERTIFICATE);
        let behind = self.client_sealed().nth(full + 1).copied();
        if let Some(behind) = behind {
            self.client.pieces.until(behind.from);
        }
        self.reply_ended(at);
        if let Some(behind) = behind {
            self.client_later(behind);
        }
    }

    fn reply_ended(&mut self, at: Wall) {
        let pieces = self.client.pieces.all();
        let first_sealed = pieces.iter().position(|p| p.record.kind != CHANGE_CIPHER_SPEC);
        // A disguising ChangeCipherSpec that went ahead alone tells nothing of the reply.
        let ahead = |i: usize| {
            let gap = pieces[i].record.first.since(pieces[0].record.first);
            self.tls.version == TLS_1_3 && gap > AHEAD
        };
        let from = first_sealed.filter(|i| ahead(*i)).unwrap_or(0);
        self.reply = self.client.pieces.flight(from, pieces.len().saturating_sub(1));
        let begun = self.reply.map(|r| r.span.first);
        self.conclude_flight(begun);
        let full_1_2 = self.tls.version != TLS_1_3 && self.tls.resumed != Some(true);
        if full_1_2 {
            self.stage = Stage::Closing;
            self.server.pieces.clear();
        } else {
            self.stage = Stage::Done;
            self.completed = Some(at);
        }
    }

    fn client_later(&mut self, record: Record) {
        let farewell = match record.kind {
            ALERT => true,
            APPLICATION_DATA => self.tls.version == TLS_1_3 && record.len == sealed::ALERT,
            UNFRAMED => false,
            _ => return,
        };
        if farewell {
            self.farewell = self.farewell.or(Some(super::Party::Client));
            if self.stage == Stage::Closing {
                self.note_alert(record, true);
            }
        } else if self.client_data.is_none() {
            self.client_data = Some(record.first);
        }
    }

    /// Notes an alert that ended the handshake.
    pub(super) fn note_alert(&mut self, record: Record, by_client: bool) {
        if record.kind == ALERT && self.alert.is_none() {
            self.alert = Some(by_client);
        }
    }
}

/// A certificate message with an empty list of certificates.
const EMPTY_LIST: u32 = 3;
/// Longer than the gap between two writes of one flight.
const AHEAD: std::time::Duration = std::time::Duration::from_millis(1);
/// An empty Certificate and a Finished together have less.
const COALESCED_WITHOUT_CERTIFICATE: u32 = 150;
