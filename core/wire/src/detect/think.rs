//! A server that thinks longer about a `ClientHello` than it used to.

use whyslow_model::Segment;
use whyslow_model::notice::Pasts;
use whyslow_model::notice::interval::{quantile, stat_ms};
use whyslow_model::notice::{About, ms};
use whyslow_model::reading::{Against, Stat, Status};

use super::{Detector, Judge, Judgement, name, ones};
use crate::row::{Cell, Dimension, Totals, Window};

pub(super) const DETECTOR: Detector = Detector {
    about: About {
        code: "wire_server_think_rose",
        summary: "A server takes longer to answer a ClientHello than it used to.",
        looks_at: "the time from the ClientHello to the server's first byte, per server: its p90 and \
               its median, against those of its own last 60 windows",
        abnormal: "the lower end of the 95 % interval of either lies 50 %, 5 ms and four times the \
               past's spread above the past's; 30 handshakes and 15 windows of past",
        implicates: &[Segment::Host, Segment::Backend, Segment::Edge],
        advice: "Look at that host's processor and at what else it does; a new certificate or key type \
             costs more to sign with.",
    },
    make: || Box::<Think>::default(),
};

const HANDSHAKES_MIN: u64 = 30;
const RATIO: f64 = 0.5;
const DIFFERENCE_S: f64 = 0.005;
const SIGMAS: f64 = 4.0;

#[derive(Debug, Default)]
struct Think {
    medians: Pasts<Cell>,
    p90s: Pasts<Cell>,
}

impl Judge for Think {
    fn judge(&mut self, window: &Window) -> Vec<Judgement> {
        let servers = ones(window, Dimension::Server).filter(|(_, t)| t.handshakes > 0);
        let judgements = servers.map(|(cell, totals)| self.of(cell, totals)).collect();
        self.medians.handle_window_end();
        self.p90s.handle_window_end();
        judgements
    }
}

impl Think {
    fn of(&mut self, cell: &Cell, totals: &Totals) -> Judgement {
        let think = &totals.server_think;
        let mut judgement =
            Judgement { against: Some(Against::Past), ..Judgement::of(cell, stat_ms(think)) };
        let (Some(median), Some(p90)) = (quantile(think, 0.5), quantile(think, 0.9)) else {
            return judgement;
        };
        if think.count() < HANDSHAKES_MIN {
            return judgement;
        }
        let mut abnormal = false;
        let pairs = [(p90, &mut self.p90s, "p90"), (median, &mut self.medians, "median")];
        for (here, pasts, which) in pairs {
            let Some(usual) = pasts.usual(cell) else {
                pasts.note(cell, here.at, false);
                continue;
            };
            let more = (usual.median * RATIO).max(DIFFERENCE_S).max(SIGMAS * usual.sigma);
            let rose = here.lo > usual.median + more;
            pasts.note(cell, here.at, rose);
            judgement.status = judgement.status.or(Some(Status::Normal));
            judgement.there = Some(Stat {
                n: think.count(),
                median: Some((usual.median * 1e6).round() / 1e3),
                unit: "ms".to_owned(),
                ..Stat::default()
            });
            if rose && !abnormal {
                abnormal = true;
                judgement.status = Some(Status::Abnormal);
                judgement.text = format!(
                    "{} takes {} to answer a ClientHello, where {} is usual ({which}).",
                    name(cell),
                    ms(here.at),
                    ms(usual.median)
                );
            }
        }
        judgement
    }
}
