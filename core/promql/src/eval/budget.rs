//! The bounds of one query: what it reads, what it computes, and when it must stop.

use std::cell::Cell;

use crate::error::EvalError;
use crate::options::EvalOptions;

/// Counts what one query uses.
pub(crate) struct Budget<'a> {
    options: &'a EvalOptions<'a>,
    read: Cell<usize>,
    computed: Cell<usize>,
}

impl<'a> Budget<'a> {
    pub(super) fn new(options: &'a EvalOptions<'a>) -> Self {
        Self { options, read: Cell::new(0), computed: Cell::new(0) }
    }

    /// Samples the query may still read.
    pub(super) fn readable(&self) -> usize {
        self.options.samples_max.saturating_sub(self.read.get())
    }

    /// Counts what one selector brought.
    pub(super) fn fetched(&self, series: usize, samples: usize) -> Result<(), EvalError> {
        if series > self.options.series_max {
            return Err(EvalError::Limit { what: "series", limit: self.options.series_max });
        }
        self.read.set(self.read.get().saturating_add(samples));
        if self.read.get() > self.options.samples_max {
            return Err(EvalError::Limit { what: "samples", limit: self.options.samples_max });
        }
        self.check()
    }

    /// Counts values before they are made room for.
    pub(crate) fn compute(&self, values: usize) -> Result<(), EvalError> {
        self.computed.set(self.computed.get().saturating_add(values));
        if self.computed.get() > self.options.samples_max.saturating_mul(2) {
            return Err(EvalError::Limit { what: "samples", limit: self.options.samples_max });
        }
        self.check()
    }

    /// Asks whether to go on; cheap enough for once a series.
    pub(crate) fn check(&self) -> Result<(), EvalError> {
        if self.options.stop.is_some_and(|stop| stop()) {
            return Err(EvalError::Cancelled);
        }
        Ok(())
    }
}
