//! What the server's records and messages mean.

use super::{Exchange, Input, Party, Stage, Tickets, span};
use crate::opening::Retry;
use crate::tls::hello::{ServerHello, TLS_1_3};
use crate::tls::message::{CERTIFICATE, Message, SERVER_HELLO, SERVER_HELLO_DONE};
use crate::tls::record::{ALERT, APPLICATION_DATA, CHANGE_CIPHER_SPEC, HANDSHAKE, Record};
use crate::tls::sealed;

impl Exchange {
    pub(super) fn server_message(&mut self, message: Message<'_>) {
        match message.kind {
            SERVER_HELLO => self.server_hello(message.body),
            CERTIFICATE => self.tls.certificate_bytes = Some(message.len),
            SERVER_HELLO_DONE => self.server.heard.done = true,
            _ if self.stage == Stage::Hello && !self.offer.seen => self.plain = true,
            _ => {}
        }
    }

    fn server_hello(&mut self, body: &[u8]) {
        if !matches!(self.stage, Stage::Hello | Stage::Answer) {
            return;
        }
        let hello = ServerHello::read(body);
        if hello.cipher.is_some() {
            self.tls.version = hello.version;
            self.tls.cipher = hello.cipher;
            self.version_is_known = true;
        }
        if hello.version == TLS_1_3 && hello.whole && !hello.retry {
            self.tls.resumed = Some(hello.psk);
        }
        if hello.retry {
            self.server.heard.done = true;
        }
        self.server.heard.hello = true;
    }

    pub(super) fn server_record(&mut self, input: &Input<'_>, record: Record) {
        let heard = std::mem::take(&mut self.server.heard);
        if heard.hello {
            return self.server_hello_record(input, record, heard.done);
        }
        match self.stage {
            // The sealed rest of a HelloRetryRequest's flight, or a server that speaks first.
            Stage::Hello => self.note_alert(record, false),
            Stage::Answer if record.kind == ALERT => self.note_alert(record, false),
            Stage::Answer => self.push(input, record),
            Stage::Flight => self.flight_record(input, record, heard.done),
            Stage::Closing => self.closing_record(input, record),
            Stage::Done => self.server_later(record),
        }
    }

    fn server_hello_record(&mut self, input: &Input<'_>, record: Record, done: bool) {
        let is_1_3 = self.tls.version == TLS_1_3;
        if done && is_1_3 {
            let Some(hello) = self.hello.take() else { return };
            self.retry = Some(Retry { hello, request: span(&record, &record) });
            self.stage = Stage::Hello;
            return;
        }
        self.push(input, record);
        self.stage = Stage::Flight;
        if done {
            self.tls.resumed = Some(false);
            self.flight_ended();
        }
    }

    fn flight_record(&mut self, input: &Input<'_>, record: Record, done: bool) {
        if record.kind == ALERT {
            return self.note_alert(record, false);
        }
        self.guess_version(&record);
        let is_1_3 = self.tls.version == TLS_1_3;
        if is_1_3 && record.kind == APPLICATION_DATA {
            self.reply_in_one(record.first);
            if self.stage == Stage::Done {
                return self.server_later(record);
            }
        }
        self.push(input, record);
        match record.kind {
            CHANGE_CIPHER_SPEC if !is_1_3 => {
                self.server.is_sealed = true;
                self.tls.resumed = Some(true);
            }
            HANDSHAKE if self.server.is_sealed => self.flight_ended(),
            _ if done => {
                self.tls.resumed = Some(false);
                self.flight_ended();
            }
            _ => {}
        }
    }

    /// The last record was the last of the first flight (up to 1.2).
    fn flight_ended(&mut self) {
        if self.flight_end.is_none() {
            self.flight_end = self.server.pieces.all().len().checked_sub(1);
        }
    }

    fn closing_record(&mut self, input: &Input<'_>, record: Record) {
        if record.kind == ALERT {
            return self.note_alert(record, false);
        }
        self.push(input, record);
        match record.kind {
            CHANGE_CIPHER_SPEC => self.server.is_sealed = true,
            HANDSHAKE if !self.server.is_sealed => {}
            _ => {
                let first = self.server.pieces.all().first().map_or(record, |p| p.record);
                self.closing = Some(span(&first, &record));
                self.completed = Some(input.at);
                self.stage = Stage::Done;
            }
        }
    }

    fn server_later(&mut self, record: Record) {
        let is_1_3 = self.tls.version == TLS_1_3;
        match record.kind {
            ALERT => self.farewell = self.farewell.or(Some(Party::Server)),
            APPLICATION_DATA if is_1_3 && record.len == sealed::ALERT => {
                // A client's certificate is judged after its Finished: a refusal comes at once.
                if self.tls.client_auth == Some(true) && self.client_data.is_none() {
                    self.alert = self.alert.or(Some(false));
                }
                self.farewell = self.farewell.or(Some(Party::Server));
            }
            APPLICATION_DATA if self.server_data.is_some() => {}
            APPLICATION_DATA if is_1_3 => self.ticket_or_data(record),
            APPLICATION_DATA => self.server_data = Some(record.first),
            _ => {}
        }
    }

    /// Session tickets look like data. Servers send two of one size, or one alone; what comes
    /// before the client asked for anything is no answer.
    fn ticket_or_data(&mut self, record: Record) {
        let before = self.tickets;
        let again = before.count > 0 && before.len == record.len;
        if self.client_data.is_none() || again {
            let first = before.first.or(self.client_data.and(Some(record.first)));
            let count = before.count + 1 + u32::from(self.client_data.is_none());
            self.tickets = Tickets { count, len: record.len, first };
        } else if before.count == 0 && record.len <= sealed::TICKET_MAX {
            self.tickets = Tickets { count: 1, len: record.len, first: Some(record.first) };
        } else if before.count == 1 {
            let alone = before.first.is_some_and(|at| record.first.since(at) > TICKET_GAP);
            self.server_data = if alone { Some(record.first) } else { before.first };
        } else {
            self.server_data = Some(record.first);
        }
    }
}

/// Records of one write are closer.
const TICKET_GAP: std::time::Duration = std::time::Duration::from_millis(1);
