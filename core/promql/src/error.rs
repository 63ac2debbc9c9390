//! What can go wrong with a query, and who is to blame for it.

use whyslow_model::read::ReadError;

/// A text that is no query: the asker's mistake.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}, at character {}", .at + 1)]
pub struct ParseError {
    /// Byte offset into the text where the trouble begins.
    pub at: usize,
    /// What is wrong, in words.
    pub message: String,
    /// What would mend it, where that is known.
    pub hint: Option<String>,
}

impl ParseError {
    pub(crate) fn new(at: usize, message: impl Into<String>) -> Self {
        Self { at, message: message.into(), hint: None }
    }

    pub(crate) fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// A query that is well formed and yet has no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EvalError {
    /// The query cannot be asked in this way, such as a text over a range of time.
    #[error("{0}")]
    BadQuery(String),
    /// The query means nothing on this data, such as an ambiguous match of two vectors.
    #[error("{0}")]
    Execution(String),
    /// The query is larger than one query may be.
    #[error("the query needs more than {limit} {what}")]
    Limit {
        /// What there was too much of: `samples`, `series` or `steps`.
        what: &'static str,
        /// How much one query may have.
        limit: usize,
    },
    /// The caller's check said that the time is up, or that nobody waits any more.
    #[error("the query was stopped before it was done")]
    Cancelled,
    /// The store beneath could not be read.
    #[error(transparent)]
    Read(ReadError),
}

impl EvalError {
    /// What would mend it, where that is known.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Limit { what: "steps", .. } => Some("ask for a longer step or a shorter range"),
            Self::Limit { .. } => Some("name more labels, or ask for a shorter range"),
            Self::Cancelled => Some("ask for fewer series, a shorter range or a longer step"),
            Self::BadQuery(_) | Self::Execution(_) | Self::Read(_) => None,
        }
    }
}

impl From<ReadError> for EvalError {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::TooManySamples { limit } => Self::Limit { what: "samples", limit },
            ReadError::TooManySeries { limit } => Self::Limit { what: "series", limit },
            ReadError::Storage(_) => Self::Read(error),
        }
    }
}
