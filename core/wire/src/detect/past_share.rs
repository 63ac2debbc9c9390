//! A cell's share against its own past.

use whyslow_model::notice::interval::Share;
use whyslow_model::notice::{Pasts, Usual};
use whyslow_model::reading::{Against, Stat, Status};

use super::Judgement;
use crate::row::Cell;

const EVENTS_MIN: u64 = 30;
const POINTS: f64 = 0.03;
const SIGMAS: f64 = 4.0;

/// The past of some cells' shares.
#[derive(Debug, Default)]
pub(super) struct PastShares {
    pasts: Pasts<Cell>,
}

impl PastShares {
    /// Abnormal where the lower end of the share's 95 % interval is 3 points and four times the
    /// past's spread above the past's median; `text` says so.
    pub(super) fn judge(
        &mut self,
        cell: &Cell,
        here: Share,
        text: impl FnOnce(Usual) -> String,
    ) -> Judgement {
        let mut judgement =
            Judgement { against: Some(Against::Past), ..Judgement::of(cell, here.stat()) };
        if here.n < EVENTS_MIN {
            return judgement;
        }
        let usual = self.pasts.usual(cell);
        let rose = usual.is_some_and(|u| here.lo > u.median + POINTS.max(SIGMAS * u.sigma));
        self.pasts.note(cell, here.at, rose);
        if let Some(usual) = usual {
            judgement.status = Some(if rose { Status::Abnormal } else { Status::Normal });
            judgement.there = Some(Stat {
                n: here.n,
                median: Some(usual.median),
                unit: "share".to_owned(),
                ..Stat::default()
            });
            judgement.text = if rose { text(usual) } else { String::new() };
        }
        judgement
    }

    /// Forgets cells that have not been noted for long.
    pub(super) fn handle_window_end(&mut self) {
        self.pasts.handle_window_end();
    }
}
