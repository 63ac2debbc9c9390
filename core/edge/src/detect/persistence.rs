//! From readings to findings: abnormal ones that persist open one, normal ones in a row close it.

use std::collections::{BTreeMap, VecDeque};

use whyslow_model::Wall;
use whyslow_model::limits::EDGE_FINDINGS_CELLS_MAX;
use whyslow_model::observation::{Cohort, Locus};
use whyslow_model::reading::{Finding, Reading, Status};

use super::{Detector, Options};
use crate::slow::fnv1a;

/// After how long without a reading a cell is forgotten, and its finding closed.
const UNHEARD: std::time::Duration = std::time::Duration::from_hours(24);

/// What a finding is about.
type Cell = (String, Cohort, Locus);

/// A cell's last readings.
#[derive(Debug)]
struct State {
    /// Of the last readings that could tell: when each began, and whether it was abnormal.
    last: VecDeque<(Wall, bool)>,
    /// Normal ones in a row.
    normal: usize,
    heard: Wall,
    open: Option<Finding>,
}

/// All cells' states.
#[derive(Debug)]
pub(super) struct Persistence {
    open_after: usize,
    of_last: usize,
    close_after: usize,
    cells: BTreeMap<Cell, State>,
}

/// A finding that changed.
#[derive(Debug)]
pub(super) struct Changed {
    pub(super) finding: Finding,
    pub(super) just_opened: bool,
}

impl Persistence {
    pub(super) fn new(options: &Options) -> Self {
        let of_last = options.of_last.max(1);
        Self {
            open_after: options.open_after.clamp(1, of_last),
            of_last,
            close_after: options.close_after.max(1),
            cells: BTreeMap::new(),
        }
    }

    /// Takes a finding back that was open.
    pub(super) fn restore(&mut self, finding: Finding) {
        if finding.closed.is_some() || self.cells.len() >= EDGE_FINDINGS_CELLS_MAX {
            return;
        }
        let cell = (finding.code.clone(), finding.cohort.clone(), finding.locus.clone());
        let heard = finding.evidence.iter().map(|e| e.to).max().unwrap_or(finding.opened);
        let state = State { last: VecDeque::new(), normal: 0, heard, open: Some(finding) };
        self.cells.insert(cell, state);
    }

    /// Takes a reading; answers the finding that opened, went on or closed by it.
    pub(super) fn handle_reading(
        &mut self,
        detector: &Detector,
        reading: &Reading,
        text: String,
    ) -> Option<Changed> {
        let cell = (reading.code.clone(), reading.cohort.clone(), reading.locus.clone());
        let abnormal = reading.status == Status::Abnormal;
        // Most cells are never abnormal, and need no place.
        if !self.cells.contains_key(&cell)
            && (!abnormal || self.cells.len() >= EDGE_FINDINGS_CELLS_MAX)
        {
            return None;
        }
        let new = || State { last: VecDeque::new(), normal: 0, heard: reading.to, open: None };
        let state = self.cells.entry(cell).or_insert_with(new);
        state.heard = reading.to;
        if !abnormal && reading.status != Status::Normal {
            return None;
        }
        state.note(reading.from, abnormal, self.of_last);
        if let Some(mut finding) = state.open.take() {
            if abnormal {
                finding.readings += 1;
                finding.text = text;
                finding.evidence.clone_from(&reading.evidence);
            } else if state.normal >= self.close_after {
                finding.closed = Some(reading.to);
                state.last.clear();
                return Some(Changed { finding, just_opened: false });
            }
            state.open = Some(finding.clone());
            return abnormal.then_some(Changed { finding, just_opened: false });
        }
        let bad = state.last.iter().filter(|(_, abnormal)| *abnormal);
        if !abnormal || bad.clone().count() < self.open_after {
            return None;
        }
        let opened = bad.clone().map(|(from, _)| *from).min().unwrap_or(reading.from);
        let readings = bad.count() as u64;
        let finding = open(detector, reading, opened, readings, text);
        state.open = Some(finding.clone());
        Some(Changed { finding, just_opened: true })
    }

    /// Forgets cells that have been quiet or unheard for long; answers findings this closed.
    pub(super) fn handle_window_end(&mut self, to: Wall) -> Vec<Finding> {
        let mut closed = Vec::new();
        self.cells.retain(|_, state| {
            let unheard = to.since(state.heard) > UNHEARD;
            if unheard && let Some(finding) = state.open.take() {
                closed.push(Finding { closed: Some(state.heard), ..finding });
            }
            let quiet = state.open.is_none() && state.last.iter().all(|(_, abnormal)| !abnormal);
            !unheard && !quiet
        });
        closed
    }
}

impl State {
    fn note(&mut self, from: Wall, abnormal: bool, of_last: usize) {
        self.normal = if abnormal { 0 } else { self.normal + 1 };
        self.last.push_back((from, abnormal));
        if self.last.len() > of_last {
            self.last.pop_front();
        }
    }
}

fn open(
    detector: &Detector,
    reading: &Reading,
    opened: Wall,
    readings: u64,
    text: String,
) -> Finding {
    // A named hash over plain text, so that every process names a finding alike.
    let words = format!("{:?}\n{:?}", reading.cohort, reading.locus);
    let id = fnv1a(&format!("{}\n{words}\n{}", reading.code, opened.as_nanos()));
    Finding {
        id: format!("{id:016x}"),
        code: reading.code.clone(),
        cohort: reading.cohort.clone(),
        locus: reading.locus.clone(),
        opened,
        closed: None,
        readings,
        implicates: detector.implicates.to_vec(),
        text,
        evidence: reading.evidence.clone(),
    }
}
