//! What links to other systems count, in `/metrics`.

use super::exposition::{Exposition, Kind, float};
use crate::edge_out::OutputCounters;
use crate::links::Links;
use crate::links::counters::ByPeer;

pub(super) fn about_links(out: &mut Exposition, links: &Links, outputs: OutputCounters) {
    let lines = &links.lines_in;
    let name = "whyslow_self_graphite_lines_in_total";
    out.family(name, Kind::Counter, "What became of Graphite lines that came in.");
    for (result, count) in [
        ("stored", &lines.stored),
        ("too_long", &lines.too_long),
        ("refused", &lines.refused),
        ("failed", &lines.failed),
    ] {
        out.sample(name, [("result", result)], float(count.read()));
    }
    for (why, n) in lines.bad() {
        out.sample(name, [("result", format!("bad_{why}").as_str())], float(n));
    }
    let help = "Connections that Graphite lines come in by.";
    let name = "whyslow_self_graphite_connections";
    out.single(name, Kind::Gauge, help, float(lines.connections.read()));
    let name = "whyslow_self_graphite_turned_away_total";
    out.family(name, Kind::Counter, "Graphite senders turned away.");
    out.sample(name, [("reason", "not_allowed")], float(lines.strangers.read()));
    out.sample(name, [("reason", "too_many")], float(lines.turned_away.read()));
    let lines = links.lines_out();
    sent(out, "graphite_lines_out", "Lines for a Graphite", &["sent"], &lines);
    let name = "whyslow_self_graphite_windows_dropped_total";
    let help = "Windows that a Graphite was not told before the store let go of them.";
    out.family(name, Kind::Counter, help);
    for (peer, now) in &lines {
        out.sample(name, [("peer", peer.as_str())], float(now.dropped));
    }
    pending(out, "graphite_windows", "Windows for a Graphite", &lines);
    let samples = links.samples_out();
    let results = ["sent", "dropped", "refused"];
    sent(out, "remote_write_samples", "Samples for a receiver", &results, &samples);
    pending(out, "remote_write_samples", "Samples for a receiver", &samples);
    let help = "Balancer keys that have series.";
    out.single("whyslow_self_edge_keys", Kind::Gauge, help, float(outputs.keys as u64));
    let name = "whyslow_self_edge_rows_aside_total";
    out.family(name, Kind::Counter, "Window rows without series of their own.");
    out.sample(name, [("reason", "too_many_keys")], float(outputs.folded));
    out.sample(name, [("reason", "too_late")], float(outputs.too_late));
}

fn pending(out: &mut Exposition, what: &str, help: &str, peers: &ByPeer) {
    let name = format!("whyslow_self_{what}_pending");
    out.family(&name, Kind::Gauge, &format!("{help} that wait."));
    for (peer, now) in peers {
        out.sample(&name, [("peer", peer.as_str())], float(now.pending));
    }
}

fn sent(out: &mut Exposition, what: &str, help: &str, results: &[&str], peers: &ByPeer) {
    let name = format!("whyslow_self_{what}_total");
    out.family(&name, Kind::Counter, &format!("{help}, by what became of them."));
    for (peer, now) in peers {
        for (result, n) in [("sent", now.sent), ("dropped", now.dropped), ("refused", now.refused)]
        {
            if results.contains(&result) {
                out.sample(&name, [("peer", peer.as_str()), ("result", result)], float(n));
            }
        }
    }
    let name = format!("whyslow_self_{what}_failures_total");
    out.family(&name, Kind::Counter, &format!("{help}: attempts that failed."));
    for (peer, now) in peers {
        out.sample(&name, [("peer", peer.as_str())], float(now.failures));
    }
    let name = format!("whyslow_self_{what}_up");
    out.family(&name, Kind::Gauge, &format!("{help}: whether the peer takes them."));
    for (peer, now) in peers {
        out.sample(&name, [("peer", peer.as_str())], float(now.up));
    }
}
