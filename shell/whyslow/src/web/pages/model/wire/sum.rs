//! Windows of the wire added up: of one cell, of every cell of a dimension, of the capture itself.

use std::collections::BTreeMap;
use std::sync::Arc;

use whyslow_model::Histogram;
use whyslow_wire::row::{Cell, Counts, Dimension, Totals, Window};

use crate::web::pages::model::RUNS_TO_JUDGE;

/// Windows, each with the tap it is of.
pub type Taken = (Arc<str>, Window);

/// One cell's totals over all windows.
pub fn of(windows: &[Taken], cell: &Cell) -> Totals {
    let mut sum = Totals::default();
    let rows = windows.iter().flat_map(|(_, window)| &window.rows);
    rows.filter(|row| row.cell == *cell).for_each(|row| sum.merge(&row.totals));
    sum
}

/// A line of a table.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    /// What it is about; of many put together: [`Cell::Other`].
    pub cell: Cell,
    /// How many lines it stands for that found no place.
    pub folded: usize,
    /// What was counted.
    pub totals: Totals,
}

/// The cells of a dimension, most slow handshakes first, then most handshakes; those behind the
/// first `most`, and those windows did not tell apart, share the last line. Lines of which nothing
/// was asked are left out.
pub fn lines(windows: &[Taken], dimension: Dimension, most: usize) -> Vec<Line> {
    let mut cells: BTreeMap<&Cell, Totals> = BTreeMap::new();
    for row in windows.iter().flat_map(|(_, window)| &window.rows) {
        if row.cell.dimension() == Some(dimension) {
            cells.entry(&row.cell).or_default().merge(&row.totals);
        }
    }
    cells.retain(|_, totals| totals.asked() > 0 || !totals.endings.is_empty());
    let mut others = cells.remove(&Cell::Other(dimension)).unwrap_or_default();
    let mut lines: Vec<Line> = cells
        .into_iter()
        .map(|(cell, totals)| Line { cell: cell.clone(), folded: 0, totals })
        .collect();
    lines.sort_by(|a, b| {
        let rank = |line: &Line| (line.totals.slow, line.totals.handshakes, line.totals.asked());
        rank(b).cmp(&rank(a)).then_with(|| a.cell.cmp(&b.cell))
    });
    let folded = lines.len().saturating_sub(most);
    lines.drain(lines.len() - folded..).for_each(|line| others.merge(&line.totals));
    if others.asked() > 0 || !others.endings.is_empty() {
        lines.push(Line { cell: Cell::Other(dimension), folded, totals: others });
    }
    lines
}

/// What the taps gave and lost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Capture {
    /// Packets seen.
    pub packets: u64,
    /// Packets known to be lost.
    pub drops: u64,
    /// Windows.
    pub windows: u64,
    /// Windows of which a part could not be seen.
    pub blind: u64,
}

impl Capture {
    /// The capture over all windows.
    pub fn of<'a>(windows: impl IntoIterator<Item = &'a Window>) -> Self {
        windows.into_iter().fold(Self::default(), |sum, window| Self {
            packets: sum.packets + window.packets,
            drops: sum.drops + window.drops,
            windows: sum.windows + 1,
            blind: sum.blind + u64::from(window.blind),
        })
    }

    /// The share of packets that were seen, 0 to 1, of the windows that could see.
    pub fn completeness(&self) -> f64 {
        if self.drops == 0 { 1.0 } else { float(self.packets) / float(self.packets + self.drops) }
    }

    /// Whether nothing is known to be missing.
    pub const fn is_whole(&self) -> bool {
        self.drops == 0 && self.blind == 0
    }
}

/// The `q`-quantile in milliseconds; `None` of too few to say.
pub fn quantile_ms(histogram: &Histogram, q: f64) -> Option<f64> {
    if histogram.count() < RUNS_TO_JUDGE as u64 {
        return None;
    }
    histogram.quantile(q).map(|seconds| seconds * 1000.0)
}

/// The word that was counted most, and how often.
pub fn most(counts: &Counts) -> Option<(&str, u64)> {
    let most = counts.iter().max_by_key(|(_, n)| **n)?;
    Some((most.0.as_ref(), *most.1))
}

/// The share of `part` in `all`, 0 to 1.
pub fn share(part: u64, all: u64) -> f64 {
    if all == 0 { 0.0 } else { float(part) / float(all) }
}

/// A count as a number to reckon with.
#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^53")]
pub const fn float(n: u64) -> f64 {
    n as f64
}

#[cfg(test)]
pub(crate) mod tests {
    use std::borrow::Cow;

    use whyslow_model::Wall;
    use whyslow_wire::row::Row;

    use super::*;

    /// Totals of so many handshakes, of which so many waited for `blame`; medians of server,
    /// network and client in milliseconds.
    pub(crate) fn totals(n: u64, slow: u64, blame: &'static str, parts_ms: [u64; 3]) -> Totals {
        let mut totals = Totals { handshakes: n, slow, ..Totals::default() };
        for _ in 0..n {
            let [server, network, client] = parts_ms.map(|ms| ms * 1000);
            totals.server.observe(server);
            totals.network.observe(network);
            totals.client.observe(client);
            totals.total.observe(server + network + client);
            totals.server_think.observe(server);
        }
        if slow > 0 {
            totals.blame.insert(Cow::Borrowed(blame), slow);
        }
        totals
    }

    /// A minute with these rows.
    pub(crate) fn window(minute: i64, rows: Vec<(Cell, Totals)>) -> Taken {
        let from = Wall::from_millis(minute * 60_000);
        let window = Window {
            from,
            to: Wall::from_millis((minute + 1) * 60_000),
            packets: 900,
            drops: 0,
            blind: false,
            rows: rows.into_iter().map(|(cell, totals)| Row { cell, totals }).collect(),
        };
        (Arc::from("eth0"), window)
    }

    #[test]
    fn lines_are_worst_first_and_add_up_with_their_others() {
        let mut rows = vec![(Cell::All, totals(150, 9, "client", [1, 20, 5]))];
        for asn in 1..=5_u32 {
            let slow = if asn == 3 { 9 } else { 0 };
            rows.push((Cell::Asn(asn), totals(20 + u64::from(asn), slow, "client", [1, 20, 5])));
        }
        rows.push((Cell::Other(Dimension::Asn), totals(35, 0, "client", [1, 20, 5])));
        let windows = [window(0, rows)];
        let lines = lines(&windows, Dimension::Asn, 2);
        let cells: Vec<&Cell> = lines.iter().map(|line| &line.cell).collect();
        assert_eq!(cells, [&Cell::Asn(3), &Cell::Asn(5), &Cell::Other(Dimension::Asn)]);
        assert_eq!(lines[2].folded, 3);
        let sum: u64 = lines.iter().map(|line| line.totals.handshakes).sum();
        assert_eq!(sum, of(&windows, &Cell::All).handshakes);
    }

    #[test]
    fn a_handful_has_no_middle_and_drops_make_a_capture_incomplete() {
        assert_eq!(quantile_ms(&totals(3, 0, "", [1, 1, 1]).total, 0.5), None);
        let ms = quantile_ms(&totals(30, 0, "", [1, 20, 5]).total, 0.5).unwrap();
        assert!((ms - 26.0).abs() < 0.5, "{ms}");
        let mut lossy = window(0, Vec::new()).1;
        lossy.drops = 100;
        let capture = Capture::of([&lossy]);
        assert!((capture.completeness() - 0.9).abs() < 1e-9 && !capture.is_whole());
    }
}
