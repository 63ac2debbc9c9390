//! Figures beside their peer's, as one table row each.

use std::fmt;

/// One measured figure and what it is held against.
#[derive(Clone, Debug)]
pub struct Figure {
    /// What was measured.
    pub what: String,
    /// The unit of both.
    pub unit: &'static str,
    /// Ours.
    pub whyslow: f64,
    /// The peer's name and its figure in the same run.
    pub peer: Option<(&'static str, f64)>,
    /// What ours should be at most, in words.
    pub wanted: String,
    /// Whether it is.
    pub holds: bool,
}

impl Figure {
    /// A figure that must not be above `most`.
    pub fn at_most(what: &str, unit: &'static str, whyslow: f64, most: f64) -> Self {
        Self {
            what: what.to_owned(),
            unit,
            whyslow,
            peer: None,
            wanted: format!("≤ {most}"),
            holds: whyslow <= most,
        }
    }

    /// Names the peer, and demands that ours is at most `times` the peer's as well.
    #[must_use]
    pub fn beside(mut self, name: &'static str, peer: f64, times: f64) -> Self {
        self.peer = Some((name, peer));
        self.wanted = format!("{}, ≤ {times} × {name}", self.wanted);
        // A NaN, a figure that could not be taken, is never good enough.
        self.holds &= self.whyslow <= peer * times;
        self
    }
}

/// The table's head.
pub const HEAD: &str =
    "| what | unit | whyslow | peer | wanted | holds |\n|---|---|---|---|---|---|";

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let peer = self.peer.map_or_else(|| "-".to_owned(), |(n, v)| format!("{n} {v:.4}"));
        let holds = if self.holds { "yes" } else { "NO" };
        let (what, unit, ours, wanted) = (&self.what, self.unit, self.whyslow, &self.wanted);
        write!(f, "| {what} | {unit} | {ours:.4} | {peer} | {wanted} | {holds} |")
    }
}
