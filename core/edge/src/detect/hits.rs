//! A route that is asked for much less than usual.

use std::collections::BTreeSet;
use std::sync::Arc;

use whyslow_model::Segment;
use whyslow_model::notice::About;
use whyslow_model::notice::interval::float;
use whyslow_model::notice::{Pasts, Usual};
use whyslow_model::observation::Locus;
use whyslow_model::reading::{Against, Stat, Status};

use super::view::View;
use super::{Detector, Judge, Judgement};
use crate::row::OTHER;

pub(super) const DETECTOR: Detector = Detector {
    about: About {
        code: "edge_hits_fall",
        summary: "A route is asked for much less than usual.",
        looks_at: "the requests of each route of each pool, against the route's own last 60 windows, \
               and against its last ten; where no route is asked for at all, the log has fallen \
               silent, and that is blind",
        abnormal: "less than half of either past, and less by five times its spread and by five times \
               what chance would do; 50 requests a window in the past, and 15 windows of it",
        implicates: &[Segment::Dns, Segment::Cdn, Segment::Transit, Segment::Page],
        advice: "Requests that never come were lost before the balancer: the name, the CDN, the way, \
             or a page that no longer asks. Look from outside, and at other routes.",
    },
    make: || Box::<Hits>::default(),
};

/// Requests a window that a past must have.
const USUAL_MIN: f64 = 50.0;
const SHARE: f64 = 0.5;
const SIGMAS: f64 = 5.0;
/// The latest windows that count by themselves, so that a slow ebb is no fall.
const RECENT: usize = 10;

type Cell = (Arc<str>, Arc<str>);

#[derive(Debug, Default)]
struct Hits {
    pasts: Pasts<Cell>,
}

impl Judge for Hits {
    fn judge(&mut self, view: &View) -> Vec<Judgement> {
        let silent = view.routes.is_empty();
        let mut cells: BTreeSet<Cell> = self.pasts.cells().cloned().collect();
        cells.extend(view.routes.keys().filter(|(_, route)| &**route != OTHER).cloned());
        let judgements = cells.iter().map(|cell| self.of_route(cell, view, silent)).collect();
        self.pasts.handle_window_end();
        judgements
    }
}

impl Hits {
    fn of_route(&mut self, cell: &Cell, view: &View, silent: bool) -> Judgement {
        let (backend, route) = cell;
        let hits = view.routes.get(cell).map_or(0, |totals| totals.hits);
        let usual = self.pasts.usual(cell);
        let mut judgement = Judgement {
            locus: Locus {
                backend: Some(backend.to_string()),
                route: Some(route.to_string()),
                ..Locus::default()
            },
            here: stat(float(hits), None, view),
            there: usual.map(|u| stat(u.median, Some(u.sigma), view)),
            against: Some(Against::Past),
            ..Judgement::default()
        };
        if silent {
            judgement.status = Some(Status::Blind);
            return judgement;
        }
        let recent = self.pasts.recent(cell, RECENT);
        let mut abnormal = false;
        if let (Some(usual), Some(recent)) = (usual, recent)
            && usual.median.min(recent) >= USUAL_MIN
        {
            abnormal = falls(float(hits), usual, recent);
            judgement.status = Some(if abnormal { Status::Abnormal } else { Status::Normal });
            judgement.text = format!(
                "{route} of {backend} is asked for {} times a second, where {} is usual.",
                rate(float(hits), view),
                rate(usual.median, view)
            );
        }
        // A cell that is gone for good must be forgotten some day.
        if hits > 0 {
            self.pasts.note(cell, float(hits), abnormal);
        }
        judgement
    }
}

fn falls(hits: f64, usual: Usual, recent: f64) -> bool {
    let low = usual.median.min(recent);
    let spread = usual.sigma.max(low.sqrt());
    hits < SHARE * low && low - hits > SIGMAS * spread
}

fn window_s(view: &View) -> f64 {
    view.to.since(view.from).as_secs_f64().max(1.0)
}

fn rate(hits: f64, view: &View) -> String {
    format!("{:.1}", hits / window_s(view))
}

/// Requests a second as a reading shows them.
fn stat(hits: f64, sigma: Option<f64>, view: &View) -> Stat {
    let per_s = |hits: f64| (hits.max(0.0) / window_s(view) * 1e3).round() / 1e3;
    let spread = sigma.unwrap_or_else(|| hits.sqrt());
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count")]
    let n = hits.max(0.0) as u64;
    Stat {
        n,
        bad: None,
        median: Some(per_s(hits)),
        lo95: Some(per_s(hits - 1.96 * spread)),
        hi95: Some(per_s(hits + 1.96 * spread)),
        unit: "per_s".to_owned(),
    }
}
