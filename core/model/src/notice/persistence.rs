//! From readings to findings: abnormal ones that persist open one, normal ones in a row close it.

use std::collections::{BTreeMap, VecDeque};

use crate::Wall;
use crate::hash::fnv1a;
use crate::limits::NOTICE_FINDINGS_CELLS_MAX;
use crate::observation::{Cohort, Locus};
use crate::reading::{Finding, Reading, Status};
use crate::segment::Segment;

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

/// How long abnormal readings must last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// A finding opens at so many abnormal readings…
    pub open_after: usize,
    /// …among the last so many that could tell.
    pub of_last: usize,
    /// It closes after so many normal readings in a row.
    pub close_after: usize,
}

impl Default for Patience {
    fn default() -> Self {
        Self { open_after: 3, of_last: 5, close_after: 5 }
    }
}

/// All cells' states.
#[derive(Debug)]
pub struct Persistence {
    open_after: usize,
    of_last: usize,
    close_after: usize,
    cells: BTreeMap<Cell, State>,
}

/// A finding that changed.
#[derive(Debug)]
pub struct Changed {
    /// As it stands now.
    pub finding: Finding,
    /// Whether this reading opened it.
    pub just_opened: bool,
}

impl Persistence {
    /// Remembers nothing yet.
    pub fn new(patience: Patience) -> Self {
        let of_last = patience.of_last.max(1);
        Self {
            open_after: patience.open_after.clamp(1, of_last),
            of_last,
            close_after: patience.close_after.max(1),
            cells: BTreeMap::new(),
        }
    }

    /// Takes a finding back that was open.
    pub fn restore(&mut self, finding: Finding) {
        if finding.closed.is_some() || self.cells.len() >= NOTICE_FINDINGS_CELLS_MAX {
            return;
        }
        let cell = (finding.code.clone(), finding.cohort.clone(), finding.locus.clone());
        let heard = finding.evidence.iter().map(|e| e.to).max().unwrap_or(finding.opened);
        let state = State { last: VecDeque::new(), normal: 0, heard, open: Some(finding) };
        self.cells.insert(cell, state);
    }

    /// Takes a reading; answers the finding that opened, went on or closed by it.
    pub fn handle_reading(
        &mut self,
        implicates: &[Segment],
        reading: &Reading,
        text: String,
    ) -> Option<Changed> {
        let cell = (reading.code.clone(), reading.cohort.clone(), reading.locus.clone());
        let abnormal = reading.status == Status::Abnormal;
        // Most cells are never abnormal, and need no place.
        if !self.cells.contains_key(&cell)
            && (!abnormal || self.cells.len() >= NOTICE_FINDINGS_CELLS_MAX)
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
        let finding = open(implicates, reading, opened, readings, text);
        state.open = Some(finding.clone());
        Some(Changed { finding, just_opened: true })
    }

    /// Forgets cells that have been quiet or unheard for long; answers findings this closed.
    pub fn handle_window_end(&mut self, to: Wall) -> Vec<Finding> {
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
    implicates: &[Segment],
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
        implicates: implicates.to_vec(),
        text,
        evidence: reading.evidence.clone(),
    }
}
