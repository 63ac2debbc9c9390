//! Windows of the wire over time: equal stretches aligned to the clock.

use std::collections::BTreeMap;

use whyslow_wire::row::{Cell, Totals};

use super::sum::{Capture, Taken};
use crate::web::pages::model::edge::bins::width_of;
use crate::web::pages::when::Span;

/// One stretch of time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bin {
    /// Its start within the range, in milliseconds since the epoch.
    pub from_ms: i64,
    /// Its end, exclusive.
    pub to_ms: i64,
    /// What was counted of the cell.
    pub totals: Totals,
    /// What the taps gave and lost.
    pub capture: Capture,
}

impl Bin {
    /// Whether nobody looked, or nobody could see.
    pub const fn is_gap(&self) -> bool {
        self.capture.windows == self.capture.blind
    }
}

/// All bins that touch the span, of one cell.
pub fn bins(windows: &[Taken], cell: &Cell, span: &Span) -> Vec<Bin> {
    // One that an end of recording cut short stands for a whole one.
    let whole = |s: i64| if s <= 10 { 10 } else { (s + 59) / 60 * 60 };
    let lengths =
        windows.iter().map(|(_, w)| whole((w.to.as_millis() - w.from.as_millis()) / 1000));
    let width = width_of(span, lengths.max().unwrap_or(10).max(1)) * 1000;
    let first = span.from_ms.div_euclid(width) * width;
    let starts = (0..).map(|i| first + i * width).take_while(|at| *at < span.to_ms);
    let empty = |at: i64| {
        let (from_ms, to_ms) = (at.max(span.from_ms), (at + width).min(span.to_ms));
        (at, Bin { from_ms, to_ms, ..Bin::default() })
    };
    let mut bins: BTreeMap<i64, Bin> = starts.map(empty).collect();
    for (_, window) in windows {
        let start = window.from.as_millis().div_euclid(width) * width;
        let Some(bin) = bins.get_mut(&start) else { continue };
        let of = Capture::of([window]);
        bin.capture.packets += of.packets;
        bin.capture.drops += of.drops;
        bin.capture.windows += 1;
        bin.capture.blind += of.blind;
        let rows = window.rows.iter().filter(|row| row.cell == *cell);
        rows.for_each(|row| bin.totals.merge(&row.totals));
    }
    bins.into_values().collect()
}

#[cfg(test)]
mod tests {
    use super::super::sum::tests::{totals, window};
    use super::*;
    use crate::web::pages::when::Asked;

    #[test]
    fn bins_hold_every_window_once_and_what_nobody_saw_is_a_gap() {
        let asked = Asked {
            from: Some("6000000".to_owned()),
            to: Some("9600000".to_owned()),
            ..Asked::default()
        };
        let span = Span::new(&asked, 9_600_000);
        let windows: Vec<Taken> = (110..130)
            .map(|minute| window(minute, vec![(Cell::All, totals(30, 0, "", [1, 2, 3]))]))
            .collect();
        let bins = bins(&windows, &Cell::All, &span);
        assert_eq!(bins.iter().map(|bin| bin.totals.handshakes).sum::<u64>(), 600);
        assert_eq!(bins.iter().filter(|bin| !bin.is_gap()).count(), 20);
        assert!(bins.iter().any(Bin::is_gap));
    }
}
