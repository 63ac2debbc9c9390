//! SYNs that get no answer.

use whyslow_model::Segment;
use whyslow_model::notice::interval::{Share, share};
use whyslow_model::notice::{About, percent};
use whyslow_model::reading::Status;

use super::{Detector, Judge, Judgement, name, ones};
use crate::row::{Cell, Dimension, Totals, Window};

pub(super) const DETECTOR: Detector = Detector {
    about: About {
        code: "wire_unanswered_syns",
        summary: "SYNs get no SYN-ACK: clients wait a second or more, and no log shows it.",
        looks_at: "the share of connections to each server whose first SYN had no answer within the \
               engine's patience, with the cause where the kernel says it",
        abnormal: "three or more, and the lower end of the share's 95 % interval is 0.2 % or more",
        implicates: &[Segment::Host, Segment::Edge, Segment::Backend],
        advice: "Accept queue full: the process does not accept fast enough, or its backlog is too \
             small. Firewall: read its counters. Return path: the SYN-ACK left, look outside.",
    },
    make: || Box::<Syns>::default(),
};

const UNANSWERED_MIN: u64 = 3;
const SHARE: f64 = 0.002;

#[derive(Debug, Default)]
struct Syns;

impl Judge for Syns {
    fn judge(&mut self, window: &Window) -> Vec<Judgement> {
        ones(window, Dimension::Server).map(|(cell, totals)| of(cell, totals)).collect()
    }
}

fn of(cell: &Cell, totals: &Totals) -> Judgement {
    let here = share(totals.unanswered, totals.asked());
    let mut judgement = Judgement::of(cell, here.stat());
    let abnormal = totals.unanswered >= UNANSWERED_MIN && here.lo >= SHARE;
    judgement.status = Some(if abnormal { Status::Abnormal } else { Status::Normal });
    if abnormal {
        let (text, implicates) = cause(totals);
        judgement.implicates = implicates;
        judgement.text = sentence(cell, here, text);
    }
    judgement
}

fn sentence(cell: &Cell, here: Share, cause: &str) -> String {
    format!(
        "{} of {} SYNs to {} ({}) got no answer: {cause}.",
        here.bad,
        here.n,
        name(cell),
        percent(here.at)
    )
}

/// The cause of most of them, and what it points at.
fn cause(totals: &Totals) -> (&'static str, Option<&'static [Segment]>) {
    let most = totals.causes.iter().max_by_key(|(_, n)| **n);
    match most.map(|(word, _)| &**word) {
        Some("accept_queue_full") => {
            ("the accept queue was full", Some(&[Segment::Backend, Segment::Host]))
        }
        Some("firewall") => ("a firewall drops them", Some(&[Segment::Host])),
        Some("no_listener" | "refused") => {
            ("nobody listens there", Some(&[Segment::Backend, Segment::Host]))
        }
        Some("no_route") => ("this machine has no route for the SYN-ACK", Some(&[Segment::Host])),
        Some("return_path") => {
            ("the SYN-ACK left and did not arrive", Some(&[Segment::Transit, Segment::Access]))
        }
        _ => ("the kernel does not say why", None),
    }
}
