//! What a closed window of the wire holds: one row a cell, plain and mergeable.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use whyslow_model::{Histogram, Wall};

/// What rows are told apart by. The cells of each dimension add up to [`Cell::All`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Dimension {
    /// The address that was asked.
    Server,
    /// The client's network.
    Asn,
    /// The client's /24 or /48.
    Prefix,
    /// The suffix of the client's name in reverse DNS.
    Rdns,
}

impl Dimension {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Server, Self::Asn, Self::Prefix, Self::Rdns];
}

/// What a row is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cell {
    /// Everything.
    All,
    /// One server's address.
    Server(SocketAddr),
    /// One client network.
    Asn(u32),
    /// One client prefix.
    Prefix(IpNet),
    /// Clients whose names end alike: `*.micro.cumulo.example`.
    Rdns(Arc<str>),
    /// It is not known: no table knows the address, or no name was found (yet).
    Unknown(Dimension),
    /// What found no place of its own; totals reconcile through it.
    Other(Dimension),
}

impl Cell {
    /// Which dimension it belongs to; `None` for all.
    pub const fn dimension(&self) -> Option<Dimension> {
        match self {
            Self::All => None,
            Self::Server(_) => Some(Dimension::Server),
            Self::Asn(_) => Some(Dimension::Asn),
            Self::Prefix(_) => Some(Dimension::Prefix),
            Self::Rdns(_) => Some(Dimension::Rdns),
            Self::Unknown(dimension) | Self::Other(dimension) => Some(*dimension),
        }
    }

    /// Whether it is one thing, not many put together.
    pub const fn is_one(&self) -> bool {
        matches!(self, Self::Server(_) | Self::Asn(_) | Self::Prefix(_) | Self::Rdns(_))
    }
}

/// Counts by a word from a closed list: an outcome, a cause, a kind of ending.
pub type Counts = BTreeMap<Cow<'static, str>, u64>;

/// What is counted of one cell.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Totals {
    /// TLS handshakes that were seen to their end, whichever.
    pub handshakes: u64,
    /// Those of them that were slow.
    pub slow: u64,
    /// Of the slow ones: whose time it was, by the words of [`crate::handshake::Blame`].
    pub blame: Counts,
    /// By outcome, the complete ones included.
    pub outcomes: Counts,
    /// Handshakes of which the capture is known to have missed something.
    pub incomplete: u64,
    /// Handshakes with a client's packet that was lost before the tap.
    pub lost_before_tap: u64,
    /// How long complete ones took.
    pub total: Histogram,
    /// The server's part of them.
    pub server: Histogram,
    /// The network's part.
    pub network: Histogram,
    /// The client's part.
    pub client: Histogram,
    /// Time from the `ClientHello` to the server's first byte, the round trip taken off.
    pub server_think: Histogram,
    /// Connections that were opened without TLS.
    pub plain: u64,
    /// Connections whose SYNs got no answer for a second or more.
    pub unanswered: u64,
    /// Why, as far as anybody says.
    pub causes: Counts,
    /// Endings worth telling, by kind.
    pub endings: Counts,
}

impl Totals {
    /// Connections that were asked for.
    pub fn asked(&self) -> u64 {
        self.handshakes + self.plain + self.unanswered
    }

    /// One of `endings`.
    pub fn ending(&self, kind: &str) -> u64 {
        self.endings.get(kind).copied().unwrap_or(0)
    }

    /// Adds another's.
    pub fn merge(&mut self, other: &Self) {
        self.handshakes += other.handshakes;
        self.slow += other.slow;
        self.incomplete += other.incomplete;
        self.lost_before_tap += other.lost_before_tap;
        self.plain += other.plain;
        self.unanswered += other.unanswered;
        let counts = [
            (&mut self.blame, &other.blame),
            (&mut self.outcomes, &other.outcomes),
            (&mut self.causes, &other.causes),
            (&mut self.endings, &other.endings),
        ];
        for (into, from) in counts {
            from.iter().for_each(|(word, n)| *into.entry(word.clone()).or_default() += n);
        }
        self.total.merge(&other.total);
        self.server.merge(&other.server);
        self.network.merge(&other.network);
        self.client.merge(&other.client);
        self.server_think.merge(&other.server_think);
    }
}

/// One cell's totals.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    /// What it is about.
    pub cell: Cell,
    /// What was counted.
    pub totals: Totals,
}

/// A closed window of one tap.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    /// Its start, inclusive.
    pub from: Wall,
    /// Its end, exclusive; of one that an end of recording cut short, that end.
    pub to: Wall,
    /// Packets the tap gave.
    pub packets: u64,
    /// Packets the tap is known to have lost.
    pub drops: u64,
    /// Nothing could be seen for a part of it: no privilege, the interface down.
    pub blind: bool,
    /// [`Cell::All`] first.
    pub rows: Vec<Row>,
}

impl Window {
    /// Adds what another one of the same start counted: of another tap, or of the time before a
    /// restart.
    pub fn merge(&mut self, other: Self) {
        self.to = self.to.max(other.to);
        self.packets += other.packets;
        self.drops += other.drops;
        self.blind |= other.blind;
        let mut cells: BTreeMap<Cell, Totals> = BTreeMap::new();
        for row in std::mem::take(&mut self.rows).into_iter().chain(other.rows) {
            cells.entry(row.cell).or_default().merge(&row.totals);
        }
        self.rows = cells.into_iter().map(|(cell, totals)| Row { cell, totals }).collect();
    }

    /// Tells at most `most` cells of each dimension apart, those with the most connections that were
    /// asked for; the others go where totals reconcile through, to [`Cell::Other`].
    pub fn fold(&mut self, most: usize) {
        let mut busiest: Vec<(u64, &Cell)> =
            self.rows.iter().map(|row| (row.totals.asked(), &row.cell)).collect();
        busiest.sort_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(b.1)));
        let mut told: BTreeMap<Dimension, usize> = BTreeMap::new();
        let mut folded: BTreeMap<Cell, Dimension> = BTreeMap::new();
        for (_, cell) in busiest.into_iter().filter(|(_, cell)| cell.is_one()) {
            let Some(dimension) = cell.dimension() else { continue };
            let n = told.entry(dimension).or_default();
            *n += 1;
            if *n > most {
                folded.insert(cell.clone(), dimension);
            }
        }
        if folded.is_empty() {
            return;
        }
        let mut cells: BTreeMap<Cell, Totals> = BTreeMap::new();
        for Row { cell, totals } in std::mem::take(&mut self.rows) {
            let cell = folded.get(&cell).map_or(cell, |dimension| Cell::Other(*dimension));
            cells.entry(cell).or_default().merge(&totals);
        }
        self.rows = cells.into_iter().map(|(cell, totals)| Row { cell, totals }).collect();
    }

    /// The share, 0 to 1, of the packets that were seen.
    pub fn completeness(&self) -> f64 {
        if self.blind {
            return 0.0;
        }
        let (seen, lost) = (float(self.packets), float(self.drops));
        if self.drops == 0 { 1.0 } else { seen / (seen + lost) }
    }
}

/// A count as a number to reckon with.
fn float(n: u64) -> f64 {
    whyslow_model::notice::interval::float(n)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_busiest_cells_are_told_apart_and_all_others_are_one() {
        let row = |cell: Cell, handshakes| {
            let mut totals = Totals { handshakes, ..Totals::default() };
            totals.total.observe(1000 * handshakes);
            Row { cell, totals }
        };
        let asns = (1..=5).map(|n| row(Cell::Asn(n), 10 * u64::from(n)));
        let rows: Vec<Row> = [row(Cell::All, 150), row(Cell::Unknown(Dimension::Asn), 3)]
            .into_iter()
            .chain(asns)
            .chain([row(Cell::Other(Dimension::Asn), 7), row(Cell::Rdns("*.a".into()), 1)])
            .collect();
        let (from, to) = (Wall::from_millis(0), Wall::from_millis(60_000));
        let mut window = Window { from, to, packets: 9, drops: 0, blind: false, rows };
        let whole = window.clone();
        window.fold(5);
        assert_eq!(window, whole, "nothing is folded that fits");
        window.fold(2);
        let counted: Vec<_> = window.rows.iter().map(|r| (&r.cell, r.totals.handshakes)).collect();
        let wanted = [
            (&Cell::All, 150),
            (&Cell::Asn(4), 40),
            (&Cell::Asn(5), 50),
            (&Cell::Rdns("*.a".into()), 1),
            (&Cell::Unknown(Dimension::Asn), 3),
            (&Cell::Other(Dimension::Asn), 67),
        ];
        assert_eq!(counted, wanted);
        assert_eq!(window.rows[5].totals.total.count(), 4, "their times are told together");
    }

    #[test]
    fn windows_of_two_taps_become_one() {
        let window = |cells: &[Cell], drops| {
            let totals = Totals { handshakes: 2, ..Totals::default() };
            let row = |cell: &Cell| Row { cell: cell.clone(), totals: totals.clone() };
            let rows = cells.iter().map(row).collect();
            let (from, to) = (Wall::from_millis(0), Wall::from_millis(60_000));
            Window { from, to, packets: 90, drops, blind: drops > 0, rows }
        };
        let mut one = window(&[Cell::All, Cell::Asn(2)], 0);
        one.merge(window(&[Cell::All, Cell::Asn(1), Cell::Asn(2)], 20));
        let counted: Vec<_> = one.rows.iter().map(|r| (&r.cell, r.totals.handshakes)).collect();
        assert_eq!(counted, [(&Cell::All, 4), (&Cell::Asn(1), 2), (&Cell::Asn(2), 4)]);
        assert_eq!((one.packets, one.drops, one.completeness()), (180, 20, 0.0));
    }
}
