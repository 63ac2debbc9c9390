//! Networks and prefixes whose requests spend longer on the client's side than others' do.

use whyslow_model::notice::Pasts;
use whyslow_model::notice::interval::{Share, above, share};
use whyslow_model::notice::{About, ms, percent};
use whyslow_model::observation::{Cohort, Locus};
use whyslow_model::reading::{Against, Stat, Status};
use whyslow_model::{Histogram, Segment};

use super::view::View;
use super::{Detector, Judge, Judgement};
use crate::record::EdgePhase;
use crate::row::{ClientAsn, ClientPrefix, Totals};

const LOOKS_AT: &str = "receiving the request, and receiving and sending the answer (which hold \
                        the client's pace, alone or mixed with the server's), of each client \
                        network or prefix: the share of its requests that take more than twice \
                        the middle one's p90 (50 ms at least), against that of all others and \
                        against its own last 60 windows";
const ABNORMAL: &str = "the lower end of the share's 95 % interval is 10 points and four times \
                        the past's spread above its own past's median, and above three times the \
                        others' upper end; its servers' times (median and p90) are within 1.5 \
                        times the middle one's, else nothing is said; 30 requests, 3 such networks, and 15 \
                        windows of past";
const IMPLICATES: &[Segment] = &[Segment::Access, Segment::Transit, Segment::Client];
const ADVICE: &str = "Measure from inside that network and from outside it at once: loss and \
                      round-trip times, and the way they take.";

pub(super) const NETWORK: Detector = Detector {
    about: About {
        code: "edge_client_network_slow",
        summary: "Requests of one client network spend longer on the client's side than others' do, \
              while the servers answer them as fast as anybody's.",
        looks_at: LOOKS_AT,
        abnormal: ABNORMAL,
        implicates: IMPLICATES,
        advice: ADVICE,
    },
    make: || Box::new(Clients { cells: networks, pasts: Pasts::default() }),
};

pub(super) const PREFIX: Detector = Detector {
    about: About {
        code: "edge_client_prefix_slow",
        summary: "Requests of one client prefix spend longer on the client's side than others' do, \
              while the servers answer them as fast as anybody's.",
        looks_at: LOOKS_AT,
        abnormal: ABNORMAL,
        implicates: IMPLICATES,
        advice: ADVICE,
    },
    make: || Box::new(Clients { cells: prefixes, pasts: Pasts::default() }),
};

/// The phases in which a client's pace can show.
const PHASES: [EdgePhase; 3] = [EdgePhase::ClientIn, EdgePhase::Body, EdgePhase::ClientOut];
const REQUESTS_MIN: u64 = 30;
const PEERS_MIN: usize = 3;
const SLOW_MIN_S: f64 = 0.05;
const POINTS: f64 = 0.1;
const SIGMAS: f64 = 4.0;
const OTHERS: f64 = 3.0;
const SERVER_QUANTILES: [f64; 2] = [0.5, 0.9];
const SERVER_RATIO: f64 = 1.5;
const SERVER_DIFFERENCE_S: f64 = 0.002;

/// Whom a cell is about; nobody where many are put together.
type Who = Option<(Cohort, Locus, String)>;

#[derive(Debug)]
struct Clients {
    cells: fn(&View) -> Vec<(Who, &Totals)>,
    pasts: Pasts<Locus>,
}

/// What is usual among all clients in one window.
struct Peers {
    /// By phase: seconds above which a request is slow, how many are, and of how many.
    slow: [(f64, u64, u64); 3],
    /// The middle ones of the clients' medians and p90s of the servers' times.
    server_s: [f64; 2],
}

impl Judge for Clients {
    fn judge(&mut self, view: &View) -> Vec<Judgement> {
        let cells = (self.cells)(view);
        let peers = Peers::of(&cells);
        let mut judgements = Vec::new();
        for (who, totals) in &cells {
            if let Some((cohort, locus, name)) = who {
                let mut judgement = self.of_client(locus, name, totals, peers.as_ref());
                judgement.cohort.clone_from(cohort);
                judgements.push(judgement);
            }
        }
        self.pasts.handle_window_end();
        judgements
    }
}

impl Clients {
    fn of_client(
        &mut self,
        locus: &Locus,
        name: &str,
        totals: &Totals,
        peers: Option<&Peers>,
    ) -> Judgement {
        let against = Some(Against::Peers);
        let empty = Judgement { locus: locus.clone(), against, ..Judgement::default() };
        let n = PHASES.map(|p| histogram(totals, p).count()).into_iter().max().unwrap_or(0);
        if n == 0 {
            let here = Stat { unit: "share".to_owned(), ..Stat::default() };
            return Judgement { here, status: Some(Status::Blind), ..empty };
        }
        let Some(peers) = peers else {
            return Judgement { here: share(0, n).stat(), ..empty };
        };
        let (phase, here, there, slow_s) = peers.worst(totals);
        let mut judgement = Judgement { here: here.stat(), there: Some(there.stat()), ..empty };
        if here.n < REQUESTS_MIN || there.n < REQUESTS_MIN {
            return judgement;
        }
        let usual = self.pasts.usual(locus);
        let stands_out = usual.is_some_and(|usual| {
            here.lo > usual.median + POINTS.max(SIGMAS * usual.sigma) && here.lo > OTHERS * there.hi
        });
        let served_alike = peers.serves_alike(totals);
        if usual.is_some() && (!stands_out || served_alike) {
            judgement.status = Some(if stands_out { Status::Abnormal } else { Status::Normal });
        }
        judgement.text = format!(
            "{} of the requests of {name} take more than {} in {}, and {} of all others'; the \
             servers answer them as fast as anybody's.",
            percent(here.at),
            ms(slow_s),
            phase_words(phase),
            percent(there.at)
        );
        self.pasts.note(locus, here.at, stands_out);
        judgement
    }
}

impl Peers {
    /// `None` where too few clients have enough requests to be held against each other.
    fn of(cells: &[(Who, &Totals)]) -> Option<Self> {
        let mut slow = [(SLOW_MIN_S, 0, 0); 3];
        let mut peers = 0;
        for (phase, slow) in PHASES.into_iter().zip(&mut slow) {
            let (middle, counted) = middle(cells, 0.9, |t| histogram(t, phase));
            peers = peers.max(counted);
            let limit_s = (2.0 * middle.unwrap_or(0.0)).max(SLOW_MIN_S);
            let all = cells.iter().map(|(_, t)| histogram(t, phase));
            let (bad, n) = all.fold((0, 0), |(bad, n), h| (bad + above(h, limit_s), n + h.count()));
            *slow = (limit_s, bad, n);
        }
        let server = |q: f64| middle(cells, q, |t| &t.server.histogram).0.unwrap_or(0.0);
        let server_s = SERVER_QUANTILES.map(server);
        (peers >= PEERS_MIN).then_some(Self { slow, server_s })
    }

    /// The phase in which a client stands out the most: its share, the others', and above what.
    fn worst(&self, totals: &Totals) -> (EdgePhase, Share, Share, f64) {
        let of = |(phase, (limit_s, bad, n)): (EdgePhase, &(f64, u64, u64))| {
            let own = histogram(totals, phase);
            let own_bad = above(own, *limit_s);
            let here = share(own_bad, own.count());
            let there = share(bad.saturating_sub(own_bad), n.saturating_sub(own.count()));
            (phase, here, there, *limit_s)
        };
        let worst = PHASES.into_iter().zip(&self.slow).map(of);
        let gap = |(_, here, there, _): &(EdgePhase, Share, Share, f64)| {
            if here.n == 0 { -1.0 } else { here.lo - there.hi }
        };
        worst.max_by(|a, b| gap(a).total_cmp(&gap(b))).unwrap_or((
            EdgePhase::Body,
            share(0, 0),
            share(0, 0),
            SLOW_MIN_S,
        ))
    }

    /// Whether the servers answer a client as fast as the others.
    fn serves_alike(&self, totals: &Totals) -> bool {
        SERVER_QUANTILES.iter().zip(self.server_s).all(|(q, middle)| {
            let own = totals.server.histogram.quantile(*q).unwrap_or(0.0);
            own <= middle * SERVER_RATIO + SERVER_DIFFERENCE_S
        })
    }
}

/// The middle of the clients' `q`-quantiles, and how many clients have enough requests to count.
fn middle(
    cells: &[(Who, &Totals)],
    q: f64,
    of: impl Fn(&Totals) -> &Histogram,
) -> (Option<f64>, usize) {
    let told = cells.iter().map(|(_, t)| of(t)).filter(|h| h.count() >= REQUESTS_MIN);
    let mut quantiles: Vec<f64> = told.filter_map(|h| h.quantile(q)).collect();
    quantiles.sort_unstable_by(f64::total_cmp);
    (quantiles.get(quantiles.len() / 2).copied(), quantiles.len())
}

const fn histogram(totals: &Totals, phase: EdgePhase) -> &Histogram {
    &totals.phase(phase).timing.histogram
}

const fn phase_words(phase: EdgePhase) -> &'static str {
    match phase {
        EdgePhase::ClientIn => "sending the request",
        EdgePhase::ClientOut => "taking the rest of the answer",
        EdgePhase::Queue | EdgePhase::Connect | EdgePhase::Wait | EdgePhase::Body => {
            "taking the answer"
        }
    }
}

fn networks(view: &View) -> Vec<(Who, &Totals)> {
    let who = |asn: &ClientAsn| match asn {
        ClientAsn::As(n) => Some((
            Cohort { asn: Some(*n), ..Cohort::default() },
            Locus { asn: Some(*n), ..Locus::default() },
            format!("AS{n}"),
        )),
        ClientAsn::Unknown | ClientAsn::Other => None,
    };
    view.networks.iter().map(|(asn, totals)| (who(asn), totals)).collect()
}

fn prefixes(view: &View) -> Vec<(Who, &Totals)> {
    let who = |prefix: &ClientPrefix| match prefix {
        ClientPrefix::Net(net) => {
            let prefix = Some(net.to_string());
            Some((
                Cohort { prefix: prefix.clone(), ..Cohort::default() },
                Locus { prefix, ..Locus::default() },
                net.to_string(),
            ))
        }
        ClientPrefix::Unknown | ClientPrefix::Other => None,
    };
    view.prefixes.iter().map(|(prefix, totals)| (who(prefix), totals)).collect()
}
