//! The series that a recorder's counters become, for `/metrics` and for the store alike.

use std::sync::Arc;
use std::time::Duration;

use whyslow_model::labels::NAME;
use whyslow_model::sample::stale_nan;
use whyslow_model::{Labels, Sample, Wall};
use whyslow_wire::plan::Why;

use super::TapStatus;
use super::counters::{PARTS, Server};
use super::tap::Sight;
use crate::edge_out::buckets::{BOUNDS, Growing};

/// A family of series: name, whether it is a `counter`, `gauge` or `histogram`, and what it means.
pub(crate) const FAMILIES: [(&str, &str, &str); 17] = [
    (HANDSHAKES, "histogram", "TLS handshakes that completed, by whose time it was."),
    (OPENINGS, "counter", "Openings of connections that ended, by how."),
    (UNANSWERED, "counter", "Connections whose SYNs got no SYN-ACK."),
    ("whyslow_wire_packets_total", "counter", "Packets recorded."),
    ("whyslow_wire_drops_total", "counter", "Packets that the ring had no room for."),
    ("whyslow_wire_sees", "gauge", "1 while the interface is there and up."),
    (UNSEEN, "counter", "Seconds in which nothing was seen, by why, once they are over."),
    ("whyslow_self_wire_freezes_total", "counter", "Times that the ring was full."),
    ("whyslow_self_wire_ring_bytes", "gauge", "Bytes of the ring."),
    ("whyslow_self_wire_held_bytes", "gauge", "Bytes of packets that the ring holds."),
    ("whyslow_self_wire_depth_seconds", "gauge", "How far back the ring reaches."),
    ("whyslow_self_wire_waiting_blocks", "gauge", "Blocks that wait to be followed."),
    ("whyslow_self_wire_flows", "gauge", "Connections that are followed."),
    (LIMITS, "counter", "Times that a limit was reached, by its name."),
    (UNREAD, "counter", "Packets that could not be followed, by why."),
    ("whyslow_self_wire_restarts_total", "counter", "Mistakes of whyslow's own in following."),
    ("whyslow_self_wire_problem", "gauge", "1 while something stands in the way of recording."),
];

const HANDSHAKES: &str = "whyslow_tls_handshake_seconds";
const OPENINGS: &str = "whyslow_wire_openings_total";
const UNANSWERED: &str = "whyslow_wire_unanswered_syns_total";
const UNSEEN: &str = "whyslow_wire_unseen_seconds_total";
const LIMITS: &str = "whyslow_self_wire_limits_total";
const UNREAD: &str = "whyslow_self_wire_unread_packets_total";

/// Every series of some recorders, at `at`. With `stored` the samples are for the store: series
/// that begin do so with a zero, and those of servers long unmet end.
pub(crate) fn samples(taps: &[TapStatus], at: Wall, stored: bool) -> Vec<Sample> {
    let mut telling = Telling { samples: Vec::new(), at, stored };
    for tap in taps {
        let base = base_of(tap);
        telling.of_tap(tap, &base);
        for (name, server) in &tap.counts.servers {
            telling.of_server(&base, name, server);
        }
    }
    telling.samples
}

type Pair = (Arc<str>, Arc<str>);

/// The labels that all series of a recorder bear.
fn base_of(tap: &TapStatus) -> Vec<Pair> {
    let mut base = vec![label("interface", &tap.interface)];
    base.extend(tap.service.as_deref().map(|service| label("service", service)));
    base
}

struct Telling {
    samples: Vec<Sample>,
    at: Wall,
    stored: bool,
}

/// When a series begins, and whether it ends now.
#[derive(Clone, Copy, Default)]
struct Life {
    born: Option<Wall>,
    over: bool,
}

impl Telling {
    fn of_tap(&mut self, tap: &TapStatus, base: &[Pair]) {
        let (counts, gauges) = (&tap.counts, &tap.gauges);
        let depth_s = gauges.depth.map_or(0.0, |depth| depth.to.since(depth.from).as_secs_f64());
        let held = gauges.depth.map_or(0, |depth| depth.bytes);
        let sees = u64::from(gauges.sight == Some(Sight::Sees));
        let problem = u64::from(gauges.problem.is_some());
        for (name, value) in [
            ("whyslow_wire_packets_total", float(counts.packets)),
            ("whyslow_wire_drops_total", float(counts.drops)),
            ("whyslow_wire_sees", float(sees)),
            ("whyslow_self_wire_freezes_total", float(counts.freezes)),
            ("whyslow_self_wire_ring_bytes", float(gauges.ring_bytes)),
            ("whyslow_self_wire_held_bytes", float(held)),
            ("whyslow_self_wire_depth_seconds", depth_s),
            ("whyslow_self_wire_waiting_blocks", float(gauges.waiting)),
            ("whyslow_self_wire_flows", float(gauges.flows)),
            ("whyslow_self_wire_restarts_total", float(counts.restarts)),
            ("whyslow_self_wire_problem", float(problem)),
        ] {
            self.sample(name, base, &[], Life::default(), value);
        }
        let own = [
            ("servers", counts.servers_folded),
            ("losses", counts.losses_forgotten),
            ("events", tap.events_lost),
        ];
        for (limit, n) in counts.limits.iter().map(|(name, n)| (*name, *n)).chain(own) {
            self.sample(LIMITS, base, &[label("limit", limit)], Life::default(), float(n));
        }
        for why in [Why::Down, Why::Absent, Why::Restarted].map(Why::word) {
            let seconds = counts.unseen.get(why).map_or(0.0, Duration::as_secs_f64);
            self.sample(UNSEEN, base, &[label("why", why)], Life::default(), seconds);
        }
        let decoded = &counts.decoded;
        for (why, n) in [
            ("cut", decoded.cut),
            ("malformed", decoded.malformed),
            ("other", decoded.other),
            ("broken_block", counts.broken_blocks),
        ] {
            self.sample(UNREAD, base, &[label("why", why)], Life::default(), float(n));
        }
    }

    fn of_server(&mut self, base: &[Pair], name: &Arc<str>, server: &Server) {
        let life = Life { born: server.born, over: server.is_over(self.at) };
        let own = (Arc::from("server"), Arc::clone(name));
        for (outcome, (born, n)) in &server.outcomes {
            let more = [own.clone(), label("outcome", outcome)];
            self.sample(OPENINGS, base, &more, Life { born: *born, ..life }, float(*n));
        }
        self.sample(UNANSWERED, base, std::slice::from_ref(&own), life, float(server.unanswered));
        for (part, growing) in PARTS.iter().zip(&server.parts) {
            self.histogram(base, &[own.clone(), label("part", part)], life, growing);
        }
    }

    fn histogram(&mut self, base: &[Pair], more: &[Pair], life: Life, growing: &Growing) {
        let counts = growing.up_to_each();
        let bucket = format!("{HANDSHAKES}_bucket");
        let mut labels = more.to_vec();
        for (bound, n) in BOUNDS.iter().zip(counts) {
            labels.truncate(more.len());
            labels.push((Arc::from("le"), Arc::clone(bound)));
            self.sample(&bucket, base, &labels, life, float(n));
        }
        let count = counts.last().copied().unwrap_or(0);
        self.sample(&format!("{HANDSHAKES}_count"), base, more, life, float(count));
        let seconds = float(growing.sum_us) / 1e6;
        self.sample(&format!("{HANDSHAKES}_sum"), base, more, life, seconds);
    }

    fn sample(&mut self, name: &str, base: &[Pair], more: &[Pair], life: Life, value: f64) {
        // What whyslow counts of itself is scraped, not stored.
        if self.stored && name.starts_with("whyslow_self_") {
            return;
        }
        let named = [label(NAME, name)];
        let labels = Labels::from_pairs(base.iter().chain(more).chain(&named).cloned());
        if self.stored
            && let Some(born) = life.born.filter(|born| *born < self.at)
        {
            self.samples.push(Sample {
                labels: labels.clone(),
                at_ms: born.as_millis(),
                value: 0.0,
            });
        }
        let value = if self.stored && life.over { stale_nan() } else { value };
        self.samples.push(Sample { labels, at_ms: self.at.as_millis(), value });
    }
}

fn label(name: &str, value: &str) -> Pair {
    (Arc::from(name), Arc::from(value))
}

#[expect(clippy::cast_precision_loss, reason = "a count of 2^53 is not reached")]
const fn float(count: u64) -> f64 {
    count as f64
}
