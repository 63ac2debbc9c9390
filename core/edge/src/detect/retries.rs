//! Requests that had to be tried more than once.

use std::sync::Arc;

use whyslow_model::Segment;
use whyslow_model::notice::Pasts;
use whyslow_model::notice::interval::share;
use whyslow_model::notice::{About, percent};
use whyslow_model::observation::Locus;
use whyslow_model::reading::{Against, Status};

use super::success::stat;
use super::view::View;
use super::{Detector, Judge, Judgement};
use crate::row::Totals;

pub(super) const DETECTOR: Detector = Detector {
    about: About {
        code: "edge_retries",
        summary: "Many requests have to be tried again or on another server.",
        looks_at: "retries, redispatches and attempts that failed, a request, of each pool, against \
               the pool's own last 60 windows",
        abnormal: "the lower end of the share's 95 % interval is 2 % or more, and 1 point, four times \
               the past's spread and the past's median above that median; 5 % where too little of \
               the past is known; 30 requests",
        implicates: &[Segment::Backend, Segment::Host],
        advice: "Connections are refused or time out: look at the named server first, whether it \
             runs, and whether its accept queue overflows.",
    },
    make: || Box::<Retries>::default(),
};

const REQUESTS_MIN: u64 = 30;
const SHARE: f64 = 0.02;
const SHARE_WITHOUT_PAST: f64 = 0.05;
const POINTS: f64 = 0.01;
const SIGMAS: f64 = 4.0;

#[derive(Debug, Default)]
struct Retries {
    pasts: Pasts<Arc<str>>,
}

impl Judge for Retries {
    fn judge(&mut self, view: &View) -> Vec<Judgement> {
        let of = |(backend, totals)| self.of_backend(backend, totals, view);
        let judgements = view.backends.iter().map(of).collect();
        self.pasts.handle_window_end();
        judgements
    }
}

impl Retries {
    fn of_backend(&mut self, backend: &Arc<str>, totals: &Totals, view: &View) -> Judgement {
        let here = share(tries(totals), totals.hits);
        let usual = self.pasts.usual(backend);
        let limit = usual.map_or(SHARE_WITHOUT_PAST, |u| {
            SHARE.max(u.median + POINTS.max(SIGMAS * u.sigma).max(u.median))
        });
        let mut judgement = Judgement {
            locus: Locus { backend: Some(backend.to_string()), ..Locus::default() },
            here: here.stat(),
            there: usual.map(|u| stat(u, here.n)),
            against: Some(Against::Past),
            ..Judgement::default()
        };
        if totals.hits < REQUESTS_MIN {
            return judgement;
        }
        let abnormal = here.lo >= limit;
        judgement.status = Some(if abnormal { Status::Abnormal } else { Status::Normal });
        if abnormal {
            let servers = view.servers.iter().filter(|((b, _), _)| b == backend);
            let most = servers.max_by_key(|(_, totals)| tries(totals));
            judgement.text = format!(
                "{} of the requests to {backend} had to be tried again, most of them at {}.",
                percent(here.at),
                most.map_or("-", |((_, server), _)| &**server)
            );
        }
        self.pasts.note(backend, here.at, abnormal);
        judgement
    }
}

/// Tries beyond the first; a format tells of them in one of these ways or in several.
fn tries(totals: &Totals) -> u64 {
    totals.retries.max(totals.redispatched).max(totals.failed_attempts)
}
