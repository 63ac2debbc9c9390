//! Connections that end where no log shows it.

use whyslow_model::Segment;
use whyslow_model::notice::interval::share;
use whyslow_model::notice::{About, percent};

use super::past_share::PastShares;
use super::{Detector, Judge, Judgement, name, ones};
use crate::row::{Cell, Dimension, Totals, Window};

pub(super) const DETECTOR: Detector = Detector {
    about: About {
        code: "wire_requests_abandoned",
        summary: "Clients go away before their request, or before its answer: in no access log.",
        looks_at: "the share of connections to each server that end during the handshake, after it \
               without a request, or with a request unanswered, against its own last 60 windows; \
               connections that carried no byte at all are health checks and not counted",
        abnormal: "the lower end of the share's 95 % interval is 3 points and four times the past's \
               spread above the past's median; 30 connections and 15 windows of past",
        implicates: &[Segment::Backend, Segment::Client, Segment::Access],
        advice: "Requests without an answer: the server is slower than its clients are patient. Before \
             a request: a client or a middlebox does not like the handshake.",
    },
    make: || Box::<Endings>::default(),
};

const KINDS: [&str; 3] = ["handshake_unfinished", "before_request", "request_abandoned"];

#[derive(Debug, Default)]
struct Endings {
    pasts: PastShares,
}

impl Judge for Endings {
    fn judge(&mut self, window: &Window) -> Vec<Judgement> {
        let servers = ones(window, Dimension::Server);
        let judgements = servers.map(|(cell, totals)| self.of(cell, totals)).collect();
        self.pasts.handle_window_end();
        judgements
    }
}

impl Endings {
    fn of(&mut self, cell: &Cell, totals: &Totals) -> Judgement {
        let given_up: u64 = KINDS.iter().map(|kind| totals.ending(kind)).sum();
        let used = (totals.handshakes + totals.plain).saturating_sub(totals.ending("unused"));
        let here = share(given_up, used);
        self.pasts.judge(cell, here, |usual| {
            format!(
                "{} of the connections to {} end before they got an answer, where {} is usual: {} \
                 in the handshake, {} before a request, {} with a request unanswered.",
                percent(here.at),
                name(cell),
                percent(usual.median),
                totals.ending(KINDS[0]),
                totals.ending(KINDS[1]),
                totals.ending(KINDS[2]),
            )
        })
    }
}
