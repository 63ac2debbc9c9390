//! A route that is slower than it used to be.

use std::sync::Arc;

use whyslow_model::notice::interval::{Quantile, quantile, stat_ms};
use whyslow_model::notice::{About, ms};
use whyslow_model::notice::{Pasts, Usual};
use whyslow_model::observation::Locus;
use whyslow_model::reading::{Against, Stat, Status};
use whyslow_model::{Histogram, Segment};

use super::twins::answering;
use super::view::View;
use super::{Detector, Judge, Judgement};
use crate::row::{OTHER, Totals};

pub(super) const DETECTOR: Detector = Detector {
    about: About {
        code: "edge_route_regressed",
        summary: "A route answers slower than it used to.",
        looks_at: "connecting plus waiting for headers (the balancer's total where the log tells no \
               phases) of each route of each pool, against the route's own last 60 windows that \
               were not abnormal; six hours of the new way make it the usual one",
        abnormal: "the lower end of the 95 % interval of p90 or median lies above the past's median \
               by 30 %, by 2 ms, and by four times the past's spread (MAD); 30 requests, and 15 \
               windows of past; not where leaving out the slowest server leaves the route as fast as \
               ever",
        implicates: &[Segment::Route, Segment::Backend],
        advice: "Look for what changed when it began: a release, a query without its index, a third \
             party that the route waits for. All routes at once point at the pool.",
    },
    make: || Box::<Regression>::default(),
};

const REQUESTS_MIN: u64 = 30;
const RATIO: f64 = 0.3;
const DIFFERENCE_S: f64 = 0.002;
const SIGMAS: f64 = 4.0;

type Cell = (Arc<str>, Arc<str>);

#[derive(Debug, Default)]
struct Regression {
    medians: Pasts<Cell>,
    p90s: Pasts<Cell>,
}

impl Judge for Regression {
    fn judge(&mut self, view: &View) -> Vec<Judgement> {
        let routes = view.routes.iter().filter(|((_, route), _)| &**route != OTHER);
        let judgements = routes.map(|(cell, totals)| self.of_route(cell, totals, view)).collect();
        self.medians.handle_window_end();
        self.p90s.handle_window_end();
        judgements
    }
}

impl Regression {
    fn of_route(&mut self, cell: &Cell, totals: &Totals, view: &View) -> Judgement {
        let (backend, route) = cell;
        let here = answering(totals);
        let usual = (self.medians.usual(cell), self.p90s.usual(cell));
        let mut judgement = Judgement {
            locus: Locus {
                backend: Some(backend.to_string()),
                route: Some(route.to_string()),
                ..Locus::default()
            },
            here: stat_ms(here),
            there: usual.0.map(|u| stat(u, here.count())),
            against: Some(Against::Past),
            ..Judgement::default()
        };
        let (Some(median), Some(p90)) = (quantile(here, 0.5), quantile(here, 0.9)) else {
            return judgement;
        };
        if here.count() < REQUESTS_MIN {
            return judgement;
        }
        let slower = match usual {
            (Some(usual_median), Some(usual_p90)) => {
                let pairs = [(p90, usual_p90, "p90"), (median, usual_median, "median")];
                judgement.status = Some(Status::Normal);
                pairs.into_iter().find(|(here, usual, _)| is_slower(*here, *usual))
            }
            _ => None,
        };
        let one_servers_doing = slower.is_some() && is_one_servers_doing(cell, view, usual);
        if let Some((here, usual, name)) = slower.filter(|_| !one_servers_doing) {
            judgement.status = Some(Status::Abnormal);
            judgement.text = format!(
                "{route} of {backend} takes {}, where {} is usual ({name}).",
                ms(here.at),
                ms(usual.median)
            );
        }
        self.medians.note(cell, median.at, slower.is_some());
        self.p90s.note(cell, p90.at, slower.is_some());
        judgement
    }
}

/// Whether the route is as fast as ever once its slowest server is left out: then that server is
/// at fault, and not what all of them do.
fn is_one_servers_doing(cell: &Cell, view: &View, usual: (Option<Usual>, Option<Usual>)) -> bool {
    let (backend, route) = cell;
    let of = view.leaves.iter().filter(|(l, _)| l.backend == *backend && l.route == *route);
    let mut servers: Vec<&Histogram> = of.map(|(_, totals)| answering(totals)).collect();
    let p90 = |h: &Histogram| h.quantile(0.9).unwrap_or(0.0);
    servers.sort_by(|a, b| p90(a).total_cmp(&p90(b)));
    servers.pop();
    let mut rest = Histogram::default();
    servers.into_iter().for_each(|h| rest.merge(h));
    if rest.count() < REQUESTS_MIN {
        return false;
    }
    [(0.5, usual.0), (0.9, usual.1)].into_iter().all(|(q, usual)| {
        let pair = quantile(&rest, q).zip(usual);
        pair.is_some_and(|(here, usual)| !is_slower(here, usual))
    })
}

fn is_slower(here: Quantile, usual: Usual) -> bool {
    let more = (usual.median * RATIO).max(DIFFERENCE_S).max(SIGMAS * usual.sigma);
    here.lo > usual.median + more
}

/// The past as a reading shows it; of so many requests a window, about.
fn stat(usual: Usual, n: u64) -> Stat {
    let ms = |seconds: f64| Some((seconds.max(0.0) * 1e6).round() / 1e3);
    Stat {
        n,
        bad: None,
        median: ms(usual.median),
        lo95: ms(usual.median - 1.96 * usual.sigma),
        hi95: ms(usual.median + 1.96 * usual.sigma),
        unit: "ms".to_owned(),
    }
}
