//! Requests that wait at the balancer for a free server.

use whyslow_model::Segment;
use whyslow_model::notice::interval::{above, share};
use whyslow_model::notice::{About, ms, percent};
use whyslow_model::observation::Locus;
use whyslow_model::reading::Status;

use super::view::View;
use super::{Detector, Judge, Judgement};
use crate::record::EdgePhase;
use crate::row::Totals;

pub(super) const DETECTOR: Detector = Detector {
    about: About {
        code: "edge_queueing",
        summary: "Requests wait at the balancer for a free server.",
        looks_at: "the time in the balancer's queue of each pool's requests; blind where the log does \
               not tell it; where as many requests were tried again as waited, the wait was the \
               pause between tries, and nothing is said",
        abnormal: "the lower end of the 95 % interval of the share that waits more than 10 ms is 5 % \
               or more; 30 requests",
        implicates: &[Segment::Backend, Segment::Edge],
        advice: "The pool is too small for what it is asked, or its servers are slower than usual and \
             hold their places longer: look at server times first, then at connection limits.",
    },
    make: || Box::<Queueing>::default(),
};

const WAIT_S: f64 = 0.01;
const SHARE: f64 = 0.05;
const REQUESTS_MIN: u64 = 30;

#[derive(Debug, Default)]
struct Queueing;

impl Judge for Queueing {
    fn judge(&mut self, view: &View) -> Vec<Judgement> {
        view.backends.iter().map(|(backend, totals)| of_backend(backend, totals)).collect()
    }
}

fn of_backend(backend: &str, totals: &Totals) -> Judgement {
    let queue = &totals.phase(EdgePhase::Queue).timing.histogram;
    let waited = above(queue, WAIT_S);
    let here = share(waited, queue.count());
    let tried_again = totals.retries.max(totals.redispatched);
    let status = if queue.count() == 0 {
        Some(Status::Blind)
    } else if queue.count() < REQUESTS_MIN || (here.lo >= SHARE && tried_again >= waited) {
        None
    } else if here.lo >= SHARE {
        Some(Status::Abnormal)
    } else {
        Some(Status::Normal)
    };
    let text = format!(
        "{} of the requests to {backend} wait more than 10 ms for a free server ({} at p90).",
        percent(here.at),
        ms(queue.quantile(0.9).unwrap_or(0.0))
    );
    Judgement {
        locus: Locus { backend: Some(backend.to_owned()), ..Locus::default() },
        status,
        here: here.stat(),
        text,
        ..Judgement::default()
    }
}
