//! Lines of the log that never arrived.

use whyslow_model::Segment;
use whyslow_model::notice::interval::share;
use whyslow_model::notice::{About, percent};
use whyslow_model::observation::Locus;
use whyslow_model::reading::{Stat, Status};

use super::view::View;
use super::{Detector, Judge, Judgement};

pub(super) const CODE: &str = "edge_lines_missing";

pub(super) const DETECTOR: Detector = Detector {
    about: About {
        code: CODE,
        summary: "Lines of a balancer's log never arrive.",
        looks_at: "the lines of each log that were seen, against those that the balancer numbered or \
               that the kernel and whyslow's own limits own up to losing; blind where nothing can \
               tell",
        abnormal: "half a percent of the lines or more are missing",
        implicates: &[Segment::Vantage],
        advice: "Use a stream socket in place of datagrams, or larger receive buffers; HAProxy drops \
             lines silently where a send would block. Until then every figure of this log is too \
             low.",
    },
    make: || Box::<Missing>::default(),
};

const SHARE: f64 = 0.005;

#[derive(Debug, Default)]
struct Missing;

impl Judge for Missing {
    fn judge(&mut self, view: &View) -> Vec<Judgement> {
        let of = |(source, completeness): (&std::sync::Arc<str>, &Option<_>)| {
            let locus = Locus { edge: Some(source.to_string()), ..Locus::default() };
            let Some(known): Option<crate::completeness::Completeness> = *completeness else {
                let here = Stat { unit: "share".to_owned(), ..Stat::default() };
                return Judgement {
                    locus,
                    here,
                    status: Some(Status::Blind),
                    ..Judgement::default()
                };
            };
            let here = share(known.missing(), known.expected);
            let status = match known.expected {
                0 => None,
                _ if here.at >= SHARE => Some(Status::Abnormal),
                _ => Some(Status::Normal),
            };
            let text = format!(
                "{} of {} lines of {source} never arrived ({}).",
                known.missing(),
                known.expected,
                percent(here.at)
            );
            Judgement { locus, status, here: here.stat(), text, ..Judgement::default() }
        };
        view.sources.iter().map(of).collect()
    }
}
