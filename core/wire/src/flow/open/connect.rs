//! TCP's own handshake: SYNs, SYN-ACKs, and the acknowledgment.

use std::time::Duration;

use whyslow_model::Wall;

use super::{Open, nanos};
use crate::event::Unanswered;
use crate::opening::Repeated;
use crate::segment::{Flags, Segment};
use crate::tls::Party;

impl Open {
    pub(super) fn connect(&mut self, segment: &Segment<'_>, from: Party) {
        let (syn, ack) = (segment.flags.has(Flags::SYN), segment.flags.has(Flags::ACK));
        if segment.flags.has(Flags::RST) {
            return;
        }
        match (syn, from) {
            (true, Party::Client) => self.syn(segment),
            (true, Party::Server) => self.syn_ack(segment),
            // Without the SYN nobody knows which acknowledgment is the first.
            (false, Party::Client) if ack && self.acked.is_none() && self.has_syn() => {
                self.acked = Some(segment.at);
            }
            _ => {}
        }
        // Of some connections only the server's side is seen.
        let spoke = from == Party::Server && !syn && segment.len > 0;
        self.server_spoke |= spoke && self.acked.is_none();
    }

    const fn has_syn(&self) -> bool {
        self.syns.count > 0 || self.syn_acks.count > 0
    }

    fn syn(&mut self, segment: &Segment<'_>) {
        if let Some(last) = self.syns.last {
            self.syn_gap_ns = nanos(last, segment.at);
            self.syn_ack_lost |= self.syn_acks.count > 0 && self.acked.is_none();
        }
        self.client.window_scale = Some(segment.options.window_scale.unwrap_or(0));
        if self.acked.is_none() {
            note(&mut self.syns, segment.at);
        }
    }

    fn syn_ack(&mut self, segment: &Segment<'_>) {
        let scale = segment.options.window_scale;
        self.server.window_scale = Some(scale.unwrap_or(0));
        // Scaling works only where both asked for it (RFC 7323, section 2.2).
        if scale.is_none() {
            self.client.window_scale = Some(0);
        }
        if self.acked.is_none() {
            note(&mut self.syn_acks, segment.at);
        }
    }

    /// The SYNs that had to be sent again, or got nothing; `refused` is when a reset answered.
    pub(crate) fn unanswered(&self, refused: Option<Wall>) -> Option<Unanswered> {
        let (first, last) = (self.syns.first?, self.syns.last?);
        Some(Unanswered {
            flow: self.flow,
            interface: self.interface,
            first,
            last,
            retries: self.syns.count.saturating_sub(1),
            answered: refused.or(self.syn_acks.first),
            refused: refused.is_some(),
            syn_ack_lost: self.syn_ack_lost,
        })
    }

    /// When to stop waiting for another SYN or an answer: clients that double their waits come
    /// again within twice the last one.
    pub(crate) fn connect_deadline(&self, least: Duration) -> Wall {
        let doubled = Duration::from_nanos(self.syn_gap_ns.saturating_mul(5) / 2);
        let last = self.syns.last.max(self.syn_acks.last).unwrap_or(self.last);
        last.after(doubled.clamp(least, least.max(CONNECT_WAIT_MAX)))
    }
}

fn note(repeated: &mut Repeated, at: Wall) {
    repeated.first = repeated.first.or(Some(at));
    repeated.last = Some(at);
    repeated.count = repeated.count.saturating_add(1);
}

/// Linux gives up 63 s after its last but one SYN.
const CONNECT_WAIT_MAX: Duration = Duration::from_secs(70);
