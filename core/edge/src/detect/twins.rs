//! A server that answers a route slower than its twins do.

use std::collections::BTreeMap;
use std::sync::Arc;

use whyslow_model::limits::NOTICE_CELLS_MAX;
use whyslow_model::notice::interval::stat_ms;
use whyslow_model::notice::{About, ms};
use whyslow_model::observation::Locus;
use whyslow_model::reading::{Against, Status};
use whyslow_model::{Histogram, Segment};

use super::view::{Leaf, View};
use super::{Detector, Judge, Judgement};
use crate::contrast::{Contrast, Peers, REQUESTS_MIN, REQUESTS_P90_MIN, contrast, is_server};
use crate::row::{OTHER, Totals};

pub(super) const DETECTOR: Detector = Detector {
    about: About {
        code: "edge_server_slower_than_twins",
        summary: "A server answers a route slower than its twins do.",
        looks_at: "connecting plus waiting for headers (the balancer's total where the log tells no \
               phases) of each server on each route, against the server in the middle of those \
               that serve the same route at the same time; with little traffic over up to twenty \
               windows together; servers that serve more than one and a half times as much as \
               their twins are not held against them",
        abnormal: "p90 or median at least 1.5 times, and 2 ms, above the twin's, with 95 % intervals \
               apart; 30 requests on either side (50 for the p90)",
        implicates: &[Segment::Backend, Segment::Host],
        advice: "Compare this server with a twin: CPU, memory, garbage collection, a cold cache, a \
             slow disk, a release that only it has.",
    },
    make: || Box::<Twins>::default(),
};

/// Windows that are put together where there is little traffic.
const WINDOWS_MAX: u32 = 20;
/// Windows after which a median is enough.
const WINDOWS_PATIENT: u32 = 5;

/// The servers of one route, over as many windows as it takes to tell.
#[derive(Debug, Default)]
struct Group {
    servers: BTreeMap<Arc<str>, Histogram>,
    windows: u32,
}

#[derive(Debug, Default)]
struct Twins {
    groups: BTreeMap<(Arc<str>, Arc<str>), Group>,
}

impl Judge for Twins {
    fn judge(&mut self, view: &View) -> Vec<Judgement> {
        for (leaf, totals) in &view.leaves {
            if is_server(&leaf.server) && &*leaf.route != OTHER {
                self.gather(leaf, totals);
            }
        }
        let mut judgements = Vec::new();
        self.groups.retain(|(backend, route), group| {
            group.windows += 1;
            let enough = group.is_enough();
            if group.servers.len() > 1 {
                let locus = |server: &Arc<str>| Locus {
                    backend: Some(backend.to_string()),
                    server: Some(server.to_string()),
                    route: Some(route.to_string()),
                    ..Locus::default()
                };
                let peers = Peers::of(&group.servers);
                judgements.extend(group.servers.keys().map(|server| match enough {
                    true => group.judge(server, &peers, locus(server)),
                    false => Judgement {
                        locus: locus(server),
                        here: stat_ms(&group.servers[server]),
                        against: Some(Against::Peers),
                        ..Judgement::default()
                    },
                }));
            }
            !enough && group.windows < WINDOWS_MAX
        });
        judgements
    }
}

impl Twins {
    fn gather(&mut self, leaf: &Leaf, totals: &Totals) {
        let key = (Arc::clone(&leaf.backend), Arc::clone(&leaf.route));
        if !self.groups.contains_key(&key) && self.groups.len() >= NOTICE_CELLS_MAX {
            return;
        }
        let group = self.groups.entry(key).or_default();
        if group.servers.contains_key(&leaf.server) || group.servers.len() < NOTICE_CELLS_MAX {
            let server = group.servers.entry(Arc::clone(&leaf.server)).or_default();
            server.merge(answering(totals));
        }
    }
}

impl Group {
    /// Whether three quarters of its servers have served enough to tell, or it has waited long
    /// enough.
    fn is_enough(&self) -> bool {
        let mut counts: Vec<u64> = self.servers.values().map(Histogram::count).collect();
        counts.sort_unstable();
        let quarter = counts.len().saturating_sub(1) / 4;
        let served = counts.get(quarter).copied().unwrap_or(0);
        let waited = self.windows >= WINDOWS_PATIENT && served >= REQUESTS_MIN;
        served >= REQUESTS_P90_MIN || waited || self.windows >= WINDOWS_MAX
    }

    fn judge(&self, server: &Arc<str>, peers: &Peers<'_, &Arc<str>>, locus: Locus) -> Judgement {
        let here = &self.servers[server];
        let mut judgement = Judgement {
            locus,
            here: stat_ms(here),
            against: Some(Against::Peers),
            ..Judgement::default()
        };
        let Some(there) = peers.typical(&server) else { return judgement };
        judgement.there = Some(stat_ms(there));
        match contrast(here, there) {
            Contrast::TooFew | Contrast::Busier => {}
            Contrast::Alike => judgement.status = Some(Status::Normal),
            Contrast::Slower(slower) => {
                judgement.status = Some(Status::Abnormal);
                let route = judgement.locus.route.as_deref().unwrap_or_default();
                judgement.text = format!(
                    "{server} answers {route} {:.1} times slower than its twins: {} against {} \
                     ({}).",
                    slower.times(),
                    ms(slower.here_s),
                    ms(slower.there_s),
                    slower.figure
                );
            }
        }
        judgement
    }
}

/// What a server's side took; the total where the log tells no phases.
pub(super) const fn answering(totals: &Totals) -> &Histogram {
    if totals.server.max_us > 0 { &totals.server.histogram } else { &totals.latency.histogram }
}
