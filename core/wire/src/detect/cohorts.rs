//! Slow handshakes that are concentrated in one client network, prefix or kind of machine.

use whyslow_model::Segment;
use whyslow_model::notice::interval::{Share, share};
use whyslow_model::notice::{About, ms, percent};
use whyslow_model::notice::{Pasts, Usual};
use whyslow_model::reading::{Against, Status};

use super::{Detector, Judge, Judgement, all, name, ones};
use crate::row::{Cell, Dimension, Totals, Window};

const LOOKS_AT: &str = "the share of slow handshakes of each cohort, against that of all others \
                        and against its own last 60 windows";
const ABNORMAL: &str = "the lower end of the share's 95 % interval is above three times the \
                        others' upper end, and 5 points and four times the past's spread above \
                        its own past's median (10 % where there is no past); 30 handshakes here \
                        and 30 elsewhere";
const IMPLICATES: &[Segment] = &[Segment::Client, Segment::Access, Segment::Transit];
const ADVICE: &str = "Open the slowest one on the wire page: the gap that matters says whether the \
                      client waited for itself, or its packets were under way.";

pub(super) const NETWORK: Detector = Detector {
    about: About {
        code: "wire_client_network_slow",
        summary: "Slow handshakes are concentrated in one client network.",
        looks_at: LOOKS_AT,
        abnormal: ABNORMAL,
        implicates: IMPLICATES,
        advice: ADVICE,
    },
    make: || Box::new(Cohorts { dimension: Dimension::Asn, pasts: Pasts::default() }),
};

pub(super) const PREFIX: Detector = Detector {
    about: About {
        code: "wire_client_prefix_slow",
        summary: "Slow handshakes are concentrated in one client prefix.",
        looks_at: LOOKS_AT,
        abnormal: ABNORMAL,
        implicates: IMPLICATES,
        advice: ADVICE,
    },
    make: || Box::new(Cohorts { dimension: Dimension::Prefix, pasts: Pasts::default() }),
};

pub(super) const RDNS: Detector = Detector {
    about: About {
        code: "wire_client_rdns_slow",
        summary: "Slow handshakes are concentrated in clients whose names end alike.",
        looks_at: LOOKS_AT,
        abnormal: ABNORMAL,
        implicates: IMPLICATES,
        advice: ADVICE,
    },
    make: || Box::new(Cohorts { dimension: Dimension::Rdns, pasts: Pasts::default() }),
};

const HANDSHAKES_MIN: u64 = 30;
const OTHERS: f64 = 3.0;
const POINTS: f64 = 0.05;
const SIGMAS: f64 = 4.0;
const WITHOUT_PAST: f64 = 0.1;

#[derive(Debug)]
struct Cohorts {
    dimension: Dimension,
    pasts: Pasts<Cell>,
}

impl Judge for Cohorts {
    fn judge(&mut self, window: &Window) -> Vec<Judgement> {
        let Some(all) = all(window) else { return Vec::new() };
        let judgements =
            ones(window, self.dimension).map(|(cell, totals)| self.of(cell, totals, all)).collect();
        self.pasts.handle_window_end();
        judgements
    }
}

impl Cohorts {
    fn of(&mut self, cell: &Cell, totals: &Totals, all: &Totals) -> Judgement {
        let here = share(totals.slow, totals.handshakes);
        let elsewhere = all.handshakes.saturating_sub(totals.handshakes);
        let there = share(all.slow.saturating_sub(totals.slow), elsewhere);
        let mut judgement = Judgement {
            there: Some(there.stat()),
            against: Some(Against::Peers),
            ..Judgement::of(cell, here.stat())
        };
        if here.n < HANDSHAKES_MIN || there.n < HANDSHAKES_MIN {
            return judgement;
        }
        let abnormal = stands_out(here, there, self.pasts.usual(cell));
        judgement.status = Some(if abnormal { Status::Abnormal } else { Status::Normal });
        if abnormal {
            judgement.text = text(cell, totals, here, there);
            judgement.implicates = implicates(totals);
        }
        self.pasts.note(cell, here.at, abnormal);
        judgement
    }
}

fn stands_out(here: Share, there: Share, usual: Option<Usual>) -> bool {
    let above_past = usual.map_or(here.lo >= WITHOUT_PAST, |usual| {
        here.lo > usual.median + POINTS.max(SIGMAS * usual.sigma)
    });
    here.lo > OTHERS * there.hi && above_past
}

/// Whose time most of the slow ones were.
fn mostly(totals: &Totals) -> Option<&str> {
    let most = totals.blame.iter().max_by_key(|(_, n)| **n)?;
    (2 * most.1 > totals.slow).then_some(most.0)
}

fn implicates(totals: &Totals) -> Option<&'static [Segment]> {
    match mostly(totals)? {
        "client" => Some(&[Segment::Client]),
        "network" => Some(&[Segment::Access, Segment::Transit]),
        "server" => Some(&[Segment::Host, Segment::Backend]),
        _ => None,
    }
}

fn text(cell: &Cell, totals: &Totals, here: Share, there: Share) -> String {
    let at = |h: &whyslow_model::Histogram| ms(h.quantile(0.9).unwrap_or(0.0));
    let whose = match mostly(totals) {
        Some("client") => "they wait for themselves",
        Some("network") => "the network takes the time",
        Some("server") => "the server takes the time",
        _ => "no part takes most of the time",
    };
    format!(
        "{} of the handshakes of {} are slow, and {} of all others'; {whose} (at p90 client {}, \
         network {}, server {}).",
        percent(here.at),
        name(cell),
        percent(there.at),
        at(&totals.client),
        at(&totals.network),
        at(&totals.server),
    )
}
