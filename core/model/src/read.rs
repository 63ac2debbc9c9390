//! The one narrow way in which stored series are read.

mod odd;

pub use odd::OddSeries;

use crate::labels::Labels;
use crate::matcher::Matcher;

/// What the reader may use to choose between raw samples and roll-ups.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SelectHint<'a> {
    /// The oldest time wanted, inclusive, in milliseconds since the epoch.
    pub from_ms: i64,
    /// The newest time wanted, inclusive, in milliseconds since the epoch.
    pub to_ms: i64,
    /// Distance between two evaluation steps; 0 for an instant query.
    pub step_ms: i64,
    /// The range selector's length; 0 for an instant selector.
    pub range_ms: i64,
    /// The function directly around the selector, such as `rate` or `max_over_time`.
    pub function: Option<&'a str>,
    /// The most samples the reader may return in all.
    pub samples_max: usize,
}

/// One series' points as two columns of equal length; times strictly ascend.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SeriesPoints {
    /// The series' name.
    pub labels: Labels,
    /// Milliseconds since the epoch.
    pub times_ms: Vec<i64>,
    /// Values, staleness markers included.
    pub values: Vec<f64>,
}

/// Why a read gave nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// The query touches more samples than one query may.
    #[error("the query needs more than {limit} samples")]
    TooManySamples {
        /// The limit that was hit.
        limit: usize,
    },
    /// The query touches more series than one query may.
    #[error("the query needs more than {limit} series")]
    TooManySeries {
        /// The limit that was hit.
        limit: usize,
    },
    /// The storage beneath failed.
    #[error("the store could not be read: {0}")]
    Storage(String),
}

/// Stored series, as the evaluator and the pages see them.
pub trait SeriesReader {
    /// Every series that satisfies all matchers and has a point in the hint's time range.
    ///
    /// # Errors
    /// [`ReadError`] where a limit is hit or the storage fails.
    fn select(
        &self,
        matchers: &[Matcher],
        hint: &SelectHint<'_>,
    ) -> Result<Vec<SeriesPoints>, ReadError>;

    /// The label sets that satisfy all matchers and have a point in the range, ascending.
    ///
    /// # Errors
    /// [`ReadError`] where a limit is hit or the storage fails.
    fn series(
        &self,
        matchers: &[Matcher],
        from_ms: i64,
        to_ms: i64,
    ) -> Result<Vec<Labels>, ReadError>;
}
