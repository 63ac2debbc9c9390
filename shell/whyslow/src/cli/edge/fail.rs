//! `--fail-on`: what makes a report end with a status other than 0.

use std::str::FromStr;

use whyslow_edge::report::Outcome;
use whyslow_model::Duration;

use super::tally::Tally;

/// Something that must not be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Bound {
    /// Any line that was rejected.
    Rejected,
    /// More than this share, in per cent, of answers with a 5xx code.
    Errors(f64),
    /// A quantile of the totals above this.
    Quantile(f64, Duration),
}

impl FromStr for Bound {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "rejected" {
            return Ok(Self::Rejected);
        }
        let refused = || format!("'{text}' is none of rejected, 5xx=SHARE%, p50=D, p90=D, p99=D");
        let (what, bound) = text.split_once('=').ok_or_else(refused)?;
        let quantile = match what {
            "5xx" => {
                let share = bound.trim_end_matches('%').parse::<f64>().ok();
                let share = share.filter(|s| (0.0..=100.0).contains(s)).ok_or_else(refused)?;
                return Ok(Self::Errors(share));
            }
            "p50" => 0.5,
            "p90" => 0.9,
            "p99" => 0.99,
            _ => return Err(refused()),
        };
        let bound = bound.parse::<Duration>().map_err(|e| format!("{what}: {e}"))?;
        Ok(Self::Quantile(quantile, bound))
    }
}

impl Bound {
    /// The sentence that says so where it is broken.
    pub(super) fn broken(&self, outcome: &Outcome, tally: &Tally) -> Option<String> {
        match self {
            Self::Rejected => {
                let n = tally.rejected();
                (n > 0).then(|| format!("failed: {n} lines were rejected"))
            }
            Self::Errors(most) => {
                let codes = outcome.total.codes.iter();
                let errors: u64 =
                    codes.filter(|(c, _)| (500..600).contains(c)).map(|(_, n)| n).sum();
                let share = crate::cli::render::columns::share(errors, outcome.parsed);
                (share > *most).then(|| format!("failed: {share:.2} % are 5xx, more than {most} %"))
            }
            Self::Quantile(q, most) => {
                let got = outcome.total.latency.histogram.quantile(*q)?;
                let limit = most.std().as_secs_f64();
                let name = (q * 100.0).round();
                (got > limit)
                    .then(|| format!("failed: p{name} is {:.1} ms, more than {most}", got * 1e3))
            }
        }
    }
}
