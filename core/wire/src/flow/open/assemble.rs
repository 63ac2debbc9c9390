//! From what was followed to what is told.

use super::Open;
use crate::ja4::Names;
use crate::opening::{Flight, Gaps, Opening, Outcome, Tls};
use crate::tls::exchange::Exchange;

impl Open {
    /// The facts of an opening that ended so; `drops` is what the capture lost up to now.
    pub(crate) fn assemble(&mut self, outcome: Outcome, drops: u64, names: &mut Names) -> Opening {
        let exchange = self.exchange.take();
        let gaps = self.gaps(drops);
        let last = exchange.as_ref().and_then(|e| e.completed).unwrap_or(self.last);
        let plain = exchange.is_none();
        let mut opening = Opening {
            flow: self.flow,
            interface: self.interface,
            server_is_local: self.server_is_local,
            first: self.first,
            last,
            syns: self.syns,
            syn_acks: self.syn_acks,
            acked: self.acked,
            hello: None,
            flight: None,
            reply: None,
            closing: None,
            client_data: self.client.first_data.filter(|_| plain),
            server_data: self.server.first_data.filter(|_| plain),
            retry: None,
            tls: None,
            rtt_client_ns: self.client.outstanding.least_ns(),
            rtt_server_ns: self.server.outstanding.least_ns(),
            client_side: std::mem::take(&mut self.client.side),
            server_side: std::mem::take(&mut self.server.side),
            outcome,
            gaps,
        };
        if let Some(exchange) = exchange {
            self.add_exchange(&mut opening, *exchange, names);
        }
        opening
    }

    fn add_exchange(&self, opening: &mut Opening, exchange: Exchange, names: &mut Names) {
        opening.hello = exchange.hello;
        opening.retry = exchange.retry;
        opening.closing = exchange.closing;
        opening.client_data = exchange.client_data;
        opening.server_data = exchange.server_data;
        let ja4 = exchange.looks.map(|looks| names.of(looks));
        opening.tls = Some(Tls { ja4, ..exchange.tls });
        opening.flight = exchange.flight.map(|flight| {
            let zero_window = self.client.was_tight(flight.span.first, flight.acked);
            Flight { zero_window, ..flight }
        });
        opening.reply = exchange.reply.map(|flight| {
            let zero_window = self.server.was_tight(flight.span.first, flight.acked);
            Flight { zero_window, ..flight }
        });
    }

    fn gaps(&self, drops: u64) -> Gaps {
        Gaps {
            no_syn: self.syns.first.is_none(),
            one_sided: self.client.packets == 0 || self.server.packets == 0,
            drops: drops.saturating_sub(self.drops_before),
            ..self.gaps
        }
    }
}
