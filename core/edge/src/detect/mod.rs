//! What the windows show by themselves: a reading of every cell in every judged window, also when
//! all is normal, and a finding where abnormal ones persist.
//!
//! Windows of ten seconds are gathered into judged ones (a minute, unless said otherwise) once
//! most of their late lines are in. Each detector is one file and one entry of [`ALL`]; it is pure
//! contrast: a cell against its peers, or against its own past, never one row by itself.
//! `docs/edge-notices.md` is made from the entries.

mod clients;
mod hits;
mod missing;
mod queue;
mod regression;
mod retries;
mod success;
mod twins;
mod view;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use whyslow_model::Wall;
use whyslow_model::limits::{EDGE_DETECT_WINDOWS_MAX, NOTICE_CELLS_MAX};
use whyslow_model::notice::{About, Patience, Persistence, percent};
use whyslow_model::observation::{Cohort, Evidence, EvidenceKind, Locus};
use whyslow_model::reading::{Against, Finding, Reading, Stat, Status};

use crate::completeness::Completeness;
use crate::row::Row;

use view::{Pending, View};

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
    twins::DETECTOR,
    regression::DETECTOR,
    success::DETECTOR,
    hits::DETECTOR,
    queue::DETECTOR,
    clients::NETWORK,
    clients::PREFIX,
    retries::DETECTOR,
    missing::DETECTOR,
];

/// The codes of all of them.
pub fn codes() -> Vec<String> {
    ALL.iter().map(|d| d.about.code.to_owned()).collect()
}

/// Judges the cells of one kind, window after window; its state is bounded.
trait Judge: Send + std::fmt::Debug {
    /// Says of each of its cells what the window shows.
    fn judge(&mut self, view: &View) -> Vec<Judgement>;
}

/// What a detector says of one cell.
#[derive(Clone, Debug, Default)]
struct Judgement {
    cohort: Cohort,
    locus: Locus,
    /// `None` stands for too few.
    status: Option<Status>,
    here: Stat,
    there: Option<Stat>,
    against: Option<Against>,
    /// Of an abnormal reading: what it shows, as a sentence.
    text: String,
}

/// How windows are judged.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// The service that is served, where it is known.
    pub service: Option<String>,
    /// Seconds of a judged window; a multiple of ten.
    pub window_s: i64,
    /// Seconds for which late lines are waited for before a window is judged.
    pub delay_s: i64,
    /// How long abnormal readings must last.
    pub patience: Patience,
    /// Readings below this completeness are blind.
    pub completeness_min: f64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            service: None,
            window_s: 60,
            delay_s: 20,
            patience: Patience::default(),
            completeness_min: 0.95,
        }
    }
}

/// A closed window, or a revised one, of one source.
#[derive(Clone, Copy, Debug)]
pub struct WindowOf<'a> {
    /// The log it was counted from.
    pub source: &'a Arc<str>,
    /// Its start: seconds since the epoch.
    pub start_s: i64,
    /// Its rows; those of groupings that no detector looks at may be left out.
    pub rows: &'a [Row],
    /// How complete the source was around it; `None` where nothing can tell.
    pub completeness: Option<Completeness>,
}

/// What the detectors count of themselves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Readings given.
    pub readings: u64,
    /// Findings opened.
    pub opened: u64,
    /// Windows that came after they were judged.
    pub too_late: u64,
    /// Readings that found no place among the cells.
    pub cells_refused: u64,
}

/// All detectors and what they remember.
#[derive(Debug)]
pub struct Detectors {
    options: Options,
    judges: Vec<(&'static Detector, Box<dyn Judge>)>,
    /// By start, then source: windows not judged yet.
    pending: BTreeMap<i64, Pending>,
    judged_s: i64,
    /// The end of the newest window that came, in seconds since the epoch, and when one came last.
    newest_s: i64,
    heard: Wall,
    persistence: Persistence,
    readings: VecDeque<Reading>,
    findings: VecDeque<Finding>,
    counters: Counters,
}

impl Detectors {
    /// Detectors that remember nothing yet.
    pub fn new(options: Options) -> Self {
        let window_s = (options.window_s / 10).max(1) * 10;
        let options = Options { window_s, ..options };
        Self {
            judges: ALL.iter().map(|d| (d, (d.make)())).collect(),
            pending: BTreeMap::new(),
            judged_s: i64::MIN,
            newest_s: i64::MIN,
            heard: Wall::from_nanos(i64::MIN),
            persistence: Persistence::new(options.patience),
            readings: VecDeque::new(),
            findings: VecDeque::new(),
            counters: Counters::default(),
            options,
        }
    }

    /// Takes findings back that were open when the process ended.
    pub fn restore(&mut self, open: impl IntoIterator<Item = Finding>) {
        open.into_iter().for_each(|finding| self.persistence.restore(finding));
    }

    /// Takes a window; one of the same source and start replaces the one before. Judges what is
    /// due by then.
    pub fn handle_window(&mut self, window: &WindowOf<'_>, now: Wall) {
        let start_s = window.start_s - window.start_s.rem_euclid(self.options.window_s);
        if start_s < self.judged_s {
            self.counters.too_late += 1;
        } else {
            self.pending.entry(start_s).or_default().take(window);
            self.newest_s = self.newest_s.max(window.start_s.saturating_add(10));
            self.heard = now;
        }
        self.handle_timeout(now);
    }

    /// Judges windows that have waited long enough: by the clock, and by the windows that came
    /// after them or the silence since, so that an old log that is read in a hurry is judged as
    /// it would have been then.
    pub fn handle_timeout(&mut self, now: Wall) {
        let delay = Duration::from_secs(u64::try_from(self.options.delay_s).unwrap_or(0));
        let silent = now.since(self.heard) >= delay;
        let now_s = now.as_millis().div_euclid(1000);
        let until_s = if silent { now_s } else { now_s.min(self.newest_s) };
        let until_s = until_s - self.options.delay_s - self.options.window_s;
        while let Some((start_s, _)) = self.pending.first_key_value() {
            let due = *start_s <= until_s;
            if !due && self.pending.len() <= EDGE_DETECT_WINDOWS_MAX {
                return;
            }
            let Some((start_s, pending)) = self.pending.pop_first() else { return };
            self.judge(start_s, &pending);
        }
    }

    /// Judges all windows there are: at the end of a file.
    pub fn finish(&mut self) {
        while let Some((start_s, pending)) = self.pending.pop_first() {
            self.judge(start_s, &pending);
        }
    }

    /// The next reading.
    pub fn poll_reading(&mut self) -> Option<Reading> {
        self.readings.pop_front()
    }

    /// The next finding that opened, went on or closed.
    pub fn poll_finding(&mut self) -> Option<Finding> {
        self.findings.pop_front()
    }

    /// What they count of themselves.
    pub const fn counters(&self) -> Counters {
        self.counters
    }

    fn judge(&mut self, start_s: i64, pending: &Pending) {
        let view = View::of(start_s, &self.options, pending);
        self.judged_s = start_s + self.options.window_s;
        for (detector, judge) in &mut self.judges {
            let mut judgements = judge.judge(&view);
            let room = NOTICE_CELLS_MAX.min(judgements.len());
            self.counters.cells_refused += (judgements.len() - room) as u64;
            judgements.truncate(room);
            for judgement in judgements {
                let reading = reading(detector.about.code, &view, &self.options, &judgement);
                self.counters.readings += 1;
                let text = judgement.text;
                if let Some(changed) =
                    self.persistence.handle_reading(detector.about.implicates, &reading, text)
                {
                    self.counters.opened += u64::from(changed.just_opened);
                    self.findings.push_back(changed.finding);
                }
                self.readings.push_back(reading);
            }
        }
        self.findings.extend(self.persistence.handle_window_end(view.to));
    }
}

/// A judgement as a reading: blind where too little of what happened was seen.
fn reading(code: &str, view: &View, options: &Options, judgement: &Judgement) -> Reading {
    let too_little = view.told.filter(|share| *share < options.completeness_min);
    let seen_enough = code == missing::CODE || too_little.is_none();
    let found = judgement.status.unwrap_or(Status::TooFew);
    let status = if seen_enough { found } else { Status::Blind };
    let mut cohort = judgement.cohort.clone();
    cohort.service.clone_from(&options.service);
    let evidence = if status == Status::Abnormal {
        vec![Evidence {
            kind: EvidenceKind::Rows,
            reference: rows_reference(&judgement.locus),
            from: view.from,
            to: view.to,
        }]
    } else {
        Vec::new()
    };
    Reading {
        code: code.to_owned(),
        cohort,
        locus: judgement.locus.clone(),
        from: view.from,
        to: view.to,
        status,
        here: judgement.here.clone(),
        there: judgement.there.clone(),
        against: judgement.against,
        // A source that does not tell may miss anything: then the others' share is none of all.
        completeness: too_little.or(view.told.filter(|_| view.all_tell)),
        evidence,
    }
}

/// Which rows show it: the fields of their keys, as the edge page's address takes them.
fn rows_reference(locus: &Locus) -> String {
    let asn = locus.asn.map(|n| n.to_string());
    let fields = [
        ("source", locus.edge.as_deref()),
        ("backend", locus.backend.as_deref()),
        ("server", locus.server.as_deref()),
        ("route", locus.route.as_deref()),
        ("client_asn", asn.as_deref()),
        ("client_prefix", locus.prefix.as_deref()),
    ];
    let told = fields.iter().filter_map(|(name, value)| value.map(|v| format!("{name}={v}")));
    told.collect::<Vec<_>>().join("&")
}

/// The list as a page of Markdown: `docs/edge-notices.md`, which a test holds to it.
pub fn page() -> String {
    let defaults = Options::default();
    let mut page = format!(
        concat!(
            "# What the edge notices by itself\n\n",
            "Made from the entries in `core/edge/src/detect/`. Windows of ten seconds are gathered ",
            "into judged ones of {} s, {} s after their end. Each detector says of each of its cells ",
            "what the window shows: `normal`, `abnormal`, `too_few` (looked, at too little to tell) ",
            "or `blind` (less than {} of what happened was seen, or the log does not tell). A ",
            "finding opens at {} abnormal readings among the last {} that could tell, and closes ",
            "after {} normal ones in a row. `too_few` and `blind` neither open nor close one; a ",
            "cell of which nothing is heard for a day closes its finding at the last reading.\n\n",
            "Where nothing can tell how complete a log is, a reading's completeness is `null`, ",
            "and the reading clears nobody: only one that is normal with a completeness of ",
            "0.95 or more does.\n"
        ),
        defaults.window_s,
        defaults.delay_s,
        percent(defaults.completeness_min),
        defaults.patience.open_after,
        defaults.patience.of_last,
        defaults.patience.close_after,
    );
    ALL.iter().for_each(|d| page.push_str(&d.about.section()));
    page
}

#[cfg(test)]
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a simulation rounds its own figures"
)]
mod tests;
