//! What the wire's windows show by themselves: a reading of every cell in every window, also when
//! all is normal or nothing could be seen, and a finding where abnormal ones persist.
//!
//! Each detector is one file and one entry of [`ALL`]: a cell against its peers, or against its own
//! past, never one row by itself. `docs/wire-notices.md` is made from the entries. Health checks
//! that close by RST are counted and listed, and are no detector's business.

mod cohorts;
mod endings;
mod loss;
mod past_share;
mod syns;
mod think;

use std::collections::{BTreeSet, VecDeque};

use whyslow_model::Segment;
use whyslow_model::limits::NOTICE_CELLS_MAX;
use whyslow_model::notice::{About, Patience, Persistence, percent};
use whyslow_model::observation::{Cohort, Evidence, EvidenceKind, Locus};
use whyslow_model::reading::{Against, Finding, Reading, Stat, Status};

use crate::row::{Cell, Dimension, Totals, Window};

/// A detector's entry in the list.
#[derive(Clone, Copy)]
pub struct Detector {
    /// What it says of itself.
    pub about: About,
    make: fn() -> Box<dyn Judge>,
}

impl std::fmt::Debug for Detector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Detector").field("about", &self.about).finish_non_exhaustive()
    }
}

/// All detectors.
pub const ALL: &[Detector] = &[
    cohorts::NETWORK,
    cohorts::PREFIX,
    cohorts::RDNS,
    think::DETECTOR,
    loss::DETECTOR,
    syns::DETECTOR,
    endings::DETECTOR,
];

/// The codes of all of them.
pub fn codes() -> Vec<String> {
    ALL.iter().map(|d| d.about.code.to_owned()).collect()
}

/// Judges the cells of one kind, window after window; its state is bounded.
trait Judge: Send + std::fmt::Debug {
    /// Says of each of its cells what the window shows.
    fn judge(&mut self, window: &Window) -> Vec<Judgement>;
}

/// What a detector says of one cell.
#[derive(Clone, Debug)]
struct Judgement {
    cell: Cell,
    /// `None` stands for too few.
    status: Option<Status>,
    here: Stat,
    there: Option<Stat>,
    against: Option<Against>,
    /// Of an abnormal reading: what it shows, as a sentence.
    text: String,
    /// Of an abnormal reading: what can explain it, where that is less than the entry says.
    implicates: Option<&'static [Segment]>,
}

impl Judgement {
    fn of(cell: &Cell, here: Stat) -> Self {
        Self {
            cell: cell.clone(),
            status: None,
            here,
            there: None,
            against: None,
            text: String::new(),
            implicates: None,
        }
    }
}

/// How windows are judged.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// The service that is served, where it is known.
    pub service: Option<String>,
    /// The host whose interface is tapped.
    pub host: Option<String>,
    /// How long abnormal readings must last.
    pub patience: Patience,
    /// Readings below this completeness are blind.
    pub completeness_min: f64,
}

impl Default for Options {
    fn default() -> Self {
        Self { service: None, host: None, patience: Patience::default(), completeness_min: 0.95 }
    }
}

/// All detectors and what they remember.
#[derive(Debug)]
pub struct Detectors {
    options: Options,
    judges: Vec<Watch>,
    persistence: Persistence,
    readings: VecDeque<Reading>,
    findings: VecDeque<Finding>,
}

/// A detector and the cells of the last window that could be seen.
#[derive(Debug)]
struct Watch {
    detector: &'static Detector,
    judge: Box<dyn Judge>,
    cells: BTreeSet<Cell>,
}

impl Detectors {
    /// Detectors that remember nothing yet.
    pub fn new(options: Options) -> Self {
        let watch = |detector: &'static Detector| Watch {
            detector,
            judge: (detector.make)(),
            cells: BTreeSet::new(),
        };
        Self {
            judges: ALL.iter().map(watch).collect(),
            persistence: Persistence::new(options.patience),
            readings: VecDeque::new(),
            findings: VecDeque::new(),
            options,
        }
    }

    /// Takes findings back that were open when the process ended.
    pub fn restore(&mut self, open: impl IntoIterator<Item = Finding>) {
        open.into_iter().for_each(|finding| self.persistence.restore(finding));
    }

    /// Judges a closed window. One of which too little was seen makes every cell that was there
    /// before it blind, and moves nobody's past.
    pub fn handle_window(&mut self, window: &Window) {
        let seen = window.completeness() >= self.options.completeness_min;
        for watch in &mut self.judges {
            let mut judgements = if seen { watch.judge.judge(window) } else { Vec::new() };
            judgements.truncate(NOTICE_CELLS_MAX);
            if seen {
                watch.cells = judgements.iter().map(|j| j.cell.clone()).collect();
            } else {
                let blind = |cell: &Cell| {
                    let status = Some(Status::Blind);
                    let here = Stat { unit: "share".to_owned(), ..Stat::default() };
                    Judgement { status, ..Judgement::of(cell, here) }
                };
                judgements.extend(watch.cells.iter().map(blind));
            }
            for judgement in judgements {
                let reading = reading(watch.detector.about.code, window, &self.options, &judgement);
                let implicates = judgement.implicates.unwrap_or(watch.detector.about.implicates);
                let text = judgement.text;
                if let Some(changed) = self.persistence.handle_reading(implicates, &reading, text) {
                    self.findings.push_back(changed.finding);
                }
                self.readings.push_back(reading);
            }
        }
        self.findings.extend(self.persistence.handle_window_end(window.to));
    }

    /// The next reading.
    pub fn poll_reading(&mut self) -> Option<Reading> {
        self.readings.pop_front()
    }

    /// The next finding that opened, went on or closed.
    pub fn poll_finding(&mut self) -> Option<Finding> {
        self.findings.pop_front()
    }
}

fn reading(code: &str, window: &Window, options: &Options, judgement: &Judgement) -> Reading {
    let status = judgement.status.unwrap_or(Status::TooFew);
    let (cohort, locus) = place(&judgement.cell, options);
    let evidence = Evidence {
        kind: EvidenceKind::Rows,
        reference: reference(&judgement.cell),
        from: window.from,
        to: window.to,
    };
    Reading {
        code: code.to_owned(),
        cohort,
        locus,
        from: window.from,
        to: window.to,
        status,
        here: judgement.here.clone(),
        there: judgement.there.clone(),
        against: judgement.against,
        completeness: Some(window.completeness()),
        evidence: if status == Status::Abnormal { vec![evidence] } else { Vec::new() },
    }
}

/// Who was served, and what the reading is about.
fn place(cell: &Cell, options: &Options) -> (Cohort, Locus) {
    let mut cohort = Cohort { service: options.service.clone(), ..Cohort::default() };
    let mut locus = Locus { host: options.host.clone(), ..Locus::default() };
    match cell {
        Cell::Server(address) => locus.server = Some(address.to_string()),
        Cell::Asn(asn) => {
            cohort.asn = Some(*asn);
            locus.asn = Some(*asn);
        }
        Cell::Prefix(net) => {
            cohort.prefix = Some(net.to_string());
            locus.prefix = Some(net.to_string());
        }
        Cell::Rdns(suffix) => cohort.rdns = Some(suffix.to_string()),
        Cell::All | Cell::Unknown(_) | Cell::Other(_) => {}
    }
    (cohort, locus)
}

/// Which rows show it, as the wire page's address takes them.
fn reference(cell: &Cell) -> String {
    match cell {
        Cell::Server(address) => format!("server={address}"),
        Cell::Asn(asn) => format!("asn={asn}"),
        Cell::Prefix(net) => format!("prefix={net}"),
        Cell::Rdns(suffix) => format!("rdns={suffix}"),
        Cell::All | Cell::Unknown(_) | Cell::Other(_) => String::new(),
    }
}

/// The cells of one dimension that are one thing each.
fn ones(window: &Window, dimension: Dimension) -> impl Iterator<Item = (&Cell, &Totals)> {
    let of = move |cell: &Cell| cell.is_one() && cell.dimension() == Some(dimension);
    window.rows.iter().filter(move |row| of(&row.cell)).map(|row| (&row.cell, &row.totals))
}

/// Everything, if anything was seen.
fn all(window: &Window) -> Option<&Totals> {
    window.rows.iter().find(|row| row.cell == Cell::All).map(|row| &row.totals)
}

/// A cell as a sentence names it.
fn name(cell: &Cell) -> String {
    match cell {
        Cell::Server(address) => address.to_string(),
        Cell::Asn(asn) => format!("AS{asn}"),
        Cell::Prefix(net) => net.to_string(),
        Cell::Rdns(suffix) => suffix.to_string(),
        Cell::All => "all clients".to_owned(),
        Cell::Unknown(_) => "unknown ones".to_owned(),
        Cell::Other(_) => "all others".to_owned(),
    }
}

/// The list as a page of Markdown: `docs/wire-notices.md`, which a test holds to it.
pub fn page() -> String {
    let Options { patience, completeness_min, .. } = Options::default();
    let mut page = format!(
        concat!(
            "# What the wire notices by itself\n\n",
            "Made from the entries in `core/wire/src/detect/`. Each detector says of each of its ",
            "cells what a window shows: `normal`, `abnormal`, `too_few` (looked, at too little to ",
            "tell) or `blind` (less than {} of the packets were seen). A finding opens at {} ",
            "abnormal readings among the last {} that could tell, and closes after {} normal ones ",
            "in a row. `too_few` and `blind` neither open nor close one.\n\n",
            "Health checks that open a connection and close it unused, by RST or FIN, are counted ",
            "and listed on the page; no detector takes them for trouble.\n"
        ),
        percent(completeness_min),
        patience.open_after,
        patience.of_last,
        patience.close_after,
    );
    ALL.iter().for_each(|d| page.push_str(&d.about.section()));
    page
}

#[cfg(test)]
mod tests;
