//! `--fail-on`: what makes a report end with a status other than 0.

use std::str::FromStr;

use whyslow_model::Duration;
use whyslow_wire::handshake::Blame;
use whyslow_wire::report::Outcome;

use crate::cli::render::columns;

/// Something that must not be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Bound {
    /// Any packet that the capture lost.
    Drops,
    /// Any SYN without an answer.
    Unanswered,
    /// More than this share, in per cent, of handshakes that were slow.
    Slow(f64),
    /// More than this share, in per cent, of handshakes that were slow because of this one.
    Blamed(Blame, f64),
    /// A quantile of the totals above this.
    Quantile(f64, Duration),
}

impl FromStr for Bound {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "drops" => return Ok(Self::Drops),
            "unanswered" => return Ok(Self::Unanswered),
            _ => {}
        }
        let refused = || {
            format!(
                "'{text}' is none of drops, unanswered, slow=SHARE%, server=SHARE%, \
                 network=SHARE%, client=SHARE%, p50=D, p90=D, p99=D"
            )
        };
        let (what, bound) = text.split_once('=').ok_or_else(refused)?;
        let share = || {
            let share = bound.trim_end_matches('%').parse::<f64>().ok();
            share.filter(|s| (0.0..=100.0).contains(s)).ok_or_else(refused)
        };
        let duration = || bound.parse::<Duration>().map_err(|e| format!("{what}: {e}"));
        Ok(match what {
            "slow" => Self::Slow(share()?),
            "server" => Self::Blamed(Blame::Server, share()?),
            "network" => Self::Blamed(Blame::Network, share()?),
            "client" => Self::Blamed(Blame::Client, share()?),
            "p50" => Self::Quantile(0.5, duration()?),
            "p90" => Self::Quantile(0.9, duration()?),
            "p99" => Self::Quantile(0.99, duration()?),
            _ => return Err(refused()),
        })
    }
}

impl Bound {
    /// The sentence that says so where it is broken.
    pub(super) fn broken(&self, outcome: &Outcome, drops: u64) -> Option<String> {
        let total = &outcome.total;
        let share = |n: u64| columns::share(n, total.handshakes);
        match self {
            Self::Drops => (drops > 0).then(|| format!("failed: the capture lost {drops} packets")),
            Self::Unanswered => {
                let n = outcome.unanswered_count;
                (n > 0).then(|| format!("failed: {n} connections got no answer to their SYN"))
            }
            Self::Slow(most) => {
                let got = share(total.slow);
                (got > *most).then(|| format!("failed: {got:.2} % were slow, more than {most} %"))
            }
            Self::Blamed(whom, most) => {
                let (got, name) = (share(total.blamed(*whom)), super::table::word(*whom));
                (got > *most).then(|| {
                    format!(
                        "failed: {got:.2} % were slow because of the {name}, more than {most} %"
                    )
                })
            }
            Self::Quantile(q, most) => {
                let got = total.total.quantile(*q)?;
                let name = (q * 100.0).round();
                (got > most.std().as_secs_f64())
                    .then(|| format!("failed: p{name} is {:.1} ms, more than {most}", got * 1e3))
            }
        }
    }
}
