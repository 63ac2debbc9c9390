//! The line of an overview row: the median run of each bin, with its gaps.

use std::fmt::Write as _;

use maud::{Markup, html};

use super::{gaps, place, x};
use crate::web::pages::model::bins::Bin;
use crate::web::pages::when::Span;

const HEIGHT: f64 = 24.0;

/// Draws the medians from zero up; failed bins are notches at the foot.
pub fn draw(span: &Span, bins: &[Bin], bad: bool) -> Markup {
    let medians = || bins.iter().filter_map(|b| b.figures.median.map(|p| p.total_ms));
    let top = medians().fold(1.0, f64::max) * 1.15;
    let mut d = String::new();
    let mut drawn = false;
    for bin in bins {
        let Some(median) = bin.figures.median else {
            drawn = false;
            continue;
        };
        let y = (HEIGHT - 3.0) * (1.0 - median.total_ms / top) + 1.0;
        let (left, right) = (x(span, bin.from_ms), x(span, bin.to_ms));
        // A step per bin: nothing is claimed between two of them.
        let _ = write!(d, "{}{left:.1} {y:.1}H{right:.1}", if drawn { 'L' } else { 'M' });
        drawn = true;
    }
    let mut failed = String::new();
    for bin in bins.iter().filter(|b| b.figures.failed > 0) {
        let (left, width) = place(span, bin);
        super::rectangle(&mut failed, left, HEIGHT - 3.0, width.max(6.0), 3.0);
    }
    html! {
        svg.p.sp width="100%" height=(HEIGHT) aria-hidden="true" {
            (gaps(span, bins, HEIGHT))
            svg viewBox="0 0 1000 24" width="100%" height=(HEIGHT) preserveAspectRatio="none" {
                path.k.thin.bad[bad] d=(d) { }
                @if !failed.is_empty() { path.fbad d=(failed) { } }
            }
        }
    }
}
