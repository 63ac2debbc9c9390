//! Hits that are no longer answered with success.

use std::sync::Arc;

use whyslow_model::Segment;
use whyslow_model::notice::interval::{Share, share};
use whyslow_model::notice::{About, percent};
use whyslow_model::notice::{Pasts, Usual};
use whyslow_model::observation::Locus;
use whyslow_model::reading::{Against, Stat, Status};

use super::view::View;
use super::{Detector, Judge, Judgement};
use crate::row::{OTHER, Totals};

pub(super) const DETECTOR: Detector = Detector {
    about: About {
        code: "edge_hits_without_success",
        summary: "Hits and their successes part: more answers than usual are errors.",
        looks_at: "the share of each route's answers that are neither 1xx, 2xx nor 3xx, against the \
               route's own last 60 windows; requests that their client gave up (no code, 460, \
               499) do not count",
        abnormal: "the lower end of the share's 95 % interval lies above the past's median by 2 \
               points and four times its spread, and the share is twice the median; 50 requests, \
               and 15 windows of past",
        implicates: &[Segment::Route, Segment::Backend],
        advice: "Look at the codes: 5xx of one server is that server, of all is what they share; 4xx \
             is a link, a client or a rule that changed.",
    },
    make: || Box::<Success>::default(),
};

const REQUESTS_MIN: u64 = 50;
const POINTS: f64 = 0.02;
const SIGMAS: f64 = 4.0;
/// Codes that say that the client left.
const LEFT: [u16; 3] = [0, 460, 499];

type Cell = (Arc<str>, Arc<str>);

#[derive(Debug, Default)]
struct Success {
    pasts: Pasts<Cell>,
}

impl Judge for Success {
    fn judge(&mut self, view: &View) -> Vec<Judgement> {
        let routes = view.routes.iter().filter(|((_, route), _)| &**route != OTHER);
        let judgements = routes.map(|(cell, totals)| self.of_route(cell, totals)).collect();
        self.pasts.handle_window_end();
        judgements
    }
}

impl Success {
    fn of_route(&mut self, cell: &Cell, totals: &Totals) -> Judgement {
        let (backend, route) = cell;
        let here = errors(totals);
        let usual = self.pasts.usual(cell);
        let mut judgement = Judgement {
            locus: Locus {
                backend: Some(backend.to_string()),
                route: Some(route.to_string()),
                ..Locus::default()
            },
            here: here.stat(),
            there: usual.map(|u| stat(u, here.n)),
            against: Some(Against::Past),
            ..Judgement::default()
        };
        if here.n < REQUESTS_MIN {
            return judgement;
        }
        let mut abnormal = false;
        if let Some(usual) = usual {
            abnormal = here.lo > usual.median + POINTS.max(SIGMAS * usual.sigma)
                && here.at >= 2.0 * usual.median;
            judgement.status = Some(if abnormal { Status::Abnormal } else { Status::Normal });
            if abnormal {
                judgement.text = format!(
                    "{} of the answers to {route} of {backend} are errors, most of them {}; {} is \
                     usual.",
                    percent(here.at),
                    commonest_error(totals).unwrap_or_default(),
                    percent(usual.median),
                );
            }
        }
        self.pasts.note(cell, here.at, abnormal);
        judgement
    }
}

fn is_error(code: u16) -> bool {
    !(100..400).contains(&code)
}

fn errors(totals: &Totals) -> Share {
    let answered = totals.codes.iter().filter(|(code, _)| !LEFT.contains(code));
    let all: u64 = answered.clone().map(|(_, n)| n).sum();
    let bad: u64 = answered.filter(|(code, _)| is_error(**code)).map(|(_, n)| n).sum();
    share(bad, all)
}

fn commonest_error(totals: &Totals) -> Option<u16> {
    let errors = totals.codes.iter().filter(|(c, _)| is_error(**c) && !LEFT.contains(c));
    errors.max_by_key(|(_, n)| **n).map(|(code, _)| *code)
}

/// The past of a share as a reading shows it; of so many requests a window, about.
pub(super) fn stat(usual: Usual, n: u64) -> Stat {
    let round = |x: f64| Some((x.clamp(0.0, 1.0) * 1e5).round() / 1e5);
    Stat {
        n,
        bad: None,
        median: round(usual.median),
        lo95: round(usual.median - 1.96 * usual.sigma),
        hi95: round(usual.median + 1.96 * usual.sigma),
        unit: "share".to_owned(),
    }
}
