//! Packets of clients that are lost before they reach the tap.

use whyslow_model::Segment;
use whyslow_model::notice::interval::share;
use whyslow_model::notice::{About, percent};

use super::past_share::PastShares;
use super::{Detector, Judge, Judgement, all, name, ones};
use crate::row::{Cell, Dimension, Totals, Window};

pub(super) const DETECTOR: Detector = Detector {
    about: About {
        code: "wire_loss_before_tap",
        summary: "Packets of clients are lost, or overtaken, before they reach us.",
        looks_at: "the share of handshakes in which a SYN came again unanswered or a hole in the \
               client's bytes was filled later, of all clients and of each client network, \
               against its own last 60 windows",
        abnormal: "the lower end of the share's 95 % interval is 3 points and four times the past's \
               spread above the past's median; 30 handshakes and 15 windows of past",
        implicates: &[Segment::Transit, Segment::Access],
        advice: "All networks at once: look at our own uplink. One network: trace the way to it and \
             from it.",
    },
    make: || Box::<Loss>::default(),
};

#[derive(Debug, Default)]
struct Loss {
    pasts: PastShares,
}

impl Judge for Loss {
    fn judge(&mut self, window: &Window) -> Vec<Judgement> {
        let everything = all(window).map(|totals| (&Cell::All, totals));
        let cells = everything.into_iter().chain(ones(window, Dimension::Asn));
        let judgements = cells.map(|(cell, totals)| self.of(cell, totals)).collect();
        self.pasts.handle_window_end();
        judgements
    }
}

impl Loss {
    fn of(&mut self, cell: &Cell, totals: &Totals) -> Judgement {
        let here = share(totals.lost_before_tap, totals.handshakes);
        self.pasts.judge(cell, here, |usual| {
            format!(
                "Packets of {} are lost before they reach us in {} of the handshakes, where {} is \
                 usual.",
                name(cell),
                percent(here.at),
                percent(usual.median)
            )
        })
    }
}
