//! What the edge plane keeps: windows, slow requests, readings, findings, and where sources go on.

mod commit;
mod notices;
mod query;
mod resume;
mod rollup;
mod rows;
mod slow;
mod slow_field;
mod slow_read;
mod window;

use std::sync::Arc;

use whyslow_edge::row::Row;
use whyslow_edge::slow::{SlowCount, SlowRow};
use whyslow_model::reading::{Finding, Reading};

pub use notices::{FindingQuery, ReadingQuery};
pub use query::EdgeQuery;
pub use slow_read::{
    Facet, FacetCount, FacetValue, SlowBucket, SlowField, SlowFilter, SlowMatch, SlowOrder,
    SlowPage,
};

pub(super) use notices::{FINDINGS, READINGS};
pub(super) use notices::{findings, readings};
pub(super) use query::{levels, rows as query_rows};
pub(super) use resume::read as resume_place;
pub(super) use rows::SHAPE as ROWS;
pub(super) use slow::SHAPE as SLOW;
pub(super) use slow_read::{counts, facets, histogram, page};
pub(super) use window::rows as one_window;

use super::Db;
use super::error::StorageError;

/// What the edge plane brings.
#[derive(Clone, Debug, Default)]
pub struct EdgeBatch {
    /// Closed windows, each with its source and revision. A row of the same source, start and key
    /// replaces the one that is there unless that one has a higher revision.
    pub rows: Vec<(Arc<str>, u32, Row)>,
    /// Slow requests; one with a known id is the same request.
    pub slow: Vec<SlowRow>,
    /// How many slow requests there were; replaces what is there of the same source, window, route
    /// and reason.
    pub slow_counts: Vec<SlowCount>,
    /// Readings; one of the same code, cohort, locus and start replaces the one that is there.
    pub readings: Vec<Reading>,
    /// Findings; one of the same id replaces the one that is there.
    pub findings: Vec<Finding>,
    /// Where each source goes on after a restart; written after all else of the batch, so that
    /// what lies before is there.
    pub resume: Vec<(Arc<str>, Vec<u8>)>,
}

impl EdgeBatch {
    /// How many entries it has.
    pub fn len(&self) -> usize {
        let notices = self.readings.len() + self.findings.len();
        self.rows.len() + self.slow.len() + self.slow_counts.len() + notices + self.resume.len()
    }

    /// Whether it brings nothing.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// What became of an [`EdgeBatch`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EdgeAppended {
    /// Rows that are new or took the place of another.
    pub rows: u64,
    /// Slow requests that were new.
    pub slow: u64,
    /// Readings and findings written.
    pub notices: u64,
    /// What was refused: older than it is kept, or more than a day ahead of the clock.
    pub refused: u64,
}

impl EdgeAppended {
    /// Adds another's counts.
    pub(super) const fn add(&mut self, other: &Self) {
        self.rows += other.rows;
        self.slow += other.slow;
        self.notices += other.notices;
        self.refused += other.refused;
    }
}

impl Db {
    /// The windows that a query asks for, by start and key; it blocks.
    ///
    /// # Errors
    /// [`StorageError`] where a file cannot be read or more is asked for than one answer holds.
    pub fn edge_rows(&self, query: &EdgeQuery) -> Result<Vec<Row>, StorageError> {
        query_rows(&self.0.files, &levels(&self.0.retention), query)
    }

    /// One source's rows of the window of ten seconds that starts then: those of vips, backends,
    /// servers and routes; it blocks. None where they are no longer kept.
    ///
    /// # Errors
    /// [`StorageError`] where a file cannot be read.
    pub fn edge_window(&self, source: &str, start_s: i64) -> Result<Vec<Row>, StorageError> {
        one_window(&self.0.files, levels(&self.0.retention)[0], source, start_s)
    }

    /// Slow requests that the filter wants; it blocks.
    ///
    /// # Errors
    /// [`StorageError`] where a file cannot be read or the cursor is none.
    pub fn slow(
        &self,
        filter: &SlowFilter,
        order: SlowOrder,
        limit: usize,
        after: Option<&str>,
    ) -> Result<SlowPage, StorageError> {
        page(&self.0.files, filter, order, limit, after)
    }

    /// Of the slow requests that the filter wants, the `top` commonest values of each field; it
    /// blocks.
    ///
    /// # Errors
    /// [`StorageError`] where a file cannot be read.
    pub fn slow_facets(
        &self,
        filter: &SlowFilter,
        fields: &[SlowField],
        top: usize,
    ) -> Result<Vec<Facet>, StorageError> {
        facets(&self.0.files, filter, fields, top)
    }

    /// How many of the slow requests that the filter wants lie in each stretch of `step_s`
    /// seconds, told apart by the values of `by`; stretches without any are left out. It blocks.
    ///
    /// # Errors
    /// [`StorageError`] where a file cannot be read.
    pub fn slow_histogram(
        &self,
        filter: &SlowFilter,
        step_s: i64,
        by: Option<SlowField>,
    ) -> Result<Vec<SlowBucket>, StorageError> {
        histogram(&self.0.files, filter, step_s, by)
    }

    /// How many slow requests there were and are kept, of windows that start in `from_s..to_s`, by
    /// start, route and reason; it blocks.
    ///
    /// # Errors
    /// [`StorageError`] where a file cannot be read.
    pub fn slow_counts(&self, from_s: i64, to_s: i64) -> Result<Vec<SlowCount>, StorageError> {
        counts(&self.0.files, from_s, to_s)
    }

    /// Readings that the query asks for, newest first; it blocks.
    ///
    /// # Errors
    /// [`StorageError`] where a file cannot be read.
    pub fn readings(&self, query: &ReadingQuery) -> Result<Vec<Reading>, StorageError> {
        readings(&self.0.files, query)
    }

    /// Findings that the query asks for, newest first; it blocks.
    ///
    /// # Errors
    /// [`StorageError`] where a file cannot be read.
    pub fn findings(&self, query: &FindingQuery) -> Result<Vec<Finding>, StorageError> {
        findings(&self.0.files, query)
    }

    /// Where a source goes on after a restart, as [`EdgeBatch::resume`] said; it blocks.
    ///
    /// # Errors
    /// [`StorageError`] where the file cannot be read.
    pub fn edge_resume(&self, source: &str) -> Result<Option<Vec<u8>>, StorageError> {
        resume_place(self.0.files.dir(), source)
    }
}

#[cfg(test)]
mod tests;
